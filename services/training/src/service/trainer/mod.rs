//! From rows to an estimator. The engines (`hessboost`, `linfa`) end here: what leaves is data of `holdfast_model`.

mod boosted_trees;
mod logistic;
mod matrix;

use std::ops::ControlFlow;

use holdfast_domain::{FeatureVector, Schema};
use holdfast_model::{Ensemble, Family, Preprocessing};

pub use boosted_trees::{BoostedTrees, BoostedTreesParams};
pub use logistic::{Logistic, LogisticParams};

/// What a trainer learns from: one label a row, `true` for customers who left.
#[derive(Clone, Copy, Debug)]
pub struct TrainingRows<'a> {
    /// The rows.
    pub features: &'a [FeatureVector],
    /// As many labels.
    pub labels: &'a [bool],
}

/// An estimator and the preprocessing it was trained behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// From features to columns.
    pub preprocessing: Preprocessing,
    /// From columns to a margin.
    pub ensemble: Ensemble,
}

/// Told how far training is, 0 to 1; answers whether to go on.
pub type Progress<'a> = &'a mut (dyn FnMut(f64) -> ControlFlow<()> + Send);

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The caller said to stop.
    #[error("training was cancelled")]
    Cancelled,
    /// There is nothing to learn from.
    #[error("the rows cannot be learnt from: {0}")]
    Rows(String),
    /// The engine refused or failed.
    #[error("{engine} failed: {message}")]
    Engine {
        /// Name of the engine.
        engine: &'static str,
        /// What it said.
        message: String,
    },
}

/// A family of models that can be trained. The same rows, parameters and seed give the same estimator, whatever the
/// number of threads.
pub trait Trainer: Send + Sync {
    /// The family.
    fn family(&self) -> Family;

    /// Every parameter by name, for the run and the artefact.
    fn parameters(&self) -> Vec<(String, String)>;

    /// Learns.
    ///
    /// # Errors
    /// [`TrainError`] says why nothing was learnt.
    fn fit(&self, rows: TrainingRows<'_>, schema: &Schema, progress: Progress<'_>) -> Result<Fitted, TrainError>;
}

fn check(rows: TrainingRows<'_>) -> Result<(), TrainError> {
    if rows.features.len() != rows.labels.len() {
        let message = format!("{} rows and {} labels", rows.features.len(), rows.labels.len());
        return Err(TrainError::Rows(message));
    }
    let positives = rows.labels.iter().filter(|label| **label).count();
    if positives == 0 || positives == rows.labels.len() {
        return Err(TrainError::Rows("all rows have the same label".into()));
    }
    Ok(())
}
