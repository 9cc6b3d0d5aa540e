//! Whether probabilities can be taken at their word.

use holdfast_model::Calibration;
use holdfast_model::metrics::{self, DEFAULT_INTERVAL_REPLICATES, MetricError};
use holdfast_records::evaluation::{CalibrationCheck, HeldOutCalibration, ReliabilityBin};

use super::{HeldOutScores, Subjects, interval};

/// Seed of the draws of labels, beside the run's own.
const NOISE_DRAW: u64 = 12;

pub(super) fn calibration(
    subjects: &Subjects<'_>,
    labels: &[bool],
    seed: u64,
) -> Result<CalibrationCheck, MetricError> {
    let model = subjects.model;
    let mut raw = vec![f64::NAN; subjects.features.len()];
    model.margin_batch(subjects.features, &mut raw);
    for value in &mut raw {
        *value = model.raw_probability(*value);
    }
    let before = metrics::ece(labels, &raw)?;
    let noise = metrics::calibration_noise(
        subjects.full.scores,
        DEFAULT_INTERVAL_REPLICATES,
        seed.wrapping_add(NOISE_DRAW),
    )?;
    let method = match model.calibration() {
        Calibration::None => "none",
        Calibration::Platt { .. } => "platt",
        Calibration::Isotonic { .. } => "isotonic",
    };
    Ok(CalibrationCheck {
        method: method.to_owned(),
        error_before: before.ece,
        reliability_before: reliability(&before),
        error_by_chance: noise.mean,
        error_by_chance_upper: noise.upper,
        held_out: subjects.held_out.map(held_out).transpose()?,
    })
}

fn held_out(scores: HeldOutScores<'_>) -> Result<HeldOutCalibration, MetricError> {
    let (before, after) = (
        metrics::ece(scores.labels, scores.raw)?,
        metrics::ece(scores.labels, scores.calibrated)?,
    );
    Ok(HeldOutCalibration {
        rows: scores.labels.len() as u64,
        error_before: before.ece,
        error_after: after.ece,
        log_loss_before: metrics::log_loss(scores.labels, scores.raw)?,
        log_loss_after: metrics::log_loss(scores.labels, scores.calibrated)?,
        reliability_before: reliability(&before),
        reliability_after: reliability(&after),
    })
}

pub(super) fn reliability(calibration: &metrics::Calibration) -> Vec<ReliabilityBin> {
    let bins = calibration.bins.iter().filter_map(|bin| {
        Some(ReliabilityBin {
            lower: bin.lower,
            upper: bin.upper,
            rows: bin.rows,
            mean_score: bin.mean_score,
            share_left: interval(bin.interval()?),
        })
    });
    bins.collect()
}
