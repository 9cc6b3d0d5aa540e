//! The full record of an evaluation: every figure with its interval, every curve, every group, and what the model goes by.

mod calibration;
mod comparison;
mod explanation;
mod groups;
mod profit;

use holdfast_domain::{Customer, Digest, FeatureVector, ModelName, RunId, Schema};
use holdfast_model::Model;
use holdfast_model::metrics::{self, DEFAULT_INTERVAL_REPLICATES, MetricError, Proportion, delong};
use holdfast_records::evaluation::{Confusion, Evaluation, FORMAT_VERSION, Interval, Measured, Point, ScoreBin};

use super::{Scored, better_p_value};
use crate::service::registry::VersionId;
use crate::service::rows::labels;

/// Bins of the histogram of scores.
const SCORE_BINS: usize = 40;
/// Points of a gain curve before it is thinned.
const GAIN_STEPS: usize = 200;
/// A thinned curve is nowhere farther from the whole one, on axes from 0 to 1.
const CURVE_TOLERANCE: f64 = 0.001;

/// Seed of the bootstrap's draws, beside the run's own.
const BOOTSTRAP_DRAW: u64 = 11;

/// Scores of rows that no fit which scored them had seen, before and after calibration.
#[derive(Clone, Copy, Debug)]
pub struct HeldOutScores<'a> {
    /// The labels.
    pub labels: &'a [bool],
    /// Raw probabilities.
    pub raw: &'a [f64],
    /// Calibrated probabilities.
    pub calibrated: &'a [f64],
}

/// The champion in a measurement.
#[derive(Clone, Copy, Debug)]
pub struct ChampionRows<'a> {
    /// Which version it is.
    pub id: &'a VersionId,
    /// Its scores with its threshold.
    pub scored: Scored<'a>,
}

/// What is measured, all on the same test rows.
#[derive(Clone, Copy, Debug)]
pub struct Subjects<'a> {
    /// The candidate itself, for what scores alone do not tell.
    pub model: &'a Model,
    /// The test rows.
    pub customers: &'a [Customer],
    /// Their features.
    pub features: &'a [FeatureVector],
    /// The candidate on full rows.
    pub full: Scored<'a>,
    /// The candidate with the required features only.
    pub required_only: Scored<'a>,
    /// The baseline.
    pub baseline: Scored<'a>,
    /// The champion, when there is one.
    pub champion: Option<ChampionRows<'a>>,
    /// The newest labelled window among the test rows: its snapshot, and which rows they are.
    pub newest_window: Option<(Digest, &'a [usize])>,
    /// The training side.
    pub held_out: Option<HeldOutScores<'a>>,
}

/// Which evaluation it is.
#[derive(Clone, Debug)]
pub struct Named {
    /// The run.
    pub run_id: RunId,
    /// The model.
    pub model: ModelName,
    /// SHA-256 of the candidate's artefact.
    pub artifact_digest: Digest,
    /// The test snapshot.
    pub test_snapshot: Digest,
    /// The run's seed.
    pub seed: u64,
}

/// Measures everything.
///
/// # Errors
/// [`MetricError`] when the rows have one class only or a score is no probability.
pub fn record(named: Named, subjects: &Subjects<'_>, schema: &Schema) -> Result<Evaluation, MetricError> {
    let labels = labels(subjects.customers);
    let seed = named.seed;
    let measured = |scored: Scored<'_>| measured(&labels, scored, seed);
    let champion = subjects
        .champion
        .map(|champion| comparison::against_champion(&labels, subjects.full, champion, seed));
    let newest_window = match (subjects.champion, subjects.newest_window) {
        (Some(champion), Some((snapshot, rows))) => Some(comparison::newest_window(
            snapshot,
            rows,
            &labels,
            subjects.full,
            champion.scored,
        )?),
        _ => None,
    };
    let (importance, dependence) = explanation::explained(subjects, &labels, seed, schema);
    Ok(Evaluation {
        format_version: FORMAT_VERSION,
        run_id: named.run_id,
        model: named.model,
        artifact_digest: named.artifact_digest,
        test_snapshot: named.test_snapshot,
        seed,
        replicates: DEFAULT_INTERVAL_REPLICATES as u64,
        full: measured(subjects.full)?,
        required_only: measured(subjects.required_only)?,
        baseline: measured(subjects.baseline)?,
        baseline_p_value: better_p_value(&labels, subjects.full.scores, subjects.baseline.scores)?,
        champion: champion.transpose()?,
        newest_window,
        slices: groups::slices(subjects, &labels, schema)?,
        calibration: calibration::calibration(subjects, &labels, seed)?,
        profit: profit::profit(subjects, &labels)?,
        importance,
        dependence,
    })
}

/// One model on the test rows.
fn measured(labels: &[bool], scored: Scored<'_>, seed: u64) -> Result<Measured, MetricError> {
    let Scored { scores, threshold } = scored;
    let auc = delong::auc_interval(labels, scores)?;
    let seed = seed.wrapping_add(BOOTSTRAP_DRAW);
    let drawn = metrics::bootstrap_intervals(labels, scores, threshold, DEFAULT_INTERVAL_REPLICATES, seed)?;
    let counts = metrics::confusion_at(labels, scores, threshold)?;
    let binned = metrics::ece(labels, scores)?;
    let roc: Vec<Point> = metrics::roc_curve(labels, scores)?
        .into_iter()
        .map(|point| [point.false_positive_rate, point.true_positive_rate])
        .collect();
    let precision_recall: Vec<Point> = metrics::precision_recall_curve(labels, scores)?
        .into_iter()
        .map(|point| [point.recall, point.precision])
        .collect();
    let gain: Vec<Point> = metrics::gain_curve(labels, scores, GAIN_STEPS)?
        .into_iter()
        .map(|point| [point.called, point.gain])
        .collect();
    let histogram = metrics::score_histogram(labels, scores, SCORE_BINS)?;
    let accurate = counts.true_positives + counts.true_negatives;
    Ok(Measured {
        rows: counts.rows(),
        positives: counts.positives(),
        threshold,
        roc_auc: Interval {
            value: auc.auc,
            lower: auc.lower,
            upper: auc.upper,
        },
        pr_auc: bootstrapped(drawn.pr_auc),
        f1: bootstrapped(drawn.f1),
        precision: share(counts.true_positives, counts.called_positive())?.unwrap_or(NOTHING_KNOWN),
        recall: share(counts.true_positives, counts.positives())?.unwrap_or(NOTHING_KNOWN),
        accuracy: share(accurate, counts.rows())?.unwrap_or(NOTHING_KNOWN),
        log_loss: bootstrapped(drawn.log_loss),
        brier: bootstrapped(drawn.brier),
        calibration_error: binned.ece,
        top_decile_lift: bootstrapped(drawn.top_decile_lift),
        confusion: Confusion {
            true_positives: counts.true_positives,
            false_positives: counts.false_positives,
            true_negatives: counts.true_negatives,
            false_negatives: counts.false_negatives,
        },
        roc_curve: thinned(&roc, 1.0),
        precision_recall_curve: thinned(&precision_recall, 1.0),
        gain_curve: thinned(&gain, 1.0),
        reliability: calibration::reliability(&binned),
        score_histogram: histogram
            .into_iter()
            .map(|bin| ScoreBin {
                left: bin.positives,
                stayed: bin.negatives,
            })
            .collect(),
    })
}

/// A share of nothing.
const NOTHING_KNOWN: Interval = Interval {
    value: 0.0,
    lower: 0.0,
    upper: 1.0,
};

fn bootstrapped(interval: metrics::Interval) -> Interval {
    Interval {
        value: interval.value,
        lower: interval.lower,
        upper: interval.upper,
    }
}

fn interval(share: Proportion) -> Interval {
    Interval {
        value: share.value,
        lower: share.lower,
        upper: share.upper,
    }
}

/// `None` of nothing.
fn share(hits: u64, trials: u64) -> Result<Option<Interval>, MetricError> {
    if trials == 0 {
        return Ok(None);
    }
    Ok(Some(interval(metrics::wilson(hits, trials)?)))
}

/// The points that matter, rounded. `height` is the range of the second axis; the first one's is 1.
fn thinned(curve: &[Point], height: f64) -> Vec<Point> {
    let height = if height > 0.0 { height } else { 1.0 };
    let scaled: Vec<(f64, f64)> = curve.iter().map(|[x, y]| (*x, y / height)).collect();
    metrics::simplified(&scaled, CURVE_TOLERANCE)
        .into_iter()
        .map(|at| curve[at].map(rounded))
        .collect()
}

fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
