//! Brier score of predicted probabilities (Brier, Monthly Weather Review 78, 1950).

use super::MetricError;
use super::error::check_probabilities;

/// Mean squared distance between probability and outcome, in [0, 1]; 0 is perfect. Equal to scikit-learn's `brier_score_loss`.
///
/// # Errors
/// No rows, lengths that differ, a score outside [0, 1] or NaN.
pub fn brier(labels: &[bool], probabilities: &[f64]) -> Result<f64, MetricError> {
    check_probabilities(labels, probabilities)?;
    let sum: f64 = labels
        .iter()
        .zip(probabilities)
        .map(|(&label, &p)| (f64::from(u8::from(label)) - p).powi(2))
        .sum();
    Ok(sum / labels.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};

    #[test]
    fn a_worked_example() {
        // (0.1² + 0.2² + 0.5²) / 3
        let value = brier(&[false, true, true], &[0.1, 0.8, 0.5]).unwrap();
        assert_close(value, 0.1, 1e-14, "brier");
    }

    #[test]
    fn bad_input_is_refused() {
        assert_eq!(brier(&[], &[]), Err(MetricError::Empty));
        assert!(brier(&[true], &[f64::NAN]).is_err());
    }

    #[test]
    fn it_agrees_with_scikit_learn() {
        for case in cases() {
            let value = brier(&case.labels, &case.scores).unwrap();
            assert_close(value, case.number("brier"), 1e-12, &case.name);
        }
    }
}
