//! The one error of the metrics, and the checks that raise it.

/// Why a metric cannot be computed from what it was given.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// No rows.
    #[error("no rows")]
    Empty,
    /// Two columns that belong together differ in length.
    #[error("{labels} labels but {other} values")]
    LengthMismatch {
        /// Number of labels.
        labels: usize,
        /// Length of the other column.
        other: usize,
    },
    /// The metric compares positives with negatives, and there is only one of them.
    #[error("every label is {label}")]
    OneClassOnly {
        /// The label that all rows have.
        label: bool,
    },
    /// A variance needs at least two rows of each class.
    #[error("only {count} rows with label {label}, 2 are needed")]
    TooFewOfClass {
        /// The label of which there are too few.
        label: bool,
        /// How many there are.
        count: usize,
    },
    /// Fewer rows than the metric needs.
    #[error("{rows} rows, {minimum} are needed")]
    TooFewRows {
        /// Rows given.
        rows: usize,
        /// Rows needed.
        minimum: usize,
    },
    /// A bootstrap needs at least two replicates.
    #[error("{replicates} bootstrap replicates, 2 are needed")]
    TooFewReplicates {
        /// Replicates asked for.
        replicates: usize,
    },
    /// A score is NaN.
    #[error("score of row {row} is not a number")]
    NotANumber {
        /// Position, from 0.
        row: usize,
    },
    /// A score that has to be a probability is outside [0, 1].
    #[error("score {score} of row {row} is not a probability")]
    NotAProbability {
        /// Position, from 0.
        row: usize,
        /// What was given.
        score: f64,
    },
    /// More hits than trials.
    #[error("{hits} hits of {trials} trials")]
    NotAProportion {
        /// Hits given.
        hits: u64,
        /// Trials given.
        trials: u64,
    },
}

/// Checks that there are rows, as many scores as labels, and no NaN.
pub(crate) fn check_scores(labels: &[bool], scores: &[f64]) -> Result<(), MetricError> {
    check_length(labels, scores.len())?;
    match scores.iter().position(|score| score.is_nan()) {
        Some(row) => Err(MetricError::NotANumber { row }),
        None => Ok(()),
    }
}

/// [`check_scores`], and every score in [0, 1].
pub(crate) fn check_probabilities(labels: &[bool], scores: &[f64]) -> Result<(), MetricError> {
    check_scores(labels, scores)?;
    match scores.iter().position(|score| !(0.0..=1.0).contains(score)) {
        Some(row) => Err(MetricError::NotAProbability {
            row,
            score: scores[row],
        }),
        None => Ok(()),
    }
}

/// Checks that there are rows, and as many values as labels.
pub(super) fn check_length(labels: &[bool], other: usize) -> Result<(), MetricError> {
    if labels.len() != other {
        return Err(MetricError::LengthMismatch {
            labels: labels.len(),
            other,
        });
    }
    if labels.is_empty() {
        return Err(MetricError::Empty);
    }
    Ok(())
}

/// Rows of either class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Classes {
    pub(crate) positives: usize,
    pub(crate) negatives: usize,
}

/// Counts the classes; both have to be there.
pub(crate) fn both_classes(labels: &[bool]) -> Result<Classes, MetricError> {
    let positives = labels.iter().filter(|&&label| label).count();
    let negatives = labels.len() - positives;
    if positives == 0 || negatives == 0 {
        return Err(MetricError::OneClassOnly { label: negatives == 0 });
    }
    Ok(Classes { positives, negatives })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_named() {
        assert_eq!(check_scores(&[], &[]), Err(MetricError::Empty));
        assert_eq!(
            check_scores(&[true], &[0.1, 0.2]),
            Err(MetricError::LengthMismatch { labels: 1, other: 2 })
        );
        assert_eq!(
            check_scores(&[true, false], &[0.1, f64::NAN]),
            Err(MetricError::NotANumber { row: 1 })
        );
        assert_eq!(
            check_probabilities(&[true], &[1.5]),
            Err(MetricError::NotAProbability { row: 0, score: 1.5 })
        );
        assert_eq!(
            both_classes(&[true, true]),
            Err(MetricError::OneClassOnly { label: true })
        );
        assert_eq!(both_classes(&[false]), Err(MetricError::OneClassOnly { label: false }));
    }

    #[test]
    fn margins_may_be_infinite_but_probabilities_may_not() {
        assert_eq!(check_scores(&[true], &[f64::INFINITY]), Ok(()));
        assert!(check_probabilities(&[true], &[f64::INFINITY]).is_err());
    }
}
