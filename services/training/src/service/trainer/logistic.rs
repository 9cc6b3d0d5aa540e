//! Logistic regression by `linfa-logistic`: the baseline that every candidate must beat.

use holdfast_domain::{Feature, FeatureKind, FeatureVector, Schema};
use holdfast_model::{Ensemble, Estimator, Family, Link, LogisticCoefficients, Preprocessing, Step};
use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::matrix::Matrix;
use super::{Fitted, Progress, TrainError, Trainer, TrainingRows, check};

const ENGINE: &str = "linfa-logistic";

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
        if !(self.alpha >= 0.0 && self.alpha.is_finite()) {
            found.push(("alpha", format!("is {}, but must be 0 or more", self.alpha)));
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

/// The trainer of logistic regressions.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// Parameters.
    pub params: LogisticParams,
}

impl Trainer for Logistic {
    fn family(&self) -> Family {
        Family::LogisticRegression
    }

    fn parameters(&self) -> Vec<(String, String)> {
        vec![
            ("alpha".to_owned(), self.params.alpha.to_string()),
            ("max_iterations".to_owned(), self.params.max_iterations.to_string()),
        ]
    }

    fn fit(&self, rows: TrainingRows<'_>, schema: &Schema, progress: Progress<'_>) -> Result<Fitted, TrainError> {
        check(rows)?;
        let preprocessing = standardised(rows.features, schema);
        let matrix = Matrix::of(rows.features.iter(), &preprocessing, schema)?;
        let column_means = matrix.column_means();
        // A column without any value is imputed with 0 and scaled to 0, but the engine must never see a NaN.
        let values = matrix
            .values
            .iter()
            .map(|value| if value.is_nan() { 0.0 } else { *value })
            .collect();
        let records = Array2::from_shape_vec((matrix.rows, matrix.columns), values).map_err(|error| engine(&error))?;
        let targets: Array1<usize> = rows.labels.iter().map(|label| usize::from(*label)).collect();
        let fitted = LogisticRegression::default()
            .alpha(self.params.alpha)
            .max_iterations(self.params.max_iterations)
            .fit(&DatasetBase::new(records, targets))
            .map_err(|error| engine(&error))?;
        if progress(1.0).is_break() {
            return Err(TrainError::Cancelled);
        }
        // The engine calls one of the two classes positive, in the order in which it met them.
        let sign = if fitted.labels().pos.class == 1 { 1.0 } else { -1.0 };
        let linear = LogisticCoefficients {
            intercept: sign * fitted.intercept(),
            coefficients: fitted.params().iter().map(|coefficient| sign * coefficient).collect(),
            column_means,
        };
        Ok(Fitted {
            preprocessing,
            ensemble: Ensemble::single(Estimator::Logistic(linear), Link::Logistic),
        })
    }
}

fn engine(error: &dyn std::error::Error) -> TrainError {
    TrainError::Engine {
        engine: ENGINE,
        message: error.to_string(),
    }
}

/// Numbers imputed with their mean and standardised, categories one-hot.
fn standardised(rows: &[FeatureVector], schema: &Schema) -> Preprocessing {
    let mut steps = Vec::new();
    let mut columns = Vec::new();
    for feature in Feature::ALL {
        let column = feature.name().to_owned();
        match feature.kind() {
            FeatureKind::Categorical => {
                let categories = schema.column(feature).categories.clone();
                columns.extend(categories.iter().map(|category| format!("{column}={category}")));
                steps.push(Step::OneHotEncoding { column, categories });
            }
            FeatureKind::Numeric => {
                let (mean, scale) = mean_and_scale(rows, feature);
                steps.push(Step::Imputation {
                    column: column.clone(),
                    value: mean,
                });
                steps.push(Step::Scaling {
                    column: column.clone(),
                    mean,
                    scale,
                });
                columns.push(column);
            }
        }
    }
    Preprocessing { steps, columns }
}

/// Mean and standard deviation of a feature's values; a constant feature keeps scale 1.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn mean_and_scale(rows: &[FeatureVector], feature: Feature) -> (f64, f64) {
    let values: Vec<f64> = rows.iter().filter_map(|row| row.get(feature)).collect();
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let scale = variance.sqrt();
    (mean, if scale > 0.0 { scale } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use holdfast_model::metrics;

    use super::*;

    #[test]
    fn the_baseline_ranks_leaving_customers_above_the_others() {
        let customers = holdfast_simulator::customers(3_000, 11);
        let features: Vec<FeatureVector> = customers.iter().map(|customer| customer.features).collect();
        let labels: Vec<bool> = customers.iter().map(|customer| customer.label == Some(true)).collect();
        let (train, test) = (..2_000, 2_000..);
        let rows = TrainingRows {
            features: &features[train],
            labels: &labels[train],
        };
        let trainer = Logistic {
            params: LogisticParams::default(),
        };
        let fitted = trainer
            .fit(rows, Schema::embedded(), &mut |_| ControlFlow::Continue(()))
            .unwrap();
        let Estimator::Logistic(linear) = &fitted.ensemble.members[0].estimator else {
            panic!("a linear model was trained");
        };
        let matrix = Matrix::of(features[test.clone()].iter(), &fitted.preprocessing, Schema::embedded()).unwrap();
        let margins: Vec<f64> = matrix
            .values
            .chunks_exact(matrix.columns)
            .map(|row| linear.intercept + row.iter().zip(&linear.coefficients).map(|(x, c)| x * c).sum::<f64>())
            .collect();
        let auc = metrics::roc_auc(&labels[test], &margins).unwrap();
        assert!(auc > 0.8, "ROC-AUC {auc}");
    }

    #[test]
    fn a_feature_without_any_value_does_not_break_the_baseline() {
        let mut customers = holdfast_simulator::customers(500, 3);
        for customer in &mut customers {
            customer.features.set(Feature::CustomerAge, f64::NAN);
        }
        let features: Vec<FeatureVector> = customers.iter().map(|customer| customer.features).collect();
        let labels: Vec<bool> = customers.iter().map(|customer| customer.label == Some(true)).collect();
        let rows = TrainingRows {
            features: &features,
            labels: &labels,
        };
        let trainer = Logistic {
            params: LogisticParams::default(),
        };
        let fitted = trainer
            .fit(rows, Schema::embedded(), &mut |_| ControlFlow::Continue(()))
            .unwrap();
        let Estimator::Logistic(linear) = &fitted.ensemble.members[0].estimator else {
            panic!("a linear model was trained");
        };
        assert!(linear.coefficients.iter().all(|coefficient| coefficient.is_finite()));
    }
}
