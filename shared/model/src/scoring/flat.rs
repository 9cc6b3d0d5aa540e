//! Trees of any shape, packed to 16 bytes a node: for ensembles that do not fit the faster form of [`complete`](super::complete).

use super::split::{Question, ZERO_THRESHOLD};
use crate::ensemble::{Comparison, TreeEnsemble};
use crate::preprocess::{MAX_COLUMNS, Row};

/// Trees walked side by side.
const LANES: usize = 8;

/// Rows run together: their columns and sums stay in the first-level cache while a tree is walked for all of them.
const BLOCK_ROWS: usize = 32;

const LEAF: u16 = 1;
const CATEGORICAL: u16 = 2;
const MISSING_LEFT: u16 = 4;
const ZERO_IS_MISSING: u16 = 8;
const UNLISTED_LEFT: u16 = 16;

/// A column's index is cut to this, so that the compiler sees it inside the row; validation has checked it already.
const COLUMN_MASK: usize = MAX_COLUMNS - 1;

/// One node.
#[derive(Clone, Copy, Debug)]
struct PackedNode {
    /// Leaf: its value. Numeric split: what x must be less than to go left. Categorical split: the bits of the set that goes left.
    payload: f64,
    /// Index of the left child in the whole array; the right one is next. A leaf's is the leaf.
    left: u32,
    column: u16,
    flags: u16,
}

/// All trees of one member.
#[derive(Debug)]
pub(super) struct FlatTrees {
    nodes: Vec<PackedNode>,
    roots: Vec<u32>,
    /// The greatest depth in each group of [`LANES`] trees.
    depths: Vec<u32>,
    rounds_to_f32: bool,
    /// No categorical split and no zero that counts as missing: the walk can leave out these questions.
    plain: bool,
}

impl PackedNode {
    fn is_leaf(&self) -> bool {
        self.flags & LEAF != 0
    }

    fn column(&self) -> usize {
        usize::from(self.column) & COLUMN_MASK
    }

    #[inline]
    fn decides<const PLAIN: bool>(&self, x: f64) -> bool {
        let missing_left = self.flags & MISSING_LEFT != 0;
        let less = x < self.payload;
        if PLAIN {
            return less | (x.is_nan() & missing_left);
        }
        // Bit operations on purpose: which kind of split comes next is not to be guessed.
        let has = |flag: u16| self.flags & flag != 0;
        let missing = x.is_nan() | (has(ZERO_IS_MISSING) & (x.abs() <= ZERO_THRESHOLD));
        let left = (has(CATEGORICAL) & self.holds(x)) | (!has(CATEGORICAL) & less);
        (missing & missing_left) | (!missing & left)
    }

    /// Whether the set that goes left holds the code `x`. An unlisted code is -1 by construction of the columns; listed ones are whole
    /// numbers below 64.
    #[inline]
    fn holds(&self, x: f64) -> bool {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "cut to 0..63, and used only within it"
        )]
        let code = x as u32 & 63;
        let listed = (0.0..64.0).contains(&x);
        let member = self.payload.to_bits() >> code & 1 == 1;
        (listed & member) | (!listed & (self.flags & UNLISTED_LEFT != 0))
    }
}

impl FlatTrees {
    /// Packs validated trees.
    pub(super) fn new(trees: &TreeEnsemble) -> Self {
        let nodes = &trees.nodes;
        let mut packed = Vec::with_capacity(nodes.len());
        let mut roots = Vec::with_capacity(nodes.tree_sizes.len());
        let mut of_trees = Vec::with_capacity(nodes.tree_sizes.len());
        for range in nodes.tree_ranges() {
            // Validation has checked that all nodes together fit 32 bits.
            let root = u32::try_from(range.start).unwrap_or(u32::MAX);
            roots.push(root);
            packed.extend(range.map(|at| pack(trees, at, root)));
            of_trees.push(tree_depth(&packed, root as usize));
        }
        let depths = of_trees
            .chunks(LANES)
            .map(|group| group.iter().copied().max().unwrap_or(0))
            .collect();
        let plain = !packed
            .iter()
            .any(|node| node.flags & (CATEGORICAL | ZERO_IS_MISSING) != 0);
        let rounds_to_f32 = trees.comparison == Comparison::LessThanF32;
        Self {
            nodes: packed,
            roots,
            depths,
            rounds_to_f32,
            plain,
        }
    }

    /// The row as the comparisons see it.
    fn seen(&self, row: &Row) -> Row {
        let mut seen = *row;
        if self.rounds_to_f32 {
            for value in &mut seen {
                #[expect(clippy::cast_possible_truncation, reason = "rounding to 32 bits is what this is for")]
                let single = *value as f32;
                *value = f64::from(single);
            }
        }
        seen
    }

    /// The sum of the leaves that a row reaches, in tree order.
    pub(super) fn sum(&self, row: &Row) -> f64 {
        let seen = self.seen(row);
        if self.plain {
            self.sum_of::<true>(&seen)
        } else {
            self.sum_of::<false>(&seen)
        }
    }

    /// The sums of rows.
    pub(super) fn sums(&self, rows: &[Row], sums: &mut [f64]) {
        sums.fill(0.0);
        let mut seen = [[0.0; MAX_COLUMNS]; BLOCK_ROWS];
        for (rows, sums) in rows.chunks(BLOCK_ROWS).zip(sums.chunks_mut(BLOCK_ROWS)) {
            for (seen, row) in seen.iter_mut().zip(rows) {
                *seen = self.seen(row);
            }
            let seen = &seen[..rows.len()];
            if self.plain {
                self.add_all::<true>(seen, sums);
            } else {
                self.add_all::<false>(seen, sums);
            }
        }
    }

    fn sum_of<const PLAIN: bool>(&self, row: &Row) -> f64 {
        self.groups().fold(0.0, |sum, (roots, depth)| {
            self.add_group::<PLAIN>(sum, roots, depth, row)
        })
    }

    fn add_all<const PLAIN: bool>(&self, rows: &[Row], sums: &mut [f64]) {
        for (roots, depth) in self.groups() {
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum = self.add_group::<PLAIN>(*sum, roots, depth, row);
            }
        }
    }

    /// Trees to be walked side by side, and the depth of the deepest among them.
    fn groups(&self) -> impl Iterator<Item = (&[u32], u32)> {
        self.roots.chunks(LANES).zip(self.depths.iter().copied())
    }

    /// Adds the leaves that a row reaches in a group of trees, in tree order.
    #[inline]
    fn add_group<const PLAIN: bool>(&self, sum: f64, roots: &[u32], depth: u32, row: &Row) -> f64 {
        let mut lanes = [0; LANES];
        lanes[..roots.len()].copy_from_slice(roots);
        // A full group has a loop of constant length, which the compiler unrolls; the last group may be shorter.
        if roots.len() == LANES {
            self.walk::<PLAIN>(&mut lanes, depth, row);
        } else {
            self.walk::<PLAIN>(&mut lanes[..roots.len()], depth, row);
        }
        lanes[..roots.len()]
            .iter()
            .fold(sum, |sum, leaf| sum + self.nodes[*leaf as usize].payload)
    }

    /// Takes every lane from its node to a leaf. One step of one tree waits for memory and comparison; the steps of several trees wait
    /// together, and with plain splits no branch depends on the row.
    #[inline]
    fn walk<const PLAIN: bool>(&self, lanes: &mut [u32], depth: u32, row: &Row) {
        for _ in 0..depth {
            for at in lanes.iter_mut() {
                let node = &self.nodes[*at as usize];
                // A leaf's left child is the leaf itself: lanes that arrive early wait there.
                let right = !node.decides::<PLAIN>(row[node.column()]) & !node.is_leaf();
                *at = node.left + u32::from(right);
            }
        }
    }
}

/// The depth of each tree: edges to the deepest leaf. Children stand after their parents.
fn tree_depth(nodes: &[PackedNode], root: usize) -> u32 {
    let mut depths = vec![0_u32; nodes.len() - root];
    for (index, node) in nodes[root..].iter().enumerate().filter(|(_, node)| !node.is_leaf()) {
        let child = node.left as usize - root;
        depths[child] = depths[index] + 1;
        depths[child + 1] = depths[index] + 1;
    }
    depths.into_iter().max().unwrap_or(0)
}

fn pack(trees: &TreeEnsemble, at: usize, root: u32) -> PackedNode {
    let flag = |set: bool, flag: u16| if set { flag } else { 0 };
    let (column, payload, flags) = match Question::of(trees, at) {
        None => {
            return PackedNode {
                payload: trees.nodes.values[at],
                // Validation has checked that all nodes together fit 32 bits.
                left: u32::try_from(at).unwrap_or(u32::MAX),
                column: 0,
                flags: LEAF,
            };
        }
        Some(Question::Less(rule, bound)) => {
            let flags = flag(rule.missing_left, MISSING_LEFT) | flag(rule.zero_is_missing, ZERO_IS_MISSING);
            (rule.column, bound, flags)
        }
        Some(Question::In(set)) => {
            let flags = flag(set.missing_left, MISSING_LEFT) | flag(set.unlisted_left, UNLISTED_LEFT);
            (set.column, f64::from_bits(set.left), flags | CATEGORICAL)
        }
    };
    PackedNode {
        payload,
        left: root + trees.nodes.left_children[at],
        column: u16::try_from(column).unwrap_or(u16::MAX),
        flags,
    }
}
