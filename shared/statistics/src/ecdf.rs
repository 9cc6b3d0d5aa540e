//! The empirical distribution of a sample: distinct values in rising order, and how often each was seen.

use std::borrow::Cow;

use super::StatisticsError;
use super::counts::rows;

/// An empirical distribution. Values are finite and strictly increasing, counts are positive, and there is at least one.
///
/// The form in which a reference profile stores a feature (distinct values and counts) is borrowed, not copied.
#[derive(Clone, Debug, PartialEq)]
pub struct Ecdf<'a> {
    values: Cow<'a, [f64]>,
    counts: Cow<'a, [u64]>,
    rows: u64,
}

impl<'a> Ecdf<'a> {
    /// From strictly increasing values and the count of each, as a reference profile has them.
    ///
    /// # Errors
    /// Lengths that differ, a value that is not finite or out of order, no observations or more than 2⁵³.
    /// Values whose count is 0 are dropped.
    pub fn from_counts(values: &'a [f64], counts: &'a [u64]) -> Result<Self, StatisticsError> {
        if values.len() != counts.len() {
            return Err(StatisticsError::LengthMismatch {
                first: values.len(),
                second: counts.len(),
            });
        }
        check_finite(values)?;
        if let Some(at) = values.windows(2).position(|pair| pair[0] >= pair[1]) {
            return Err(StatisticsError::NotSorted { index: at + 1 });
        }
        let rows = rows(counts)?;
        if counts.contains(&0) {
            let kept = values.iter().zip(counts).filter(|&(_, &count)| count > 0);
            let (values, counts): (Vec<f64>, Vec<u64>) = kept.unzip();
            return Ok(Self {
                values: values.into(),
                counts: counts.into(),
                rows,
            });
        }
        Ok(Self {
            values: values.into(),
            counts: counts.into(),
            rows,
        })
    }

    /// From a sample that is sorted already; repeats allowed.
    ///
    /// # Errors
    /// No observations, a value that is not finite or smaller than the one before it.
    pub fn from_sorted(sample: &[f64]) -> Result<Ecdf<'static>, StatisticsError> {
        check_finite(sample)?;
        if let Some(at) = sample.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(StatisticsError::NotSorted { index: at + 1 });
        }
        Ecdf::collapse(sample)
    }

    /// From a sample in any order.
    ///
    /// # Errors
    /// No observations, a value that is not finite.
    pub fn from_sample(mut sample: Vec<f64>) -> Result<Ecdf<'static>, StatisticsError> {
        check_finite(&sample)?;
        sample.sort_unstable_by(f64::total_cmp);
        Ecdf::collapse(&sample)
    }

    fn collapse(sorted: &[f64]) -> Result<Ecdf<'static>, StatisticsError> {
        if sorted.is_empty() {
            return Err(StatisticsError::Empty);
        }
        let mut values: Vec<f64> = Vec::new();
        let mut counts: Vec<u64> = Vec::new();
        // By `==`, so that -0 and 0 are one value.
        for run in sorted.chunk_by(|a, b| a == b) {
            values.push(run[0]);
            counts.push(run.len() as u64);
        }
        Ok(Ecdf {
            values: values.into(),
            counts: counts.into(),
            rows: sorted.len() as u64,
        })
    }

    /// Number of observations, at least 1.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Distinct values, strictly increasing.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// How often each of [`values`](Self::values) was seen.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }
}

/// One step of a walk over two distributions: a value that either has, and the observations up to and including it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) value: f64,
    pub(super) first: u64,
    pub(super) second: u64,
}

/// Walks the union of the values of two distributions in rising order.
pub(super) fn merged<'a>(first: &'a Ecdf<'_>, second: &'a Ecdf<'_>) -> impl Iterator<Item = Step> + 'a {
    let (mut i, mut j) = (0, 0);
    let (mut below_first, mut below_second) = (0, 0);
    std::iter::from_fn(move || {
        let value = match (first.values.get(i), second.values.get(j)) {
            (None, None) => return None,
            (Some(&a), None) => a,
            (None, Some(&b)) => b,
            (Some(&a), Some(&b)) => a.min(b),
        };
        if first.values.get(i).is_some_and(|&a| a <= value) {
            below_first += first.counts[i];
            i += 1;
        }
        if second.values.get(j).is_some_and(|&b| b <= value) {
            below_second += second.counts[j];
            j += 1;
        }
        Some(Step {
            value,
            first: below_first,
            second: below_second,
        })
    })
}

fn check_finite(values: &[f64]) -> Result<(), StatisticsError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(StatisticsError::NotFinite { index }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_ways_in_give_the_same_distribution() {
        let counted = Ecdf::from_counts(&[1.0, 2.0, 5.0], &[2, 1, 3]).unwrap();
        let sorted = Ecdf::from_sorted(&[1.0, 1.0, 2.0, 5.0, 5.0, 5.0]).unwrap();
        let sample = Ecdf::from_sample(vec![5.0, 1.0, 5.0, 2.0, 1.0, 5.0]).unwrap();
        assert_eq!(counted, sorted);
        assert_eq!(sorted, sample);
        assert_eq!(counted.rows(), 6);
    }

    #[test]
    fn values_that_were_never_seen_are_dropped() {
        let ecdf = Ecdf::from_counts(&[1.0, 2.0, 3.0], &[1, 0, 4]).unwrap();
        assert_eq!((ecdf.values(), ecdf.counts()), (&[1.0, 3.0][..], &[1, 4][..]));
    }

    #[test]
    fn negative_zero_is_zero() {
        let ecdf = Ecdf::from_sample(vec![0.0, -0.0, 1.0]).unwrap();
        assert_eq!(ecdf.counts(), [2, 1]);
    }

    #[test]
    fn bad_input_is_an_error_that_names_the_place() {
        assert_eq!(Ecdf::from_sample(vec![]), Err(StatisticsError::Empty));
        assert_eq!(Ecdf::from_counts(&[1.0], &[0]), Err(StatisticsError::Empty));
        assert_eq!(
            Ecdf::from_sample(vec![1.0, f64::NAN]),
            Err(StatisticsError::NotFinite { index: 1 })
        );
        assert_eq!(
            Ecdf::from_sorted(&[1.0, 3.0, 2.0]),
            Err(StatisticsError::NotSorted { index: 2 })
        );
        assert_eq!(
            Ecdf::from_counts(&[1.0, 1.0], &[1, 1]),
            Err(StatisticsError::NotSorted { index: 1 })
        );
        assert_eq!(
            Ecdf::from_counts(&[1.0], &[1, 1]),
            Err(StatisticsError::LengthMismatch { first: 1, second: 2 })
        );
    }

    #[test]
    fn a_merge_visits_every_value_once_with_the_counts_up_to_it() {
        let first = Ecdf::from_counts(&[1.0, 3.0], &[2, 1]).unwrap();
        let second = Ecdf::from_counts(&[2.0, 3.0, 9.0], &[1, 1, 5]).unwrap();
        let steps: Vec<_> = merged(&first, &second).map(|s| (s.value, s.first, s.second)).collect();
        assert_eq!(steps, [(1.0, 2, 0), (2.0, 2, 1), (3.0, 3, 2), (9.0, 3, 7)]);
    }
}
