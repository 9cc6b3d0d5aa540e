//! One tree: XGBoost's arrays into nodes.

use std::collections::BTreeMap;

use holdfast_model::{MissingRule, Node, SplitRule, Tree};

use super::document::TreeDocument;
use super::number;
use crate::error::ImportError;
use crate::imported::{ColumnUse, code_bit};

/// The child of a leaf.
const NONE: i32 = -1;

/// The tree's nodes breadth first. Nodes that pruning cut off stay behind: the file keeps them, and no path leads to them.
pub(super) fn convert(
    tree: &TreeDocument,
    index: usize,
    weight: f32,
    uses: &mut [ColumnUse],
) -> Result<Tree, ImportError> {
    let count = check(tree, index)?;
    let right_sets = right_sets(tree, count)?;
    let mut reached = vec![false; count];
    let mut order = vec![0_usize];
    let mut nodes = Vec::new();
    reached[0] = true;
    while let Some(&at) = order.get(nodes.len()) {
        let inside = |error: ImportError| error.inside(&format!("nodes[{at}]"));
        let cover = f64::from(tree.sum_hessian[at].0);
        let (left, right) = (tree.left_children[at], tree.right_children[at]);
        if left == NONE && right == NONE {
            let value = f64::from(weight) * f64::from(tree.split_conditions[at].0);
            nodes.push(Node::Leaf { value, cover });
            continue;
        }
        let first_child = order.len();
        for (field, child) in [("left_children", left), ("right_children", right)] {
            let known = usize::try_from(child).ok().filter(|child| *child < count);
            let child =
                known.ok_or_else(|| inside(ImportError::invalid(field, format!("there is no node {child}"))))?;
            if std::mem::replace(&mut reached[child], true) {
                return Err(inside(ImportError::invalid(
                    field,
                    format!("node {child} has two parents"),
                )));
            }
            order.push(child);
        }
        let column = column(tree, at, uses.len()).map_err(inside)?;
        nodes.push(Node::Split {
            column,
            rule: rule(tree, at, right_sets.get(&at), &mut uses[column]).map_err(inside)?,
            missing: if tree.default_left[at].0 {
                MissingRule::Left
            } else {
                MissingRule::Right
            },
            left: first_child,
            right: first_child + 1,
            cover,
        });
    }
    Ok(Tree { nodes })
}

/// Checks what the arrays say of themselves; the number of nodes.
fn check(tree: &TreeDocument, index: usize) -> Result<usize, ImportError> {
    if tree.id.is_some_and(|id| id != index as u64) {
        return Err(ImportError::invalid("id", format!("{:?} at place {index}", tree.id)));
    }
    let Some(param) = &tree.tree_param else {
        return Err(ImportError::invalid("tree_param", "it is missing"));
    };
    let outputs = param
        .size_leaf_vector
        .as_ref()
        .map_or(Ok(1), |text| number("tree_param.size_leaf_vector", text))?;
    if outputs > 1 {
        return Err(ImportError::unsupported(
            "tree_param.size_leaf_vector",
            format!("leaves with {outputs} outputs, supported is one"),
        ));
    }
    let count = number("tree_param.num_nodes", &param.num_nodes)?;
    let lengths = [
        ("left_children", tree.left_children.len()),
        ("right_children", tree.right_children.len()),
        ("split_indices", tree.split_indices.len()),
        ("split_conditions", tree.split_conditions.len()),
        ("default_left", tree.default_left.len()),
        ("sum_hessian", tree.sum_hessian.len()),
    ];
    if let Some((field, length)) = lengths.into_iter().find(|(_, length)| *length != count) {
        return Err(ImportError::invalid(
            field,
            format!("{length} entries, and {count} nodes"),
        ));
    }
    if count == 0 {
        return Err(ImportError::invalid("tree_param.num_nodes", "the tree is empty"));
    }
    if !tree.split_type.is_empty() && tree.split_type.len() != count {
        let problem = format!("{} entries, and {count} nodes", tree.split_type.len());
        return Err(ImportError::invalid("split_type", problem));
    }
    Ok(count)
}

/// The codes that go right, by node.
fn right_sets(tree: &TreeDocument, count: usize) -> Result<BTreeMap<usize, u64>, ImportError> {
    let nodes = tree.categories_nodes.len();
    if tree.categories_segments.len() != nodes || tree.categories_sizes.len() != nodes {
        return Err(ImportError::invalid(
            "categories_nodes",
            format!(
                "{nodes} entries, and {} segments and {} sizes",
                tree.categories_segments.len(),
                tree.categories_sizes.len()
            ),
        ));
    }
    let mut sets = BTreeMap::new();
    let segments = tree.categories_segments.iter().zip(&tree.categories_sizes);
    for (node, (start, size)) in tree.categories_nodes.iter().zip(segments) {
        let end = start.checked_add(*size).and_then(|end| usize::try_from(end).ok());
        let codes = usize::try_from(*start)
            .ok()
            .zip(end)
            .and_then(|(start, end)| tree.categories.get(start..end));
        let Some(codes) = codes else {
            let problem = format!(
                "{start} and {size} more are outside of the {} codes",
                tree.categories.len()
            );
            return Err(ImportError::invalid("categories_segments", problem));
        };
        let set = codes
            .iter()
            .try_fold(0, |set, code| Ok(set | code_bit(u64::from(*code))?))?;
        let known = usize::try_from(*node).ok().filter(|node| *node < count);
        let node = known.ok_or_else(|| ImportError::invalid("categories_nodes", format!("there is no node {node}")))?;
        if sets.insert(node, set).is_some() {
            let problem = format!("node {node} is listed twice");
            return Err(ImportError::invalid("categories_nodes", problem));
        }
    }
    Ok(sets)
}

fn column(tree: &TreeDocument, at: usize, columns: usize) -> Result<usize, ImportError> {
    let column = tree.split_indices[at];
    usize::try_from(column)
        .ok()
        .filter(|column| *column < columns)
        .ok_or_else(|| ImportError::invalid("split_indices", format!("there is no column {column}")))
}

fn rule(
    tree: &TreeDocument,
    at: usize,
    right_set: Option<&u64>,
    used: &mut ColumnUse,
) -> Result<SplitRule, ImportError> {
    match (tree.split_type.get(at).copied().unwrap_or(0), right_set) {
        (0, None) => {
            let value = f64::from(tree.split_conditions[at].0);
            if value.is_finite() {
                Ok(SplitRule::Threshold(value))
            } else {
                Err(ImportError::invalid(
                    "split_conditions",
                    "the split value is not finite",
                ))
            }
        }
        (1, Some(set)) => {
            let highest = u64::BITS - set.leading_zeros();
            if let Some(code) = highest.checked_sub(1) {
                used.note_code(code as usize);
            }
            // What does not go right goes left; `bind` cuts the set to the categories there are.
            Ok(SplitRule::Categories(!set))
        }
        (kind @ (0 | 1), _) => Err(ImportError::invalid(
            "split_type",
            format!(
                "{kind}, and the node is {}listed in categories_nodes",
                if kind == 1 { "not " } else { "" }
            ),
        )),
        (kind, _) => Err(ImportError::unsupported(
            "split_type",
            format!("{kind}, supported are 0 and 1"),
        )),
    }
}
