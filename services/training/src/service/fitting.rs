//! From training rows to a finished artefact: a pure function of the rows, the parameters and the seed.
//!
//! 1. A model fitted on a part of the training rows scores the rest of them, and the threshold with the best F1 there is taken.
//! 2. The candidate and the baseline are fitted on all training rows.
//! 3. Profile, golden rows and origin are added; the bytes are made, read back and tried out.
//!
//! The artefact names no run and no time: the same snapshots, parameters and seed give the same bytes.

use std::ops::ControlFlow;

use holdfast_domain::{Customer, Digest, FeatureVector, Schema, split};
use holdfast_model::metrics::{MetricError, best_f1_threshold};
use holdfast_model::profile::NumericProfile;
use holdfast_model::{
    Calibration, Model, ModelDraft, Origin, Provenance, ReferenceProfile, Threshold, ThresholdPolicy,
};

use super::rows::{features, labels};
use super::trainer::{Fitted, Progress, TrainError, Trainer, TrainingRows};

/// How many training rows an artefact carries as golden rows.
const GOLDEN_ROWS: usize = 16;

/// Where the progress of the first and of the second fit ends; the rest is the baseline's and the artefact's.
const FIRST_FIT_ENDS: f64 = 0.46;
const SECOND_FIT_ENDS: f64 = 0.94;

/// The seed of a draw is the run's, moved: no two draws of a run are the same.
const THRESHOLD_DRAW: u64 = 1;
const GOLDEN_DRAW: u64 = 2;

/// What is fitted, and how.
pub struct Plan<'a> {
    /// The candidate's trainer.
    pub candidate: &'a dyn Trainer,
    /// The baseline's trainer.
    pub baseline: &'a dyn Trainer,
    /// Share of the training rows on which the threshold is chosen.
    pub threshold_share: f64,
    /// Seed of every draw of rows.
    pub seed: u64,
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
}

/// Why there is no candidate.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The trainer failed or was cancelled.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// No threshold can be chosen.
    #[error("no threshold can be chosen: {0}")]
    Threshold(#[source] MetricError),
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
    let (threshold, unseen_scores) = choose_threshold(rows, plan, schema, &mut |done| progress(done * FIRST_FIT_ENDS))?;
    let span = SECOND_FIT_ENDS - FIRST_FIT_ENDS;
    let fitted = plan
        .candidate
        .fit(rows, schema, &mut |done| progress(FIRST_FIT_ENDS + done * span))?;
    let baseline = plan.baseline.fit(rows, schema, &mut |_| ControlFlow::Continue(()))?;
    go_on(progress, 0.97)?;

    let baseline = draft(baseline, plan.baseline, Threshold::fixed(0.5), rows, plan, schema).preview(schema)?;
    let mut draft = draft(fitted, plan.candidate, threshold, rows, plan, schema);
    // Scores of rows that were learnt from are more extreme than any traffic's: drift is measured against unseen ones.
    draft.profile.score = NumericProfile::of(unseen_scores);
    let artifact = draft.encode(&golden_rows(rows, plan.seed, schema), schema)?;
    let model = Model::decode(&artifact, schema)?;
    model.check_golden()?;
    go_on(progress, 1.0)?;
    Ok(Candidate {
        artifact,
        model,
        baseline,
    })
}

fn go_on(progress: Progress<'_>, done: f64) -> Result<(), TrainError> {
    match progress(done) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(TrainError::Cancelled),
    }
}

/// The threshold with the best F1 on rows that the model, fitted on the others, has not seen; and the scores of these rows.
fn choose_threshold(
    rows: TrainingRows<'_>,
    plan: &Plan<'_>,
    schema: &Schema,
    progress: Progress<'_>,
) -> Result<(Threshold, Vec<f64>), FitError> {
    let parts = split::stratified(
        rows.labels,
        plan.threshold_share,
        plan.seed.wrapping_add(THRESHOLD_DRAW),
    );
    let (features, labels) = pick(rows, &parts.train);
    let seen = TrainingRows {
        features: &features,
        labels: &labels,
    };
    let fitted = plan.candidate.fit(seen, schema, progress)?;
    let model = draft(fitted, plan.candidate, Threshold::fixed(0.5), seen, plan, schema).preview(schema)?;
    let (features, labels) = pick(rows, &parts.test);
    let mut scores = vec![f64::NAN; features.len()];
    model.score_batch(&features, &mut scores);
    let best = best_f1_threshold(&labels, &scores).map_err(FitError::Threshold)?;
    let threshold = Threshold {
        value: best.threshold,
        policy: ThresholdPolicy::BestF1 { f1: best.f1 },
    };
    Ok((threshold, scores))
}

fn pick(rows: TrainingRows<'_>, indices: &[usize]) -> (Vec<FeatureVector>, Vec<bool>) {
    indices
        .iter()
        .map(|index| (rows.features[*index], rows.labels[*index]))
        .unzip()
}

fn draft(
    fitted: Fitted,
    trainer: &dyn Trainer,
    threshold: Threshold,
    rows: TrainingRows<'_>,
    plan: &Plan<'_>,
    schema: &Schema,
) -> ModelDraft {
    let mut parameters = trainer.parameters();
    parameters.push(("threshold_share".to_owned(), plan.threshold_share.to_string()));
    ModelDraft {
        preprocessing: fitted.preprocessing,
        ensemble: fitted.ensemble,
        calibration: Calibration::None,
        threshold,
        profile: ReferenceProfile::build(rows.features, &[], schema),
        origin: Origin {
            family: trainer.family(),
            provenance: Provenance::Trained,
            run_id: None,
            training_snapshots: vec![plan.training_snapshot],
            test_snapshots: vec![plan.test_snapshot],
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: plan.seed,
            parameters,
        },
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
mod tests {
    use super::*;
    use crate::service::trainer::{BoostedTrees, BoostedTreesParams, Logistic, LogisticParams};

    fn fitted(customers: &[Customer], seed: u64, threads: usize) -> Candidate {
        let candidate = BoostedTrees {
            params: BoostedTreesParams {
                trees: 20,
                ..BoostedTreesParams::default()
            },
            seed,
            threads,
        };
        let baseline = Logistic {
            params: LogisticParams::default(),
        };
        let plan = Plan {
            candidate: &candidate,
            baseline: &baseline,
            threshold_share: 0.15,
            seed,
            training_snapshot: Digest::of(b"training"),
            test_snapshot: Digest::of(b"test"),
        };
        fit(customers, &plan, Schema::embedded(), &mut |_| ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn the_same_rows_parameters_and_seed_give_the_same_bytes_with_any_number_of_threads() {
        let customers = holdfast_simulator::customers(1_200, 21);
        let one = fitted(&customers, 42, 1);
        assert_eq!(one.artifact, fitted(&customers, 42, 2).artifact);
        assert_ne!(one.artifact, fitted(&customers, 43, 1).artifact);
    }

    #[test]
    fn the_artefact_carries_threshold_profile_and_golden_rows_of_both_kinds() {
        let customers = holdfast_simulator::customers(1_200, 21);
        let model = fitted(&customers, 42, 1).model;
        assert!(matches!(model.threshold_policy().policy, ThresholdPolicy::BestF1 { f1 } if f1 > 0.5));
        assert_eq!(model.profile().rows, 1_200);
        // The 15 % that the threshold was chosen on.
        assert_eq!(model.profile().score.present(), 180);
        let golden = model.golden_rows();
        assert!(
            (GOLDEN_ROWS - 1..=GOLDEN_ROWS).contains(&golden.len()),
            "{}",
            golden.len()
        );
        let masked = golden
            .iter()
            .filter(|row| row.features == row.features.required_only(Schema::embedded()))
            .count();
        assert_eq!(masked, golden.len() / 2);
        assert_eq!(model.origin().run_id, None);
        assert_eq!(model.origin().seed, 42);
    }

    #[test]
    fn progress_grows_to_one_and_a_break_ends_it() {
        let customers = holdfast_simulator::customers(600, 5);
        let candidate = BoostedTrees {
            params: BoostedTreesParams {
                trees: 10,
                ..BoostedTreesParams::default()
            },
            seed: 1,
            threads: 1,
        };
        let baseline = Logistic {
            params: LogisticParams::default(),
        };
        let plan = Plan {
            candidate: &candidate,
            baseline: &baseline,
            threshold_share: 0.15,
            seed: 1,
            training_snapshot: Digest::of(b"training"),
            test_snapshot: Digest::of(b"test"),
        };
        let mut seen = Vec::new();
        fit(&customers, &plan, Schema::embedded(), &mut |done| {
            seen.push(done);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(seen.is_sorted() && seen.last() == Some(&1.0), "{seen:?}");
        let stopped = fit(&customers, &plan, Schema::embedded(), &mut |done| {
            if done > 0.6 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(stopped, Err(FitError::Train(TrainError::Cancelled))));
    }
}
