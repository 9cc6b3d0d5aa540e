//! Cumulative gain and lift at any share of the rows: what a campaign that calls so many customers, the highest scores first,
//! would reach.

use super::MetricError;
use super::error::{both_classes, check_scores};
use super::ranking::{Tie, ties_from_the_top};

/// One point of the gain curve.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GainPoint {
    /// Share of the rows that is called, highest scores first.
    pub called: f64,
    /// Share of all positives among them.
    pub gain: f64,
    /// gain / called; at 0 that of the first rows.
    pub lift: f64,
}

/// The gain curve at `steps` + 1 shares from 0 to 1. Rows tied in score share their positives evenly, so that the order of the
/// rows does not matter.
///
/// # Errors
/// No rows, lengths that differ, NaN, one class only.
pub fn gain_curve(labels: &[bool], scores: &[f64], steps: usize) -> Result<Vec<GainPoint>, MetricError> {
    check_scores(labels, scores)?;
    let (rows, positives) = (labels.len() as f64, both_classes(labels)?.positives as f64);
    let ties = ties_from_the_top(labels, scores);
    let highest = ties[0];
    let at_once = highest.positives as f64 / highest.rows() as f64 * rows / positives;
    let steps = steps.max(1);
    Ok((0..=steps)
        .map(|step| {
            let called = step as f64 / steps as f64;
            let gain = weighted_gain(ties.iter().copied(), called * rows) / positives;
            let lift = if step == 0 { at_once } else { gain / called };
            GainPoint { called, gain, lift }
        })
        .collect())
}

/// Share of all positives among the share `called` (0 to 1) of the rows with the highest scores.
///
/// # Errors
/// As [`gain_curve`].
pub fn gain_at(labels: &[bool], scores: &[f64], called: f64) -> Result<f64, MetricError> {
    check_scores(labels, scores)?;
    let (rows, positives) = (labels.len() as f64, both_classes(labels)?.positives as f64);
    Ok(weighted_gain(ties_from_the_top(labels, scores), called * rows) / positives)
}

/// Positives among the first `called` rows (a fraction is a part of a row).
pub(super) fn weighted_gain(ties: impl IntoIterator<Item = Tie>, called: f64) -> f64 {
    let (mut left, mut found) = (called, 0.0);
    for tie in ties {
        let rows = tie.rows() as f64;
        if rows >= left {
            return found
                + if rows > 0.0 {
                    tie.positives as f64 * (left / rows)
                } else {
                    0.0
                };
        }
        left -= rows;
        found += tie.positives as f64;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};
    use crate::metrics::lift_by_decile;

    #[test]
    fn a_worked_example() {
        // Ten rows, four positives: places 1, 2, 4 and 9 from the top.
        let labels: Vec<bool> = (1..=10).map(|place| [1, 2, 4, 9].contains(&place)).collect();
        let scores: Vec<f64> = (1..=10).map(|place| 1.0 - f64::from(place) / 20.0).collect();
        let curve = gain_curve(&labels, &scores, 5).unwrap();
        let gains: Vec<f64> = curve.iter().map(|point| point.gain).collect();
        assert_eq!(gains, [0.0, 0.5, 0.75, 0.75, 0.75, 1.0]);
        assert_eq!((curve[0].lift, curve[1].lift, curve[5].lift), (2.5, 2.5, 1.0));
        // Half of the third row, which is none, and then half of the fourth, which is one.
        assert_eq!(gain_at(&labels, &scores, 0.25), Ok(0.5));
        assert_eq!(gain_at(&labels, &scores, 0.35), Ok(0.625));
    }

    #[test]
    fn a_score_that_says_nothing_gains_what_it_calls() {
        let labels: Vec<bool> = (0..37).map(|i| i % 5 == 0).collect();
        for point in gain_curve(&labels, &[0.3; 37], 20).unwrap() {
            assert!((point.gain - point.called).abs() < 1e-12 && (point.lift - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn it_agrees_with_the_deciles_where_tenths_are_whole_rows() {
        for case in cases().iter().filter(|case| case.labels.len() % 10 == 0) {
            let curve = gain_curve(&case.labels, &case.scores, 10).unwrap();
            let deciles = lift_by_decile(&case.labels, &case.scores).unwrap();
            for (point, decile) in curve[1..].iter().zip(deciles) {
                assert_close(point.gain, decile.cumulative_gain, 1e-12, &case.name);
                assert_close(point.lift, decile.cumulative_lift, 1e-12, &case.name);
            }
        }
    }

    #[test]
    fn one_class_has_no_answer() {
        assert!(gain_curve(&[true], &[0.4], 10).is_err());
        assert!(gain_at(&[false, false], &[0.4, 0.1], 0.1).is_err());
    }
}
