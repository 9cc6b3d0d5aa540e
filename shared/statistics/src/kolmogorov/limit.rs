//! Kolmogorov's limiting distribution of √n·Dₙ (Kolmogorov 1933), and its inverse.

use std::f64::consts::PI;

use crate::StatisticsError;
use crate::bisection::turn;

/// P(K ≥ y): 2 Σ (−1)^(k−1) exp(−2k²y²), or, for small y, by the theta-function identity
/// 1 − √(2π)/y · Σ exp(−(2k−1)²π²/(8y²)).
#[must_use]
pub fn limit_survival(y: f64) -> f64 {
    if y.is_nan() {
        return f64::NAN;
    }
    if y <= 0.0 {
        return 1.0;
    }
    // Either series has reached a double's precision after eight terms on its side of 1.
    if y < 1.0 {
        let sum: f64 = (1..=8)
            .rev()
            .map(|k| f64::from(2 * k - 1))
            .map(|odd| (-(odd * PI / y).powi(2) / 8.0).exp())
            .sum();
        return 1.0 - (2.0 * PI).sqrt() / y * sum;
    }
    let tail = (1..=8).rev().fold(0.0, |sum, k| {
        let term = (-2.0 * (f64::from(k) * y).powi(2)).exp();
        if k % 2 == 1 { sum + term } else { sum - term }
    });
    2.0 * tail
}

/// The y with P(K ≥ y) = `alpha`, for `alpha` in (0, 1): 1.3581 for 0.05.
///
/// # Errors
/// `alpha` outside (0, 1).
pub fn limit_quantile(alpha: f64) -> Result<f64, StatisticsError> {
    if !(alpha > 0.0 && alpha < 1.0) {
        return Err(StatisticsError::NotAProbability { index: 0, value: alpha });
    }
    // P(K ≥ y) ≤ 2 exp(−2y²) bounds it from above; bisection cannot fail.
    let bound = (-0.5 * (alpha / 2.0).ln()).sqrt() + 1e-9;
    let (low, high) = turn(0.0, bound, |y| limit_survival(y) > alpha);
    Ok(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, numbers};

    #[test]
    fn the_textbook_critical_values_come_out() {
        for (alpha, critical) in [(0.10, 1.2238), (0.05, 1.3581), (0.01, 1.6276)] {
            assert!((limit_quantile(alpha).unwrap() - critical).abs() < 5e-5);
        }
    }

    #[test]
    fn it_agrees_with_scipy() {
        for row in numbers("limit_sf") {
            assert_close(
                limit_survival(row[0]),
                row[1],
                1e-13,
                &format!("survival at {}", row[0]),
            );
        }
        for row in numbers("limit_isf") {
            let quantile = limit_quantile(row[0]).unwrap();
            assert_close(quantile, row[1], 1e-11, &format!("quantile of {}", row[0]));
        }
    }

    #[test]
    fn levels_outside_the_open_interval_are_refused() {
        for alpha in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(limit_quantile(alpha).is_err());
        }
    }
}
