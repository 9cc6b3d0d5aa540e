//! XGBoost's models, JSON and UBJSON, written by 1.7 to 3.x.
//!
//! How XGBoost predicts, and what it becomes here (sources: `src/predictor`, `src/common/categorical.h`, `src/objective/regression_loss.h`):
//!
//! * A number goes left when, rounded to 32 bits, it is less than the split value; a missing one goes the default way.
//! * A category goes **right** when its code is in the split's set, left otherwise; codes that no set lists, negative ones among them, go left.
//! * The margin is the base score's log-odds plus the leaves; `dart` weighs each tree's leaf.
//! * Covers are the sums of hessians, which XGBoost's own SHAP values weigh by.

mod columns;
mod document;
mod json;
mod trees;
mod ubjson;

use holdfast_model::preprocess::MAX_COLUMNS;
use holdfast_model::{Aggregation, Comparison, Ensemble, Estimator, Family, Link, UnlistedCode};

use crate::error::ImportError;
use crate::format::Format;
use crate::imported::{ColumnUse, Imported, Library, Rounds, tree_ensemble};
use document::{Booster, Document, Learner, TreesModel};

/// The oldest version whose documents are read: categorical splits of before have other rules.
const OLDEST: (u64, u64) = (1, 7);

/// The newest major version that is known.
const NEWEST_MAJOR: u64 = 3;

pub(crate) fn import(bytes: &[u8], format: Format, rounds: Rounds) -> Result<Imported, ImportError> {
    let document: Document = if format == Format::XgboostUbjson {
        ubjson::read(bytes)
    } else {
        json::read(bytes)
    }
    .map_err(|problem| ImportError::malformed(format, problem))?;
    let version = version(&document.version)?;
    let learner = document.learner;
    check_outputs(&learner)?;
    let base_margin = base_margin(&learner, version)?;
    let best_iteration = best_iteration(&learner)?;
    let mut uses = vec![ColumnUse::default(); column_count(&learner)?];
    let (mut model, weights) = model_and_weights(learner.gradient_booster)?;
    let trees_in_file = check_trees(&model)?;
    let used = used_trees(&model, best_iteration.filter(|_| rounds == Rounds::Best))?;
    let mut trees = Vec::with_capacity(used.trees);
    for (index, tree) in std::mem::take(&mut model.trees)
        .into_iter()
        .take(used.trees)
        .enumerate()
    {
        let weight = weights.get(index).map_or(1.0, |weight| weight.0);
        let tree = trees::convert(&tree, index, weight, &mut uses);
        trees.push(tree.map_err(|error| error.inside(&format!("trees[{index}]")))?);
    }
    let ensemble = tree_ensemble(Comparison::LessThanF32, Aggregation::Sum, base_margin, &trees)?
        .with_unlisted_code(UnlistedCode::Left);
    let encodings = model.cats.map(|cats| cats.enc).unwrap_or_default();
    let (columns, column_names) = columns::describe(&learner.feature_names, &learner.feature_types, &encodings, &uses)?;
    Ok(Imported {
        library: Library::Xgboost,
        library_version: format!("{}.{}.{}", version.0, version.1, document.version.get(2).unwrap_or(&0)),
        objective: learner.objective.name,
        family: if used.is_one_round_of_many() {
            Family::RandomForest
        } else {
            Family::BoostedTrees
        },
        columns,
        column_names,
        ensemble: Ensemble::single(Estimator::Trees(ensemble), Link::Logistic),
        trees: used.trees,
        trees_in_file,
        best_iteration,
        unplaced_categories: Vec::new(),
    })
}

fn version(version: &[u64]) -> Result<(u64, u64), ImportError> {
    let [major, minor, ..] = *version else {
        return Err(ImportError::invalid(
            "version",
            "it is missing: this is no model that XGBoost's save_model wrote",
        ));
    };
    if (major, minor) < OLDEST || major > NEWEST_MAJOR {
        return Err(ImportError::unsupported(
            "version",
            format!(
                "{major}.{minor}, supported are 1.7 to {NEWEST_MAJOR}.x: load the model with one of these and save it again"
            ),
        ));
    }
    Ok((major, minor))
}

/// One number a row, linked by the logistic function.
fn check_outputs(learner: &Learner) -> Result<(), ImportError> {
    let objective = &learner.objective.name;
    if !["binary:logistic", "binary:logitraw", "reg:logistic"].contains(&objective.as_str()) {
        return Err(ImportError::unsupported(
            "learner.objective.name",
            format!("{objective:?}, supported are binary:logistic, binary:logitraw and reg:logistic"),
        ));
    }
    let param = &learner.learner_model_param;
    for (name, value) in [("num_class", &param.num_class), ("num_target", &param.num_target)] {
        let field = format!("learner.learner_model_param.{name}");
        let count = value.as_ref().map_or(Ok(0), |text| number(&field, text))?;
        if count > 1 {
            let problem = format!("{count}, supported are models with one output");
            return Err(ImportError::unsupported(field, problem));
        }
    }
    Ok(())
}

fn column_count(learner: &Learner) -> Result<usize, ImportError> {
    const FIELD: &str = "learner.learner_model_param.num_feature";
    let count = number(FIELD, &learner.learner_model_param.num_feature)?;
    if (1..=MAX_COLUMNS).contains(&count) {
        Ok(count)
    } else {
        let problem = format!("{count} columns, supported are 1 to {MAX_COLUMNS}");
        Err(ImportError::unsupported(FIELD, problem))
    }
}

/// What early stopping left, from 0; up to 1.7 every training leaves its last iteration.
fn best_iteration(learner: &Learner) -> Result<Option<usize>, ImportError> {
    let text = learner.attributes.best_iteration.as_ref();
    text.map(|text| number("learner.attributes.best_iteration", text))
        .transpose()
}

/// The base score as a margin: its log-odds in 32 bits, as XGBoost computes them. A model that we exported says its margin to the last bit.
fn base_margin(learner: &Learner, version: (u64, u64)) -> Result<f64, ImportError> {
    const FIELD: &str = "learner.learner_model_param.base_score";
    let text = learner.learner_model_param.base_score.trim();
    // A number, or since 3.1 a list with one number for each output.
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let score: f32 = inner
        .trim()
        .parse()
        .map_err(|_| ImportError::invalid(FIELD, format!("{text:?} is not one number")))?;
    // Of binary:logitraw it is the margin itself.
    let margin = if learner.objective.name == "binary:logitraw" {
        score
    } else {
        log_odds(score, version)
    };
    if !margin.is_finite() {
        let problem = format!("{text:?} has no log-odds: it must be above 0 and below 1");
        return Err(ImportError::invalid(FIELD, problem));
    }
    let margin = f64::from(margin);
    let exact = learner.attributes.holdfast_base_margin.as_ref();
    let exact = exact.and_then(|text| text.parse::<f64>().ok());
    // Whoever changed the base score since does not mean the old margin.
    Ok(exact
        .filter(|exact| (exact - margin).abs() <= 1e-5 * margin.abs().max(1.0))
        .unwrap_or(margin))
}

/// XGBoost's `ProbToMargin`, in its precision.
pub(crate) fn log_odds(score: f32, version: (u64, u64)) -> f32 {
    // `kRtEps`; since 3.2.
    const NEAREST: f32 = 1e-6;
    let score = if version >= (3, 2) {
        score.clamp(NEAREST, 1.0 - NEAREST)
    } else {
        score
    };
    -libm::logf(1.0 / score - 1.0)
}

fn model_and_weights(booster: Booster) -> Result<(TreesModel, Vec<document::Single>), ImportError> {
    let field = "learner.gradient_booster";
    let missing = |what: &str| ImportError::invalid(format!("{field}.{what}"), "it is missing");
    match booster.name.as_str() {
        "gbtree" => Ok((booster.model.ok_or_else(|| missing("model"))?, Vec::new())),
        "dart" => {
            let inner = booster.gbtree.and_then(|inner| inner.model);
            let model = inner.ok_or_else(|| missing("gbtree.model"))?;
            if booster.weight_drop.len() != model.trees.len() {
                let problem = format!("{} weights, and {} trees", booster.weight_drop.len(), model.trees.len());
                return Err(ImportError::invalid(format!("{field}.weight_drop"), problem));
            }
            Ok((model, booster.weight_drop))
        }
        other => Err(ImportError::unsupported(
            format!("{field}.name"),
            format!("{other:?}, supported are gbtree and dart"),
        )),
    }
}

/// Checks the lists beside the trees; how many trees there are.
fn check_trees(model: &TreesModel) -> Result<usize, ImportError> {
    let count = model.trees.len();
    if count == 0 {
        return Err(ImportError::invalid("trees", "there is none: the model is not trained"));
    }
    if model.tree_info.len() != count {
        let problem = format!("{} entries, and {count} trees", model.tree_info.len());
        return Err(ImportError::invalid("tree_info", problem));
    }
    if let Some(group) = model.tree_info.iter().find(|group| **group != 0) {
        let problem = format!("a tree of output {group}, supported are models with one output");
        return Err(ImportError::unsupported("tree_info", problem));
    }
    Ok(count)
}

struct UsedTrees {
    trees: usize,
    rounds: usize,
    parallel_trees: usize,
}

impl UsedTrees {
    /// What `XGBRFClassifier` trains.
    fn is_one_round_of_many(&self) -> bool {
        self.rounds == 1 && self.parallel_trees > 1
    }
}

/// The trees up to and with the best iteration, or all.
fn used_trees(model: &TreesModel, best_iteration: Option<usize>) -> Result<UsedTrees, ImportError> {
    let count = model.trees.len();
    let parallel = model
        .gbtree_model_param
        .as_ref()
        .and_then(|param| param.num_parallel_tree.as_ref());
    let parallel_trees = parallel
        .map_or(Ok(1), |text| number("gbtree_model_param.num_parallel_tree", text))?
        .max(1);
    let ends: Vec<u64> = if model.iteration_indptr.is_empty() {
        // Before 2.0 every iteration added as many trees as every other.
        (0..=count / parallel_trees)
            .map(|round| (round * parallel_trees) as u64)
            .collect()
    } else {
        model.iteration_indptr.clone()
    };
    let ordered = ends.first() == Some(&0) && ends.last() == Some(&(count as u64)) && ends.is_sorted();
    if !ordered {
        return Err(ImportError::invalid(
            "iteration_indptr",
            format!("the iterations do not add up to the {count} trees"),
        ));
    }
    let rounds = best_iteration.map_or(ends.len() - 1, |best| best.saturating_add(1).min(ends.len() - 1));
    let trees = usize::try_from(ends[rounds]).unwrap_or(count);
    if trees == 0 {
        return Err(ImportError::invalid(
            "iteration_indptr",
            "no tree belongs to the iterations asked for",
        ));
    }
    Ok(UsedTrees {
        trees,
        rounds,
        parallel_trees,
    })
}

/// A whole number that is written as a text.
fn number(field: &str, text: &str) -> Result<usize, ImportError> {
    text.trim()
        .parse()
        .map_err(|_| ImportError::invalid(field, format!("{text:?} is not a whole number")))
}
