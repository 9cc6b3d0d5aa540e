//! The parts of XGBoost's model document that say how it predicts, as its `save_model` writes them.
//!
//! Fields that only some versions or some kinds of model have are optional here: whether they are needed is decided by the code that reads
//! them, so that a model of another kind is refused by its kind and not by a field it lacks.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::imported::MAX_TREES;

/// The whole file.
#[derive(serde::Deserialize)]
pub(super) struct Document {
    /// Major, minor, patch of the library that wrote it.
    #[serde(default)]
    pub(super) version: Vec<u64>,
    pub(super) learner: Learner,
}

#[derive(serde::Deserialize)]
pub(super) struct Learner {
    #[serde(default)]
    pub(super) attributes: Attributes,
    #[serde(default, deserialize_with = "short_list")]
    pub(super) feature_names: Vec<String>,
    #[serde(default, deserialize_with = "short_list")]
    pub(super) feature_types: Vec<String>,
    pub(super) gradient_booster: Booster,
    pub(super) learner_model_param: LearnerParam,
    pub(super) objective: Objective,
}

/// Texts that anybody may leave in a model, of which two matter.
#[derive(Default, serde::Deserialize)]
pub(super) struct Attributes {
    #[serde(default)]
    pub(super) best_iteration: Option<String>,
    /// Ours: the base margin to the last bit.
    #[serde(default)]
    pub(super) holdfast_base_margin: Option<String>,
}

#[derive(serde::Deserialize)]
pub(super) struct Objective {
    pub(super) name: String,
}

/// Numbers as texts.
#[derive(serde::Deserialize)]
pub(super) struct LearnerParam {
    pub(super) base_score: String,
    pub(super) num_feature: String,
    #[serde(default)]
    pub(super) num_class: Option<String>,
    #[serde(default)]
    pub(super) num_target: Option<String>,
}

/// `gbtree` has a model; `dart` has a `gbtree` and a weight for each of its trees.
#[derive(serde::Deserialize)]
pub(super) struct Booster {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) model: Option<TreesModel>,
    #[serde(default)]
    pub(super) gbtree: Option<Box<Booster>>,
    #[serde(default)]
    pub(super) weight_drop: Vec<Single>,
}

#[derive(serde::Deserialize)]
pub(super) struct TreesModel {
    #[serde(default)]
    pub(super) gbtree_model_param: Option<TreesParam>,
    #[serde(default, deserialize_with = "short_list")]
    pub(super) trees: Vec<TreeDocument>,
    /// The output that each tree adds to.
    #[serde(default)]
    pub(super) tree_info: Vec<i32>,
    /// Where each iteration's trees begin, and the number of trees; since 2.0.
    #[serde(default)]
    pub(super) iteration_indptr: Vec<u64>,
    /// The categories' names; since 3.1.
    #[serde(default)]
    pub(super) cats: Option<Categories>,
}

#[derive(serde::Deserialize)]
pub(super) struct TreesParam {
    #[serde(default)]
    pub(super) num_parallel_tree: Option<String>,
}

/// One entry a column.
#[derive(serde::Deserialize)]
pub(super) struct Categories {
    #[serde(default, deserialize_with = "short_list")]
    pub(super) enc: Vec<Encoding>,
}

/// Texts, one behind the other in `values` as bytes, with `offsets` between them; or numbers, without `offsets`.
#[derive(serde::Deserialize)]
pub(super) struct Encoding {
    #[serde(default)]
    pub(super) offsets: Option<Vec<u64>>,
    #[serde(default)]
    pub(super) values: Vec<Single>,
}

/// A tree, one entry a node in most arrays.
#[derive(serde::Deserialize)]
pub(super) struct TreeDocument {
    #[serde(default)]
    pub(super) id: Option<u64>,
    #[serde(default)]
    pub(super) tree_param: Option<TreeParam>,
    #[serde(default)]
    pub(super) left_children: Vec<i32>,
    #[serde(default)]
    pub(super) right_children: Vec<i32>,
    #[serde(default)]
    pub(super) split_indices: Vec<u32>,
    /// Splits of numbers: the value. Leaves: the leaf's value. Splits of categories: nothing that means anything.
    #[serde(default)]
    pub(super) split_conditions: Vec<Single>,
    #[serde(default)]
    pub(super) default_left: Vec<Flag>,
    #[serde(default)]
    pub(super) sum_hessian: Vec<Single>,
    /// 1 at splits of categories; absent in old files without any.
    #[serde(default)]
    pub(super) split_type: Vec<u8>,
    /// The nodes that split categories, and for each where its codes begin in `categories` and how many they are.
    #[serde(default)]
    pub(super) categories_nodes: Vec<u32>,
    #[serde(default)]
    pub(super) categories_segments: Vec<u64>,
    #[serde(default)]
    pub(super) categories_sizes: Vec<u64>,
    #[serde(default)]
    pub(super) categories: Vec<u32>,
}

#[derive(serde::Deserialize)]
pub(super) struct TreeParam {
    pub(super) num_nodes: String,
    #[serde(default)]
    pub(super) size_leaf_vector: Option<String>,
}

/// A 32-bit number; `null` stands for one that is not finite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Single(pub(super) f32);

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Option::<f32>::deserialize(deserializer)?;
        Ok(Self(number.unwrap_or(f32::NAN)))
    }
}

/// Yes or no, as `true` and `false` or as 1 and 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FlagVisitor)
    }
}

struct FlagVisitor;

impl Visitor<'_> for FlagVisitor {
    type Value = Flag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, 1 or 0")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
        Ok(Flag(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Flag, E> {
        match value {
            0 => Ok(Flag(false)),
            1 => Ok(Flag(true)),
            other => Err(E::invalid_value(serde::de::Unexpected::Unsigned(other), &self)),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Flag, E> {
        let unsigned = u64::try_from(value).unwrap_or(u64::MAX);
        self.visit_u64(unsigned)
    }
}

/// A list of things that take more memory than text, and so may not be as many as the text has room for.
fn short_list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(ShortListVisitor(PhantomData))
}

struct ShortListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ShortListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX_TREES} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if list.len() == MAX_TREES {
                return Err(A::Error::invalid_length(MAX_TREES + 1, &self));
            }
            list.push(entry);
        }
        Ok(list)
    }
}
