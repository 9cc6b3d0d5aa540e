//! One tree: nodes into XGBoost's lists.

use holdfast_model::{MissingRule, Node, SplitRule, Tree, UnlistedCode};

use super::Column;
use super::document::{TreeDocument, TreeParam};
use crate::error::ExportError;

/// The parent of a root, and the child of a leaf.
const NO_PARENT: i64 = 2_147_483_647;
const NO_CHILD: i64 = -1;

/// The lists of a tree, breadth first as ours are, so that the right child is the one after the left, as XGBoost wants it.
pub(super) fn write(
    tree: &Tree,
    id: usize,
    scale: f64,
    columns: &[Column<'_>],
    unlisted: UnlistedCode,
) -> Result<TreeDocument, ExportError> {
    let count = tree.nodes.len();
    let mut document = TreeDocument {
        base_weights: expected_values(tree, scale),
        categories: Vec::new(),
        categories_nodes: Vec::new(),
        categories_segments: Vec::new(),
        categories_sizes: Vec::new(),
        default_left: vec![0; count],
        id,
        left_children: vec![NO_CHILD; count],
        loss_changes: vec![0.0; count],
        parents: vec![NO_PARENT; count],
        right_children: vec![NO_CHILD; count],
        split_conditions: vec![0.0; count],
        split_indices: vec![0; count],
        split_type: vec![0; count],
        sum_hessian: vec![0.0; count],
        tree_param: TreeParam::new(columns.len(), count),
    };
    for (at, node) in tree.nodes.iter().enumerate() {
        match *node {
            Node::Leaf { value, cover } => {
                document.split_conditions[at] = single(scale * value);
                document.sum_hessian[at] = single(cover);
            }
            Node::Split {
                column,
                rule,
                missing,
                left,
                right,
                cover,
            } => {
                let default_left = default_left(missing, rule);
                let default_left = default_left.map_err(|problem| inside(at, "missing", problem))?;
                for child in [left, right] {
                    document.parents[child] = at as i64;
                }
                document.left_children[at] = left as i64;
                document.right_children[at] = right as i64;
                document.default_left[at] = u8::from(default_left);
                document.split_indices[at] = column;
                document.sum_hessian[at] = single(cover);
                match rule {
                    SplitRule::Threshold(value) => document.split_conditions[at] = single(value),
                    SplitRule::Categories(set) => {
                        let column = &columns[column];
                        check_unlisted(column, unlisted, default_left)
                            .map_err(|problem| inside(at, "unlisted_code", problem))?;
                        split_categories(&mut document, at, set, column);
                    }
                }
            }
        }
    }
    Ok(document)
}

/// XGBoost's set is of the codes that go right.
fn split_categories(document: &mut TreeDocument, at: usize, left_set: u64, column: &Column<'_>) {
    let count = column.categories.map_or(0, <[String]>::len).min(64);
    let right: Vec<u32> = (0..count as u32).filter(|code| left_set >> code & 1 == 0).collect();
    if right.is_empty() {
        // XGBoost refuses an empty set; every code is less than this number and goes left.
        document.split_conditions[at] = f32::MAX;
        return;
    }
    document.split_type[at] = 1;
    document.categories_nodes.push(at);
    document.categories_segments.push(document.categories.len());
    document.categories_sizes.push(right.len());
    document.categories.extend(right);
}

fn default_left(missing: MissingRule, rule: SplitRule) -> Result<bool, &'static str> {
    match (missing, rule) {
        (MissingRule::Left, _) | (MissingRule::ZeroOrMissingLeft, SplitRule::Categories(_)) => Ok(true),
        (MissingRule::Right, _) | (MissingRule::ZeroOrMissingRight, SplitRule::Categories(_)) => Ok(false),
        _ => Err("zero counts as missing, which XGBoost's trees cannot say"),
    }
}

/// The code of an unlisted category goes left in XGBoost's trees.
fn check_unlisted(column: &Column<'_>, unlisted: UnlistedCode, default_left: bool) -> Result<(), &'static str> {
    let goes_left = match unlisted {
        UnlistedCode::Left => true,
        UnlistedCode::Right => false,
        UnlistedCode::AsMissing => default_left,
    };
    if goes_left || !column.has_unlisted {
        Ok(())
    } else {
        Err("an unlisted category goes right here, and left in XGBoost")
    }
}

/// The expected leaf below each node, by covers: what XGBoost's `base_weights` are for.
fn expected_values(tree: &Tree, scale: f64) -> Vec<f32> {
    let mut values = vec![0.0; tree.nodes.len()];
    // Children stand after their parents, so going backwards meets them first.
    for (at, node) in tree.nodes.iter().enumerate().rev() {
        values[at] = match *node {
            Node::Leaf { value, .. } => scale * value,
            Node::Split { left, right, cover, .. } => {
                (cover_of(tree, left) * values[left] + cover_of(tree, right) * values[right]) / cover
            }
        };
    }
    values.into_iter().map(single).collect()
}

fn cover_of(tree: &Tree, at: usize) -> f64 {
    match tree.nodes[at] {
        Node::Leaf { cover, .. } | Node::Split { cover, .. } => cover,
    }
}

/// XGBoost keeps 32 bits. Validation has bounded every number by 1e30, so none becomes infinite.
fn single(value: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "32 bits are what is written")]
    let single = value as f32;
    single
}

fn inside(at: usize, part: &str, problem: &str) -> ExportError {
    ExportError::inexpressible(format!("nodes[{at}].{part}"), problem)
}
