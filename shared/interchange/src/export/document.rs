//! The document that is written; the names of its fields are XGBoost's.

use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Document<'a> {
    pub(super) learner: Learner<'a>,
    pub(super) version: [u64; 3],
}

#[derive(Serialize)]
pub(super) struct Learner<'a> {
    pub(super) attributes: Attributes,
    pub(super) feature_names: &'a [String],
    pub(super) feature_types: Vec<&'static str>,
    pub(super) gradient_booster: Booster,
    pub(super) learner_model_param: LearnerParam,
    pub(super) objective: Objective,
}

#[derive(Serialize)]
pub(super) struct Attributes {
    #[serde(rename = "holdfast_base_margin")]
    pub(super) base_margin: String,
    #[serde(rename = "holdfast_calibration")]
    pub(super) calibration: String,
    #[serde(rename = "holdfast_threshold")]
    pub(super) threshold: String,
}

#[derive(Serialize)]
pub(super) struct Objective {
    name: &'static str,
    reg_loss_param: RegLossParam,
}

#[derive(Serialize)]
struct RegLossParam {
    scale_pos_weight: &'static str,
}

impl Objective {
    pub(super) const LOGISTIC: Self = Self {
        name: "binary:logistic",
        reg_loss_param: RegLossParam { scale_pos_weight: "1" },
    };
}

#[derive(Serialize)]
pub(super) struct LearnerParam {
    base_score: String,
    boost_from_average: &'static str,
    num_class: &'static str,
    num_feature: String,
    num_target: &'static str,
}

impl LearnerParam {
    pub(super) fn new(base_score: &str, columns: usize) -> Self {
        Self {
            base_score: base_score.to_owned(),
            boost_from_average: "0",
            num_class: "0",
            num_feature: columns.to_string(),
            num_target: "1",
        }
    }
}

#[derive(Serialize)]
pub(super) struct Booster {
    model: TreesModel,
    name: &'static str,
}

impl Booster {
    pub(super) fn new(model: TreesModel) -> Self {
        Self { model, name: "gbtree" }
    }
}

#[derive(Serialize)]
pub(super) struct TreesModel {
    cats: Categories,
    gbtree_model_param: TreesParam,
    iteration_indptr: Vec<usize>,
    tree_info: Vec<u8>,
    trees: Vec<TreeDocument>,
}

#[derive(Serialize)]
struct TreesParam {
    num_parallel_tree: &'static str,
    num_trees: String,
    size_leaf_vector: &'static str,
}

impl TreesModel {
    /// One tree an iteration.
    pub(super) fn new(trees: Vec<TreeDocument>, cats: Categories) -> Self {
        Self {
            cats,
            gbtree_model_param: TreesParam {
                num_parallel_tree: "1",
                num_trees: trees.len().to_string(),
                size_leaf_vector: "0",
            },
            iteration_indptr: (0..=trees.len()).collect(),
            tree_info: vec![0; trees.len()],
            trees,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Categories {
    /// One entry a column.
    pub(super) enc: Vec<Encoding>,
    /// How many categories there are in all columns before a column, and in all.
    pub(super) feature_segments: Vec<usize>,
    /// Per column, the categories' places in the order of their names.
    pub(super) sorted_idx: Vec<usize>,
}

/// The names of a column's categories: bytes one behind the other, as signed numbers, and where each begins.
#[derive(Serialize)]
pub(super) struct Encoding {
    offsets: Vec<usize>,
    values: Vec<i8>,
}

impl Encoding {
    /// For a column without categories both lists are empty.
    pub(super) fn new(names: &[String]) -> Self {
        let mut encoding = Self {
            offsets: Vec::new(),
            values: Vec::new(),
        };
        for name in names {
            if encoding.offsets.is_empty() {
                encoding.offsets.push(0);
            }
            encoding.values.extend(name.bytes().map(u8::cast_signed));
            encoding.offsets.push(encoding.values.len());
        }
        encoding
    }
}

/// A tree, one entry a node in most lists.
#[derive(Serialize)]
pub(super) struct TreeDocument {
    pub(super) base_weights: Vec<f32>,
    pub(super) categories: Vec<u32>,
    pub(super) categories_nodes: Vec<usize>,
    pub(super) categories_segments: Vec<usize>,
    pub(super) categories_sizes: Vec<usize>,
    pub(super) default_left: Vec<u8>,
    pub(super) id: usize,
    pub(super) left_children: Vec<i64>,
    pub(super) loss_changes: Vec<f32>,
    pub(super) parents: Vec<i64>,
    pub(super) right_children: Vec<i64>,
    pub(super) split_conditions: Vec<f32>,
    pub(super) split_indices: Vec<usize>,
    pub(super) split_type: Vec<u8>,
    pub(super) sum_hessian: Vec<f32>,
    pub(super) tree_param: TreeParam,
}

#[derive(Serialize)]
pub(super) struct TreeParam {
    num_deleted: &'static str,
    num_feature: String,
    num_nodes: String,
    size_leaf_vector: &'static str,
}

impl TreeParam {
    pub(super) fn new(columns: usize, nodes: usize) -> Self {
        Self {
            num_deleted: "0",
            num_feature: columns.to_string(),
            num_nodes: nodes.to_string(),
            size_leaf_vector: "0",
        }
    }
}
