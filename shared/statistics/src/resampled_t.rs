//! The corrected resampled t-test: whether one learner beats another in (repeated) cross-validation.
//!
//! The differences of two learners over the folds are not independent, because the folds' training rows overlap: the plain paired
//! t-test takes them to be and finds far too much. Nadeau & Bengio, "Inference for the generalization error", Machine Learning 52
//! (2003), correct the variance by the ratio of test rows to training rows; Bouckaert & Frank, PAKDD 2004, show that it holds its level
//! for repeated cross-validation, where plain tests do not.

use super::{StatisticsError, students_t};

/// Level at which a difference counts as found.
pub const DEFAULT_ALPHA: f64 = 0.05;

/// Outcome of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResampledT {
    /// Mean difference.
    pub mean: f64,
    /// Corrected standard error: √((1/J + test rows / training rows) · variance) over J differences.
    pub standard_error: f64,
    /// mean / standard error; 0 when both are 0, infinite when only the standard error is.
    pub t: f64,
    /// J − 1.
    pub degrees_of_freedom: usize,
    /// Probability of a difference at least as large either way if the learners are equally good.
    pub p_value: f64,
    /// Lower end of the 95 % interval of the mean difference.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// Tests the differences "one learner's measure less the other's", one a fold and repetition. `test_over_train` is the number of test
/// rows over that of training rows: 1/(k − 1) for k folds.
///
/// # Errors
/// Fewer than two differences, one that is not finite, a ratio that is not above 0 and finite.
pub fn corrected_resampled_t(differences: &[f64], test_over_train: f64) -> Result<ResampledT, StatisticsError> {
    let [_, _, ..] = differences else {
        return Err(StatisticsError::Empty);
    };
    if let Some(index) = differences.iter().position(|value| !value.is_finite()) {
        return Err(StatisticsError::NotFinite { index });
    }
    if !(test_over_train > 0.0 && test_over_train.is_finite()) {
        return Err(StatisticsError::NotARatio { value: test_over_train });
    }
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let standard_error = ((1.0 / count + test_over_train) * variance).sqrt();
    let t = if mean == 0.0 { 0.0 } else { mean / standard_error };
    let dof = count - 1.0;
    let half = students_t::critical(DEFAULT_ALPHA, dof) * standard_error;
    Ok(ResampledT {
        mean,
        standard_error,
        t,
        degrees_of_freedom: differences.len() - 1,
        p_value: students_t::two_sided(t, dof),
        lower: mean - half,
        upper: mean + half,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, associations};

    #[test]
    fn a_worked_example() {
        // Mean 2, variance 1, three differences, ratio ½: se² = (1/3 + 1/2)·1 = 5/6.
        let test = corrected_resampled_t(&[1.0, 2.0, 3.0], 0.5).unwrap();
        assert_eq!((test.mean, test.degrees_of_freedom), (2.0, 2));
        assert_close(test.standard_error, (5.0_f64 / 6.0).sqrt(), 1e-15, "se");
        assert_close(test.t, 2.0 / (5.0_f64 / 6.0).sqrt(), 1e-15, "t");
    }

    #[test]
    fn learners_that_never_differ_are_equal_and_ones_that_always_differ_alike_are_not() {
        let same = corrected_resampled_t(&[0.0; 10], 0.25).unwrap();
        assert_eq!((same.t, same.p_value, same.lower, same.upper), (0.0, 1.0, 0.0, 0.0));
        let apart = corrected_resampled_t(&[0.5; 10], 0.25).unwrap();
        assert_eq!((apart.t, apart.p_value), (f64::INFINITY, 0.0));
    }

    #[test]
    fn what_cannot_be_tested_is_refused() {
        assert!(corrected_resampled_t(&[0.1], 0.25).is_err());
        assert!(corrected_resampled_t(&[0.1, f64::NAN], 0.25).is_err());
        assert!(corrected_resampled_t(&[0.1, 0.2], 0.0).is_err());
    }

    #[test]
    fn it_agrees_with_the_fixtures() {
        for case in associations("corrected_resampled_t") {
            let test = corrected_resampled_t(&case.list("differences"), case.number("test_over_train")).unwrap();
            for (value, key) in [
                (test.standard_error, "standard_error"),
                (test.t, "t"),
                (test.p_value, "p_value"),
                (test.lower, "lower"),
                (test.upper, "upper"),
            ] {
                assert_close(value, case.number(key), 1e-9, &format!("{} {key}", case.name()));
            }
        }
    }
}
