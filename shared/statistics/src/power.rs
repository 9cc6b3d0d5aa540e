//! What a Kolmogorov–Smirnov test of given sizes can see: printed beside a verdict, so that "no drift" from 40 rows is not
//! read like "no drift" from 4,000.

use std::f64::consts::SQRT_2;

use statrs::function::erf::erfc_inv;

use super::ks::effective_rows;
use super::{StatisticsError, kolmogorov};

/// Power at which [`smallest_detectable_d`] is usually stated.
pub const DEFAULT_POWER: f64 = 0.8;

/// The smallest D that is significant at level `alpha` for samples of `n` and `m` rows: K⁻¹(α) / √(n·m/(n+m)), from the
/// limiting distribution (Smirnov 1948). At most 1: a value of 1 means that hardly anything would be significant.
///
/// # Errors
/// No rows; `alpha` outside (0, 1).
pub fn smallest_significant_d(n: u64, m: u64, alpha: f64) -> Result<f64, StatisticsError> {
    if n == 0 || m == 0 {
        return Err(StatisticsError::Empty);
    }
    let critical = kolmogorov::limit_quantile(alpha)?;
    Ok((critical / effective_rows(n, m).sqrt()).min(1.0))
}

/// The smallest true distance between two distributions that a test at level `alpha` finds with at least the given power.
///
/// At the place where the distributions are furthest apart, the observed difference has a standard error of at most
/// ½/√(n·m/(n+m)); it is significant with probability `power` if the true distance exceeds
/// [`smallest_significant_d`] by z(power) of those. The test looks everywhere, so its power is larger: the bound is on the
/// safe side. At most 1.
///
/// # Errors
/// No rows; `alpha` or `power` outside (0, 1).
pub fn smallest_detectable_d(n: u64, m: u64, alpha: f64, power: f64) -> Result<f64, StatisticsError> {
    let significant = smallest_significant_d(n, m, alpha)?;
    if !(power > 0.0 && power < 1.0) {
        return Err(StatisticsError::NotAProbability { index: 0, value: power });
    }
    let z = SQRT_2 * erfc_inv(2.0 * (1.0 - power));
    Ok((significant + 0.5 * z / effective_rows(n, m).sqrt()).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kolmogorov::survival;

    #[test]
    fn the_textbook_rule_comes_out() {
        // 1.3581·√((n+m)/(n·m)) at n = m = 100: 0.19206.
        assert!((smallest_significant_d(100, 100, 0.05).unwrap() - 0.192_06).abs() < 5e-6);
        assert!((smallest_significant_d(8101, 1000, 0.05).unwrap() - 0.045_52).abs() < 5e-6);
    }

    #[test]
    fn the_p_value_at_the_critical_distance_is_alpha() {
        let d = smallest_significant_d(200_000, 200_000, 0.05).unwrap();
        assert!((survival(100_000, d) - 0.05).abs() < 5e-4);
    }

    #[test]
    fn power_costs_a_margin() {
        // 0.045523 + 0.5·0.841621/√890.12: 0.059627.
        let d = smallest_detectable_d(8101, 1000, 0.05, 0.8).unwrap();
        assert!((d - 0.059_627).abs() < 2e-6, "{d}");
        let even = smallest_detectable_d(8101, 1000, 0.05, 0.5).unwrap();
        assert!((even - smallest_significant_d(8101, 1000, 0.05).unwrap()).abs() < 1e-12);
    }

    #[test]
    fn tiny_samples_see_nothing_and_empty_ones_are_refused() {
        assert_eq!(smallest_significant_d(2, 2, 0.05), Ok(1.0));
        assert_eq!(smallest_significant_d(0, 5, 0.05), Err(StatisticsError::Empty));
        assert!(smallest_significant_d(5, 5, 1.5).is_err());
        assert!(smallest_detectable_d(5, 5, 0.05, 1.0).is_err());
    }
}
