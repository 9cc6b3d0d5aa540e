//! Repeated stratified cross-validation of recipes, all on the same folds.

use std::ops::ControlFlow;
use std::time::Instant;

use holdfast_domain::Schema;
use holdfast_domain::split::{Split, stratified_k_fold};
use holdfast_model::metrics;
use serde::Serialize;

use super::ExploreError;
use crate::service::recipe::Recipe;
use crate::service::trainer::{Folds, TrainError, TrainingRows, parallel};

/// The seed of a repetition's folds is the report's, moved.
const FOLD_DRAW: u64 = 1_000;

/// The folds that every recipe is measured on.
#[derive(Debug)]
pub(super) struct Course<'a> {
    rows: TrainingRows<'a>,
    splits: Vec<Split>,
    folds: usize,
    seed: u64,
    threads: usize,
    schema: &'a Schema,
}

/// What a recipe is measured on, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossValidation {
    /// Folds of each repetition, 2 to 20.
    pub folds: usize,
    /// Repetitions, each with other folds, 1 to 20.
    pub repeats: usize,
    /// Threads; the measures do not depend on them.
    pub threads: usize,
}

/// Measures of a recipe, one entry for each fold of each repetition.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measures {
    /// Area under the ROC curve.
    pub roc_auc: Vec<f64>,
    /// Average precision.
    pub pr_auc: Vec<f64>,
    /// F1 at the threshold with the best F1 on the repetition's other folds.
    pub f1: Vec<f64>,
    /// Mean negative log-likelihood, nats.
    pub log_loss: Vec<f64>,
    /// Mean squared error of the probability.
    pub brier: Vec<f64>,
}

/// A recipe's measures.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Measured {
    /// On full rows.
    pub(super) full: Measures,
    /// On rows with the required features only.
    pub(super) required_only: Measures,
    /// Seconds that each fold's fit took on one thread.
    pub(super) fit_seconds: Vec<f64>,
}

/// Probabilities of the rows that a fold held out.
struct HeldOut {
    full: Vec<f64>,
    required_only: Vec<f64>,
    seconds: f64,
}

impl<'a> Course<'a> {
    pub(super) fn new(rows: TrainingRows<'a>, plan: CrossValidation, seed: u64, schema: &'a Schema) -> Self {
        let splits = (0..plan.repeats as u64)
            .flat_map(|repeat| stratified_k_fold(rows.labels, plan.folds, seed.wrapping_add(FOLD_DRAW + repeat)))
            .collect();
        Self {
            rows,
            splits,
            folds: plan.folds,
            seed,
            threads: plan.threads,
            schema,
        }
    }

    /// Fits of each recipe.
    pub(super) fn fits(&self) -> usize {
        self.splits.len()
    }

    /// Test rows over training rows, the mean over all folds.
    pub(super) fn test_over_train(&self) -> f64 {
        let ratios = self
            .splits
            .iter()
            .map(|split| split.test.len() as f64 / split.train.len() as f64);
        ratios.sum::<f64>() / self.splits.len() as f64
    }

    /// Fits and measures a recipe; `fitted` is called after each fit.
    pub(super) fn measure(&self, recipe: &Recipe, fitted: &(dyn Fn() + Sync)) -> Result<Measured, ExploreError> {
        let folds = Folds::prepare(self.rows, &self.splits, recipe, self.seed, self.schema)?;
        let link = recipe.link();
        let held_out = parallel::map(self.splits.len(), self.threads, |fold| -> Result<HeldOut, TrainError> {
            let started = Instant::now();
            let mut go_on = |_: f64| ControlFlow::Continue(());
            let margins = folds.fit(fold, recipe, self.seed, 1, self.schema, &mut go_on)?;
            let seconds = started.elapsed().as_secs_f64();
            fitted();
            let probabilities = |margins: &[f64]| margins.iter().map(|margin| link.probability(*margin)).collect();
            Ok(HeldOut {
                full: probabilities(&margins.full),
                required_only: probabilities(&margins.required_only),
                seconds,
            })
        })?;
        let scores =
            |part: fn(&HeldOut) -> &Vec<f64>| held_out.iter().map(|fold| part(fold).as_slice()).collect::<Vec<_>>();
        Ok(Measured {
            full: self.measures(&scores(|fold| &fold.full))?,
            required_only: self.measures(&scores(|fold| &fold.required_only))?,
            fit_seconds: held_out.iter().map(|fold| fold.seconds).collect(),
        })
    }

    fn measures(&self, scores: &[&[f64]]) -> Result<Measures, ExploreError> {
        let mut found = Measures::default();
        let labels: Vec<Vec<bool>> = self
            .splits
            .iter()
            .map(|split| split.test.iter().map(|row| self.rows.labels[*row]).collect())
            .collect();
        for (fold, (labels_here, scores_here)) in labels.iter().zip(scores).enumerate() {
            found.roc_auc.push(metrics::roc_auc(labels_here, scores_here)?);
            found.pr_auc.push(metrics::pr_auc(labels_here, scores_here)?);
            found.log_loss.push(metrics::log_loss(labels_here, scores_here)?);
            found.brier.push(metrics::brier(labels_here, scores_here)?);
            let repetition = fold / self.folds * self.folds;
            let others = (repetition..repetition + self.folds).filter(|other| *other != fold);
            let (mut other_labels, mut other_scores) = (Vec::new(), Vec::new());
            for other in others {
                other_labels.extend_from_slice(&labels[other]);
                other_scores.extend_from_slice(scores[other]);
            }
            let threshold = metrics::best_f1_threshold(&other_labels, &other_scores)?.threshold;
            found
                .f1
                .push(metrics::confusion_at(labels_here, scores_here, threshold)?.f1());
        }
        Ok(found)
    }
}
