//! Quantiles of a sample by linear interpolation: type 7 of Hyndman & Fan (The American Statistician 50, 1996), numpy's default.

use super::StatisticsError;

/// The quantile of a sample that is sorted already, `probability` from 0 (the smallest value) to 1 (the largest).
///
/// # Errors
/// No values; a probability outside [0, 1]. That the values are finite and sorted is the caller's to see to.
pub fn quantile_of_sorted(sorted: &[f64], probability: f64) -> Result<f64, StatisticsError> {
    if !(0.0..=1.0).contains(&probability) {
        return Err(StatisticsError::NotAProbability {
            index: 0,
            value: probability,
        });
    }
    let Some(last) = sorted.len().checked_sub(1) else {
        return Err(StatisticsError::Empty);
    };
    let place = probability * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    let part = place - below as f64;
    Ok(sorted[below] + (sorted[above] - sorted[below]) * part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, associations};

    #[test]
    fn a_worked_example() {
        // Of four values the first quartile is three quarters of the way from the first to the second.
        assert_eq!(quantile_of_sorted(&[1.0, 2.0, 4.0, 8.0], 0.25), Ok(1.75));
        assert_eq!(quantile_of_sorted(&[1.0, 2.0, 4.0, 8.0], 1.0), Ok(8.0));
        assert_eq!(quantile_of_sorted(&[3.0], 0.5), Ok(3.0));
    }

    #[test]
    fn what_has_no_quantile_is_refused() {
        assert!(quantile_of_sorted(&[], 0.5).is_err());
        assert!(quantile_of_sorted(&[1.0], 1.5).is_err());
        assert!(quantile_of_sorted(&[1.0], f64::NAN).is_err());
    }

    #[test]
    fn it_agrees_with_numpy() {
        for case in associations("quantiles") {
            let sorted = case.list("sorted");
            for (probability, expected) in case.list("probabilities").into_iter().zip(case.list("values")) {
                let value = quantile_of_sorted(&sorted, probability).unwrap();
                assert_close(value, expected, 1e-12, &case.name());
            }
        }
    }
}
