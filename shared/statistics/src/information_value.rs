//! Information value of a binned or categorical column (credit scoring practice; Siddiqi, "Credit Risk Scorecards", 2006).

use super::StatisticsError;
use super::counts::paired_rows;

/// Siddiqi's "too good to be true, look for the reason". Good behavioural columns exceed it, so it is a reason to look and no proof.
pub const DEFAULT_SUSPICIOUS: f64 = 0.5;

/// Added to every count, so that a bin in which one class is absent does not make the value infinite.
pub const SMOOTHING: f64 = 0.5;

/// Σ (pᵢ − qᵢ) ln(pᵢ / qᵢ) over bins, p and q being the shares that each bin has of the rows of either class, with
/// [`SMOOTHING`] added to every count. 0 for a column that says nothing; bins that neither class has count for nothing.
///
/// # Errors
/// Lengths that differ, a class without rows.
pub fn information_value(positives: &[u64], negatives: &[u64]) -> Result<f64, StatisticsError> {
    let (first, second) = paired_rows(positives, negatives)?;
    let filled = positives.iter().zip(negatives).filter(|(p, n)| **p + **n > 0);
    let added = SMOOTHING * filled.clone().count() as f64;
    Ok(filled
        .map(|(&p, &n)| {
            let p = (p as f64 + SMOOTHING) / (first + added);
            let q = (n as f64 + SMOOTHING) / (second + added);
            (p - q) * (p / q).ln()
        })
        .sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, associations};

    #[test]
    fn a_worked_example() {
        // Shares (9.5, 0.5)/10 and (0.5, 9.5)/10, smoothed from 9:0 and 0:9: 2 · 0.9 · ln 19.
        let value = information_value(&[9, 0], &[0, 9]).unwrap();
        assert_close(value, 1.8 * 19.0_f64.ln(), 1e-14, "iv");
    }

    #[test]
    fn a_column_that_says_nothing_is_at_0() {
        assert!(information_value(&[10, 10], &[10, 10]).unwrap().abs() < 1e-15);
        assert_eq!(
            information_value(&[9, 0, 0], &[0, 0, 9]),
            information_value(&[9, 0], &[0, 9])
        );
        assert!(information_value(&[0, 0], &[1, 2]).is_err());
    }

    #[test]
    fn it_agrees_with_the_fixtures() {
        for case in associations("information_value") {
            let value = information_value(&case.counts("positives"), &case.counts("negatives")).unwrap();
            assert_close(value, case.number("value"), 1e-12, &case.name());
        }
    }
}
