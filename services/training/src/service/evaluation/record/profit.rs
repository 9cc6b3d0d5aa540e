//! Money, when the threshold rests on it.

use holdfast_model::metrics::{self, MetricError};
use holdfast_model::{Offer, ThresholdPolicy, profit_curve};
use holdfast_records::evaluation::{Point, Profit};

use super::{Subjects, thinned};
use crate::service::evaluation::Scored;

/// Expected profit over all thresholds; `None` under another policy than that of costs.
pub(super) fn profit(subjects: &Subjects<'_>, labels: &[bool]) -> Result<Option<Profit>, MetricError> {
    let ThresholdPolicy::Cost {
        offer_cost,
        lost_margin,
        success_rate,
    } = subjects.model.threshold_policy().policy
    else {
        return Ok(None);
    };
    let offer = Offer {
        offer_cost,
        lost_margin,
        success_rate,
    };
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    let per_row = |sum: u64| sum as f64 / labels.len() as f64;
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    let rows = labels.len() as f64;
    let curve = |scored: Scored<'_>| -> Result<Vec<Point>, MetricError> {
        let points: Vec<Point> = profit_curve(labels, scored.scores, offer)?
            .into_iter()
            .map(|point| [per_row(point.labelled), point.profit / rows])
            .collect();
        let values = || points.iter().map(|point| point[1]);
        let height = values().fold(0.0, f64::max) - values().fold(0.0, f64::min);
        Ok(thinned(&points, height))
    };
    let counts = metrics::confusion_at(labels, subjects.full.scores, subjects.full.threshold)?;
    let called = per_row(counts.called_positive());
    let earned = offer.profit(counts.called_positive(), counts.true_positives) / rows;
    let champion_curve = match subjects.champion {
        Some(champion) => curve(champion.scored)?,
        None => Vec::new(),
    };
    Ok(Some(Profit {
        offer_cost,
        lost_margin,
        success_rate,
        at_threshold: [called, earned],
        curve: curve(subjects.full)?,
        baseline_curve: curve(subjects.baseline)?,
        champion_curve,
    }))
}
