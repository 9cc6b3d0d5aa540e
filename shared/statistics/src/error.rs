//! The one error of the statistics: every reason why an input has no answer.

use std::error::Error;
use std::fmt;

/// Why a statistic cannot be computed from what it was given.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum StatisticsError {
    /// A sample, or a set of counts, has no observation in it.
    Empty,
    /// More than 2⁵³ observations: a double cannot count them.
    TooManyRows,
    /// A value is NaN or infinite; missing values are counted elsewhere, not passed here.
    NotFinite {
        /// Position in the slice, from 0.
        index: usize,
    },
    /// Values must not decrease (sorted samples) or must strictly increase (distinct values with counts).
    NotSorted {
        /// Position of the value that is out of order, from 0.
        index: usize,
    },
    /// Two slices that belong together differ in length.
    LengthMismatch {
        /// Length of the first.
        first: usize,
        /// Length of the second.
        second: usize,
    },
    /// A column with a single distinct value has no correlation with anything.
    Constant,
    /// A ratio that must be above 0 and finite.
    NotARatio {
        /// What was given.
        value: f64,
    },
    /// A p-value, a significance level or a power outside its range.
    NotAProbability {
        /// Position in the slice, from 0; 0 for a single argument.
        index: usize,
        /// What was given.
        value: f64,
    },
}

impl fmt::Display for StatisticsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "no observations"),
            Self::TooManyRows => write!(f, "more than 2^53 observations"),
            Self::NotFinite { index } => write!(f, "value at index {index} is not finite"),
            Self::NotSorted { index } => write!(f, "value at index {index} is out of order"),
            Self::LengthMismatch { first, second } => {
                write!(f, "lengths {first} and {second} differ")
            }
            Self::Constant => write!(f, "all values are equal"),
            Self::NotARatio { value } => write!(f, "{value} is not above 0 and finite"),
            Self::NotAProbability { index, value } => {
                write!(f, "{value} at index {index} is not a probability")
            }
        }
    }
}

impl Error for StatisticsError {}
