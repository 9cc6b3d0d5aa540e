//! Checks shared by the statistics that compare counts per bin or category.

use super::StatisticsError;

/// Doubles count without gaps up to here.
const MAX_ROWS: u64 = 1 << 53;

/// Number of observations in a set of counts, at least 1.
pub(super) fn rows(counts: &[u64]) -> Result<u64, StatisticsError> {
    let sum = counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count));
    match sum {
        Some(0) => Err(StatisticsError::Empty),
        Some(rows) if rows <= MAX_ROWS => Ok(rows),
        _ => Err(StatisticsError::TooManyRows),
    }
}

/// Number of observations in each of two sets of counts over the same bins.
pub(super) fn paired_rows(reference: &[u64], current: &[u64]) -> Result<(f64, f64), StatisticsError> {
    if reference.len() != current.len() {
        return Err(StatisticsError::LengthMismatch {
            first: reference.len(),
            second: current.len(),
        });
    }
    Ok((rows(reference)? as f64, rows(current)? as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_a_double_cannot_hold_are_refused() {
        assert_eq!(rows(&[u64::MAX, 1]), Err(StatisticsError::TooManyRows));
        assert_eq!(rows(&[MAX_ROWS, 1]), Err(StatisticsError::TooManyRows));
        assert_eq!(rows(&[MAX_ROWS - 1, 1]), Ok(MAX_ROWS));
        assert_eq!(rows(&[0, 0]), Err(StatisticsError::Empty));
    }
}
