//! From trees to bits, when a model is loaded.

use std::collections::BTreeMap;
use std::ops::Range;

use super::leaves::{Leaves, sums_are_exact, words_of};
use super::{BLOCK, Block, Column, Cut, ExitTrees, Found, MAX_LEAVES, MAX_WORDS, Values, WORD_BITS};
use crate::ensemble::{Comparison, TreeEnsemble};
use crate::preprocess::MAX_COLUMNS;
use crate::scoring::ranks::SortedBounds;
use crate::scoring::split::{CodeSet, NumericRule, Question, ZERO_THRESHOLD};

/// A row of the table covers at least so many cuts: fewer are soon made one by one.
const FEWEST_CUTS: usize = 24;

/// The table must leave room in the second-level cache, else waiting for it takes longer than walking the trees.
const TABLE_BYTES: usize = 1 << 20;

/// The most rows that columns share.
const SHARED_ROWS: usize = 64;

/// All words of a row of the table.
type Words = Vec<u16>;

impl ExitTrees {
    /// Packs validated trees; `None` when a tree has too many leaves, or all trees together more than the caches hold.
    pub(in crate::scoring) fn new(trees: &TreeEnsemble) -> Option<Self> {
        let mut spans = Vec::new();
        for range in trees.nodes.tree_ranges() {
            let tree = Spans::of(trees, range);
            if tree.leaves.len() > MAX_LEAVES {
                return None;
            }
            spans.push(tree);
        }
        let in_any_order = sums_are_exact(spans.iter().map(|tree| &*tree.leaves));
        if in_any_order {
            spans.sort_by_key(|tree| words_of(tree.leaves.len()));
        }
        let mut splits = Splits::default();
        let mut words = Vec::with_capacity(spans.len());
        let mut word = 0;
        for tree in &spans {
            for at in tree.nodes.clone() {
                if let Some(question) = Question::of(trees, at) {
                    let left = trees.nodes.left_children[at] as usize;
                    splits.add(question, cuts(word, &tree.spans[left])?);
                }
            }
            words.push(word);
            word += words_of(tree.leaves.len());
        }
        if word > MAX_WORDS {
            return None;
        }
        let blocks = word.div_ceil(BLOCK);
        let mut cuts = Vec::new();
        let rounds_to_f32 = trees.comparison() == Comparison::LessThanF32;
        let parts = splits.columns(blocks, rounds_to_f32, &mut cuts)?;
        let (columns, lookups, table) = share(parts, blocks)?;
        Some(Self {
            arch: pulp::Arch::new(),
            rounds_to_f32,
            columns,
            lookups,
            table,
            cuts,
            blocks,
            leaves: Leaves::new(
                words.into_iter().zip(spans.iter().map(|tree| &*tree.leaves)),
                in_any_order,
            )?,
        })
    }
}

/// A column and its rows; until it is known where they will be, `Found::block` is the row's number among them.
type Part = (Column, Vec<Words>);

/// Joins the rows of columns that have few, and puts all rows into one table.
fn share(mut parts: Vec<Part>, blocks: usize) -> Option<(Vec<Column>, usize, Vec<Block>)> {
    parts.sort_by_key(|(_, rows)| rows.len());
    let (mut columns, mut table) = (Vec::new(), Vec::new());
    let mut lookups = 0;
    let mut left = &mut *parts;
    while !left.is_empty() {
        let mut count = left[0].1.len();
        let mut together = 1;
        while let Some((_, rows)) = left.get(together)
            && count * rows.len() <= SHARED_ROWS
        {
            count *= rows.len();
            together += 1;
        }
        let own;
        (own, left) = left.split_at_mut(together);
        let first = table.len() / BLOCK / blocks;
        let mut shared = vec![vec![u16::MAX; blocks * BLOCK]];
        for (_, rows) in &*own {
            shared = rows
                .iter()
                .flat_map(|row| shared.iter().map(|words| joined(words, row)))
                .collect();
        }
        table.extend(shared.into_iter().flatten());
        let mut stride = 1;
        for (position, (column, rows)) in own.iter_mut().enumerate() {
            column.lookup = lookups;
            // The first block is counted once.
            let start = if position == 0 { first } else { 0 };
            column.renumber(|row| u32::try_from((start + stride * row as usize) * blocks).ok());
            stride *= rows.len();
        }
        lookups += 1;
    }
    columns.extend(parts.into_iter().map(|(column, _)| column));
    let table = table.as_chunks::<BLOCK>().0.iter().map(|words| Block(*words)).collect();
    (columns.len() <= MAX_COLUMNS).then_some((columns, lookups, table))
}

fn joined(one: &[u16], other: &[u16]) -> Words {
    one.iter().zip(other).map(|(one, other)| one & other).collect()
}

impl Column {
    /// Gives each row another number.
    fn renumber(&mut self, number: impl Fn(u32) -> Option<u32>) {
        let (many, one) = match &mut self.values {
            Values::Numbers { by_rank, zero, .. } => (by_rank, zero.as_mut()),
            Values::Codes { by_code, unlisted } => (by_code, Some(unlisted)),
        };
        for found in many.iter_mut().chain(one).chain([&mut self.missing]) {
            // There are fewer than the table has bytes.
            found.block = number(found.block).unwrap_or(u32::MAX);
        }
    }
}

/// The splits of all trees by column.
#[derive(Default)]
struct Splits {
    numeric: BTreeMap<usize, Vec<NumericSplit>>,
    categorical: BTreeMap<usize, Vec<(CodeSet, Vec<Cut>)>>,
}

struct NumericSplit {
    rule: NumericRule,
    bound: f64,
    cuts: Vec<Cut>,
}

impl NumericSplit {
    /// Whether it is the same for all numbers that are as good as zero.
    fn sees_one_zero(&self) -> bool {
        self.rule.zero_is_missing || self.bound <= -ZERO_THRESHOLD || self.bound > ZERO_THRESHOLD
    }

    fn sends_zero_right(&self) -> bool {
        if self.rule.zero_is_missing {
            !self.rule.missing_left
        } else {
            self.bound <= 0.0
        }
    }
}

impl Splits {
    fn add(&mut self, question: Question, cuts: Vec<Cut>) {
        match question {
            Question::Less(rule, bound) => self.numeric.entry(rule.column).or_default().push(NumericSplit {
                rule,
                // No bound is NaN, and the two zeros ask the same: adding a zero makes them one.
                bound: bound + 0.0,
                cuts,
            }),
            Question::In(set) => self.categorical.entry(set.column).or_default().push((set, cuts)),
        }
    }

    /// The columns with their rows, of so many blocks; `None` when they are too many.
    fn columns(mut self, blocks: usize, rounds_to_f32: bool, all: &mut Vec<Cut>) -> Option<Vec<Part>> {
        let most = TABLE_BYTES / size_of::<Block>() / blocks.max(1);
        let count: usize = self.numeric.values().flatten().map(|split| split.cuts.len()).sum();
        let mut parts = Vec::new();
        let words = vec![u16::MAX; blocks * BLOCK];
        for (index, splits) in &self.categorical {
            parts.push(codes(*index, splits, &words));
        }
        // Each column has a row for its smallest numbers, one for missing and perhaps one for zero.
        let taken = parts.iter().map(|(_, rows)| rows.len()).sum::<usize>() + 3 * self.numeric.len();
        let free = most.checked_sub(taken).filter(|free| *free > 0)?;
        let step = FEWEST_CUTS.max(count.div_ceil(free));
        for (index, splits) in &mut self.numeric {
            splits.sort_by(|one, other| one.bound.total_cmp(&other.bound));
            parts.push(numbers(*index, splits, rounds_to_f32, words.clone(), step, all)?);
        }
        Some(parts)
    }
}

/// A numeric column; `None` when what is as good as zero is not one value. Splits come by ascending bound.
fn numbers(
    index: usize,
    splits: &[NumericSplit],
    rounds_to_f32: bool,
    mut words: Words,
    step: usize,
    all: &mut Vec<Cut>,
) -> Option<Part> {
    let mut rows = Vec::new();
    let mut row = |words: &Words, cuts: usize| {
        rows.push(words.clone());
        found(rows.len() - 1, cuts)
    };
    let without = words.clone();
    let missing = ruled_out(splits.iter().filter(|split| !split.rule.missing_left), &without);
    let missing = row(&missing, 0)?;
    let mut zero = None;
    if splits.iter().any(|split| split.rule.zero_is_missing) {
        if !splits.iter().all(NumericSplit::sees_one_zero) {
            return None;
        }
        let right = ruled_out(splits.iter().filter(|split| split.sends_zero_right()), &without);
        zero = Some(row(&right, 0)?);
    }
    let mut own = row(&words, all.len())?;
    let mut by_rank = vec![own];
    let mut bounds = Vec::new();
    for splits in splits.chunk_by(|one, other| one.bound == other.bound) {
        bounds.push(splits[0].bound);
        words = ruled_out(splits, &words);
        all.extend(splits.iter().flat_map(|split| &split.cuts));
        own.to = u32::try_from(all.len()).ok()?;
        if (own.to - own.from) as usize >= step {
            own = row(&words, all.len())?;
        }
        by_rank.push(own);
    }
    let bounds = SortedBounds::new(&bounds, rounds_to_f32);
    let values = Values::Numbers { bounds, by_rank, zero };
    Some((
        Column {
            index,
            lookup: 0,
            missing,
            values,
        },
        rows,
    ))
}

/// A row's number, and no cuts behind those that there are.
fn found(row: usize, cuts: usize) -> Option<Found> {
    let cuts = u32::try_from(cuts).ok()?;
    Some(Found {
        block: u32::try_from(row).ok()?,
        from: cuts,
        to: cuts,
    })
}

/// A categorical column.
fn codes(index: usize, splits: &[(CodeSet, Vec<Cut>)], words: &Words) -> Part {
    let listed = splits.iter().map(|(set, _)| u64::BITS - set.left.leading_zeros()).max();
    let listed = listed.unwrap_or(0).min(u64::BITS - 1);
    let mut rows = Vec::new();
    let mut row = |x: f64| {
        let mut own = words.clone();
        for (_, cuts) in splits.iter().filter(|(set, _)| !set.goes_left(x)) {
            cut(cuts, &mut own);
        }
        rows.push(own);
        Found {
            // At most 64 codes, and two more.
            block: rows.len() as u32 - 1,
            ..Found::NONE
        }
    };
    let missing = row(f64::NAN);
    let values = Values::Codes {
        unlisted: row(-1.0),
        by_code: (0..=listed).map(|code| row(f64::from(code))).collect(),
    };
    (
        Column {
            index,
            lookup: 0,
            missing,
            values,
        },
        rows,
    )
}

/// What is left of words once splits have sent the row right.
fn ruled_out<'a>(splits: impl IntoIterator<Item = &'a NumericSplit>, words: &Words) -> Words {
    let mut words = words.clone();
    for split in splits {
        cut(&split.cuts, &mut words);
    }
    words
}

fn cut(cuts: &[Cut], words: &mut Words) {
    for cut in cuts {
        words[usize::from(cut.word)] &= cut.kept;
    }
}

/// The cuts that rule out leaves of the tree that begins at a word.
fn cuts(word: usize, leaves: &Range<usize>) -> Option<Vec<Cut>> {
    let words = leaves.start / WORD_BITS..leaves.end.div_ceil(WORD_BITS);
    words
        .map(|own| {
            let bits = (0..WORD_BITS).filter(|bit| leaves.contains(&(own * WORD_BITS + bit)));
            Some(Cut {
                word: u16::try_from(word + own).ok()?,
                kept: !bits.fold(0, |bits, bit| bits | 1 << bit),
            })
        })
        .collect()
}

/// The leaves of a tree from left to right.
struct Spans {
    /// Where its nodes are among all.
    nodes: Range<usize>,
    /// By node, the leaves below it.
    spans: Vec<Range<usize>>,
    leaves: Vec<f64>,
}

impl Spans {
    fn of(trees: &TreeEnsemble, range: Range<usize>) -> Self {
        let nodes = &trees.nodes;
        let left = |index: usize| {
            let at = range.start + index;
            nodes.missing_rules[at].map(|_| nodes.left_children[at] as usize)
        };
        // Children stand after their parents.
        let mut counts = vec![1; range.len()];
        for index in (0..range.len()).rev() {
            if let Some(left) = left(index) {
                counts[index] = counts[left] + counts[left + 1];
            }
        }
        let mut spans = vec![0..counts[0]; range.len()];
        let mut leaves = vec![0.0; counts[0]];
        for index in 0..range.len() {
            let own = spans[index].clone();
            if let Some(left) = left(index) {
                let middle = own.start + counts[left];
                spans[left] = own.start..middle;
                spans[left + 1] = middle..own.end;
            } else {
                leaves[own.start] = nodes.values[range.start + index];
            }
        }
        Self {
            nodes: range,
            spans,
            leaves,
        }
    }
}
