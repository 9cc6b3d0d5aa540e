//! Area under the ROC curve: the probability that a random positive scores above a random negative, a tie counting half
//! (Hanley & McNeil, Radiology 143, 1982; the Mann–Whitney statistic with mid-ranks).

use super::MetricError;
use super::error::{both_classes, check_scores};
use super::ranking::{Tie, ties_from_the_top};

/// ROC-AUC in [0, 1]; 0.5 for a score that says nothing. Equal to scikit-learn's `roc_auc_score`.
///
/// Wins and ties are counted as integers: the result is the correctly rounded quotient. Scores may be margins.
///
/// # Errors
/// No rows, lengths that differ, NaN, one class only.
pub fn roc_auc(labels: &[bool], scores: &[f64]) -> Result<f64, MetricError> {
    check_scores(labels, scores)?;
    let classes = both_classes(labels)?;
    let pairs = classes.positives as f64 * classes.negatives as f64;
    Ok(half_wins(ties_from_the_top(labels, scores)) as f64 / (2.0 * pairs))
}

/// Twice the number of pairs that are in order, ties counting half.
pub(super) fn half_wins(ties: impl IntoIterator<Item = Tie>) -> u128 {
    let (mut wins, mut positives_above) = (0_u128, 0_u64);
    for tie in ties {
        wins += u128::from(tie.negatives) * (2 * u128::from(positives_above) + u128::from(tie.positives));
        positives_above += tie.positives;
    }
    wins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};

    #[test]
    fn three_of_four_pairs_in_order() {
        let labels = [false, false, true, true];
        assert_eq!(roc_auc(&labels, &[0.1, 0.4, 0.35, 0.8]), Ok(0.75));
    }

    #[test]
    fn a_tie_counts_half() {
        assert_eq!(roc_auc(&[true, false], &[0.3, 0.3]), Ok(0.5));
        assert_eq!(roc_auc(&[true, false, false], &[0.3, 0.3, 0.1]), Ok(0.75));
    }

    #[test]
    fn one_class_has_no_answer() {
        assert_eq!(
            roc_auc(&[true, true], &[0.1, 0.2]),
            Err(MetricError::OneClassOnly { label: true })
        );
        assert_eq!(roc_auc(&[], &[]), Err(MetricError::Empty));
        assert!(roc_auc(&[true, false], &[0.1, f64::NAN]).is_err());
    }

    #[test]
    fn it_agrees_with_scikit_learn() {
        for case in cases() {
            let auc = roc_auc(&case.labels, &case.scores).unwrap();
            assert_close(auc, case.number("roc_auc"), 1e-13, &case.name);
        }
    }
}
