//! Looking at a table before anything is learnt from it: what a research notebook would show, computed and written down.
//!
//! [`explore`] takes a table as it is and gives an [`Exploration`]: plain numbers, the same for the same table, options and seed, the fits'
//! seconds apart. [`report::page`] makes one HTML file of it. A table with problems is looked at all the same, and they are told; only what
//! has no target, no feature or no two classes is refused.
//!
//! | question | answer |
//! |---|---|
//! | what is there, and what would an import refuse? | [`overview`] |
//! | which column tells too much? | [`leakage`], [`twins`] |
//! | how do those who left differ? | [`distributions`], [`categories`], [`correlations`] |
//! | which family of models is best? | [`families`], by repeated cross-validation |
//! | what does an engineered feature bring? | [`engineered`], a paired test on the same folds |
//! | so what? | [`advice`], by rules |

mod advice;
mod bins;
mod categories;
mod correlations;
mod cross_validation;
mod distributions;
mod engineered;
mod families;
mod frame;
mod leakage;
mod overview;
pub mod report;
mod twins;

use holdfast_domain::{FeatureVector, Schema};
use holdfast_model::metrics::MetricError;
use holdfast_sources::RawTable;
use holdfast_statistics::StatisticsError;
use serde::Serialize;

use super::recipe::EngineeredFeature;
use super::trainer::{TrainError, TrainingRows};

pub use advice::{Advice, IMBALANCED_BELOW, PLAIN_DISTANCE};
pub use categories::{CategoricalFeature, Group};
pub use correlations::{Correlations, Pair};
pub use cross_validation::{CrossValidation, Measures};
pub use distributions::{FiveNumbers, Histogram, NumericFeature};
pub use engineered::{Effect, EngineeredResult, Verdict, predecessors};
pub use families::{
    Contender, Difference, FamilyComparison, FamilyPair, FamilyResult, RowKind, mean, standard_deviation,
};
pub use leakage::{
    Area, GIVES_AWAY_AUC, NEARLY_CONSTANT, ORDER_AUC, PURE_SHARE, SUSPICIOUS_AUC, Screen, Severity, Warning,
    WarningKind,
};
pub use overview::{AbsentFeature, ColumnSummary, ColumnUse, Overview, Problem, Share};
pub use twins::{Identity, Twins};

use frame::Frame;

/// What is looked at, and how closely.
#[derive(Clone, Debug)]
pub struct ExploreOptions {
    /// Seed of everything random.
    pub seed: u64,
    /// How models are compared; `None` compares none.
    pub cross_validation: Option<CrossValidation>,
    /// The families. The first one and every logistic regression try the engineered features.
    pub contenders: Vec<Contender>,
    /// Engineered features to be tried, beside those of the first family's recipe and the predecessor's two.
    pub engineered: Vec<EngineeredFeature>,
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Exploration {
    /// Where the table comes from.
    pub source: String,
    /// Seed of everything random.
    pub seed: u64,
    /// The name of the target column.
    pub target: String,
    /// The table at a glance.
    pub overview: Overview,
    /// Every column on its own against the target, the one that tells most first.
    pub screens: Vec<Screen>,
    /// Columns that say the same.
    pub twins: Vec<Twins>,
    /// Columns that are made of others.
    pub identities: Vec<Identity>,
    /// Numbers by class, the strongest first.
    pub numeric: Vec<NumericFeature>,
    /// Churn by category, the strongest first.
    pub categorical: Vec<CategoricalFeature>,
    /// Rank correlations.
    pub correlations: Correlations,
    /// Families compared; absent when they were not.
    pub families: Option<FamilyComparison>,
    /// Why they were not, where somebody asked for it.
    pub families_left_out: Option<String>,
    /// What engineered features bring.
    pub engineered: Vec<EngineeredResult>,
    /// Engineered features that could not be tried, and why.
    pub engineered_left_out: Vec<String>,
    /// What we would do.
    pub advice: Vec<Advice>,
}

/// Where the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The table is checked and described.
    Describing,
    /// Models are fitted; so many fits there will be.
    Fitting {
        /// All fits.
        fits: usize,
    },
    /// One of them is done.
    Fitted,
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExploreError {
    /// The table has no target.
    #[error("there is no column {target}, which says who left; the table has {columns}")]
    NoTarget {
        /// The column that is missing.
        target: String,
        /// Columns that are there.
        columns: String,
    },
    /// None of the columns is a feature.
    #[error("none of the columns is a feature of the schema")]
    NoFeatures,
    /// The table is empty.
    #[error("the table has a header and no rows")]
    NoRows,
    /// A class has hardly any customers.
    #[error(
        "{target} is {positive:?} in {left} usable rows and {negative:?} in {stayed}; at least {least} of each are needed to tell them apart"
    )]
    TooFewOfAClass {
        /// The target column.
        target: String,
        /// Its word for customers who left.
        positive: String,
        /// How many left.
        left: usize,
        /// Its word for customers who stayed.
        negative: String,
        /// How many stayed.
        stayed: usize,
        /// How many are needed.
        least: usize,
    },
    /// A quality metric cannot be computed.
    #[error("a measure cannot be computed: {0}")]
    Metric(#[from] MetricError),
    /// A statistic cannot be computed.
    #[error("a statistic cannot be computed: {0}")]
    Statistic(#[from] StatisticsError),
    /// A model cannot be fitted.
    #[error("a model cannot be fitted: {0}")]
    Train(#[from] TrainError),
}

/// Looks at a table.
///
/// # Errors
/// [`ExploreError`] says why there is nothing to look at. Rows, cells and columns that break rules are no reason: they are told.
pub fn explore(
    table: &RawTable,
    schema: &Schema,
    options: &ExploreOptions,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Exploration, ExploreError> {
    progress(Step::Describing);
    let mut frame = Frame::of(table, schema)?;
    let problems = std::mem::take(&mut frame.problems);
    let mut found = Exploration {
        source: table.name().to_owned(),
        seed: options.seed,
        target: schema.target().name.clone(),
        overview: overview::overview(&frame, problems, schema)?,
        screens: leakage::screen(&frame, options.seed)?,
        twins: twins::twins(&frame)?,
        identities: twins::identities(&frame),
        numeric: distributions::distributions(&frame, schema)?,
        categorical: categories::categories(&frame, schema)?,
        correlations: correlations::correlations(&frame, schema)?,
        families: None,
        families_left_out: None,
        engineered: Vec::new(),
        engineered_left_out: Vec::new(),
        advice: Vec::new(),
    };
    if let Some(plan) = options.cross_validation {
        compare_models(&frame, plan, options, schema, progress, &mut found)?;
    }
    found.advice = advice::advice(&found);
    Ok(found)
}

fn compare_models(
    frame: &Frame,
    plan: CrossValidation,
    options: &ExploreOptions,
    schema: &Schema,
    progress: &(dyn Fn(Step) + Sync),
    found: &mut Exploration,
) -> Result<(), ExploreError> {
    // Each fold needs two customers of each class at least, or its measures cannot be computed.
    let fewest = frame.left().min(frame.labels.len() - frame.left());
    if fewest < 2 * plan.folds {
        let text = format!(
            "the smaller class has {fewest} customers, and {} folds need {}",
            plan.folds,
            2 * plan.folds
        );
        found.families_left_out = Some(text);
        return Ok(());
    }
    let features: Vec<FeatureVector> = frame.customers.iter().map(|customer| customer.features).collect();
    let rows = TrainingRows {
        features: &features,
        labels: &frame.labels,
    };
    let course = cross_validation::Course::new(rows, plan, options.seed, schema);
    let ToTry { known, tried, left_out } = features_to_try(frame, options, schema);
    found.engineered_left_out = left_out;
    let learners: Vec<usize> = (0..options.contenders.len())
        .filter(|place| *place == 0 || options.contenders[*place].recipe.has_logistic())
        .collect();
    let fits = course.fits() * (options.contenders.len() + learners.len() * tried.len());
    progress(Step::Fitting { fits });
    let fitted = || progress(Step::Fitted);
    let measured = options
        .contenders
        .iter()
        .map(|contender| course.measure(&contender.recipe, &fitted))
        .collect::<Result<Vec<_>, _>>()?;
    let comparison = families::compare(&course, &options.contenders, &measured, plan.folds, plan.repeats)?;
    found.families = Some(comparison);
    let learners: Vec<_> = learners
        .into_iter()
        .map(|place| (&options.contenders[place], &measured[place]))
        .collect();
    found.engineered = engineered::try_all(&course, &learners, &tried, &known, &fitted)?;
    Ok(())
}

/// Engineered features, and which of them are tried.
struct ToTry {
    /// All there are: features may be made of features.
    known: Vec<EngineeredFeature>,
    /// Those that an estimator is to see.
    tried: Vec<EngineeredFeature>,
    /// Those that cannot be tried, and why.
    left_out: Vec<String>,
}

/// The engineered features of the first recipe that its estimators see, the predecessor's and those asked for, each once.
fn features_to_try(frame: &Frame, options: &ExploreOptions, schema: &Schema) -> ToTry {
    let of_recipe = options.contenders.first().map(|first| &first.recipe.features);
    let hidden = |name: &str| of_recipe.is_some_and(|plan| plan.drop.iter().any(|dropped| dropped == name));
    let of_recipe = of_recipe.map_or(&[][..], |plan| &plan.engineered);
    let mut known: Vec<EngineeredFeature> = Vec::new();
    for feature in of_recipe.iter().chain(&predecessors()).chain(&options.engineered) {
        if !known.iter().any(|one| one.name == feature.name) {
            known.push(feature.clone());
        }
    }
    let (mut tried, mut left_out) = (Vec::new(), Vec::new());
    for feature in known.iter().filter(|feature| !hidden(&feature.name)) {
        let absent = engineered::columns(feature, &known).into_iter().find(|name| {
            let column = schema.columns().iter().find(|column| column.name() == *name);
            column.is_some_and(|column| frame.feature(column.feature).is_none())
        });
        match absent {
            Some(column) => left_out.push(format!("{}: the table has no column {column}", feature.name)),
            None => tried.push(feature.clone()),
        }
    }
    ToTry { known, tried, left_out }
}
