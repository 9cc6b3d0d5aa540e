//! Receiver operating characteristic and precision–recall curve, and curves made thin enough to store and to draw.

use super::MetricError;
use super::error::{both_classes, check_scores};
use super::ranking::ties_from_the_top;

/// One point of the ROC curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RocPoint {
    /// Rows with a score of at least this are called positive; infinite where nobody is.
    pub threshold: f64,
    /// Share of the negatives that are called positive.
    pub false_positive_rate: f64,
    /// Share of the positives that are called positive.
    pub true_positive_rate: f64,
}

/// One point of the precision–recall curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecallPoint {
    /// Rows with a score of at least this are called positive.
    pub threshold: f64,
    /// Share of the positives that are called positive.
    pub recall: f64,
    /// Share of the called that are positive.
    pub precision: f64,
}

/// The ROC curve from (0, 0) to (1, 1), one point a distinct score: scikit-learn's `roc_curve(drop_intermediate=False)`.
///
/// # Errors
/// No rows, lengths that differ, NaN, one class only.
pub fn roc_curve(labels: &[bool], scores: &[f64]) -> Result<Vec<RocPoint>, MetricError> {
    check_scores(labels, scores)?;
    let classes = both_classes(labels)?;
    let mut curve = vec![RocPoint {
        threshold: f64::INFINITY,
        false_positive_rate: 0.0,
        true_positive_rate: 0.0,
    }];
    let (mut hits, mut misses) = (0, 0);
    for tie in ties_from_the_top(labels, scores) {
        hits += tie.positives;
        misses += tie.negatives;
        curve.push(RocPoint {
            threshold: tie.score,
            false_positive_rate: misses as f64 / classes.negatives as f64,
            true_positive_rate: hits as f64 / classes.positives as f64,
        });
    }
    Ok(curve)
}

/// The precision–recall curve by rising recall, one point a distinct score: scikit-learn's `precision_recall_curve`, without
/// the point (0, 1) that it adds.
///
/// # Errors
/// As [`roc_curve`].
pub fn precision_recall_curve(labels: &[bool], scores: &[f64]) -> Result<Vec<PrecisionRecallPoint>, MetricError> {
    check_scores(labels, scores)?;
    let classes = both_classes(labels)?;
    let (mut hits, mut called) = (0, 0);
    let points = ties_from_the_top(labels, scores).into_iter().map(|tie| {
        hits += tie.positives;
        called += tie.rows();
        PrecisionRecallPoint {
            threshold: tie.score,
            recall: hits as f64 / classes.positives as f64,
            precision: hits as f64 / called as f64,
        }
    });
    Ok(points.collect())
}

/// The points of a curve that matter: no other point is farther than `tolerance` from the line through those that are kept (Ramer
/// 1972; Douglas & Peucker 1973). Positions of the points kept, the first and the last among them.
pub fn simplified(points: &[(f64, f64)], tolerance: f64) -> Vec<usize> {
    let Some(last) = points.len().checked_sub(1) else {
        return Vec::new();
    };
    let mut keep = vec![false; points.len()];
    (keep[0], keep[last]) = (true, true);
    let mut open = vec![(0, last)];
    while let Some((from, to)) = open.pop() {
        let distances = (from + 1..to).map(|at| (at, distance(points[at], points[from], points[to])));
        let farthest = distances.max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((at, distance)) = farthest
            && distance > tolerance
        {
            keep[at] = true;
            open.extend([(from, at), (at, to)]);
        }
    }
    (0..points.len()).filter(|&at| keep[at]).collect()
}

/// From a point to the segment between two others.
fn distance(point: (f64, f64), from: (f64, f64), to: (f64, f64)) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let square = dx * dx + dy * dy;
    let along = if square > 0.0 {
        (((point.0 - from.0) * dx + (point.1 - from.1) * dy) / square).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (point.0 - from.0 - along * dx).hypot(point.1 - from.1 - along * dy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};
    use crate::metrics::{pr_auc, roc_auc};

    #[test]
    fn a_worked_example() {
        // scikit-learn's own: roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).
        let (labels, scores) = ([false, false, true, true], [0.1, 0.4, 0.35, 0.8]);
        let curve = roc_curve(&labels, &scores).unwrap();
        let points: Vec<_> = curve
            .iter()
            .map(|point| (point.threshold, point.false_positive_rate, point.true_positive_rate))
            .collect();
        assert_eq!(
            points,
            [
                (f64::INFINITY, 0.0, 0.0),
                (0.8, 0.0, 0.5),
                (0.4, 0.5, 0.5),
                (0.35, 0.5, 1.0),
                (0.1, 1.0, 1.0)
            ]
        );
        let curve = precision_recall_curve(&labels, &scores).unwrap();
        let points: Vec<_> = curve.iter().map(|point| (point.recall, point.precision)).collect();
        assert_eq!(points, [(0.5, 1.0), (0.5, 0.5), (1.0, 2.0 / 3.0), (1.0, 0.5)]);
    }

    #[test]
    fn the_areas_under_the_curves_are_the_metrics() {
        for case in cases() {
            let roc = roc_curve(&case.labels, &case.scores).unwrap();
            let area: f64 = roc
                .windows(2)
                .map(|pair| {
                    let width = pair[1].false_positive_rate - pair[0].false_positive_rate;
                    width * (pair[0].true_positive_rate + pair[1].true_positive_rate) / 2.0
                })
                .sum();
            assert_close(area, roc_auc(&case.labels, &case.scores).unwrap(), 1e-12, &case.name);
            let (mut area, mut recall) = (0.0, 0.0);
            for point in precision_recall_curve(&case.labels, &case.scores).unwrap() {
                area += (point.recall - recall) * point.precision;
                recall = point.recall;
            }
            assert_close(area, pr_auc(&case.labels, &case.scores).unwrap(), 1e-12, &case.name);
        }
    }

    #[test]
    fn a_simplified_curve_is_nowhere_far_from_the_whole_one() {
        let points: Vec<(f64, f64)> = (0..=1_000)
            .map(|step| {
                let x = f64::from(step) / 1_000.0;
                (x, x.powf(0.2))
            })
            .collect();
        let kept = simplified(&points, 0.002);
        assert!(
            kept.len() < 40 && kept[0] == 0 && kept.last() == Some(&1_000),
            "{}",
            kept.len()
        );
        for pair in kept.windows(2) {
            for at in pair[0]..pair[1] {
                assert!(distance(points[at], points[pair[0]], points[pair[1]]) <= 0.002);
            }
        }
        assert_eq!(simplified(&[(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)], 1e-9), [0, 2]);
        assert_eq!(simplified(&[(0.0, 0.0)], 0.1), [0]);
        assert!(simplified(&[], 0.1).is_empty());
    }

    #[test]
    fn one_class_has_no_curve() {
        assert!(roc_curve(&[true], &[0.4]).is_err());
        assert!(precision_recall_curve(&[false], &[0.4]).is_err());
    }
}
