//! `hessboost` and its trees, seen from here. Nothing of it goes further.

use hessboost::error::HessboostError;
use hessboost::tree::RegTree;
use holdfast_model::{MissingRule, Node, SplitRule, Tree};

use super::TrainError;

const ENGINE: &str = "hessboost";

#[expect(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub(super) fn engine_error(error: HessboostError) -> TrainError {
    broken(error.to_string())
}

pub(super) fn broken(message: String) -> TrainError {
    TrainError::Engine {
        engine: ENGINE,
        message,
    }
}

/// One of the engine's trees as ours; `column` says which of our columns one of the engine's is. Both send listed categories left and other known
/// ones right.
pub(super) fn tree(tree: &RegTree, column: impl Fn(usize) -> usize) -> Result<Tree, TrainError> {
    let nodes = tree.nodes().iter().enumerate().map(|(index, node)| {
        if node.is_leaf() {
            return Ok(Node::Leaf {
                value: f64::from(node.leaf_value),
                cover: f64::from(node.sum_hess),
            });
        }
        let rule = if node.is_categorical {
            SplitRule::Categories(set(tree.split_categories(index))?)
        } else {
            SplitRule::Threshold(f64::from(node.split_cond))
        };
        Ok(Node::Split {
            column: column(node.split_feature as usize),
            rule,
            missing: if node.default_left {
                MissingRule::Left
            } else {
                MissingRule::Right
            },
            left: child(node.left)?,
            right: child(node.right)?,
            cover: f64::from(node.sum_hess),
        })
    });
    Ok(Tree {
        nodes: nodes.collect::<Result<_, TrainError>>()?,
    })
}

fn set(codes: &[u32]) -> Result<u64, TrainError> {
    codes.iter().try_fold(0_u64, |set, code| {
        let bit = 1_u64.checked_shl(*code);
        let bit = bit.ok_or_else(|| broken(format!("a split names the category {code}, and there are at most 64")))?;
        Ok(set | bit)
    })
}

fn child(index: i32) -> Result<usize, TrainError> {
    usize::try_from(index).map_err(|_| broken(format!("a split has the child {index}")))
}
