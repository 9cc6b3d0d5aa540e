//! Correlation of two columns: Pearson's of the values (Pearson 1895) and Spearman's of the ranks (Spearman 1904).

use super::{StatisticsError, mid_ranks};

/// Two columns with a correlation above this in size say the same thing twice.
pub const DEFAULT_NEAR_DUPLICATE: f64 = 0.98;

/// Pearson's correlation, −1 to 1: how well a straight line describes one column by the other. As `scipy.stats.pearsonr`.
///
/// # Errors
/// Lengths that differ, no rows, a value that is not finite, a column with a single distinct value.
pub fn pearson(first: &[f64], second: &[f64]) -> Result<f64, StatisticsError> {
    if first.len() != second.len() {
        return Err(StatisticsError::LengthMismatch {
            first: first.len(),
            second: second.len(),
        });
    }
    if first.is_empty() {
        return Err(StatisticsError::Empty);
    }
    for column in [first, second] {
        if let Some(index) = column.iter().position(|value| !value.is_finite()) {
            return Err(StatisticsError::NotFinite { index });
        }
        if column.iter().all(|value| *value == column[0]) {
            return Err(StatisticsError::Constant);
        }
    }
    let rows = first.len() as f64;
    let mean = |column: &[f64]| column.iter().sum::<f64>() / rows;
    let (first_mean, second_mean) = (mean(first), mean(second));
    let (mut both, mut first_squares, mut second_squares) = (0.0, 0.0, 0.0);
    for (a, b) in first.iter().zip(second) {
        let (a, b) = (a - first_mean, b - second_mean);
        both += a * b;
        first_squares += a * a;
        second_squares += b * b;
    }
    // Two roots and not the root of a product, which could overflow.
    Ok((both / (first_squares.sqrt() * second_squares.sqrt())).clamp(-1.0, 1.0))
}

/// Spearman's rank correlation, −1 to 1: how well *some* rising or falling curve describes one column by the other. Pearson's
/// correlation of the mid-ranks, which is right with ties (the textbook's 6·Σd² is not). As `scipy.stats.spearmanr`.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(first: &[f64], second: &[f64]) -> Result<f64, StatisticsError> {
    pearson(&mid_ranks(first)?, &mid_ranks(second)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, associations};

    #[test]
    fn a_worked_example() {
        // Ranks 1 2 3 4 and 2 1 4 3: Σd² = 4, and without ties 1 − 6·4/(4·15) = 0.6.
        assert_close(
            spearman(&[1.0, 5.0, 6.0, 9.0], &[20.0, 10.0, 40.0, 30.0]).unwrap(),
            0.6,
            1e-15,
            "rho",
        );
        // y = 3x − 1 but for its last value.
        assert_close(pearson(&[0.0, 1.0, 2.0], &[-1.0, 2.0, 5.0]).unwrap(), 1.0, 1e-15, "r");
    }

    #[test]
    fn a_curve_is_perfect_in_ranks_and_not_in_values() {
        let x: Vec<f64> = (1..30).map(f64::from).collect();
        let falling: Vec<f64> = x.iter().map(|x| -x.exp()).collect();
        assert_close(spearman(&x, &falling).unwrap(), -1.0, 1e-15, "rho");
        assert!(pearson(&x, &falling).unwrap() > -0.7);
    }

    #[test]
    fn columns_without_an_answer_are_refused() {
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), Err(StatisticsError::Constant));
        assert_eq!(pearson(&[], &[]), Err(StatisticsError::Empty));
        assert!(pearson(&[1.0, 2.0], &[1.0]).is_err());
        assert!(pearson(&[1.0, f64::INFINITY], &[1.0, 2.0]).is_err());
    }

    #[test]
    fn they_agree_with_scipy() {
        for case in associations("correlation") {
            let (first, second) = (case.list("first"), case.list("second"));
            assert_close(
                pearson(&first, &second).unwrap(),
                case.number("pearson"),
                1e-12,
                &case.name(),
            );
            assert_close(
                spearman(&first, &second).unwrap(),
                case.number("spearman"),
                1e-12,
                &case.name(),
            );
        }
    }
}
