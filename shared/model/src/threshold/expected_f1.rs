//! The threshold with the best F1 that calibrated probabilities promise.

use super::{Threshold, ThresholdPolicy};
use crate::metrics::error::{both_classes, check_probabilities};
use crate::metrics::ranking::ties_from_the_top;
use crate::metrics::{MetricError, confusion_at};

impl Threshold {
    /// The threshold with the best expected F1: rows called positive bring their probabilities as hits, so that F1 of the `k` most probable rows is
    /// `2 Σ(i ≤ k) p_i / (k + Σ p)`; of equal ones the highest. The labels only tell which F1 was reached there.
    ///
    /// A threshold that is best by the labels themselves follows the few rows around it; the probabilities are smooth. Where they are calibrated, it
    /// lies at half of the best F1 (Lipton, Elkan & Narayanaswamy 2014, theorem 1).
    ///
    /// # Errors
    /// No rows, lengths that differ, a probability that is none, one class only.
    pub fn best_f1(labels: &[bool], probabilities: &[f64]) -> Result<Self, MetricError> {
        check_probabilities(labels, probabilities)?;
        both_classes(labels)?;
        let all: f64 = probabilities.iter().sum();
        let (mut called, mut hits) = (0.0, 0.0);
        let (mut best, mut value) = (0.0, 1.0);
        for tie in ties_from_the_top(labels, probabilities) {
            #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
            let rows = tie.rows() as f64;
            called += rows;
            hits += rows * tie.score;
            let expected = 2.0 * hits / (called + all);
            if expected > best {
                (best, value) = (expected, tie.score);
            }
        }
        Ok(Self {
            value,
            policy: ThresholdPolicy::BestF1 {
                f1: confusion_at(labels, probabilities, value)?.f1(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(probabilities: &[f64]) -> f64 {
        let labels: Vec<bool> = (0..probabilities.len()).map(|row| row == 0).collect();
        Threshold::best_f1(&labels, probabilities).unwrap().value
    }

    #[test]
    fn a_worked_example() {
        // Sum 2. One row: 1.8/3; two: 3/4; three: 3.8/5; four: 4/6.
        assert_eq!(value(&[0.9, 0.6, 0.4, 0.1]), 0.4);
    }

    #[test]
    fn the_f1_on_record_is_that_of_the_labels() {
        let threshold = Threshold::best_f1(&[true, false, true, false], &[0.9, 0.6, 0.4, 0.1]).unwrap();
        // Three called, two of them right, none missed: 4/5.
        assert_eq!(threshold.policy, ThresholdPolicy::BestF1 { f1: 0.8 });
    }

    #[test]
    fn one_unlikely_label_does_not_move_it() {
        let probabilities = [0.95, 0.9, 0.9, 0.85, 0.02, 0.01, 0.01];
        let labels = [true, true, true, true, false, false, false];
        let mut surprise = labels;
        surprise[5] = true;
        let threshold = |labels: &[bool]| Threshold::best_f1(labels, &probabilities).unwrap().value;
        assert_eq!(threshold(&labels), 0.85);
        assert_eq!(threshold(&surprise), 0.85);
    }

    #[test]
    fn without_hope_it_is_the_highest() {
        assert_eq!(value(&[0.0, 0.0]), 1.0);
    }

    #[test]
    fn one_class_and_no_probability_are_refused() {
        assert!(Threshold::best_f1(&[false], &[0.4]).is_err());
        assert!(Threshold::best_f1(&[true, false], &[1.4, 0.1]).is_err());
    }

    proptest! {
        /// Theorem 1 of the paper: rows above half of the best F1 are called, those below are not.
        #[test]
        fn it_lies_at_half_of_the_best_f1(probabilities in proptest::collection::vec(0.001..1.0_f64, 2..60)) {
            let value = value(&probabilities);
            let called: Vec<f64> = probabilities.iter().copied().filter(|p| *p >= value).collect();
            let sum: f64 = probabilities.iter().sum();
            let half = called.iter().sum::<f64>() / (called.len() as f64 + sum);
            prop_assert!(called.iter().all(|p| *p >= half - 1e-12));
            prop_assert!(probabilities.iter().filter(|p| **p < value).all(|p| *p <= half + 1e-12));
        }
    }
}
