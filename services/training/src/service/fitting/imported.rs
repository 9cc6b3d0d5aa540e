//! An artefact of a model that another library trained: nothing is fitted but calibration and threshold.
//!
//! The rows must be rows that the model was not trained on, which nobody here can check: on rows it has seen, its probabilities look better than they
//! are, and the threshold is chosen for them.

use holdfast_domain::{Customer, Digest, FeatureVector, Schema, split};
use holdfast_model::{BareModel, Origin};

use super::held_out::{self, Uncalibrated};
use super::{Artifact, Candidate, FOLD_DRAW, FitError, Plan, artifact, baseline, go_on};
use crate::service::imported::{ForeignModel, ImportPlan};
use crate::service::rows::{features, labels};
use crate::service::trainer::{Fitted, HeldOutMargins, Progress, TrainError, TrainingRows};

/// Which file becomes a model, and how.
#[derive(Clone, Copy, Debug)]
pub struct ImportedPlan<'a> {
    /// How the file is read, and what is decided about the model.
    pub plan: &'a ImportPlan,
    /// The file.
    pub file: &'a [u8],
    /// Seed of the draws of rows.
    pub seed: u64,
    /// What calibration and threshold are chosen on.
    pub training_snapshot: Digest,
    /// What will be tested on.
    pub test_snapshot: Digest,
}

/// Makes the artefact, and fits the baseline of the run's recipe that it has to beat.
///
/// # Errors
/// [`FitError`] says why there is no candidate.
pub fn fit_imported(
    train: &[Customer],
    imported: &ImportedPlan<'_>,
    plan: &Plan<'_>,
    schema: &Schema,
    progress: Progress<'_>,
) -> Result<Candidate, FitError> {
    let made = take_over(train, imported, schema, &mut |done| progress(done * 0.5))?;
    let (features, labels) = (features(train), labels(train));
    let rows = TrainingRows {
        features: &features,
        labels: &labels,
    };
    let baseline = baseline(rows, plan, schema)?;
    go_on(progress, 1.0)?;
    Ok(made.beside(baseline))
}

/// Makes the artefact.
///
/// # Errors
/// [`FitError`] says why there is none.
pub fn take_over(
    train: &[Customer],
    imported: &ImportedPlan<'_>,
    schema: &Schema,
    progress: Progress<'_>,
) -> Result<Artifact, FitError> {
    let ImportedPlan { plan, seed, .. } = *imported;
    let ForeignModel { imported: file, bound } = plan.read(imported.file, schema)?;
    go_on(progress, 0.3)?;
    let (features, labels) = (features(train), labels(train));
    let fitted = Fitted {
        preprocessing: bound.preprocessing,
        ensemble: bound.ensemble,
    };
    let splits = split::stratified_k_fold(&labels, plan.calibration.folds, seed.wrapping_add(FOLD_DRAW));
    let held_out = splits.into_iter().map(|split| split.test);
    let margins = margins(&fitted, &features, held_out, schema)?;
    go_on(progress, 0.7)?;
    let decided = held_out::decide(
        labels.clone(),
        &margins,
        fitted.ensemble.link,
        &plan.calibration,
        plan.threshold,
        Uncalibrated::UnlessBetter,
    );
    let origin = Origin {
        family: file.family,
        provenance: file.library.provenance(),
        run_id: None,
        training_snapshots: vec![imported.training_snapshot],
        test_snapshots: vec![imported.test_snapshot],
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed,
        parameters: plan.to_parameters(&file),
    };
    let rows = TrainingRows {
        features: &features,
        labels: &labels,
    };
    let made = artifact(rows, fitted, decided.map_err(FitError::Decide)?, origin, schema)?;
    go_on(progress, 1.0)?;
    Ok(made)
}

/// The model's answers by fold: only calibration is fitted on folds, the model is the same in all of them.
fn margins(
    fitted: &Fitted,
    features: &[FeatureVector],
    folds: impl Iterator<Item = Vec<usize>>,
    schema: &Schema,
) -> Result<Vec<HeldOutMargins>, FitError> {
    let model = BareModel::new(&fitted.preprocessing, &fitted.ensemble, schema)
        .map_err(|problem| TrainError::Rows(format!("the imported model breaks a rule: {problem}")))?;
    let of_fold = |rows: Vec<usize>| {
        let full: Vec<FeatureVector> = rows.iter().map(|row| features[*row]).collect();
        let required: Vec<FeatureVector> = full.iter().map(|row| row.required_only(schema)).collect();
        HeldOutMargins {
            full: model.margins(&full),
            required_only: model.margins(&required),
            rows,
        }
    };
    Ok(folds.map(of_fold).collect())
}

#[cfg(test)]
mod tests {
    use holdfast_model::{Calibration, Link};

    use super::*;
    use crate::service::fitting::held_out::Decided;
    use crate::service::recipe::{CalibrationMethod, CalibrationPlan, ThresholdRule};

    const ROWS: usize = 3_000;

    /// Margins whose log-odds are right: labels are drawn by them. The draw is the fractional part of multiples of the golden ratio.
    fn calibrated() -> (Vec<f64>, Vec<bool>) {
        let draw = |place: usize, step: f64| (place as f64 * step).fract();
        let margins: Vec<f64> = (1..=ROWS)
            .map(|place| 6.0 * draw(place, 0.618_033_988_75) - 4.5)
            .collect();
        let labels = margins.iter().zip(1..);
        let labels = labels.map(|(margin, place)| draw(place, 0.754_877_666_25) < Link::Logistic.probability(*margin));
        (margins.clone(), labels.collect())
    }

    fn decided(margins: &[f64], labels: &[bool], method: CalibrationMethod, uncalibrated: Uncalibrated) -> Decided {
        let folds = (0..5).map(|fold| {
            let rows: Vec<usize> = (fold..ROWS).step_by(5).collect();
            let full: Vec<f64> = rows.iter().map(|row| margins[*row]).collect();
            HeldOutMargins {
                required_only: full.clone(),
                full,
                rows,
            }
        });
        let folds: Vec<HeldOutMargins> = folds.collect();
        let plan = CalibrationPlan { method, folds: 5 };
        let rule = ThresholdRule::BestF1;
        held_out::decide(labels.to_vec(), &folds, Link::Logistic, &plan, rule, uncalibrated).unwrap()
    }

    #[test]
    fn probabilities_that_are_right_stay_as_they_are() {
        let (margins, labels) = calibrated();
        let kept = decided(&margins, &labels, CalibrationMethod::Best, Uncalibrated::UnlessBetter);
        assert_eq!(kept.calibration, Calibration::None);
        assert_eq!(kept.held_out.calibration.method, CalibrationMethod::None);
        assert_eq!(kept.held_out.served_probabilities, kept.held_out.probabilities);
        for (margin, probability) in margins.iter().zip(&kept.held_out.probabilities) {
            assert_eq!(Link::Logistic.probability(*margin), *probability);
        }
        // Ours are calibrated all the same, and so is a foreign model of which it is asked.
        let ours = decided(&margins, &labels, CalibrationMethod::Best, Uncalibrated::Never);
        assert_ne!(ours.calibration, Calibration::None);
        let asked = decided(&margins, &labels, CalibrationMethod::Platt, Uncalibrated::UnlessBetter);
        assert!(matches!(asked.calibration, Calibration::Platt { .. }));
    }

    #[test]
    fn probabilities_that_are_too_sure_are_calibrated() {
        let (margins, labels) = calibrated();
        let sure: Vec<f64> = margins.iter().map(|margin| 2.5 * margin + 1.0).collect();
        let found = decided(&sure, &labels, CalibrationMethod::Best, Uncalibrated::UnlessBetter);
        assert_ne!(found.calibration, Calibration::None);
        let record = found.held_out.calibration;
        assert!(record.ece_after < record.ece_before / 3.0, "{record:?}");
    }
}
