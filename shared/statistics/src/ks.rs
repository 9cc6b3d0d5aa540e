//! Two-sample Kolmogorov–Smirnov test, two-sided.
//!
//! D is the largest distance between two empirical distribution functions. Its p-value is either *exact* (the share of
//! all orderings of the pooled sample that would reach D: private module `ks_exact`) or *asymptotic* (the distribution of
//! the one-sample statistic for a sample of n·m/(n+m) rows, rounded: [`kolmogorov`]). Both agree with
//! `scipy.stats.ks_2samp` of scipy 1.17. With ties both are conservative: the true p-value is at most as large.

use super::ecdf::merged;
use super::{Ecdf, StatisticsError, kolmogorov, ks_exact};

/// Features whose (adjusted) p-value is below this count as drifted, if D is large enough as well.
pub const DEFAULT_ALPHA: f64 = 0.05;

/// Distances below this are too small to act upon, however significant a large sample makes them.
pub const DEFAULT_MINIMUM_D: f64 = 0.1;

/// [`PValueMethod::Auto`] is exact up to this many rows in the larger sample.
pub const AUTO_EXACT_MAX_ROWS: u64 = 10_000;

/// Which p-value is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PValueMethod {
    /// Exact where it can be computed (see [`KsTest::method`]).
    Exact,
    /// Asymptotic at any size.
    Asymptotic,
    /// Exact up to [`AUTO_EXACT_MAX_ROWS`] rows, asymptotic above.
    #[default]
    Auto,
}

/// Which p-value was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComputedBy {
    /// The exact distribution of D under the hypothesis that both samples come from one distribution.
    Exact,
    /// The asymptotic one.
    Asymptotic,
}

/// Which distribution function is the larger one where they are furthest apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// F₁ ≥ F₂ there: the first sample tends to smaller values. Also given when D is 0 and on a draw.
    Positive,
    /// F₁ < F₂ there: the first sample tends to larger values.
    Negative,
}

impl Sign {
    /// 1 or −1, as scipy's `statistic_sign`.
    #[must_use]
    pub fn as_i8(self) -> i8 {
        match self {
            Self::Positive => 1,
            Self::Negative => -1,
        }
    }
}

/// Outcome of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KsTest {
    /// D, in [0, 1].
    pub statistic: f64,
    /// Smallest value at which the distance is D.
    pub location: f64,
    /// Which sample's distribution function is larger at [`location`](Self::location).
    pub sign: Sign,
    /// Probability of a distance of at least D if both samples come from one distribution.
    pub p_value: f64,
    /// How [`p_value`](Self::p_value) was computed. Exact is refused, as in scipy, when the quotients of the sizes by their
    /// greatest common divisor multiply to 2³¹ or more, and when rounding leaves [0, 1]; also when it would take more than 2³³
    /// steps, which is minutes.
    pub method: ComputedBy,
    /// Rows of the first sample.
    pub first_rows: u64,
    /// Rows of the second sample.
    pub second_rows: u64,
}

/// Tests whether two samples come from the same distribution.
///
/// Exact p-values take O(n·m·D) steps for samples of different sizes and O(n) for equal ones.
#[must_use]
pub fn two_sample(first: &Ecdf<'_>, second: &Ecdf<'_>, method: PValueMethod) -> KsTest {
    let furthest = furthest_apart(first, second);
    let (n, m) = (first.rows(), second.rows());
    let divisor = u128::from(gcd(n, m));
    let lcm = u128::from(n) / divisor * u128::from(m);
    let steps = furthest.distance / divisor;
    let statistic = steps as f64 / lcm as f64;

    let exact = match method {
        PValueMethod::Asymptotic => None,
        PValueMethod::Auto if n.max(m) > AUTO_EXACT_MAX_ROWS => None,
        PValueMethod::Auto | PValueMethod::Exact => ks_exact::p_value(n, m, steps),
    };
    let (p_value, method) = match exact {
        Some(p) => (p, ComputedBy::Exact),
        None => (asymptotic(statistic, n, m), ComputedBy::Asymptotic),
    };
    KsTest {
        statistic,
        location: furthest.location,
        sign: furthest.sign,
        p_value,
        method,
        first_rows: n,
        second_rows: m,
    }
}

/// [`two_sample`] on samples that are sorted already.
///
/// # Errors
/// A sample that is empty, not sorted or holds a value that is not finite.
pub fn two_sample_sorted(first: &[f64], second: &[f64], method: PValueMethod) -> Result<KsTest, StatisticsError> {
    Ok(two_sample(
        &Ecdf::from_sorted(first)?,
        &Ecdf::from_sorted(second)?,
        method,
    ))
}

/// D as an integer: the largest |c₁·m − c₂·n| over all values, c being the observations up to the value. No rounding, so
/// that equal distances are equal and the location does not depend on the platform.
struct Furthest {
    distance: u128,
    location: f64,
    sign: Sign,
}

fn furthest_apart(first: &Ecdf<'_>, second: &Ecdf<'_>) -> Furthest {
    let (n, m) = (i128::from(first.rows()), i128::from(second.rows()));
    let mut above = (0_i128, first.values()[0].min(second.values()[0]));
    let mut below = above;
    for step in merged(first, second) {
        let difference = i128::from(step.first) * m - i128::from(step.second) * n;
        if difference > above.0 {
            above = (difference, step.value);
        }
        if difference < below.0 {
            below = (difference, step.value);
        }
    }
    let (extreme, sign) = if -below.0 > above.0 {
        (below, Sign::Negative)
    } else {
        (above, Sign::Positive)
    };
    Furthest {
        distance: extreme.0.unsigned_abs(),
        location: extreme.1,
        sign,
    }
}

fn asymptotic(d: f64, n: u64, m: u64) -> f64 {
    let effective = effective_rows(n, m).round_ties_even();
    if effective < 1.0 {
        // Two samples of one row: D is always 1 and says nothing. (scipy answers NaN.)
        return 1.0;
    }
    kolmogorov::survival(effective as u64, d)
}

/// n·m/(n+m): the size of the one-sample test that a two-sample test of n and m rows is worth.
pub(super) fn effective_rows(n: u64, m: u64) -> f64 {
    let (n, m) = (n.max(m) as f64, n.min(m) as f64);
    n * m / (n + m)
}

pub(super) fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, ks_cases};

    fn sample(values: &[f64]) -> Ecdf<'static> {
        Ecdf::from_sample(values.to_vec()).unwrap()
    }

    #[test]
    fn a_worked_example() {
        // F₁ − F₂ is 1/3 after 1, 2/3 after 2, 2/3 − 1/2 after 3, 1/2 after 4 and 0 after 5: D = 2/3 at 2.
        // Of the C(5, 2) = 10 orderings of three and two rows, six reach 2/3: p = 0.6.
        let test = two_sample(&sample(&[1.0, 2.0, 4.0]), &sample(&[3.0, 5.0]), PValueMethod::Exact);
        assert!((test.statistic - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!((test.location, test.sign), (2.0, Sign::Positive));
        assert!((test.p_value - 0.6).abs() < 1e-15, "{}", test.p_value);
        assert_eq!(test.method, ComputedBy::Exact);
    }

    #[test]
    fn exchanging_the_samples_changes_the_sign_only() {
        let (first, second) = (sample(&[1.0, 2.0, 3.5, 8.0]), sample(&[3.0, 5.0, 6.0]));
        for method in [PValueMethod::Exact, PValueMethod::Asymptotic] {
            let one = two_sample(&first, &second, method);
            let other = two_sample(&second, &first, method);
            assert_eq!(one.p_value, other.p_value);
            assert_eq!((one.statistic, one.location), (other.statistic, other.location));
            assert_eq!((one.sign.as_i8(), other.sign.as_i8()), (1, -1));
        }
    }

    #[test]
    fn identical_samples_are_at_distance_zero_with_p_one() {
        let values: Vec<f64> = (0..500).map(|i| f64::from(i % 37)).collect();
        for method in [PValueMethod::Exact, PValueMethod::Asymptotic, PValueMethod::Auto] {
            let test = two_sample(&sample(&values), &sample(&values), method);
            assert_eq!((test.statistic, test.p_value, test.location), (0.0, 1.0, 0.0));
        }
    }

    #[test]
    fn two_rows_say_nothing() {
        let test = two_sample(&sample(&[1.0]), &sample(&[2.0]), PValueMethod::Asymptotic);
        assert_eq!((test.statistic, test.p_value), (1.0, 1.0));
    }

    #[test]
    fn a_count_per_value_is_the_same_as_repeats() {
        let counted = Ecdf::from_counts(&[1.0, 2.0, 3.0], &[5, 3, 2]).unwrap();
        let repeated = sample(&[1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0]);
        let current = sample(&[2.0, 2.0, 3.0, 4.0]);
        assert_eq!(
            two_sample(&counted, &current, PValueMethod::Exact),
            two_sample(&repeated, &current, PValueMethod::Exact)
        );
    }

    #[test]
    fn unsorted_samples_are_refused_where_sorted_ones_are_asked_for() {
        let refused = two_sample_sorted(&[2.0, 1.0], &[1.0], PValueMethod::Auto);
        assert_eq!(refused, Err(StatisticsError::NotSorted { index: 1 }));
        assert!(two_sample_sorted(&[1.0, 2.0], &[1.0], PValueMethod::Auto).is_ok());
    }

    #[test]
    fn every_case_agrees_with_scipy() {
        for case in ks_cases() {
            let (first, second) = (sample(&case.first), sample(&case.second));
            for (method, expected, switched) in [
                (PValueMethod::Exact, case.exact, case.exact_switched),
                (PValueMethod::Asymptotic, case.asymptotic, false),
                (PValueMethod::Auto, case.auto, case.auto_switched),
            ] {
                let test = two_sample(&first, &second, method);
                let what = format!("{} by {method:?}", case.name);
                assert_close(test.statistic, case.statistic, 1e-14, &what);
                if let Some((location, sign)) = case.furthest {
                    assert_eq!(
                        (test.location, i64::from(test.sign.as_i8())),
                        (location, sign),
                        "{what}"
                    );
                }
                if let Some(expected) = expected {
                    assert_close(test.p_value, expected, 1e-9, &what);
                }
                if method == PValueMethod::Exact {
                    assert_eq!(test.method == ComputedBy::Asymptotic, switched, "{what}");
                }
            }
        }
    }
}
