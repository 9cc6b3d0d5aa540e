//! Pearson's chi-squared test that two sets of category counts come from one distribution, without Yates's correction.

use statrs::function::gamma::gamma_ur;

use super::StatisticsError;
use super::counts::paired_rows;

/// Features whose (adjusted) p-value is below this count as drifted.
pub const DEFAULT_ALPHA: f64 = 0.05;

/// Below this the smallest expected count makes the p-value unreliable (Cochran 1954).
pub const MINIMUM_EXPECTED: f64 = 5.0;

/// Outcome of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquared {
    /// Σ (observed − expected)² / expected over both rows.
    pub statistic: f64,
    /// Categories seen in either sample, less one.
    pub degrees_of_freedom: u32,
    /// Probability of a statistic at least as large if both samples come from one distribution; 1 with a single category.
    pub p_value: f64,
    /// Smallest expected count; the p-value is not to be trusted below [`MINIMUM_EXPECTED`].
    pub smallest_expected: f64,
}

/// Tests two vectors of counts, one entry per category, in the same order. Equal to `scipy.stats.chi2_contingency` with
/// `correction=False`; categories that neither sample has are left out (scipy refuses them).
///
/// # Errors
/// Lengths that differ, a sample without observations.
pub fn two_sample(reference: &[u64], current: &[u64]) -> Result<ChiSquared, StatisticsError> {
    let (first_total, second_total) = paired_rows(reference, current)?;
    let all = first_total + second_total;
    let (mut statistic, mut smallest_expected, mut categories) = (0.0, f64::INFINITY, 0_u32);
    for (&first, &second) in reference.iter().zip(current) {
        let column = first as f64 + second as f64;
        if column == 0.0 {
            continue;
        }
        categories += 1;
        for (observed, total) in [(first as f64, first_total), (second as f64, second_total)] {
            let expected = total * column / all;
            statistic += (observed - expected).powi(2) / expected;
            smallest_expected = expected.min(smallest_expected);
        }
    }
    let degrees_of_freedom = categories - 1;
    Ok(ChiSquared {
        statistic,
        degrees_of_freedom,
        p_value: upper_tail(statistic, degrees_of_freedom),
        smallest_expected,
    })
}

pub(super) fn upper_tail(statistic: f64, degrees_of_freedom: u32) -> f64 {
    if degrees_of_freedom == 0 || statistic <= 0.0 {
        return 1.0;
    }
    gamma_ur(f64::from(degrees_of_freedom) / 2.0, statistic / 2.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, distances, numbers_of_distances};

    #[test]
    fn a_worked_example() {
        // Two samples of 100, 60:40 against 40:60. Every expected count is 50: 4·10²/50 = 8 on one degree of freedom.
        let test = two_sample(&[60, 40], &[40, 60]).unwrap();
        assert_eq!(
            (test.statistic, test.degrees_of_freedom, test.smallest_expected),
            (8.0, 1, 50.0)
        );
        assert_close(test.p_value, 0.004_677_734_981_047_266, 1e-12, "p");
    }

    #[test]
    fn two_degrees_of_freedom_have_a_closed_form() {
        assert_close(upper_tail(7.0, 2), f64::exp(-3.5), 1e-13, "exp(-x/2)");
    }

    #[test]
    fn one_category_is_no_evidence_and_unseen_ones_do_not_count() {
        let single = two_sample(&[10, 0], &[7, 0]).unwrap();
        assert_eq!((single.degrees_of_freedom, single.p_value), (0, 1.0));
        let padded = two_sample(&[60, 0, 40], &[40, 0, 60]).unwrap();
        assert_eq!(padded, two_sample(&[60, 40], &[40, 60]).unwrap());
    }

    #[test]
    fn bad_counts_are_refused() {
        assert_eq!(two_sample(&[0, 0], &[1, 2]), Err(StatisticsError::Empty));
        assert_eq!(two_sample(&[], &[]), Err(StatisticsError::Empty));
        assert!(matches!(
            two_sample(&[1], &[1, 2]),
            Err(StatisticsError::LengthMismatch { .. })
        ));
    }

    #[test]
    fn it_agrees_with_scipy() {
        for case in distances("counts") {
            let test = two_sample(&case.counts("reference"), &case.counts("current")).unwrap();
            assert_close(test.statistic, case.number("chi_squared"), 1e-12, &case.name());
            assert_close(test.p_value, case.number("p_value"), 1e-9, &case.name());
            assert_close(
                test.smallest_expected,
                case.number("smallest_expected"),
                1e-12,
                &case.name(),
            );
            assert_eq!(f64::from(test.degrees_of_freedom), case.number("degrees_of_freedom"));
        }
        for row in numbers_of_distances("chi_squared_tail") {
            let [x, dof, expected] = row[..] else {
                panic!("three numbers")
            };
            assert_close(upper_tail(x, dof as u32), expected, 1e-9, &format!("x {x} dof {dof}"));
        }
    }
}
