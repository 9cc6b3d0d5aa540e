//! Our boosted trees as XGBoost JSON.
//!
//! The document is of the form of XGBoost 2.1, which 1.7, 2.x and 3.x read. What XGBoost predicts from it is the raw probability of the trees, in
//! its 32-bit sums; see [`xgboost_json`] for what it cannot say.

mod document;
mod trees;

use holdfast_model::{
    Aggregation, Calibration, Comparison, Estimator, Link, Member, Model, Step, TreeEnsemble, UnlistedCategory,
};

use crate::error::ExportError;
use crate::xgboost::log_odds;
use document::{Attributes, Booster, Categories, Document, Encoding, Learner, LearnerParam, Objective, TreesModel};

/// The version the document says it is from: the newest with the base score as one number.
const VERSION: [u64; 3] = [2, 1, 0];

/// XGBoost keeps the base score as a 32-bit probability, and cuts it to 1e-6 from 0 and 1.
const MAX_BASE_MARGIN: f64 = 13.0;

/// Writes a model as XGBoost JSON, for `Booster.load_model` of XGBoost 1.7 to 3.2.
///
/// The columns are the model's own, behind its preprocessing: whoever predicts with XGBoost hands it the engineered columns, categories as categories
/// (or their codes), and missing values as NaN. From 3.1 on XGBoost binds categories by name, as they are in the document. Its
/// `predict` gives the **raw** probability, within 1e-6. Several members (averaged seeds) become one list of trees with leaves times their weight.
///
/// XGBoost cannot say these, so they are in the model's attributes and nothing applies them: the calibration (`holdfast_calibration`, JSON), the
/// threshold (`holdfast_threshold`). `holdfast_base_margin` is the base margin to the last bit, for our own import: a single member of
/// weight 1 whose leaves are 32-bit numbers is imported to the same bits. Gains are not known: `loss_changes` are 0, and importance by gain with them.
///
/// # Errors
/// [`ExportError::Inexpressible`] for what has no counterpart: a linear member, comparisons of 64 bits, probabilities in leaves (random forests of
/// ours), zeros that count as missing, unlisted codes that would go another way than XGBoost's.
pub fn xgboost_json(model: &Model) -> Result<Vec<u8>, ExportError> {
    let ensemble = model.ensemble();
    if ensemble.link != Link::Logistic {
        return Err(ExportError::inexpressible(
            "ensemble.link",
            "the trees answer probabilities, XGBoost's binary objectives add up log-odds",
        ));
    }
    let columns = columns(model);
    let mut trees = Vec::new();
    let mut base_margin = 0.0;
    for (index, member) in ensemble.members.iter().enumerate() {
        let here = format!("ensemble.members[{index}]");
        let of_member = member_trees(member, &here)?;
        let scale = scale(member.weight, of_member);
        base_margin += member.weight * of_member.base_margin();
        for tree in of_member.trees() {
            let id = trees.len();
            let document = trees::write(&tree, id, scale, &columns, of_member.unlisted_code());
            trees.push(document.map_err(|error| inside(error, &format!("{here}.trees[{id}]")))?);
        }
    }
    let document = Document {
        learner: Learner {
            attributes: attributes(model, base_margin)?,
            feature_names: model.columns(),
            feature_types: columns.iter().map(Column::feature_type).collect(),
            gradient_booster: Booster::new(TreesModel::new(trees, categories(&columns))),
            learner_model_param: LearnerParam::new(&base_score(base_margin)?, columns.len()),
            objective: Objective::LOGISTIC,
        },
        version: VERSION,
    };
    serde_json::to_vec(&document).map_err(|error| ExportError::Json(error.to_string()))
}

/// A column as XGBoost sees it.
struct Column<'a> {
    /// The names of its codes; `None` for numbers.
    categories: Option<&'a [String]>,
    /// Whether a category can come that has no code: it is then -1.
    has_unlisted: bool,
}

impl Column<'_> {
    fn feature_type(&self) -> &'static str {
        if self.categories.is_some() { "c" } else { "float" }
    }
}

fn columns(model: &Model) -> Vec<Column<'_>> {
    let encoding = |name: &String| {
        model.preprocessing().steps.iter().find_map(|step| match step {
            Step::OrdinalEncoding {
                column,
                categories,
                unlisted,
            } if column == name => Some((categories.as_slice(), *unlisted)),
            _ => None,
        })
    };
    let column = |name: &String| match encoding(name) {
        Some((categories, unlisted)) => Column {
            categories: Some(categories),
            has_unlisted: unlisted == UnlistedCategory::Code,
        },
        None => Column {
            categories: None,
            has_unlisted: false,
        },
    };
    model.columns().iter().map(column).collect()
}

fn member_trees<'a>(member: &'a Member, here: &str) -> Result<&'a TreeEnsemble, ExportError> {
    let Estimator::Trees(trees) = &member.estimator else {
        let problem = "a linear function, only trees can be written";
        return Err(ExportError::inexpressible(here, problem));
    };
    if trees.comparison() != Comparison::LessThanF32 {
        return Err(ExportError::inexpressible(
            format!("{here}.comparison"),
            "the trees compare in 64 bits, XGBoost's in 32",
        ));
    }
    Ok(trees)
}

/// What leaves are multiplied with.
fn scale(weight: f64, trees: &TreeEnsemble) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^32 trees")]
    let count = trees.tree_count() as f64;
    match trees.aggregation() {
        Aggregation::Sum => weight,
        Aggregation::Mean => weight / count,
    }
}

/// The probability whose log-odds are the base margin.
fn base_score(margin: f64) -> Result<String, ExportError> {
    if margin.abs() > MAX_BASE_MARGIN {
        return Err(ExportError::inexpressible(
            "ensemble.base_margin",
            format!("{margin} is not within ±{MAX_BASE_MARGIN}, where XGBoost's base score ends"),
        ));
    }
    #[expect(clippy::cast_possible_truncation, reason = "XGBoost keeps 32 bits")]
    let nearest = Link::Logistic.probability(margin) as f32;
    // Of the neighbours, the one whose log-odds in 32 bits come nearest.
    let off = |score: &f32| (f64::from(log_odds(*score, (VERSION[0], VERSION[1]))) - margin).abs();
    let candidates = [nearest, nearest.next_up(), nearest.next_down()];
    let best = candidates.into_iter().min_by(|a, b| off(a).total_cmp(&off(b)));
    Ok(format!("{:e}", best.unwrap_or(nearest)))
}

fn attributes(model: &Model, base_margin: f64) -> Result<Attributes, ExportError> {
    let calibration = match model.calibration() {
        Calibration::None => serde_json::json!({"method": "none"}),
        Calibration::Platt { slope, intercept } => {
            serde_json::json!({"method": "platt", "slope": slope, "intercept": intercept})
        }
        Calibration::Isotonic {
            raw_probabilities,
            probabilities,
        } => serde_json::json!({
            "method": "isotonic", "raw_probabilities": raw_probabilities, "probabilities": probabilities
        }),
    };
    Ok(Attributes {
        base_margin: base_margin.to_string(),
        calibration: serde_json::to_string(&calibration).map_err(|error| ExportError::Json(error.to_string()))?,
        threshold: model.threshold().to_string(),
    })
}

/// The names of the categories, as XGBoost stores them since 3.1.
fn categories(columns: &[Column<'_>]) -> Categories {
    let mut cats = Categories {
        enc: Vec::with_capacity(columns.len()),
        feature_segments: vec![0],
        sorted_idx: Vec::new(),
    };
    for column in columns {
        let names = column.categories.unwrap_or(&[]);
        cats.enc.push(Encoding::new(names));
        let mut sorted: Vec<usize> = (0..names.len()).collect();
        sorted.sort_by_key(|place| names[*place].as_bytes());
        cats.sorted_idx.extend(sorted);
        cats.feature_segments.push(cats.sorted_idx.len());
    }
    if cats.sorted_idx.is_empty() {
        // What XGBoost writes for a model without categories.
        cats.enc.clear();
        cats.feature_segments.clear();
    }
    cats
}

fn inside(error: ExportError, outer: &str) -> ExportError {
    match error {
        ExportError::Inexpressible { part, problem } => ExportError::inexpressible(format!("{outer}.{part}"), problem),
        other => other,
    }
}
