//! Association of two categorical columns: chi-squared test of independence, and Cramér's V for its size.

use super::StatisticsError;
use super::chi_squared::{ChiSquared, upper_tail};
use super::counts::rows;

/// A test of independence with its size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Association {
    /// The test.
    pub test: ChiSquared,
    /// Cramér's V, √(χ² / (N·(min(rows, columns) − 1))): 0 when neither column tells anything about the other, 1 when one is
    /// decided by the other (Cramér, "Mathematical Methods of Statistics", 1946). 0 for a table with one row or one column.
    pub cramers_v: f64,
}

/// Tests a table of counts, one slice a row. Equal to `scipy.stats.chi2_contingency(correction=False)` and
/// `scipy.stats.contingency.association`; rows and columns without observations are left out (scipy refuses them).
///
/// # Errors
/// Rows of different lengths, a table without observations.
pub fn association(table: &[Vec<u64>]) -> Result<Association, StatisticsError> {
    let columns = table.first().map_or(0, Vec::len);
    if let Some(odd) = table.iter().find(|row| row.len() != columns) {
        return Err(StatisticsError::LengthMismatch {
            first: columns,
            second: odd.len(),
        });
    }
    let flat: Vec<u64> = table.iter().flatten().copied().collect();
    let all = rows(&flat)? as f64;
    let row_totals: Vec<f64> = table.iter().map(|row| row.iter().sum::<u64>() as f64).collect();
    let column_totals: Vec<f64> = (0..columns)
        .map(|column| table.iter().map(|row| row[column]).sum::<u64>() as f64)
        .collect();
    let (mut statistic, mut smallest_expected) = (0.0, f64::INFINITY);
    for (row, row_total) in table.iter().zip(&row_totals) {
        for (observed, column_total) in row.iter().zip(&column_totals) {
            let expected = row_total * column_total / all;
            if expected > 0.0 {
                statistic += (*observed as f64 - expected).powi(2) / expected;
                smallest_expected = expected.min(smallest_expected);
            }
        }
    }
    let present = |totals: &[f64]| totals.iter().filter(|total| **total > 0.0).count();
    let (height, width) = (present(&row_totals), present(&column_totals));
    let degrees_of_freedom = u32::try_from((height - 1) * (width - 1)).map_err(|_| StatisticsError::TooManyRows)?;
    let smaller = height.min(width) as f64 - 1.0;
    Ok(Association {
        test: ChiSquared {
            statistic,
            degrees_of_freedom,
            p_value: upper_tail(statistic, degrees_of_freedom),
            smallest_expected,
        },
        cramers_v: if smaller > 0.0 {
            (statistic / (all * smaller)).sqrt().min(1.0)
        } else {
            0.0
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, associations};

    #[test]
    fn a_worked_example() {
        // 60:40 against 40:60: chi-squared is 8 of 200 rows, V = √0.04.
        let found = association(&[vec![60, 40], vec![40, 60]]).unwrap();
        assert_eq!((found.test.statistic, found.test.degrees_of_freedom), (8.0, 1));
        assert_close(found.cramers_v, 0.2, 1e-15, "V");
    }

    #[test]
    fn independent_columns_are_at_0_and_copies_at_1() {
        let independent = association(&[vec![10, 30], vec![20, 60]]).unwrap();
        assert!(independent.cramers_v < 1e-15 && independent.test.p_value > 0.999_999);
        assert_close(
            association(&[vec![7, 0, 0], vec![0, 5, 0], vec![0, 0, 9]])
                .unwrap()
                .cramers_v,
            1.0,
            1e-15,
            "V",
        );
    }

    #[test]
    fn empty_rows_and_columns_do_not_count() {
        let padded = association(&[vec![60, 0, 40], vec![0, 0, 0], vec![40, 0, 60]]).unwrap();
        assert_eq!(padded, association(&[vec![60, 40], vec![40, 60]]).unwrap());
        let single = association(&[vec![3, 4]]).unwrap();
        assert_eq!((single.cramers_v, single.test.p_value), (0.0, 1.0));
        assert_eq!(association(&[]), Err(StatisticsError::Empty));
        assert_eq!(association(&[vec![0, 0]]), Err(StatisticsError::Empty));
        assert!(association(&[vec![1, 2], vec![1]]).is_err());
    }

    #[test]
    fn it_agrees_with_scipy() {
        for case in associations("tables") {
            let found = association(&case.table("table")).unwrap();
            assert_close(found.test.statistic, case.number("chi_squared"), 1e-12, &case.name());
            assert_close(found.test.p_value, case.number("p_value"), 1e-9, &case.name());
            assert_close(found.cramers_v, case.number("cramers_v"), 1e-12, &case.name());
            assert_eq!(
                f64::from(found.test.degrees_of_freedom),
                case.number("degrees_of_freedom")
            );
        }
    }
}
