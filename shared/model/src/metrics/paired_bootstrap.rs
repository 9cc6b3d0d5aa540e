//! Paired bootstrap of a difference between two score vectors on the same rows: Efron & Tibshirani, "An introduction to the
//! bootstrap", 1993, chapters 13 and 16; for metrics that have no variance formula, such as average precision.

use super::MetricError;
use super::error::{both_classes, check_scores};
use super::pr_auc::average_precision;
use super::ranking::{Order, order_from_the_top, weighted_ties};
use super::resampling::{StratifiedDraws, percentile};
use super::roc_auc::half_wins;

/// Enough for a 95 % interval to two digits.
pub const DEFAULT_REPLICATES: usize = 2000;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootstrapMetric {
    /// Area under the ROC curve.
    RocAuc,
    /// Average precision.
    PrAuc,
}

/// Outcome of the comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedBootstrap {
    /// First minus second, on the rows as they are.
    pub delta: f64,
    /// Standard deviation of the difference over the replicates.
    pub standard_error: f64,
    /// 2.5th percentile of the difference.
    pub lower: f64,
    /// 97.5th percentile of the difference.
    pub upper: f64,
    /// Share of replicates in which the first was not better: (that number + 1) / (replicates + 1), never 0.
    pub p_one_sided: f64,
    /// Replicates drawn.
    pub replicates: usize,
}

/// Draws rows with replacement within each class (so that both classes stay present), the same rows for both vectors, and
/// compares the metric. The same seed gives the same numbers on any machine.
///
/// # Errors
/// No rows, lengths that differ, NaN, one class only; fewer than two replicates.
pub fn paired_bootstrap(
    labels: &[bool],
    (first, second): (&[f64], &[f64]),
    metric: BootstrapMetric,
    replicates: usize,
    seed: u64,
) -> Result<PairedBootstrap, MetricError> {
    check_scores(labels, first)?;
    check_scores(labels, second)?;
    both_classes(labels)?;
    if replicates < 2 {
        return Err(MetricError::TooFewReplicates { replicates });
    }
    let orders = [order_from_the_top(first), order_from_the_top(second)];
    let difference = |weights: &[u64]| {
        let [a, b] = [0, 1].map(|i| weighted_metric(metric, &orders[i], labels, weights));
        a - b
    };

    let mut draws = StratifiedDraws::new(labels, seed);
    let mut deltas: Vec<f64> = (0..replicates).map(|_| difference(draws.draw())).collect();
    deltas.sort_unstable_by(f64::total_cmp);

    let count = replicates as f64;
    let mean = deltas.iter().sum::<f64>() / count;
    let squares: f64 = deltas.iter().map(|delta| (delta - mean).powi(2)).sum();
    let not_better = deltas.iter().filter(|&&delta| delta <= 0.0).count();
    Ok(PairedBootstrap {
        delta: difference(&vec![1; labels.len()]),
        standard_error: (squares / (count - 1.0)).sqrt(),
        lower: percentile(&deltas, 0.025),
        upper: percentile(&deltas, 0.975),
        p_one_sided: (not_better + 1) as f64 / (count + 1.0),
        replicates,
    })
}

fn weighted_metric(metric: BootstrapMetric, order: &Order, labels: &[bool], weights: &[u64]) -> f64 {
    let (mut positives, mut negatives) = (0_u64, 0_u64);
    let ties = weighted_ties(order, labels, weights).inspect(|tie| {
        positives += tie.positives;
        negatives += tie.negatives;
    });
    match metric {
        BootstrapMetric::RocAuc => {
            let wins = half_wins(ties) as f64;
            wins / (2.0 * positives as f64 * negatives as f64)
        }
        // Unscaled first: the number of positives is known after the walk.
        BootstrapMetric::PrAuc => average_precision(ties, 1) / positives as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::cases;
    use crate::metrics::{delong, pr_auc, roc_auc};

    fn run(case: &crate::metrics::fixtures::Case, metric: BootstrapMetric, seed: u64) -> PairedBootstrap {
        paired_bootstrap(&case.labels, (&case.scores, &case.second), metric, 500, seed).unwrap()
    }

    #[test]
    fn the_difference_on_the_rows_themselves_is_the_metrics() {
        for case in cases() {
            let expected = roc_auc(&case.labels, &case.scores).unwrap() - roc_auc(&case.labels, &case.second).unwrap();
            assert!((run(&case, BootstrapMetric::RocAuc, 1).delta - expected).abs() < 1e-14);
            let expected = pr_auc(&case.labels, &case.scores).unwrap() - pr_auc(&case.labels, &case.second).unwrap();
            assert!((run(&case, BootstrapMetric::PrAuc, 1).delta - expected).abs() < 1e-13);
        }
    }

    #[test]
    fn a_seed_fixes_the_numbers() {
        let case = &cases()[1];
        assert_eq!(
            run(case, BootstrapMetric::PrAuc, 7),
            run(case, BootstrapMetric::PrAuc, 7)
        );
        assert_ne!(
            run(case, BootstrapMetric::PrAuc, 7).lower,
            run(case, BootstrapMetric::PrAuc, 8).lower
        );
    }

    #[test]
    fn its_standard_error_is_close_to_delongs() {
        // "continuous": 600 rows, where both are good approximations.
        let case = &cases()[1];
        let bootstrap = run(case, BootstrapMetric::RocAuc, 3);
        let exact = delong::paired(&case.labels, &case.scores, &case.second).unwrap();
        let quotient = bootstrap.standard_error / exact.standard_error;
        assert!((0.85..1.15).contains(&quotient), "{quotient}");
        assert!(bootstrap.lower < exact.delta && exact.delta < bootstrap.upper);
    }

    #[test]
    fn identical_scores_are_no_evidence() {
        let case = &cases()[2];
        let same = (&case.scores[..], &case.scores[..]);
        let found = paired_bootstrap(&case.labels, same, BootstrapMetric::RocAuc, 50, 1).unwrap();
        assert_eq!(
            (found.delta, found.lower, found.upper, found.p_one_sided),
            (0.0, 0.0, 0.0, 1.0)
        );
    }

    #[test]
    fn bad_input_is_refused() {
        let refused = |labels: &[bool], replicates| {
            paired_bootstrap(
                labels,
                (&[0.1, 0.2], &[0.1, 0.2]),
                BootstrapMetric::RocAuc,
                replicates,
                1,
            )
            .is_err()
        };
        assert!(refused(&[true, true], 100));
        assert!(refused(&[true], 100));
        assert!(refused(&[true, false], 1));
    }
}
