//! Exact distribution of the one-sided statistic Dₙ⁺ = sup (Fₙ(x) − F(x)): Smirnov 1944; Birnbaum & Tingey 1951.

use super::stirling::{LN_SQRT_2_PI, stirling_error};

/// Above this many rows the sum gives way to its asymptotic form, as in scipy: a relative error below 1e-6, in one step.
const MAX_SUMMED_ROWS: u64 = 1_000_000;

/// P(Dₙ⁺ ≥ x), for n ≥ 1 rows and x in (0, 1): Σᵥ C(n, v) x (x + v/n)^(v−1) (1 − x − v/n)^(n−v) over v ≤ n(1 − x); above a
/// million rows exp(−(6nx + 1)² / 18n) (Maag & Dicaire 1971).
///
/// All terms of the sum are positive. Each is a binomial probability at v with success probability q = x + v/n, times x/q; written in
/// Loader's deviance form it keeps full relative precision at any n, where differences of log-gammas lose digits.
#[must_use]
pub fn smirnov_survival(n: u64, x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if n == 0 || x <= 0.0 {
        return 1.0;
    }
    if x >= 1.0 {
        return 0.0;
    }
    let rows = n as f64;
    let shift = rows * x;
    if n > MAX_SUMMED_ROWS {
        return (-(6.0 * shift + 1.0).powi(2) / (18.0 * rows)).exp();
    }
    let whole_error = stirling_error(rows);
    let mut sum = (rows * (-x).ln_1p()).exp();
    for v in 1..n {
        let hits = v as f64;
        let misses = rows - hits;
        if misses <= shift {
            break;
        }
        let deviance = hits * deviance(shift / hits) + misses * deviance(-shift / misses);
        let correction = whole_error - stirling_error(hits) - stirling_error(misses);
        let scale = 0.5 * (rows / (hits * misses)).ln() - LN_SQRT_2_PI;
        sum += (correction - deviance + scale).exp() * shift / (shift + hits);
    }
    sum.min(1.0)
}

/// u − ln(1 + u), without cancellation near 0. For u > −1.
fn deviance(u: f64) -> f64 {
    if u.abs() > 0.5 {
        return u - u.ln_1p();
    }
    // ln(1 + u) = 2 artanh(s) with s = u / (2 + u), and u − 2s = u·s.
    let s = u / (2.0 + u);
    let square = s * s;
    let (mut power, mut sum, mut odd) = (1.0, 0.0, 3.0);
    while power > 1e-18 {
        sum += power / odd;
        power *= square;
        odd += 2.0;
    }
    s * (u - 2.0 * square * sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, numbers};

    #[test]
    fn one_row_is_uniform() {
        for x in [0.1, 0.5, 0.9] {
            assert!((smirnov_survival(1, x) - (1.0 - x)).abs() < 1e-15);
        }
    }

    #[test]
    fn two_rows_by_hand() {
        // v = 0: (1 − x)²; v = 1, while x ≤ ½: 2x(½ − x). At x = ¼: 9/16 + 1/8.
        assert!((smirnov_survival(2, 0.25) - 0.6875).abs() < 1e-15);
        assert!((smirnov_survival(2, 0.75) - 0.0625).abs() < 1e-16);
    }

    #[test]
    fn the_deviance_is_smooth_where_its_formulas_meet() {
        for u in [-0.5_f64, 0.5] {
            assert!((deviance(u * 1.000_001) - deviance(u)).abs() < 1e-6);
            assert_close(deviance(u), u - u.ln_1p(), 1e-14, "deviance");
        }
        assert_close(deviance(1e-9), 5e-19, 1e-8, "u² / 2");
    }

    #[test]
    fn the_asymptotic_form_takes_over_without_a_step() {
        let (summed, approximate) = (smirnov_survival(1_000_000, 0.0012), smirnov_survival(1_000_001, 0.0012));
        assert_close(approximate, summed, 1e-5, "one row more");
    }

    #[test]
    fn it_agrees_with_scipy() {
        for row in numbers("smirnov_sf") {
            let [n, x, expected] = row[..] else {
                panic!("three numbers")
            };
            assert_close(smirnov_survival(n as u64, x), expected, 1e-11, &format!("n {n} x {x}"));
        }
    }
}
