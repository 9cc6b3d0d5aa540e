//! Shallow trees, padded to complete ones and run without a branch: one row, or a block of rows at once.
//!
//! A complete tree of depth d has 2^d leaves. Where a tree ends early, its leaf is repeated below it, and what is asked there does not matter. The
//! answers on a row's way are the bits of its leaf's index.
//!
//! *One row.* The places of a tree are numbered as in a heap: the root is 1, the children of i are 2i and 2i + 1. A predicate's answer is 0 or 1, so
//! the walk is `place = 2 place + answer`. Several trees are walked side by side: while one waits for memory, the others go on.
//!
//! *A block of rows.* A predicate's answers are a bit a row. The answer that each row meets at a level is chosen among the answers at that level's
//! splits by the answers of the levels above: three machine operations a choice, for 64 rows and more. What is chosen among what depends on the
//! trees alone, so it is a list of steps, made when the model is loaded. The bits of the leaf indices, one word a bit, are then turned into bytes,
//! one a row.

use std::ops::Range;

use super::lanes::{Lanes, Turned, turn};
use super::predicates::Predicates;
use super::split::Question;
use crate::ensemble::TreeEnsemble;

/// The deepest tree that is padded: a leaf index must fit a byte.
const MAX_PADDED_DEPTH: usize = 8;

/// The most padded leaves a node: one deep tree among many small ones must not take all memory.
const MAX_PADDING: usize = 8;

/// A model of fewer nodes may take as much as one of this many.
const SMALL_MODEL: usize = 1 << 12;

/// Trees whose steps share their room.
const GROUP: usize = 8;

/// Trees walked side by side for one row: as many as it takes until the first one's next answer is there.
const WALKS: usize = 16;

/// What a step reads and writes: the answers to all predicates, then nothing but zeros, then for each tree of the group the answers of its levels,
/// then words that are chosen already while others are still to be.
pub(super) const ROOM: usize = 1 + GROUP * MAX_PADDED_DEPTH + MAX_PADDED_DEPTH;

/// The answers for one row by the predicate's number: as many as 16 bits can tell apart, so that no index is out of range.
pub(super) type Answers = [bool; 1 << 16];

/// All trees of a member, padded to the deepest of them. The last [`WALKS`] trees are filled up with some that answer zero, which changes no bit of
/// a sum that started from zero.
#[derive(Debug)]
pub(super) struct CompleteTrees {
    depth: usize,
    /// Per tree the numbers of its predicates by place, 2^depth of them; there is no place 0.
    nodes: Vec<u16>,
    /// Per tree 2^depth values.
    leaves: Vec<f64>,
    groups: Vec<Group>,
    steps: Vec<Step>,
}

/// How the rows of a block find their leaves in [`GROUP`] trees.
#[derive(Debug)]
struct Group {
    /// How many of all steps, after those of the groups before.
    steps: usize,
    /// Per tree and bit of the leaf's index where it is found; bit 0 is the answer of the last level.
    bits: [[u16; MAX_PADDED_DEPTH]; GROUP],
}

/// Chooses between two words by a third.
#[derive(Clone, Copy, Debug)]
struct Step {
    into: u16,
    answer: u16,
    left: u16,
    right: u16,
}

impl CompleteTrees {
    /// Packs validated trees; `None` when they are too deep or too unequal, or ask too many questions for 16 bits.
    pub(super) fn new(trees: &TreeEnsemble, predicates: &Predicates) -> Option<Self> {
        let zeros = u16::try_from(predicates.len()).ok()?;
        u16::try_from(predicates.len() + ROOM).ok()?;
        let ranges: Vec<_> = trees.nodes.tree_ranges().collect();
        let depth = ranges.iter().map(|range| depth(trees, range.clone())).max()?;
        let count = ranges.len().next_multiple_of(WALKS);
        if depth > MAX_PADDED_DEPTH || count << depth > MAX_PADDING * trees.nodes.len().max(SMALL_MODEL) {
            return None;
        }
        let mut packed = Self {
            depth,
            nodes: Vec::new(),
            leaves: Vec::new(),
            groups: Vec::new(),
            steps: Vec::new(),
        };
        for ranges in ranges.chunks(GROUP) {
            let mut group = Group {
                steps: 0,
                bits: [[zeros; MAX_PADDED_DEPTH]; GROUP],
            };
            let first = packed.steps.len();
            for (range, (index, bits)) in ranges.iter().zip(group.bits.iter_mut().enumerate()) {
                let tree = Padded::new(trees, range.start, depth, predicates);
                packed.nodes.extend(tree.splits.iter().map(|split| split.unwrap_or(0)));
                packed.leaves.extend_from_slice(&tree.leaves);
                *bits = packed.choose(&tree, zeros, index);
            }
            group.steps = packed.steps.len() - first;
            packed.groups.push(group);
        }
        packed.nodes.resize(count << depth, 0);
        packed.leaves.resize(count << depth, 0.0);
        Some(packed)
    }

    /// Adds the steps of one tree. The answer is where the bits of its leaf's index are found.
    fn choose(&mut self, tree: &Padded, zeros: u16, index: usize) -> [u16; MAX_PADDED_DEPTH] {
        let own = zeros + 1 + (index * MAX_PADDED_DEPTH) as u16;
        let between = zeros + 1 + (GROUP * MAX_PADDED_DEPTH) as u16;
        let mut answers = [zeros; MAX_PADDED_DEPTH];
        for level in 0..tree.depth {
            let steps = self.steps.len();
            let mut chooser = Chooser {
                tree,
                answers: &answers,
                steps: &mut self.steps,
            };
            if let Some(found) = chooser.choose(1, level, between) {
                answers[level] = found;
            }
            // What was chosen last is this level's answer, and stays.
            if let Some(last) = self.steps[steps..].last_mut() {
                last.into = own + level as u16;
                answers[level] = last.into;
            }
        }
        answers[..tree.depth].reverse();
        answers
    }

    /// The sum of the leaves that a row reaches, in tree order; `right` are the answers for the row.
    pub(super) fn sum(&self, right: &Answers) -> f64 {
        match self.depth {
            0 => self.sum_of::<1>(right),
            1 => self.sum_of::<2>(right),
            2 => self.sum_of::<4>(right),
            3 => self.sum_of::<8>(right),
            4 => self.sum_of::<16>(right),
            5 => self.sum_of::<32>(right),
            6 => self.sum_of::<64>(right),
            7 => self.sum_of::<128>(right),
            _ => self.sum_of::<256>(right),
        }
    }

    fn sum_of<const SIZE: usize>(&self, right: &Answers) -> f64 {
        let nodes = self.nodes.as_chunks::<SIZE>().0.as_chunks::<WALKS>().0;
        let leaves = self.leaves.as_chunks::<SIZE>().0.as_chunks::<WALKS>().0;
        let mut sum = 0.0;
        for (nodes, leaves) in nodes.iter().zip(leaves) {
            let mut places = [1; WALKS];
            for _ in 0..self.depth {
                for (place, nodes) in places.iter_mut().zip(nodes) {
                    let answer = right[usize::from(nodes[*place % SIZE])];
                    *place = (*place << 1) | usize::from(answer);
                }
            }
            for (place, leaves) in places.iter().zip(leaves) {
                sum += leaves[*place % SIZE];
            }
        }
        sum
    }

    /// The sums for 64 rows a word; `right` are the answers for the rows.
    #[inline(always)]
    pub(super) fn sums<const WORDS: usize>(&self, mut right: Vec<Lanes<WORDS>>, sums: &mut [f64]) {
        right.resize(right.len() + ROOM, Lanes::NONE);
        let turned = match self.depth {
            0 => self.turned_sums::<1, WORDS>(&mut right),
            1 => self.turned_sums::<2, WORDS>(&mut right),
            2 => self.turned_sums::<4, WORDS>(&mut right),
            3 => self.turned_sums::<8, WORDS>(&mut right),
            4 => self.turned_sums::<16, WORDS>(&mut right),
            5 => self.turned_sums::<32, WORDS>(&mut right),
            6 => self.turned_sums::<64, WORDS>(&mut right),
            7 => self.turned_sums::<128, WORDS>(&mut right),
            _ => self.turned_sums::<256, WORDS>(&mut right),
        };
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum = turned[row % 8][row / 64][row / 8 % 8];
        }
    }

    #[inline(always)]
    fn turned_sums<const SIZE: usize, const WORDS: usize>(&self, right: &mut [Lanes<WORDS>]) -> Turned<f64, WORDS> {
        let mut turned = [[[0.0; 8]; WORDS]; 8];
        let mut steps = &*self.steps;
        for (group, leaves) in self.groups.iter().zip(self.leaves.chunks_exact(GROUP << self.depth)) {
            let own;
            (own, steps) = steps.split_at(group.steps);
            add_rows::<SIZE, WORDS>(leaves, &leaf_indices(group, own, right), &mut turned);
        }
        turned
    }
}

/// Edges from the root to the deepest leaf. Children stand after their parents.
fn depth(trees: &TreeEnsemble, range: Range<usize>) -> usize {
    let mut depths = vec![0; range.len()];
    for (index, at) in range.enumerate() {
        if trees.nodes.missing_rules[at].is_some() {
            let left = trees.nodes.left_children[at] as usize;
            depths[left] = depths[index] + 1;
            depths[left + 1] = depths[index] + 1;
        }
    }
    depths.into_iter().max().unwrap_or(0)
}

/// A tree laid out as a heap.
struct Padded {
    depth: usize,
    /// By place the number of the predicate, `None` where the tree has ended.
    splits: Vec<Option<u16>>,
    leaves: Vec<f64>,
}

impl Padded {
    fn new(trees: &TreeEnsemble, root: usize, depth: usize, predicates: &Predicates) -> Self {
        let size = 1 << depth;
        let mut splits = vec![None; size];
        // By place the tree's node, or the leaf that the way there has ended in.
        let mut origins = vec![root; 2 * size];
        for place in 1..size {
            let at = origins[place];
            let mut children = [at, at];
            if let Some(question) = Question::of(trees, at) {
                splits[place] = u16::try_from(predicates.number(question)).ok();
                let left = root + trees.nodes.left_children[at] as usize;
                children = [left, left + 1];
            }
            origins[2 * place..2 * place + 2].copy_from_slice(&children);
        }
        Self {
            depth,
            splits,
            leaves: origins[size..].iter().map(|leaf| trees.nodes.values[*leaf]).collect(),
        }
    }
}

/// Makes the steps that find the answers of one level.
struct Chooser<'a> {
    tree: &'a Padded,
    /// Where the answers of the levels above are.
    answers: &'a [u16; MAX_PADDED_DEPTH],
    steps: &'a mut Vec<Step>,
}

impl Chooser<'_> {
    /// Where the answers `levels` below a place are found, once the steps are done; `None` when the tree has ended on every way there. Words from
    /// `free` on may be used.
    fn choose(&mut self, place: usize, levels: usize, free: u16) -> Option<u16> {
        if levels == 0 {
            return self.tree.splits[place];
        }
        let left = self.choose(2 * place, levels - 1, free);
        // Only what was chosen has to be kept: other words stand where they always do.
        let kept = u16::from(left == Some(free));
        let right = self.choose(2 * place + 1, levels - 1, free + kept);
        match (left, right) {
            (Some(left), Some(right)) if left != right => {
                self.steps.push(Step {
                    into: free,
                    answer: self.answers[place.ilog2() as usize],
                    left,
                    right,
                });
                Some(free)
            }
            (left, right) => left.or(right),
        }
    }
}

/// The leaves that the rows of a block reach in a group of trees.
#[inline(always)]
fn leaf_indices<const WORDS: usize>(
    group: &Group,
    steps: &[Step],
    words: &mut [Lanes<WORDS>],
) -> [Turned<u8, WORDS>; GROUP] {
    for step in steps {
        let [answer, left, right] = [step.answer, step.left, step.right].map(|word| &words[usize::from(word)]);
        words[usize::from(step.into)] = Lanes::choose(answer, left, right);
    }
    let mut indices = [[[[0; 8]; WORDS]; 8]; GROUP];
    for (bits, indices) in group.bits.iter().zip(&mut indices) {
        turn(&mut bits.map(|word| words[usize::from(word)]), indices);
    }
    indices
}

/// Adds the leaves that the rows of a block reach in a group of trees of `SIZE` leaves. Apart from what is compiled for wide instructions: leaves are
/// looked up one by one, and instructions that look up several are slower.
#[inline(never)]
fn add_rows<const SIZE: usize, const WORDS: usize>(
    leaves: &[f64],
    indices: &[Turned<u8, WORDS>; GROUP],
    sums: &mut Turned<f64, WORDS>,
) {
    let Ok(leaves) = <&[[f64; SIZE]; GROUP]>::try_from(leaves.as_chunks::<SIZE>().0) else {
        return;
    };
    for j in 0..8 {
        for word in 0..WORDS {
            for i in 0..8 {
                let reached = leaves.iter().zip(indices);
                sums[j][word][i] = reached.fold(sums[j][word][i], |sum, (leaves, indices)| {
                    sum + leaves[usize::from(indices[j][word][i]) % SIZE]
                });
            }
        }
    }
}
