//! The threshold that labels as many customers as can be called.

use super::{Threshold, ThresholdPolicy, just_above};
use crate::metrics::MetricError;
use crate::metrics::error::check_probabilities;
use crate::metrics::ranking::ties_from_the_top;

impl Threshold {
    /// The lowest threshold that labels at most `calls` of `population` customers whose probabilities are distributed as those given. Customers of
    /// one probability are labelled together or not at all. With no more calls than that, nobody is labelled.
    ///
    /// # Errors
    /// No rows, or a probability that is none.
    pub fn for_capacity(probabilities: &[f64], calls: u64, population: u64) -> Result<Self, MetricError> {
        let labels = vec![true; probabilities.len()];
        check_probabilities(&labels, probabilities)?;
        // rows × calls / population, rounded down, without rounding on the way.
        let rows = probabilities.len() as u128;
        let most = rows * u128::from(calls.min(population)) / u128::from(population.max(1));
        let mut value = None;
        let mut labelled = 0_u128;
        for tie in ties_from_the_top(&labels, probabilities) {
            labelled += u128::from(tie.rows());
            if labelled > most {
                value = value.or(Some(just_above(tie.score)));
                break;
            }
            value = Some(tie.score);
        }
        Ok(Self {
            value: value.unwrap_or(1.0),
            policy: ThresholdPolicy::Capacity { calls, population },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(probabilities: &[f64], calls: u64, population: u64) -> f64 {
        let threshold = Threshold::for_capacity(probabilities, calls, population).unwrap();
        threshold.validate().unwrap();
        threshold.value
    }

    #[test]
    fn a_worked_example() {
        // 200 of 1,000 are two of ten rows.
        let rows: Vec<f64> = (0..10).map(|row| f64::from(row) / 10.0).collect();
        assert_eq!(value(&rows, 200, 1_000), 0.8);
        // 29 % of ten rows are two, not three.
        assert_eq!(value(&rows, 290, 1_000), 0.8);
        assert_eq!(value(&rows, 300, 1_000), 0.7);
        assert_eq!(value(&rows, 1_000, 1_000), 0.0);
    }

    #[test]
    fn customers_of_one_probability_stay_together() {
        let rows = [0.9, 0.8, 0.8, 0.8, 0.1];
        assert_eq!(value(&rows, 3, 5), 0.9);
        assert_eq!(value(&rows, 4, 5), 0.8);
    }

    #[test]
    fn too_few_calls_for_the_first_of_them_label_nobody() {
        for (rows, calls) in [([0.7, 0.7, 0.7, 0.1], 1), ([0.7, 0.6, 0.5, 0.1], 0)] {
            let threshold = value(&rows, calls, 4);
            assert!(threshold > 0.7 && threshold < 0.700_001, "{threshold}");
        }
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        assert!(Threshold::for_capacity(&[], 1, 2).is_err());
        assert!(Threshold::for_capacity(&[-0.1], 1, 2).is_err());
    }

    proptest! {
        #[test]
        fn never_more_than_the_capacity_and_as_many_as_fit(steps in prop::collection::vec(0..50_u32, 1..200), calls in 0..100_u64) {
            let rows: Vec<f64> = steps.iter().map(|step| f64::from(*step) / 60.0).collect();
            let threshold = value(&rows, calls, 100);
            let labelled = rows.iter().filter(|row| **row >= threshold).count();
            let allowed = |count: usize| count as u64 * 100 <= rows.len() as u64 * calls;
            prop_assert!(allowed(labelled));
            // With the next lower probability it would be too many.
            let next = rows.iter().copied().filter(|row| *row < threshold).fold(-1.0, f64::max);
            let with_next = rows.iter().filter(|row| **row >= next).count();
            prop_assert!(next < 0.0 || !allowed(with_next));
        }
    }
}
