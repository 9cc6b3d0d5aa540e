//! Average precision, the step-wise area under the precision–recall curve (Zhu 2004), as scikit-learn's
//! `average_precision_score`: no interpolation between points, which would be too optimistic (Davis & Goadrich 2006).

use super::MetricError;
use super::error::{both_classes, check_scores};
use super::ranking::{Tie, ties_from_the_top};

/// Σ (Rₖ − Rₖ₋₁)·Pₖ over distinct thresholds from the highest, R and P being recall and precision there. A score that says
/// nothing gets about the share of positives.
///
/// # Errors
/// No rows, lengths that differ, NaN, one class only.
pub fn pr_auc(labels: &[bool], scores: &[f64]) -> Result<f64, MetricError> {
    check_scores(labels, scores)?;
    let classes = both_classes(labels)?;
    Ok(average_precision(
        ties_from_the_top(labels, scores),
        classes.positives as u64,
    ))
}

/// Over groups of tied rows from the highest score down, with `positives` positive rows in all.
pub(super) fn average_precision(ties: impl IntoIterator<Item = Tie>, positives: u64) -> f64 {
    let (mut sum, mut found, mut called) = (0.0, 0_u64, 0_u64);
    for tie in ties {
        found += tie.positives;
        called += tie.rows();
        if tie.positives > 0 {
            sum += tie.positives as f64 * (found as f64 / called as f64);
        }
    }
    sum / positives as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};

    #[test]
    fn a_worked_example() {
        // From the top: hit (precision 1), miss, hit (2/3), miss: (1 + 2/3) / 2.
        let labels = [false, false, true, true];
        let value = pr_auc(&labels, &[0.1, 0.4, 0.35, 0.8]).unwrap();
        assert_close(value, 5.0 / 6.0, 1e-15, "average precision");
    }

    #[test]
    fn one_score_for_all_gives_the_share_of_positives() {
        assert_eq!(pr_auc(&[true, false, false, false], &[0.5; 4]), Ok(0.25));
    }

    #[test]
    fn one_class_has_no_answer() {
        assert_eq!(
            pr_auc(&[false], &[0.1]),
            Err(MetricError::OneClassOnly { label: false })
        );
    }

    #[test]
    fn it_agrees_with_scikit_learn() {
        for case in cases() {
            let value = pr_auc(&case.labels, &case.scores).unwrap();
            assert_close(value, case.number("pr_auc"), 1e-13, &case.name);
        }
    }
}
