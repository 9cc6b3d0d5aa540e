//! Every rule a tree must keep before anything walks it. Afterwards no walk can leave its tree, run in a circle, or meet NaN.

use super::nodes::NodeKind;
use super::{Comparison, MAX_DEPTH, MAX_MAGNITUDE, Nodes, TreeEnsemble, is_bounded};
use crate::error::InvalidPart;
use crate::preprocess::ColumnKind;

/// A child may outweigh its parent by this much: sums of `f32` hessians do not add up exactly.
const COVER_SLACK: f64 = 1.01;

impl TreeEnsemble {
    pub(super) fn validate(&self, columns: &[ColumnKind]) -> Result<(), InvalidPart> {
        let invalid = |what: &str, problem: String| Err(InvalidPart::new(format!("trees.{what}"), problem));
        if !is_bounded(self.base_margin) {
            return invalid("base_margin", format!("{} is not within 1e30", self.base_margin));
        }
        let nodes = &self.nodes;
        if nodes.tree_sizes.is_empty() {
            return invalid("tree_node_counts", "there is no tree".to_owned());
        }
        let total: u64 = nodes.tree_sizes.iter().map(|size| u64::from(*size)).sum();
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        if u32::try_from(total).is_err() {
            return invalid("tree_node_counts", format!("{total} nodes are more than fit"));
        }
        let lengths = [
            ("node_kinds", nodes.kinds.len()),
            ("node_columns", nodes.columns.len()),
            ("node_values", nodes.values.len()),
            ("node_left_children", nodes.left_children.len()),
            ("node_missing_rules", nodes.missing_rules.len()),
            ("node_covers", nodes.covers.len()),
            ("left_category_sets", nodes.left_categories.len()),
        ];
        if let Some((what, length)) = lengths.into_iter().find(|(_, length)| *length != total) {
            return invalid(what, format!("there are {length} entries, and {total} nodes"));
        }
        for (tree, range) in nodes.tree_ranges().enumerate() {
            self.validate_tree(range.start, range.len(), columns)
                .map_err(|(node, problem)| InvalidPart::new(format!("trees[{tree}].nodes[{node}]"), problem))?;
        }
        Ok(())
    }

    /// The error is the node's index within the tree and what is wrong with it.
    fn validate_tree(&self, start: usize, size: usize, columns: &[ColumnKind]) -> Result<(), (usize, String)> {
        if size == 0 {
            return Err((0, "the tree has no nodes".to_owned()));
        }
        let nodes = &self.nodes;
        let mut depths = vec![0_usize; size];
        let mut next_child = 1_usize;
        for index in 0..size {
            let at = start + index;
            let fail = |problem: String| Err((index, problem));
            if !(nodes.covers[at] >= 0.0 && nodes.covers[at] <= MAX_MAGNITUDE) {
                return fail(format!("cover {} is not within 0..1e30", nodes.covers[at]));
            }
            if nodes.kinds[at] == NodeKind::Leaf {
                check_leaf(nodes, at).or_else(fail)?;
                continue;
            }
            let left = nodes.left_children[at] as usize;
            if left <= index {
                return fail(format!("child {left} does not stand after its parent"));
            }
            if left != next_child {
                return fail(format!("left child is {left}, breadth-first order wants {next_child}"));
            }
            if left + 1 >= size {
                return fail(format!("child {} is outside of the tree's {size} nodes", left + 1));
            }
            next_child += 2;
            let depth = depths[index] + 1;
            if depth > MAX_DEPTH {
                return fail(format!("the tree is deeper than {MAX_DEPTH}"));
            }
            depths[left] = depth;
            depths[left + 1] = depth;
            self.check_split(at, start + left, columns).or_else(fail)?;
        }
        if next_child == size {
            Ok(())
        } else {
            Err((next_child, "the node has no parent".to_owned()))
        }
    }

    fn check_split(&self, at: usize, left: usize, columns: &[ColumnKind]) -> Result<(), String> {
        let nodes = &self.nodes;
        let column = nodes.columns[at] as usize;
        let kind = *columns
            .get(column)
            .ok_or_else(|| format!("column {column} of {} columns", columns.len()))?;
        if nodes.missing_rules[at].is_none() {
            return Err("the split has no rule for missing values".to_owned());
        }
        let cover = nodes.covers[at];
        if cover <= 0.0 {
            return Err("the cover of a split must be above zero".to_owned());
        }
        for child in [left, left + 1] {
            let fits = nodes.covers[child] <= cover * COVER_SLACK;
            if !fits {
                return Err(format!(
                    "a child's cover {} is above its own {cover}",
                    nodes.covers[child]
                ));
            }
        }
        let value = nodes.values[at];
        if nodes.kinds[at] == NodeKind::Numeric {
            return check_split_value(value, self.comparison);
        }
        let ColumnKind::Code { categories } = kind else {
            return Err(format!("a categorical split of column {column}, which holds numbers"));
        };
        if value.to_bits() != 0 {
            return Err("a categorical split has no split value".to_owned());
        }
        let set = nodes.left_categories[at];
        let listed = if categories >= 64 {
            u64::MAX
        } else {
            (1_u64 << categories) - 1
        };
        if set & !listed != 0 {
            return Err(format!(
                "the set of categories {set:#x} has members beyond the column's {categories}"
            ));
        }
        Ok(())
    }
}

fn check_split_value(value: f64, comparison: Comparison) -> Result<(), String> {
    if !value.is_finite() {
        return Err(format!("split value {value} is not finite"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "whether it is one is the question")]
    let single = value as f32;
    if comparison == Comparison::LessThanF32 && f64::from(single).to_bits() != value.to_bits() {
        return Err(format!("split value {value} is not a 32-bit number"));
    }
    Ok(())
}

fn check_leaf(nodes: &Nodes, at: usize) -> Result<(), String> {
    let value = nodes.values[at];
    if !is_bounded(value) {
        return Err(format!("leaf value {value} is not within 1e30"));
    }
    if nodes.left_children[at] != 0 || nodes.columns[at] != 0 || nodes.missing_rules[at].is_some() {
        return Err("a leaf has a child, a column or a rule for missing values".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::{Aggregation, MissingRule, Node, SplitRule, Tree};

    const COLUMNS: [ColumnKind; 2] = [ColumnKind::Number, ColumnKind::Code { categories: 3 }];

    /// Root on the number, left child on the code; five nodes.
    fn ensemble() -> TreeEnsemble {
        let leaf = |value| Node::Leaf { value, cover: 1.0 };
        let split = |column, rule, left, right, cover| Node::Split {
            column,
            rule,
            missing: MissingRule::Left,
            left,
            right,
            cover,
        };
        let root = split(0, SplitRule::Threshold(0.5), 1, 2, 3.0);
        let below = split(1, SplitRule::Categories(0b101), 3, 4, 2.0);
        let tree = Tree {
            nodes: vec![root, below, leaf(0.1), leaf(0.2), leaf(0.3)],
        };
        TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Sum, 0.0, &[tree]).unwrap()
    }

    fn refused(change: impl Fn(&mut TreeEnsemble)) -> String {
        let mut trees = ensemble();
        trees.validate(&COLUMNS).unwrap();
        change(&mut trees);
        trees.validate(&COLUMNS).unwrap_err().to_string()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one line a rule")]
    fn every_broken_rule_is_named_with_its_node() {
        let cases = [
            (
                refused(|t| t.nodes.left_children[1] = 1),
                "trees[0].nodes[1]: child 1 does not stand after its parent",
            ),
            (
                refused(|t| t.nodes.left_children[1] = 0),
                "trees[0].nodes[1]: child 0 does not stand after its parent",
            ),
            (
                refused(|t| t.nodes.left_children[0] = 3),
                "trees[0].nodes[0]: left child is 3, breadth-first order wants 1",
            ),
            (
                refused(|t| t.nodes.left_children[0] = u32::MAX),
                "trees[0].nodes[0]: left child is 4294967295",
            ),
            (
                refused(|t| t.nodes.tree_sizes[0] = 4),
                "trees.node_kinds: there are 5 entries, and 4 nodes",
            ),
            (
                refused(|t| t.nodes.tree_sizes = vec![4, 1]),
                "trees[0].nodes[1]: child 4 is outside of the tree's 4 nodes",
            ),
            (
                refused(|t| t.nodes.tree_sizes = vec![5, 0]),
                "trees[1].nodes[0]: the tree has no nodes",
            ),
            (
                refused(|t| t.nodes.tree_sizes = vec![u32::MAX; 9]),
                "trees.tree_node_counts: ",
            ),
            (
                refused(|t| t.nodes.tree_sizes.clear()),
                "trees.tree_node_counts: there is no tree",
            ),
            (
                refused(|t| t.nodes.covers.truncate(4)),
                "trees.node_covers: there are 4 entries, and 5 nodes",
            ),
            (
                refused(|t| t.nodes.values[4] = f64::NAN),
                "trees[0].nodes[4]: leaf value NaN",
            ),
            (
                refused(|t| t.nodes.values[4] = f64::INFINITY),
                "trees[0].nodes[4]: leaf value inf",
            ),
            (
                refused(|t| t.nodes.values[0] = f64::NEG_INFINITY),
                "trees[0].nodes[0]: split value -inf is not finite",
            ),
            (
                refused(|t| t.nodes.values[0] = 0.1),
                "trees[0].nodes[0]: split value 0.1 is not a 32-bit number",
            ),
            (
                refused(|t| t.nodes.values[1] = 1.0),
                "trees[0].nodes[1]: a categorical split has no split value",
            ),
            (
                refused(|t| t.nodes.columns[0] = 2),
                "trees[0].nodes[0]: column 2 of 2 columns",
            ),
            (
                refused(|t| t.nodes.columns[1] = 0),
                "trees[0].nodes[1]: a categorical split of column 0, which holds numbers",
            ),
            (
                refused(|t| t.nodes.left_categories[1] = 0b1000),
                "trees[0].nodes[1]: the set of categories 0x8 has members beyond the column's 3",
            ),
            (
                refused(|t| t.nodes.missing_rules[0] = None),
                "trees[0].nodes[0]: the split has no rule for missing values",
            ),
            (
                refused(|t| t.nodes.missing_rules[4] = Some(MissingRule::Left)),
                "trees[0].nodes[4]: a leaf has",
            ),
            (refused(|t| t.nodes.covers[4] = -1.0), "trees[0].nodes[4]: cover -1"),
            (
                refused(|t| t.nodes.covers[0] = f64::NAN),
                "trees[0].nodes[0]: cover NaN",
            ),
            (
                refused(|t| t.nodes.covers[0] = 0.0),
                "trees[0].nodes[0]: the cover of a split must be above zero",
            ),
            (
                refused(|t| t.nodes.covers[2] = 4.0),
                "trees[0].nodes[0]: a child's cover 4 is above its own 3",
            ),
            (
                refused(|t| t.nodes.kinds[1] = NodeKind::Leaf),
                "trees[0].nodes[1]: a leaf has",
            ),
            (refused(|t| t.base_margin = f64::NAN), "trees.base_margin: NaN"),
        ];
        for (found, expected) in cases {
            assert!(
                found.starts_with(expected),
                "{found:?} does not start with {expected:?}"
            );
        }
    }

    #[test]
    fn a_node_without_a_parent_is_refused() {
        let leaf = |value| Tree {
            nodes: vec![Node::Leaf { value, cover: 1.0 }],
        };
        let mut trees =
            TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Sum, 0.0, &[leaf(0.1), leaf(0.2)]).unwrap();
        trees.nodes.tree_sizes = vec![2];
        let error = trees.validate(&COLUMNS).unwrap_err().to_string();
        assert_eq!(error, "trees[0].nodes[1]: the node has no parent");
    }

    #[test]
    fn a_chain_may_be_as_deep_as_allowed_and_no_deeper() {
        let chain = |depth: usize| {
            let mut nodes = Vec::new();
            for level in 0..depth {
                let at = nodes.len();
                let rule = SplitRule::Threshold(1.0);
                nodes.push(Node::Split {
                    column: 0,
                    rule,
                    missing: MissingRule::Left,
                    left: at + 1,
                    right: at + 2,
                    cover: 1.0,
                });
                nodes.push(Node::Leaf {
                    value: level as f64,
                    cover: 0.5,
                });
            }
            nodes.push(Node::Leaf { value: 1.0, cover: 0.5 });
            TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Sum, 0.0, &[Tree { nodes }])
        };
        chain(MAX_DEPTH).unwrap().validate(&COLUMNS).unwrap();
        assert_eq!(
            chain(MAX_DEPTH + 1).unwrap_err().to_string(),
            "trees[0]: deeper than 64"
        );
    }

    #[test]
    fn building_refuses_trees_that_are_no_trees() {
        let leaf = Node::Leaf { value: 0.0, cover: 1.0 };
        let split = |left, right| Node::Split {
            column: 0,
            rule: SplitRule::Threshold(0.0),
            missing: MissingRule::Left,
            left,
            right,
            cover: 2.0,
        };
        let build = |nodes: Vec<Node>| {
            TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Sum, 0.0, &[Tree { nodes }])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(build(vec![]), "trees[0]: there is no node 0");
        assert_eq!(build(vec![split(1, 2), leaf]), "trees[0]: there is no node 2");
        assert_eq!(build(vec![split(1, 0), leaf]), "trees[0]: node 0 has two parents");
        assert_eq!(build(vec![split(1, 1), leaf]), "trees[0]: node 1 has two parents");
        assert_eq!(build(vec![leaf, leaf]), "trees[0]: node 1 is not reached from the root");
    }
}
