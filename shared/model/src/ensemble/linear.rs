//! Logistic regression's linear part.

use super::is_bounded;
use crate::error::InvalidPart;
use crate::preprocess::Row;

/// margin = intercept + Σ coefficient × x, in column order. A missing x counts as the column's mean.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticCoefficients {
    /// Unit of the margin.
    pub intercept: f64,
    /// One a column, in the order of the preprocessing's columns.
    pub coefficients: Vec<f64>,
    /// Mean of each column over the training rows, after preprocessing: what explanations are relative to.
    pub column_means: Vec<f64>,
}

impl LogisticCoefficients {
    /// The margin of a row.
    pub(crate) fn margin(&self, row: &Row) -> f64 {
        self.terms(row)
            .fold(self.intercept, |sum, (coefficient, x, _)| sum + coefficient * x)
    }

    /// What is explained from: the margin of a row whose columns are all at their means.
    pub(crate) fn base(&self) -> f64 {
        let pairs = self.coefficients.iter().zip(&self.column_means);
        pairs.fold(self.intercept, |sum, (coefficient, mean)| sum + coefficient * mean)
    }

    /// Adds `weight` × coefficient × (x - mean) to each column's contribution.
    pub(crate) fn contribute(&self, row: &Row, weight: f64, contributions: &mut Row) {
        for (contribution, (coefficient, x, mean)) in contributions.iter_mut().zip(self.terms(row)) {
            *contribution += weight * (coefficient * (x - mean));
        }
    }

    /// Coefficient, value and mean of each column; a missing value is replaced by the mean.
    fn terms<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = (f64, f64, f64)> + 'a {
        self.coefficients
            .iter()
            .zip(&self.column_means)
            .zip(row)
            .map(|((coefficient, mean), x)| {
                let x = if x.is_nan() { *mean } else { *x };
                (*coefficient, x, *mean)
            })
    }

    pub(super) fn validate(&self, columns: usize) -> Result<(), InvalidPart> {
        let bounded = |value: &f64| is_bounded(*value);
        if !bounded(&self.intercept) {
            return Err(InvalidPart::new(
                "linear.intercept",
                format!("{} is not within 1e30", self.intercept),
            ));
        }
        for (what, values) in [
            ("linear.coefficients", &self.coefficients),
            ("linear.column_means", &self.column_means),
        ] {
            if values.len() != columns {
                return Err(InvalidPart::new(
                    what,
                    format!("there are {}, and {columns} columns", values.len()),
                ));
            }
            if let Some(index) = values.iter().position(|value| !bounded(value)) {
                return Err(InvalidPart::new(
                    format!("{what}[{index}]"),
                    format!("{} is not within 1e30", values[index]),
                ));
            }
        }
        Ok(())
    }
}
