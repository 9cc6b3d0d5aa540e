//! Tree ensembles: built from typed nodes in any order, kept as flat arrays in one order.

use std::collections::VecDeque;

use super::nodes::{NodeKind, Nodes};
use super::{Aggregation, Comparison, MAX_DEPTH, MissingRule, UnlistedCode};
use crate::error::InvalidPart;

/// Decision trees.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeEnsemble {
    pub(crate) comparison: Comparison,
    pub(crate) aggregation: Aggregation,
    pub(crate) unlisted_code: UnlistedCode,
    pub(crate) base_margin: f64,
    pub(crate) nodes: Nodes,
}

/// One tree; the first node is the root, the others stand in any order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The nodes; splits refer to them by index.
    pub nodes: Vec<Node>,
}

/// A node of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node {
    /// The end of a path.
    Leaf {
        /// What the tree answers, in the unit of the margin.
        value: f64,
        /// Weight of the training rows that ended here.
        cover: f64,
    },
    /// A fork.
    Split {
        /// Index of the column looked at, in the order of the preprocessing's columns.
        column: usize,
        /// What decides.
        rule: SplitRule,
        /// Where missing values go.
        missing: MissingRule,
        /// Index of the left child.
        left: usize,
        /// Index of the right child.
        right: usize,
        /// Weight of the training rows that came by.
        cover: f64,
    },
}

/// What decides at a split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SplitRule {
    /// Compared with the value, by the ensemble's [`Comparison`].
    Threshold(f64),
    /// Left for the codes whose bit is set, right for the other codes of the column.
    Categories(u64),
}

impl TreeEnsemble {
    /// Brings trees into the order in which they are stored and scored. A code that a categorical split does not list goes the way of missing
    /// values, unless [`with_unlisted_code`](Self::with_unlisted_code) says otherwise.
    ///
    /// # Errors
    /// [`InvalidPart`] when a child's index is out of range, a node is reached twice, or a tree is empty, deeper than [`MAX_DEPTH`] or has
    /// nodes that are not reached. Values are checked when the artefact is encoded.
    pub fn new(
        comparison: Comparison,
        aggregation: Aggregation,
        base_margin: f64,
        trees: &[Tree],
    ) -> Result<Self, InvalidPart> {
        let mut nodes = Nodes::default();
        for (index, tree) in trees.iter().enumerate() {
            push(tree, &mut nodes).map_err(|problem| InvalidPart::new(format!("trees[{index}]"), problem))?;
        }
        Ok(Self {
            comparison,
            aggregation,
            unlisted_code: UnlistedCode::AsMissing,
            base_margin,
            nodes,
        })
    }

    /// The same trees with another rule for codes that no categorical split lists.
    #[must_use]
    pub fn with_unlisted_code(mut self, rule: UnlistedCode) -> Self {
        self.unlisted_code = rule;
        self
    }

    /// How numeric splits compare.
    pub fn comparison(&self) -> Comparison {
        self.comparison
    }

    /// How leaves become a margin.
    pub fn aggregation(&self) -> Aggregation {
        self.aggregation
    }

    /// Where unlisted codes go.
    pub fn unlisted_code(&self) -> UnlistedCode {
        self.unlisted_code
    }

    /// Added to the aggregate of the leaves.
    pub fn base_margin(&self) -> f64 {
        self.base_margin
    }

    /// How many trees there are.
    pub fn tree_count(&self) -> usize {
        self.nodes.tree_sizes.len()
    }

    /// How many nodes all trees have together.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The trees again, breadth first, for export and inspection.
    pub fn trees(&self) -> impl Iterator<Item = Tree> + '_ {
        self.nodes.tree_ranges().map(|range| Tree {
            nodes: range.map(|at| self.node(at)).collect(),
        })
    }

    fn node(&self, at: usize) -> Node {
        let nodes = &self.nodes;
        let rule = match nodes.kinds[at] {
            NodeKind::Leaf => {
                return Node::Leaf {
                    value: nodes.values[at],
                    cover: nodes.covers[at],
                };
            }
            NodeKind::Numeric => SplitRule::Threshold(nodes.values[at]),
            NodeKind::Categorical => SplitRule::Categories(nodes.left_categories[at]),
        };
        let left = nodes.left_children[at] as usize;
        Node::Split {
            column: nodes.columns[at] as usize,
            rule,
            missing: nodes.missing_rules[at].unwrap_or(MissingRule::Left),
            left,
            right: left + 1,
            cover: nodes.covers[at],
        }
    }
}

/// Appends one tree breadth first.
fn push(tree: &Tree, nodes: &mut Nodes) -> Result<(), String> {
    let mut waiting = VecDeque::from([(0_usize, 0_usize)]);
    let mut reached = vec![false; tree.nodes.len()];
    let mut next_child = 1_u32;
    let mut size = 0_u32;
    while let Some((index, depth)) = waiting.pop_front() {
        let node = tree
            .nodes
            .get(index)
            .ok_or_else(|| format!("there is no node {index}"))?;
        if std::mem::replace(&mut reached[index], true) {
            return Err(format!("node {index} has two parents"));
        }
        if depth > MAX_DEPTH {
            return Err(format!("deeper than {MAX_DEPTH}"));
        }
        size += 1;
        match *node {
            Node::Leaf { value, cover } => append(nodes, NodeKind::Leaf, 0, value, 0, None, cover, 0),
            Node::Split {
                column,
                rule,
                missing,
                left,
                right,
                cover,
            } => {
                let column = u32::try_from(column).map_err(|_| format!("there is no column {column}"))?;
                let (kind, value, set) = match rule {
                    SplitRule::Threshold(value) => (NodeKind::Numeric, value, 0),
                    SplitRule::Categories(set) => (NodeKind::Categorical, 0.0, set),
                };
                append(nodes, kind, column, value, next_child, Some(missing), cover, set);
                next_child += 2;
                waiting.extend([(left, depth + 1), (right, depth + 1)]);
            }
        }
    }
    if let Some(lost) = reached.iter().position(|reached| !reached) {
        return Err(format!("node {lost} is not reached from the root"));
    }
    nodes.tree_sizes.push(size);
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "one argument an array, and one caller")]
fn append(
    nodes: &mut Nodes,
    kind: NodeKind,
    column: u32,
    value: f64,
    left: u32,
    missing: Option<MissingRule>,
    cover: f64,
    set: u64,
) {
    nodes.kinds.push(kind);
    nodes.columns.push(column);
    nodes.values.push(value);
    nodes.left_children.push(left);
    nodes.missing_rules.push(missing);
    nodes.covers.push(cover);
    nodes.left_categories.push(set);
}
