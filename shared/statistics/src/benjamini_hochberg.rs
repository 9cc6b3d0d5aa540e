//! Control of the false discovery rate: Benjamini & Hochberg, Journal of the Royal Statistical Society B 57 (1), 1995.

use super::StatisticsError;

/// Features whose adjusted p-value is below this count as drifted: of those called drifted, at most one in twenty is not.
pub const DEFAULT_FALSE_DISCOVERY_RATE: f64 = 0.05;

/// Adjusted p-values, in the order given: of p₍₁₎ ≤ … ≤ p₍ₘ₎ the i-th becomes the smallest of pⱼ·m/j over j ≥ i, at most 1.
/// Equal to `scipy.stats.false_discovery_control`.
///
/// # Errors
/// A value outside [0, 1] or NaN. No values give no values.
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    for (index, &value) in p_values.iter().enumerate() {
        if !(0.0..=1.0).contains(&value) {
            return Err(StatisticsError::NotAProbability { index, value });
        }
    }
    let tests = p_values.len();
    let mut order: Vec<usize> = (0..tests).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; tests];
    let mut smallest = 1.0_f64;
    for (rank, &index) in order.iter().enumerate().rev() {
        smallest = smallest.min(p_values[index] * (tests as f64 / (rank + 1) as f64));
        adjusted[index] = smallest;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, distances};

    #[test]
    fn a_worked_example() {
        // Sorted 0.001, 0.1, 0.5, 0.6 times 4/1, 4/2, 4/3, 4/4: 0.004, 0.2, 0.667 → 0.6, 0.6.
        let adjusted = benjamini_hochberg(&[0.5, 0.6, 0.1, 0.001]).unwrap();
        for (value, expected) in adjusted.iter().zip([0.6, 0.6, 0.2, 0.004]) {
            assert!((value - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn what_is_not_a_probability_is_refused() {
        assert!(benjamini_hochberg(&[0.5, 1.5]).is_err());
        assert!(benjamini_hochberg(&[f64::NAN]).is_err());
        assert_eq!(benjamini_hochberg(&[]), Ok(vec![]));
    }

    #[test]
    fn it_agrees_with_scipy() {
        for case in distances("benjamini_hochberg") {
            let adjusted = benjamini_hochberg(&case.list("p")).unwrap();
            for (value, expected) in adjusted.iter().zip(case.list("adjusted")) {
                assert_close(*value, expected, 1e-14, &case.name());
            }
        }
    }
}
