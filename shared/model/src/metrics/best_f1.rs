//! The threshold with the highest F1, among the scores themselves (van Rijsbergen 1979; Lipton, Elkan & Narayanaswamy 2014).

use super::confusion::Confusion;
use super::error::{both_classes, check_scores};
use super::ranking::ties_from_the_top;
use super::{MetricError, confusion_at};

/// A threshold and what it does on the rows it was chosen on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestF1 {
    /// Rows with a score of at least this are called positive. One of the scores given.
    pub threshold: f64,
    /// F1 there.
    pub f1: f64,
    /// The counts there.
    pub confusion: Confusion,
}

/// Finds the threshold with the highest F1. Of equal ones the highest threshold wins, which calls the fewest rows; equality
/// is decided on exact fractions, so that the choice does not depend on rounding.
///
/// # Errors
/// No rows, lengths that differ, NaN, one class only.
pub fn best_f1_threshold(labels: &[bool], scores: &[f64]) -> Result<BestF1, MetricError> {
    check_scores(labels, scores)?;
    let positives = both_classes(labels)?.positives as u64;
    let (mut hits, mut called) = (0_u64, 0_u64);
    let (mut best, mut threshold) = ((0_u64, 1_u64), f64::INFINITY);
    for tie in ties_from_the_top(labels, scores) {
        hits += tie.positives;
        called += tie.rows();
        let candidate = (2 * hits, called + positives);
        if exceeds(candidate, best) {
            (best, threshold) = (candidate, tie.score);
        }
    }
    let confusion = confusion_at(labels, scores, threshold)?;
    Ok(BestF1 {
        threshold,
        f1: confusion.f1(),
        confusion,
    })
}

fn exceeds(a: (u64, u64), b: (u64, u64)) -> bool {
    u128::from(a.0) * u128::from(b.1) > u128::from(b.0) * u128::from(a.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};

    #[test]
    fn a_worked_example() {
        // Thresholds 0.9: F1 2/3; 0.6: 2/4 (one miss taken); 0.4: 4/5; 0.2: 4/6.
        let best = best_f1_threshold(&[true, false, true, false], &[0.9, 0.6, 0.4, 0.2]).unwrap();
        assert_eq!((best.threshold, best.f1), (0.4, 0.8));
        assert_eq!(best.confusion.f1_fraction(), (4, 5));
    }

    #[test]
    fn of_equals_the_highest_threshold_wins() {
        // 0.8 finds one of one (2/3); 0.2 finds both of four (4/6).
        let labels = [true, false, false, true];
        let best = best_f1_threshold(&labels, &[0.8, 0.6, 0.4, 0.2]).unwrap();
        assert_eq!(best.threshold, 0.8);
    }

    #[test]
    fn one_class_has_no_answer() {
        assert!(best_f1_threshold(&[false], &[0.4]).is_err());
    }

    #[test]
    fn it_agrees_with_trying_every_threshold() {
        for case in cases() {
            let best = best_f1_threshold(&case.labels, &case.scores).unwrap();
            let expected = &case.value["best_f1"];
            assert_eq!(expected["threshold"].as_f64(), Some(best.threshold), "{}", case.name);
            assert_close(best.f1, expected["f1"].as_f64().unwrap(), 1e-15, &case.name);
        }
    }
}
