//! What a recipe answers on rows that it was not fitted on, and what is decided by that: calibration and threshold.

use holdfast_model::metrics::{self, MetricError, ReliabilityBin};
use holdfast_model::{Calibration, Link, Threshold};

use crate::service::recipe::{CalibrationMethod, CalibrationPlan, ThresholdRule};
use crate::service::trainer::HeldOutMargins;

/// Answers on the training rows, each by a fit that has not seen the row. One entry a row, in the order of the training rows.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOut {
    /// Labels.
    pub labels: Vec<bool>,
    /// The fold that held the row out, from 0.
    pub folds: Vec<usize>,
    /// Margins.
    pub margins: Vec<f64>,
    /// Calibrated probabilities; a row's calibration was fitted on the other folds.
    pub probabilities: Vec<f64>,
    /// Probabilities by the artefact's own calibration, which was fitted on all of these rows: what threshold and profile are made of.
    pub served_probabilities: Vec<f64>,
    /// Margins of the rows with the required features only.
    pub required_only_margins: Vec<f64>,
    /// Calibrated probabilities of the rows with the required features only, by the calibration that was fitted on full rows of the other folds.
    pub required_only_probabilities: Vec<f64>,
    /// How calibration was chosen and what it brings.
    pub calibration: CalibrationRecord,
}

/// How calibration was chosen and what it brings, on held-out rows.
#[derive(Clone, Debug, PartialEq)]
pub struct CalibrationRecord {
    /// The method taken: never [`CalibrationMethod::Best`].
    pub method: CalibrationMethod,
    /// Log-loss in nats without calibration.
    pub log_loss_uncalibrated: f64,
    /// Log-loss in nats with Platt scaling, fitted on the other folds.
    pub log_loss_platt: f64,
    /// Log-loss in nats with isotonic regression, fitted on the other folds.
    pub log_loss_isotonic: f64,
    /// Expected calibration error without calibration, 0 to 1.
    pub ece_before: f64,
    /// Expected calibration error with the method taken, fitted on the other folds.
    pub ece_after: f64,
    /// The same for rows with the required features only, without calibration.
    pub required_only_ece_before: f64,
    /// The same for rows with the required features only, by the calibration of full rows.
    pub required_only_ece_after: f64,
    /// Reliability curve without calibration, ten bins of equal width.
    pub reliability_before: Vec<ReliabilityBin>,
    /// Reliability curve with the method taken, fitted on the other folds.
    pub reliability_after: Vec<ReliabilityBin>,
}

/// Calibration and threshold, and what they were chosen by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decided {
    pub(super) calibration: Calibration,
    pub(super) threshold: Threshold,
    pub(super) held_out: HeldOut,
}

/// Whether [`CalibrationMethod::Best`] may come to no calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uncalibrated {
    /// Fits of ours are always calibrated.
    Never,
    /// Whoever trained the model may have calibrated it: its probabilities stay unless calibration lowers the log-loss on held-out folds by more than
    /// two standard errors of that difference.
    UnlessBetter,
}

/// Chooses calibration and threshold.
pub(super) fn decide(
    labels: Vec<bool>,
    margins: &[HeldOutMargins],
    link: Link,
    plan: &CalibrationPlan,
    rule: ThresholdRule,
    uncalibrated: Uncalibrated,
) -> Result<Decided, MetricError> {
    let rows = Rows::of(labels, margins, link);
    let platt = rows.cross_fitted(CalibrationMethod::Platt)?;
    let isotonic = rows.cross_fitted(CalibrationMethod::Isotonic)?;
    let log_loss_platt = metrics::log_loss(&rows.labels, &platt.full)?;
    let log_loss_isotonic = metrics::log_loss(&rows.labels, &isotonic.full)?;
    let raw = rows.raw(&rows.margins);
    let (better, of_better) = if log_loss_isotonic < log_loss_platt {
        (CalibrationMethod::Isotonic, &isotonic)
    } else {
        (CalibrationMethod::Platt, &platt)
    };
    let method = match (plan.method, uncalibrated) {
        (CalibrationMethod::Best, Uncalibrated::UnlessBetter)
            if !clearly_better(&rows.labels, &of_better.full, &raw) =>
        {
            CalibrationMethod::None
        }
        (CalibrationMethod::Best, _) => better,
        (chosen, _) => chosen,
    };
    let crossed = match method {
        CalibrationMethod::Isotonic => isotonic,
        CalibrationMethod::None => CrossFitted {
            full: raw.clone(),
            required_only: rows.raw(&rows.required_only),
        },
        CalibrationMethod::Best | CalibrationMethod::Platt => platt,
    };
    let all: Vec<usize> = (0..rows.labels.len()).collect();
    let calibration = rows.fit(method, &all)?;
    let before = metrics::ece(&rows.labels, &raw)?;
    let after = metrics::ece(&rows.labels, &crossed.full)?;
    let required_raw = rows.raw(&rows.required_only);
    let record = CalibrationRecord {
        method,
        log_loss_uncalibrated: metrics::log_loss(&rows.labels, &raw)?,
        log_loss_platt,
        log_loss_isotonic,
        ece_before: before.ece,
        ece_after: after.ece,
        required_only_ece_before: metrics::ece(&rows.labels, &required_raw)?.ece,
        required_only_ece_after: metrics::ece(&rows.labels, &crossed.required_only)?.ece,
        reliability_before: before.bins,
        reliability_after: after.bins,
    };
    let served: Vec<f64> = rows
        .margins
        .iter()
        .map(|margin| calibration.probability(*margin, link))
        .collect();
    let threshold = rule.choose(&rows.labels, &served)?;
    Ok(Decided {
        calibration,
        threshold,
        held_out: HeldOut {
            labels: rows.labels,
            folds: rows.folds,
            margins: rows.margins,
            probabilities: crossed.full,
            served_probabilities: served,
            required_only_margins: rows.required_only,
            required_only_probabilities: crossed.required_only,
            calibration: record,
        },
    })
}

impl ThresholdRule {
    /// The threshold by this rule on labelled rows with calibrated probabilities.
    ///
    /// # Errors
    /// No rows, one class only, a probability that is none.
    pub fn choose(self, labels: &[bool], probabilities: &[f64]) -> Result<Threshold, MetricError> {
        match self {
            ThresholdRule::BestF1 => Threshold::best_f1(labels, probabilities),
            ThresholdRule::Cost {
                offer_cost,
                lost_margin,
                success_rate,
            } => {
                let offer = holdfast_model::Offer {
                    offer_cost,
                    lost_margin,
                    success_rate,
                };
                Threshold::most_profitable(labels, probabilities, offer)
            }
            ThresholdRule::Capacity { calls, population } => Threshold::for_capacity(probabilities, calls, population),
        }
    }
}

/// Whether the mean log-loss of `ours` is below that of `theirs` by more than two standard errors of the paired differences.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn clearly_better(labels: &[bool], ours: &[f64], theirs: &[f64]) -> bool {
    // Cut off as in `metrics::log_loss`.
    let loss = |label: bool, probability: f64| {
        let of_label = if label { probability } else { 1.0 - probability };
        -libm::log(of_label.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
    };
    let gains: Vec<f64> = labels
        .iter()
        .zip(ours.iter().zip(theirs))
        .map(|(label, (ours, theirs))| loss(*label, *theirs) - loss(*label, *ours))
        .collect();
    let count = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / count;
    let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (count - 1.0);
    mean > 2.0 * libm::sqrt(variance / count)
}

/// Held-out rows in the order of the training rows.
struct Rows {
    labels: Vec<bool>,
    folds: Vec<usize>,
    margins: Vec<f64>,
    required_only: Vec<f64>,
    count: usize,
    link: Link,
}

/// Probabilities whose calibration has not seen the row.
struct CrossFitted {
    full: Vec<f64>,
    required_only: Vec<f64>,
}

impl Rows {
    fn of(labels: Vec<bool>, parts: &[HeldOutMargins], link: Link) -> Self {
        let rows = labels.len();
        let (mut folds, mut margins, mut required_only) = (vec![0; rows], vec![f64::NAN; rows], vec![f64::NAN; rows]);
        for (fold, part) in parts.iter().enumerate() {
            for (place, row) in part.rows.iter().enumerate() {
                folds[*row] = fold;
                margins[*row] = part.full[place];
                required_only[*row] = part.required_only[place];
            }
        }
        Self {
            labels,
            folds,
            margins,
            required_only,
            count: parts.len(),
            link,
        }
    }

    fn raw(&self, margins: &[f64]) -> Vec<f64> {
        margins.iter().map(|margin| self.link.probability(*margin)).collect()
    }

    fn fit(&self, method: CalibrationMethod, rows: &[usize]) -> Result<Calibration, MetricError> {
        let labels: Vec<bool> = rows.iter().map(|row| self.labels[*row]).collect();
        let margins: Vec<f64> = rows.iter().map(|row| self.margins[*row]).collect();
        match method {
            CalibrationMethod::None => Ok(Calibration::None),
            CalibrationMethod::Isotonic => Calibration::fit_isotonic(&labels, &self.raw(&margins)),
            CalibrationMethod::Best | CalibrationMethod::Platt => Calibration::fit_platt(&labels, &margins),
        }
    }

    fn cross_fitted(&self, method: CalibrationMethod) -> Result<CrossFitted, MetricError> {
        let mut crossed = CrossFitted {
            full: vec![f64::NAN; self.labels.len()],
            required_only: vec![f64::NAN; self.labels.len()],
        };
        for fold in 0..self.count {
            let (inside, others): (Vec<usize>, Vec<usize>) =
                (0..self.labels.len()).partition(|row| self.folds[*row] == fold);
            let calibration = self.fit(method, &others)?;
            for row in inside {
                crossed.full[row] = calibration.probability(self.margins[row], self.link);
                crossed.required_only[row] = calibration.probability(self.required_only[row], self.link);
            }
        }
        Ok(crossed)
    }
}
