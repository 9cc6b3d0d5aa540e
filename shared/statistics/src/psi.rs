//! Population stability index of binned or categorical counts (credit scoring practice; Siddiqi, "Credit risk scorecards", 2006).

use super::StatisticsError;
use super::counts::paired_rows;

/// From here a shift is called significant; 0.1 to 0.2 is called moderate.
pub const DEFAULT_PSI_THRESHOLD: f64 = 0.2;

/// Shares below this are raised to it, because an empty bin would make the index infinite.
pub const PSI_SHARE_FLOOR: f64 = 1e-4;

/// Σ (q − p) ln(q / p) over bins, p and q being the shares of reference and current, each at least [`PSI_SHARE_FLOOR`].
/// Symmetric, 0 for equal shares. With fewer than about 200 rows it raises many false alarms.
///
/// # Errors
/// Lengths that differ, a sample without observations.
pub fn psi(reference: &[u64], current: &[u64]) -> Result<f64, StatisticsError> {
    let (first_total, second_total) = paired_rows(reference, current)?;
    Ok(reference
        .iter()
        .zip(current)
        .map(|(&first, &second)| {
            let p = (first as f64 / first_total).max(PSI_SHARE_FLOOR);
            let q = (second as f64 / second_total).max(PSI_SHARE_FLOOR);
            (q - p) * (q / p).ln()
        })
        .sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, distances};

    #[test]
    fn a_worked_example() {
        // 50:50 to 60:40: 0.1·ln 1.2 − 0.1·ln 0.8 = 0.1·ln 1.5.
        assert_close(psi(&[50, 50], &[60, 40]).unwrap(), 0.1 * f64::ln(1.5), 1e-13, "psi");
    }

    #[test]
    fn it_is_symmetric_zero_for_equal_shares_and_finite_for_empty_bins() {
        assert_eq!(psi(&[10, 30], &[100, 300]), Ok(0.0));
        assert_eq!(psi(&[10, 30, 5], &[7, 1, 9]), psi(&[7, 1, 9], &[10, 30, 5]));
        assert!(psi(&[10, 0], &[0, 10]).unwrap().is_finite());
        assert!(psi(&[0], &[1]).is_err());
    }

    #[test]
    fn it_agrees_with_the_fixtures() {
        for case in distances("counts") {
            let value = psi(&case.counts("reference"), &case.counts("current")).unwrap();
            assert_close(value, case.number("psi"), 1e-12, &case.name());
        }
    }
}
