//! What a decision threshold does: the four counts, and the rates that follow from them.

use super::MetricError;
use super::error::check_scores;

/// Rows by what they are and what they were called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Positives called positive.
    pub true_positives: u64,
    /// Negatives called positive.
    pub false_positives: u64,
    /// Negatives called negative.
    pub true_negatives: u64,
    /// Positives called negative.
    pub false_negatives: u64,
}

/// Rates are 0 where their denominator is, as scikit-learn's with `zero_division=0`.
impl Confusion {
    /// All rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.positives() + self.negatives()
    }

    /// Rows whose label is positive.
    #[must_use]
    pub fn positives(&self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// Rows whose label is negative.
    #[must_use]
    pub fn negatives(&self) -> u64 {
        self.true_negatives + self.false_positives
    }

    /// Rows called positive.
    #[must_use]
    pub fn called_positive(&self) -> u64 {
        self.true_positives + self.false_positives
    }

    /// Share of the rows called positive that are.
    #[must_use]
    pub fn precision(&self) -> f64 {
        ratio(self.true_positives, self.called_positive())
    }

    /// Share of the positives that are called so.
    #[must_use]
    pub fn recall(&self) -> f64 {
        ratio(self.true_positives, self.positives())
    }

    /// Share of the negatives that are called so.
    #[must_use]
    pub fn specificity(&self) -> f64 {
        ratio(self.true_negatives, self.negatives())
    }

    /// Harmonic mean of precision and recall.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let (numerator, denominator) = self.f1_fraction();
        ratio(numerator, denominator)
    }

    /// Share of the rows called what they are.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        ratio(self.true_positives + self.true_negatives, self.rows())
    }

    /// F1 = 2·TP / (2·TP + FP + FN), unreduced.
    pub(super) fn f1_fraction(&self) -> (u64, u64) {
        (2 * self.true_positives, self.called_positive() + self.positives())
    }
}

fn ratio(numerator: u64, denominator: u64) -> f64 {
    if denominator == 0 {
        0.0
    } else {
        numerator as f64 / denominator as f64
    }
}

/// Counts what calling every row with `score >= threshold` positive does.
///
/// # Errors
/// No rows, lengths that differ, NaN.
pub fn confusion_at(labels: &[bool], scores: &[f64], threshold: f64) -> Result<Confusion, MetricError> {
    check_scores(labels, scores)?;
    let mut counts = Confusion::default();
    for (&label, &score) in labels.iter().zip(scores) {
        match (label, score >= threshold) {
            (true, true) => counts.true_positives += 1,
            (false, true) => counts.false_positives += 1,
            (false, false) => counts.true_negatives += 1,
            (true, false) => counts.false_negatives += 1,
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};

    #[test]
    fn a_worked_example() {
        let labels = [true, true, true, false, false, false, false];
        let scores = [0.9, 0.5, 0.2, 0.8, 0.1, 0.1, 0.3];
        let counts = confusion_at(&labels, &scores, 0.5).unwrap();
        let expected = Confusion {
            true_positives: 2,
            false_positives: 1,
            true_negatives: 3,
            false_negatives: 1,
        };
        assert_eq!(counts, expected);
        assert_eq!(
            (counts.precision(), counts.recall(), counts.f1()),
            (2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0)
        );
        assert_eq!((counts.specificity(), counts.accuracy()), (0.75, 5.0 / 7.0));
    }

    #[test]
    fn rates_without_a_denominator_are_zero() {
        let counts = confusion_at(&[false, false], &[0.1, 0.2], 0.5).unwrap();
        assert_eq!((counts.precision(), counts.recall(), counts.f1()), (0.0, 0.0, 0.0));
        assert_eq!(counts.accuracy(), 1.0);
    }

    #[test]
    fn it_agrees_with_scikit_learn() {
        for case in cases() {
            for expected in case.value["confusion"].as_array().unwrap() {
                let threshold = expected["threshold"].as_f64().unwrap();
                let counts = confusion_at(&case.labels, &case.scores, threshold).unwrap();
                for (name, count) in [
                    ("true_positives", counts.true_positives),
                    ("false_positives", counts.false_positives),
                    ("true_negatives", counts.true_negatives),
                    ("false_negatives", counts.false_negatives),
                ] {
                    assert_eq!(expected[name].as_u64(), Some(count), "{} {threshold}", case.name);
                }
                for (name, rate) in [
                    ("precision", counts.precision()),
                    ("recall", counts.recall()),
                    ("f1", counts.f1()),
                    ("accuracy", counts.accuracy()),
                ] {
                    assert_close(rate, expected[name].as_f64().unwrap(), 1e-14, &case.name);
                }
            }
        }
    }
}
