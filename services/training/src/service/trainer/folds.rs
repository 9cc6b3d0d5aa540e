//! Cross-validation of recipes: parts prepared once, fitted as often as there are parameters to try.

use holdfast_domain::split::Split;
use holdfast_domain::{FeatureVector, Schema};
use holdfast_model::BareModel;

use super::members::{self, Part};
use super::{Fitted, Progress, TrainError, TrainingRows};
use crate::service::recipe::Recipe;

mod stages;

pub use stages::{StageWatch, Staged, Stages};

/// The folds of a cross-validation, prepared for recipes that differ in their estimators and seeds alone. The columns that trees are grown on
/// are binned once a fold and `max_bin`, whatever number of recipes is fitted.
#[derive(Debug)]
pub struct Folds {
    folds: Vec<Fold>,
}

#[derive(Debug)]
struct Fold {
    part: Part,
    held_out: Vec<usize>,
    labels: Vec<bool>,
    full: Vec<FeatureVector>,
    required_only: Vec<FeatureVector>,
    watched: stages::Watched,
}

/// Margins of the rows that a fold's fit has not seen.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOutMargins {
    /// Which rows, ascending.
    pub rows: Vec<usize>,
    /// Their margins.
    pub full: Vec<f64>,
    /// Their margins with the required features only.
    pub required_only: Vec<f64>,
}

impl Folds {
    /// Prepares the training parts of `splits`: columns, weights, copies and synthetic rows as `recipe` says. Synthetic rows are made of a fold's
    /// training part alone.
    ///
    /// # Errors
    /// [`TrainError::Rows`] when a part cannot be learnt from.
    pub fn prepare(
        rows: TrainingRows<'_>,
        splits: &[Split],
        recipe: &Recipe,
        seed: u64,
        schema: &Schema,
    ) -> Result<Self, TrainError> {
        let prepare = |split: &Split| {
            let features: Vec<FeatureVector> = split.train.iter().map(|row| rows.features[*row]).collect();
            let labels: Vec<bool> = split.train.iter().map(|row| rows.labels[*row]).collect();
            let training = TrainingRows {
                features: &features,
                labels: &labels,
            };
            let full: Vec<FeatureVector> = split.test.iter().map(|row| rows.features[*row]).collect();
            Ok(Fold {
                part: Part::prepare(training, recipe, seed, schema)?,
                held_out: split.test.clone(),
                labels: split.test.iter().map(|row| rows.labels[*row]).collect(),
                watched: stages::Watched::default(),
                required_only: full.iter().map(|row| row.required_only(schema)).collect(),
                full,
            })
        };
        let folds = splits.iter().map(prepare).collect::<Result<_, TrainError>>()?;
        Ok(Self { folds })
    }

    /// How many folds there are.
    pub fn len(&self) -> usize {
        self.folds.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.folds.is_empty()
    }

    /// Fits `recipe` on the training part of fold `index` and scores what it holds out. The recipe may differ from the one that the folds were
    /// prepared for in estimators and seeds.
    ///
    /// # Errors
    /// [`TrainError`] says why nothing was learnt.
    pub fn fit(
        &self,
        index: usize,
        recipe: &Recipe,
        seed: u64,
        threads: usize,
        schema: &Schema,
        progress: Progress<'_>,
    ) -> Result<HeldOutMargins, TrainError> {
        let fold = self.fold(index)?;
        let fitted = members::fit(&[&fold.part], recipe, seed, threads, progress)?;
        let fitted = fitted.into_iter().next().ok_or(TrainError::Cancelled)?;
        fold.score(&fitted, schema)
    }

    fn fold(&self, index: usize) -> Result<&Fold, TrainError> {
        let fold = self.folds.get(index);
        fold.ok_or_else(|| TrainError::Rows(format!("there is no fold {index}")))
    }

    /// Fits `recipe` on all folds and, beside them, on all rows. Progress is that of all of it.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_beside(
        &self,
        rows: TrainingRows<'_>,
        recipe: &Recipe,
        seed: u64,
        threads: usize,
        schema: &Schema,
        progress: Progress<'_>,
    ) -> Result<(Vec<HeldOutMargins>, Fitted), TrainError> {
        let whole = Part::prepare(rows, recipe, seed, schema)?;
        // The largest piece of work first.
        let parts: Vec<&Part> = std::iter::once(&whole)
            .chain(self.folds.iter().map(|fold| &fold.part))
            .collect();
        let mut fitted = members::fit(&parts, recipe, seed, threads, progress)?.into_iter();
        let of_whole = fitted.next().ok_or(TrainError::Cancelled)?;
        let margins = self
            .folds
            .iter()
            .zip(fitted)
            .map(|(fold, fitted)| fold.score(&fitted, schema));
        Ok((margins.collect::<Result<_, _>>()?, of_whole))
    }
}

impl Fold {
    fn score(&self, fitted: &Fitted, schema: &Schema) -> Result<HeldOutMargins, TrainError> {
        let model = BareModel::new(&fitted.preprocessing, &fitted.ensemble, schema)
            .map_err(|problem| TrainError::Rows(format!("the fitted model breaks a rule: {problem}")))?;
        Ok(HeldOutMargins {
            rows: self.held_out.clone(),
            full: model.margins(&self.full),
            required_only: model.margins(&self.required_only),
        })
    }
}
