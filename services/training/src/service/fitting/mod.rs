//! From training rows to a finished artefact: a pure function of the rows, the recipe and the seed.
//!
//! 1. The recipe is fitted on all training rows and, for each of the calibration's folds, on the rows of the other folds.
//! 2. What the folds' fits answer on rows they have not seen chooses calibration and threshold ([`held_out`]).
//! 3. The baseline is fitted. Profile, golden rows and origin are added; the bytes are made, read back and tried out.
//!
//! The artefact names no run and no time: the same snapshots, recipe and seed give the same bytes.
//!
//! A model of another library goes the same way without the fits ([`imported`]).

mod held_out;
mod imported;

use std::ops::ControlFlow;

use holdfast_domain::{Customer, Digest, FeatureVector, Schema, split};
use holdfast_model::metrics::MetricError;
use holdfast_model::profile::NumericProfile;
use holdfast_model::{Calibration, Family, Model, ModelDraft, Origin, Provenance, ReferenceProfile, Threshold};

use super::imported::ForeignModelError;
use super::recipe::Recipe;
use super::rows::{features, labels};
use super::trainer::{Fitted, Folds, Progress, TrainError, Trainer as _, TrainingRows};
use held_out::{Decided, Uncalibrated};

pub use held_out::{CalibrationRecord, HeldOut};
pub use imported::{ImportedPlan, fit_imported, take_over};

/// How many training rows an artefact carries as golden rows.
const GOLDEN_ROWS: usize = 16;

/// Where the progress of the candidate's fits ends; the rest is the baseline's and the artefact's.
const FITS_END: f64 = 0.95;

/// The seed of a draw is the run's, moved: no two draws of a run are the same.
const FOLD_DRAW: u64 = 1;
const GOLDEN_DRAW: u64 = 2;

/// What is fitted, and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// How the model is made.
    pub recipe: &'a Recipe,
    /// Seed of everything random.
    pub seed: u64,
    /// Threads; the artefact does not depend on them.
    pub threads: usize,
    /// What is learnt from.
    pub training_snapshot: Digest,
    /// What will be tested on.
    pub test_snapshot: Digest,
}

/// A fitted candidate, and what it has to beat.
#[derive(Debug)]
pub struct Candidate {
    /// The bytes of `model.hfm`.
    pub artifact: Vec<u8>,
    /// The model in them.
    pub model: Model,
    /// The baseline; it has no artefact.
    pub baseline: Model,
    /// What the recipe answers on rows that it was not fitted on.
    pub held_out: HeldOut,
}

/// An artefact, the model in it, and what it was decided by.
#[derive(Debug)]
pub struct Artifact {
    /// The bytes of `model.hfm`.
    pub bytes: Vec<u8>,
    /// The model in them.
    pub model: Model,
    /// What the estimators answer on rows that they were not fitted on.
    pub held_out: HeldOut,
}

impl Artifact {
    fn beside(self, baseline: Model) -> Candidate {
        Candidate {
            artifact: self.bytes,
            model: self.model,
            baseline,
            held_out: self.held_out,
        }
    }
}

/// Why there is no candidate.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// A fit failed or was cancelled.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Calibration and threshold cannot be chosen.
    #[error("calibration and threshold cannot be chosen: {0}")]
    Decide(#[source] MetricError),
    /// A model file is none that is understood, or does not fit the schema.
    #[error("the model file cannot be used: {0}")]
    Foreign(#[from] ForeignModelError),
    /// The artefact cannot be made.
    #[error("the artefact cannot be made: {0}")]
    Encode(#[from] holdfast_model::EncodeError),
    /// The artefact cannot be read back.
    #[error("the artefact cannot be read back: {0}")]
    Decode(#[from] holdfast_model::DecodeError),
    /// The artefact, read back, scores otherwise.
    #[error("the artefact does not score as the model did: {0}")]
    Golden(#[from] holdfast_model::GoldenMismatch),
}

/// Fits candidate and baseline.
///
/// # Errors
/// [`FitError`] says why there is no candidate.
pub fn fit(
    train: &[Customer],
    plan: &Plan<'_>,
    schema: &Schema,
    progress: Progress<'_>,
) -> Result<Candidate, FitError> {
    let (features, labels) = (features(train), labels(train));
    let rows = TrainingRows {
        features: &features,
        labels: &labels,
    };
    let recipe = plan.recipe;
    let splits = split::stratified_k_fold(&labels, recipe.calibration.folds, plan.seed.wrapping_add(FOLD_DRAW));
    let folds = Folds::prepare(rows, &splits, recipe, plan.seed, schema)?;
    let (margins, fitted) = folds.fit_beside(rows, recipe, plan.seed, plan.threads, schema, &mut |done| {
        progress(done * FITS_END)
    })?;
    let decided = held_out::decide(
        labels.clone(),
        &margins,
        recipe.link(),
        &recipe.calibration,
        recipe.threshold,
        Uncalibrated::Never,
    )
    .map_err(FitError::Decide)?;
    let baseline = baseline(rows, plan, schema)?;
    go_on(progress, 0.97)?;
    let artifact = artifact(rows, fitted, decided, origin(plan, recipe.family()), schema)?;
    go_on(progress, 1.0)?;
    Ok(artifact.beside(baseline))
}

/// The baseline, with the profile of the rows.
fn baseline(rows: TrainingRows<'_>, plan: &Plan<'_>, schema: &Schema) -> Result<Model, FitError> {
    let trainer = plan.recipe.baseline_trainer();
    let fitted = trainer.fit(rows, plan.seed, schema, &mut |_| ControlFlow::Continue(()))?;
    let draft = ModelDraft {
        preprocessing: fitted.preprocessing,
        ensemble: fitted.ensemble,
        calibration: Calibration::None,
        threshold: Threshold::fixed(0.5),
        profile: ReferenceProfile::build(rows.features, &[], schema),
        origin: origin(plan, trainer.family()),
    };
    Ok(draft.preview(schema)?)
}

/// Adds to the estimators what else an artefact has, makes the bytes, reads them back and tries them out.
fn artifact(
    rows: TrainingRows<'_>,
    fitted: Fitted,
    decided: Decided,
    origin: Origin,
    schema: &Schema,
) -> Result<Artifact, FitError> {
    let mut profile = ReferenceProfile::build(rows.features, &[], schema);
    // Scores of rows that were learnt from are more extreme than any traffic's: drift is measured against unseen ones.
    profile.score = NumericProfile::of(decided.held_out.served_probabilities.iter().copied());
    let seed = origin.seed;
    let draft = ModelDraft {
        preprocessing: fitted.preprocessing,
        ensemble: fitted.ensemble,
        calibration: decided.calibration,
        threshold: decided.threshold,
        profile,
        origin,
    };
    let bytes = draft.encode(&golden_rows(rows, seed, schema), schema)?;
    let model = Model::decode(&bytes, schema)?;
    model.check_golden()?;
    Ok(Artifact {
        bytes,
        model,
        held_out: decided.held_out,
    })
}

fn go_on(progress: Progress<'_>, done: f64) -> Result<(), TrainError> {
    match progress(done) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(TrainError::Cancelled),
    }
}

fn origin(plan: &Plan<'_>, family: Family) -> Origin {
    Origin {
        family,
        provenance: Provenance::Trained,
        run_id: None,
        training_snapshots: vec![plan.training_snapshot],
        test_snapshots: vec![plan.test_snapshot],
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: plan.seed,
        parameters: plan.recipe.to_parameters(),
    }
}

/// A seeded draw of training rows of both classes, every second one with the required features only.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn golden_rows(rows: TrainingRows<'_>, seed: u64, schema: &Schema) -> Vec<FeatureVector> {
    let share = GOLDEN_ROWS as f64 / rows.labels.len().max(1) as f64;
    let drawn = split::stratified(rows.labels, share, seed.wrapping_add(GOLDEN_DRAW)).test;
    let drawn = drawn.into_iter().take(GOLDEN_ROWS).enumerate();
    drawn
        .map(|(place, index)| {
            let full = rows.features[index];
            if place % 2 == 1 {
                full.required_only(schema)
            } else {
                full
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
