//! Paired bootstrap of a difference between two score vectors on the same rows: Efron & Tibshirani, "An introduction to the
//! bootstrap", 1993, chapters 13 and 16; for metrics that have no variance formula, such as average precision.

use super::MetricError;
use super::error::{both_classes, check_scores};
use super::pr_auc::average_precision;
use super::ranking::{Order, Tie, order_from_the_top};
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
    let rows_of = |class: bool| (0..labels.len()).filter(|&row| labels[row] == class).collect();
    let classes: [Vec<usize>; 2] = [rows_of(true), rows_of(false)];
    let difference = |weights: &[u64]| {
        let [a, b] = [0, 1].map(|i| weighted_metric(metric, &orders[i], labels, weights));
        a - b
    };

    let mut random = SplitMix64(seed);
    let mut weights = vec![0_u64; labels.len()];
    let mut deltas: Vec<f64> = (0..replicates)
        .map(|_| {
            weights.fill(0);
            for class in &classes {
                for _ in class {
                    weights[class[random.below(class.len())]] += 1;
                }
            }
            difference(&weights)
        })
        .collect();
    deltas.sort_unstable_by(f64::total_cmp);

    let count = replicates as f64;
    let mean = deltas.iter().sum::<f64>() / count;
    let squares: f64 = deltas.iter().map(|delta| (delta - mean).powi(2)).sum();
    let not_better = deltas.iter().filter(|&&delta| delta <= 0.0).count();
    weights.fill(1);
    Ok(PairedBootstrap {
        delta: difference(&weights),
        standard_error: (squares / (count - 1.0)).sqrt(),
        lower: percentile(&deltas, 0.025),
        upper: percentile(&deltas, 0.975),
        p_one_sided: (not_better + 1) as f64 / (count + 1.0),
        replicates,
    })
}

fn weighted_metric(metric: BootstrapMetric, order: &Order, labels: &[bool], weights: &[u64]) -> f64 {
    let (mut positives, mut negatives) = (0_u64, 0_u64);
    let mut start = 0;
    let ties = order.ends.iter().map(|&end| {
        let mut tie = Tie {
            score: 0.0,
            positives: 0,
            negatives: 0,
        };
        for &row in &order.rows[start..end] {
            *(if labels[row] {
                &mut tie.positives
            } else {
                &mut tie.negatives
            }) += weights[row];
        }
        start = end;
        positives += tie.positives;
        negatives += tie.negatives;
        tie
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

/// Linear interpolation between the order statistics, as numpy's default.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor();
    let low = sorted[below as usize];
    let high = sorted[position.ceil() as usize];
    low + (position - below) * (high - low)
}

/// Steele, Lea & Flood 2014: small, fast, and the same everywhere.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound` > 0; the bias of the multiplication is below bound / 2⁶⁴.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
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
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
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
