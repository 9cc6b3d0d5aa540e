//! Logarithmic loss (cross-entropy) of predicted probabilities (Good 1952).

use super::MetricError;
use super::error::check_probabilities;

/// Mean of −ln(probability given to what happened), in nats; 0 is perfect. Probabilities are clipped to [ε, 1 − ε] with
/// ε = 2⁻⁵², as scikit-learn does, so that one certain and wrong prediction costs 36 and not infinity.
///
/// # Errors
/// No rows, lengths that differ, a score outside [0, 1] or NaN.
pub fn log_loss(labels: &[bool], probabilities: &[f64]) -> Result<f64, MetricError> {
    check_probabilities(labels, probabilities)?;
    let loss: f64 = labels
        .iter()
        .zip(probabilities)
        .map(|(&label, &p)| {
            let given = if label { p } else { 1.0 - p };
            -given.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
        })
        .sum();
    Ok(loss / labels.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};

    #[test]
    fn a_worked_example() {
        // −(ln 0.9 + ln 0.9 + ln 0.8 + ln 0.65) / 4, scikit-learn's own example: 0.21616.
        let loss = log_loss(&[true, false, false, true], &[0.9, 0.1, 0.2, 0.65]).unwrap();
        assert!((loss - 0.216_16).abs() < 5e-6);
    }

    #[test]
    fn certainty_is_clipped() {
        let loss = log_loss(&[true], &[0.0]).unwrap();
        assert_close(loss, 52.0 * std::f64::consts::LN_2, 1e-15, "−ln 2⁻⁵²");
        assert!(log_loss(&[true], &[1.0]).unwrap() < 1e-15);
    }

    #[test]
    fn a_margin_is_not_a_probability() {
        assert_eq!(
            log_loss(&[true, false], &[0.2, -1.5]),
            Err(MetricError::NotAProbability { row: 1, score: -1.5 })
        );
    }

    #[test]
    fn it_agrees_with_scikit_learn() {
        for case in cases() {
            let value = log_loss(&case.labels, &case.scores).unwrap();
            assert_close(value, case.number("log_loss"), 1e-12, &case.name);
        }
    }
}
