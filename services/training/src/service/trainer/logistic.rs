//! Logistic regression by `linfa-logistic`.

use holdfast_model::{Estimator, LogisticCoefficients};
use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::members::Conditions;
use super::sample::Sample;

const ENGINE: &str = "linfa-logistic";

/// The engine knows no weights: a row stands there as often as it weighs, in steps of this part of the smallest weight.
const STEPS_OF_WEIGHT: f64 = 8.0;
/// The most that a row stands there.
const MOST_COPIES: f64 = 400.0;

/// Parameters of the logistic regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticParams {
    /// L2 penalty on the coefficients of standardised columns, 0 or more.
    pub alpha: f64,
    /// Most iterations of the solver (L-BFGS), 1 to 10,000.
    pub max_iterations: u64,
}

impl Default for LogisticParams {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            max_iterations: 500,
        }
    }
}

impl LogisticParams {
    /// Every parameter outside its range, as field and sentence.
    pub fn violations(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if !(0.0..=1e9).contains(&self.alpha) {
            found.push(("alpha", format!("is {}, but must be 0 to 1,000,000,000", self.alpha)));
        }
        if !(1..=10_000).contains(&self.max_iterations) {
            found.push((
                "max_iterations",
                format!("is {}, but must be 1 to 10,000", self.max_iterations),
            ));
        }
        found
    }
}

/// Fits a logistic regression. A missing value counts as the column's mean.
#[expect(clippy::needless_pass_by_value, reason = "the families are called alike")]
pub(super) fn fit(
    params: &LogisticParams,
    sample: &Sample,
    conditions: Conditions<'_>,
) -> Result<Estimator, TrainError> {
    let column_means = column_means(sample);
    let (copies, per_weight) = copies(sample);
    let mut values = Vec::with_capacity(sample.values.len());
    let mut targets = Vec::with_capacity(sample.rows());
    for (index, copies) in copies.iter().enumerate() {
        for _ in 0..*copies {
            let row = sample.row(index).iter().zip(&column_means);
            values.extend(row.map(|(value, mean)| if value.is_nan() { *mean } else { *value }));
            targets.push(usize::from(sample.labels[index]));
        }
    }
    let records = Array2::from_shape_vec((targets.len(), sample.columns), values).map_err(|error| engine(&error))?;
    let fitted = LogisticRegression::default()
        // The engine adds the losses of all rows up, and the penalty to that.
        .alpha(params.alpha * per_weight)
        .max_iterations(params.max_iterations)
        .fit(&DatasetBase::new(records, Array1::from(targets)))
        .map_err(|error| engine(&error))?;
    if (conditions.progress)(1.0).is_break() {
        return Err(TrainError::Cancelled);
    }
    // The engine calls one of the two classes positive, in the order in which it met them.
    let sign = if fitted.labels().pos.class == 1 { 1.0 } else { -1.0 };
    Ok(Estimator::Logistic(LogisticCoefficients {
        intercept: sign * fitted.intercept(),
        coefficients: fitted.params().iter().map(|coefficient| sign * coefficient).collect(),
        column_means,
    }))
}

/// How often each row stands in the engine's matrix, and how often a row of weight 1 does.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "1 to MOST_COPIES"
)]
fn copies(sample: &Sample) -> (Vec<usize>, f64) {
    let Some(weights) = &sample.weights else {
        return (vec![1; sample.rows()], 1.0);
    };
    let per_weight = STEPS_OF_WEIGHT / weights.iter().copied().fold(f64::INFINITY, f64::min);
    let of = |weight: &f64| (weight * per_weight).round().clamp(1.0, MOST_COPIES) as usize;
    (weights.iter().map(of).collect(), per_weight)
}

/// Mean of each column over the rows that have a value; 0 where none has.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn column_means(sample: &Sample) -> Vec<f64> {
    let mut sums = vec![(0.0, 0_usize); sample.columns];
    for row in sample.values.chunks_exact(sample.columns) {
        for ((sum, count), value) in sums.iter_mut().zip(row) {
            if !value.is_nan() {
                *sum += value;
                *count += 1;
            }
        }
    }
    sums.into_iter().map(|(sum, count)| sum / count.max(1) as f64).collect()
}

fn engine(error: &dyn std::error::Error) -> TrainError {
    TrainError::Engine {
        engine: ENGINE,
        message: error.to_string(),
    }
}
