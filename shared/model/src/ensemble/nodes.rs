//! Trees as flat arrays, as they are stored.

use super::MissingRule;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Leaf,
    Numeric,
    Categorical,
}

/// One entry a node in each array, tree after tree, each tree breadth first with both children of a node side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Nodes {
    /// Number of nodes of each tree.
    pub(crate) tree_sizes: Vec<u32>,
    pub(crate) kinds: Vec<NodeKind>,
    /// Splits: the column. Leaves: 0.
    pub(crate) columns: Vec<u32>,
    /// Leaves: the value. Numeric splits: the split value. Categorical splits: 0.
    pub(crate) values: Vec<f64>,
    /// Splits: the left child's index within the tree; the right one is next. Leaves: 0.
    pub(crate) left_children: Vec<u32>,
    /// `None` at leaves.
    pub(crate) missing_rules: Vec<Option<MissingRule>>,
    pub(crate) covers: Vec<f64>,
    /// Categorical splits: the set of codes that go left. Others: 0.
    pub(crate) left_categories: Vec<u64>,
}

impl Nodes {
    /// Number of nodes of all trees.
    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Each tree's range in the arrays.
    pub(crate) fn tree_ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.tree_sizes.iter().scan(0_usize, |start, size| {
            let end = start.saturating_add(*size as usize);
            let range = *start..end;
            *start = end;
            Some(range)
        })
    }
}
