//! Rows of features as a dense row-major matrix of an estimator's columns.

use holdfast_domain::{FeatureVector, Schema};
use holdfast_model::{MAX_COLUMNS, Preprocessing, Preprocessor};

use super::TrainError;

/// A dense matrix, row after row. Missing is NaN.
pub(super) struct Matrix {
    pub(super) values: Vec<f64>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Matrix {
    pub(super) fn of<'a>(
        rows: impl ExactSizeIterator<Item = &'a FeatureVector>,
        preprocessing: &Preprocessing,
        schema: &Schema,
    ) -> Result<Self, TrainError> {
        let preprocessor =
            Preprocessor::new(preprocessing, schema).map_err(|problem| TrainError::Rows(problem.to_string()))?;
        let columns = preprocessor.columns().len();
        let count = rows.len();
        let mut values = Vec::with_capacity(count * columns);
        let mut row = [f64::NAN; MAX_COLUMNS];
        for features in rows {
            preprocessor.transform(features, &mut row);
            values.extend_from_slice(&row[..columns]);
        }
        Ok(Self {
            values,
            rows: count,
            columns,
        })
    }

    /// Mean of each column over the rows that have a value; 0 where none has.
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    pub(super) fn column_means(&self) -> Vec<f64> {
        let mut sums = vec![(0.0, 0_usize); self.columns];
        for row in self.values.chunks_exact(self.columns) {
            for ((sum, count), value) in sums.iter_mut().zip(row) {
                if !value.is_nan() {
                    *sum += value;
                    *count += 1;
                }
            }
        }
        sums.into_iter().map(|(sum, count)| sum / count.max(1) as f64).collect()
    }
}
