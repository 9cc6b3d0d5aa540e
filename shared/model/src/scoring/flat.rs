//! Trees packed to 16 bytes a node, walked with one kind of comparison.
//!
//! Both comparisons of the format become `x < split` in double precision, exactly: `float32(x) < s` is a comparison of doubles once the row is
//! rounded to `f32`, and `x <= s` is `x < s.next_up()`.

use super::BLOCK_ROWS;
use crate::ensemble::{Aggregation, Comparison, NodeKind, Nodes, TreeEnsemble, UnlistedCode};
use crate::preprocess::{MAX_COLUMNS, Row};

/// Trees walked side by side.
const LANES: usize = 8;

const LEAF: u16 = 1;
const CATEGORICAL: u16 = 2;
const MISSING_LEFT: u16 = 4;
const ZERO_IS_MISSING: u16 = 8;
const UNLISTED_LEFT: u16 = 16;

/// LightGBM's `kZeroThreshold`: what is this near to zero is zero.
const ZERO_THRESHOLD: f64 = 1e-35;

/// A column's index is cut to this, so that the compiler sees it inside the row; validation has checked it already.
const COLUMN_MASK: usize = MAX_COLUMNS - 1;

/// One node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackedNode {
    /// Leaf: its value. Numeric split: what x must be less than to go left. Categorical split: the bits of the set that goes left.
    payload: f64,
    /// Index of the left child in the whole array; the right one is next. A leaf's is the leaf.
    left: u32,
    column: u16,
    flags: u16,
}

/// All trees of one member.
#[derive(Debug)]
pub(crate) struct FlatTrees {
    nodes: Vec<PackedNode>,
    roots: Vec<u32>,
    /// The greatest depth in each group of [`LANES`] trees.
    depths: Vec<u32>,
    base_margin: f64,
    /// 1 for a sum, the number of trees for a mean.
    divisor: f64,
    rounds_to_f32: bool,
    /// No categorical split and no zero that counts as missing: the walk can leave out these questions.
    plain: bool,
}

impl PackedNode {
    pub(crate) fn is_leaf(&self) -> bool {
        self.flags & LEAF != 0
    }

    /// The value of a leaf.
    pub(crate) fn value(&self) -> f64 {
        self.payload
    }

    /// Index of the left child.
    pub(crate) fn left(&self) -> usize {
        self.left as usize
    }

    pub(crate) fn column(&self) -> usize {
        usize::from(self.column) & COLUMN_MASK
    }

    /// Which way a row goes at a split.
    #[inline]
    pub(crate) fn goes_left(&self, row: &Row) -> bool {
        self.decides::<false>(row[self.column()])
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
            packed.extend(range.map(|at| pack(nodes, at, root, trees)));
            of_trees.push(tree_depth(&packed, root as usize));
        }
        let depths = of_trees
            .chunks(LANES)
            .map(|group| group.iter().copied().max().unwrap_or(0))
            .collect();
        let plain = !packed
            .iter()
            .any(|node| node.flags & (CATEGORICAL | ZERO_IS_MISSING) != 0);
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^32 trees")]
        let divisor = match trees.aggregation {
            Aggregation::Sum => 1.0,
            Aggregation::Mean => roots.len() as f64,
        };
        let rounds_to_f32 = trees.comparison == Comparison::LessThanF32;
        Self {
            nodes: packed,
            roots,
            depths,
            base_margin: trees.base_margin,
            divisor,
            rounds_to_f32,
            plain,
        }
    }

    pub(crate) fn nodes(&self) -> &[PackedNode] {
        &self.nodes
    }

    pub(crate) fn roots(&self) -> &[u32] {
        &self.roots
    }

    pub(crate) fn base_margin(&self) -> f64 {
        self.base_margin
    }

    /// What a sum over the trees is divided by.
    pub(crate) fn divisor(&self) -> f64 {
        self.divisor
    }

    /// The row as the comparisons see it.
    pub(crate) fn seen(&self, row: &Row) -> Row {
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

    pub(super) fn margin(&self, row: &Row) -> f64 {
        let seen = self.seen(row);
        let sum = if self.plain {
            self.sum::<true>(&seen)
        } else {
            self.sum::<false>(&seen)
        };
        self.base_margin + sum / self.divisor
    }

    pub(super) fn margins(&self, rows: &[Row], margins: &mut [f64; BLOCK_ROWS]) {
        let mut seen = [[0.0; MAX_COLUMNS]; BLOCK_ROWS];
        let count = rows.len().min(BLOCK_ROWS);
        for (seen, row) in seen.iter_mut().zip(rows) {
            *seen = self.seen(row);
        }
        let mut sums = [0.0; BLOCK_ROWS];
        if self.plain {
            self.add_all::<true>(&seen[..count], &mut sums);
        } else {
            self.add_all::<false>(&seen[..count], &mut sums);
        }
        for (margin, sum) in margins[..count].iter_mut().zip(&sums) {
            *margin = self.base_margin + sum / self.divisor;
        }
    }

    fn sum<const PLAIN: bool>(&self, row: &Row) -> f64 {
        self.groups().fold(0.0, |sum, (roots, depth)| {
            self.add_group::<PLAIN>(sum, roots, depth, row)
        })
    }

    fn add_all<const PLAIN: bool>(&self, rows: &[Row], sums: &mut [f64; BLOCK_ROWS]) {
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
        let child = node.left() - root;
        depths[child] = depths[index] + 1;
        depths[child + 1] = depths[index] + 1;
    }
    depths.into_iter().max().unwrap_or(0)
}

fn pack(nodes: &Nodes, at: usize, root: u32, trees: &TreeEnsemble) -> PackedNode {
    let value = nodes.values[at];
    let Some(missing) = nodes.missing_rules[at] else {
        return PackedNode {
            payload: value,
            left: u32::try_from(at).unwrap_or(u32::MAX),
            column: 0,
            flags: LEAF,
        };
    };
    let mut flags = 0;
    if missing.goes_left() {
        flags |= MISSING_LEFT;
    }
    // Code 0 is a category like any other.
    if missing.zero_is_missing() && nodes.kinds[at] == NodeKind::Numeric {
        flags |= ZERO_IS_MISSING;
    }
    let unlisted_left = match trees.unlisted_code {
        UnlistedCode::Left => true,
        UnlistedCode::Right => false,
        UnlistedCode::AsMissing => missing.goes_left(),
    };
    if unlisted_left {
        flags |= UNLISTED_LEFT;
    }
    let payload = match (nodes.kinds[at], trees.comparison) {
        (NodeKind::Categorical, _) => {
            flags |= CATEGORICAL;
            f64::from_bits(nodes.left_categories[at])
        }
        (_, Comparison::LessThanF32) => value,
        (_, Comparison::LessOrEqualF64) => value.next_up(),
    };
    let column = u16::try_from(nodes.columns[at]).unwrap_or(u16::MAX);
    PackedNode {
        payload,
        left: root + nodes.left_children[at],
        column,
        flags,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::{MissingRule, Node, SplitRule, Tree};

    /// One split on column 0; left answers 1, right 2.
    fn stump(comparison: Comparison, rule: SplitRule, missing: MissingRule, unlisted: UnlistedCode) -> FlatTrees {
        let leaf = |value| Node::Leaf { value, cover: 1.0 };
        let split = Node::Split {
            column: 0,
            rule,
            missing,
            left: 2,
            right: 1,
            cover: 2.0,
        };
        let tree = Tree {
            nodes: vec![split, leaf(2.0), leaf(1.0)],
        };
        let trees = TreeEnsemble::new(comparison, Aggregation::Sum, 0.0, &[tree]).unwrap();
        FlatTrees::new(&trees.with_unlisted_code(unlisted))
    }

    fn goes_left(trees: &FlatTrees, x: f64) -> bool {
        let mut row = [f64::NAN; MAX_COLUMNS];
        row[0] = x;
        let margin = trees.margin(&row);
        let mut block = [0.0; BLOCK_ROWS];
        trees.margins(&[row], &mut block);
        assert_eq!(block[0].to_bits(), margin.to_bits());
        margin < 1.5
    }

    #[test]
    fn a_float32_split_rounds_before_it_compares() {
        let split = f64::from(0.1_f32);
        let trees = stump(
            Comparison::LessThanF32,
            SplitRule::Threshold(split),
            MissingRule::Right,
            UnlistedCode::AsMissing,
        );
        // 0.1 as a double is below 0.1 as a float, but rounds to it, and is then not less.
        assert!(0.1 < split);
        assert!(!goes_left(&trees, 0.1));
        assert!(goes_left(&trees, f64::from(0.1_f32.next_down())));
        assert!(!goes_left(&trees, f64::NAN));
    }

    #[test]
    fn a_double_split_takes_its_own_value_left() {
        for split in [0.1, 0.0, -0.0, -3.5, f64::MAX, f64::MIN] {
            let rule = SplitRule::Threshold(split);
            let trees = stump(
                Comparison::LessOrEqualF64,
                rule,
                MissingRule::Left,
                UnlistedCode::AsMissing,
            );
            assert!(goes_left(&trees, split), "{split}");
            assert!(!goes_left(&trees, split.next_up()), "{split}");
            assert!(goes_left(&trees, f64::NAN));
        }
        let rule = SplitRule::Threshold(-0.0);
        assert!(goes_left(
            &stump(
                Comparison::LessOrEqualF64,
                rule,
                MissingRule::Left,
                UnlistedCode::AsMissing
            ),
            0.0
        ));
    }

    #[test]
    fn zero_counts_as_missing_where_lightgbm_says_so() {
        let rule = SplitRule::Threshold(5.0);
        let trees = stump(
            Comparison::LessOrEqualF64,
            rule,
            MissingRule::ZeroOrMissingRight,
            UnlistedCode::AsMissing,
        );
        for x in [0.0, -0.0, 1e-36, -1e-36, f64::NAN] {
            assert!(!goes_left(&trees, x), "{x}");
        }
        assert!(goes_left(&trees, 1e-34));
    }

    #[test]
    fn a_categorical_split_is_a_set() {
        let rule = SplitRule::Categories(0b101);
        let build = |unlisted| stump(Comparison::LessThanF32, rule, MissingRule::Left, unlisted);
        let trees = build(UnlistedCode::Right);
        let ways: Vec<bool> = [0.0, 1.0, 2.0, 3.0, -1.0, 64.0, f64::NAN]
            .iter()
            .map(|x| goes_left(&trees, *x))
            .collect();
        assert_eq!(ways, [true, false, true, false, false, false, true]);
        assert!(goes_left(&build(UnlistedCode::Left), -1.0));
        assert!(goes_left(&build(UnlistedCode::AsMissing), -1.0));
    }

    #[test]
    fn a_mean_divides_by_the_number_of_trees() {
        let leaf = |value| Tree {
            nodes: vec![Node::Leaf { value, cover: 1.0 }],
        };
        let trees = [leaf(0.25), leaf(0.5), leaf(0.5)];
        let trees = TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Mean, 0.5, &trees).unwrap();
        let margin = FlatTrees::new(&trees).margin(&[f64::NAN; MAX_COLUMNS]);
        assert_eq!(margin.to_bits(), (0.5 + 1.25_f64 / 3.0).to_bits());
    }
}
