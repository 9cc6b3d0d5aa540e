//! Bootstrap intervals of the figures that have no variance formula: Efron & Tibshirani, "An introduction to the bootstrap",
//! 1993, chapter 13 (percentile intervals).

use super::error::{both_classes, check_probabilities};
use super::gain::weighted_gain;
use super::pr_auc::average_precision;
use super::ranking::{order_from_the_top, weighted_ties};
use super::resampling::{StratifiedDraws, percentile};
use super::{MetricError, brier, confusion_at, gain_at, log_loss, pr_auc};

/// Enough for the ends of a 95 % interval to a tenth of its width.
pub const DEFAULT_INTERVAL_REPLICATES: usize = 400;

/// Share of the rows that a campaign calls in [`BootstrapIntervals::top_decile_lift`].
const TOP_DECILE: f64 = 0.1;

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// On the rows as they are.
    pub value: f64,
    /// 2.5th percentile over the replicates.
    pub lower: f64,
    /// 97.5th percentile over the replicates.
    pub upper: f64,
}

/// Figures of one model on one set of rows, with intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BootstrapIntervals {
    /// Average precision, as [`pr_auc`].
    pub pr_auc: Interval,
    /// F1 at the threshold.
    pub f1: Interval,
    /// Mean negative log-likelihood in nats, as [`log_loss`].
    pub log_loss: Interval,
    /// Mean squared error of the probability, as [`brier`].
    pub brier: Interval,
    /// Share of positives among the tenth of the rows with the highest scores, over their share among all.
    pub top_decile_lift: Interval,
    /// Replicates drawn.
    pub replicates: usize,
}

/// Draws rows with replacement within each class, the same rows for all figures. The share of positives is taken as given, so
/// the intervals do not hold its own uncertainty. The same seed gives the same numbers.
///
/// # Errors
/// No rows, lengths that differ, a score outside [0, 1] or NaN, one class only; fewer than two replicates.
pub fn bootstrap_intervals(
    labels: &[bool],
    probabilities: &[f64],
    threshold: f64,
    replicates: usize,
    seed: u64,
) -> Result<BootstrapIntervals, MetricError> {
    check_probabilities(labels, probabilities)?;
    let classes = both_classes(labels)?;
    if replicates < 2 {
        return Err(MetricError::TooFewReplicates { replicates });
    }
    let rows = labels.len() as f64;
    let positives = classes.positives as f64;
    let order = order_from_the_top(probabilities);
    let losses: Vec<[f64; 2]> = labels
        .iter()
        .zip(probabilities)
        .map(|(&label, &p)| Ok([log_loss(&[label], &[p])?, brier(&[label], &[p])?]))
        .collect::<Result<_, MetricError>>()?;

    let mut draws = StratifiedDraws::new(labels, seed);
    let mut drawn: [Vec<f64>; 5] = Default::default();
    for _ in 0..replicates {
        let weights = draws.draw();
        let (mut sums, mut hits, mut called) = ([0.0; 2], 0, 0);
        for (row, &weight) in weights.iter().enumerate() {
            for (sum, loss) in sums.iter_mut().zip(losses[row]) {
                *sum += weight as f64 * loss;
            }
            if probabilities[row] >= threshold {
                called += weight;
                hits += if labels[row] { weight } else { 0 };
            }
        }
        let f1 = 2.0 * hits as f64 / (called as f64 + positives);
        let ties = || weighted_ties(&order, labels, weights);
        let found = weighted_gain(ties(), TOP_DECILE * rows) / positives;
        let average = average_precision(ties(), classes.positives as u64);
        let figures = [average, f1, sums[0] / rows, sums[1] / rows, found / TOP_DECILE];
        for (all, figure) in drawn.iter_mut().zip(figures) {
            all.push(figure);
        }
    }
    let values = [
        pr_auc(labels, probabilities)?,
        confusion_at(labels, probabilities, threshold)?.f1(),
        log_loss(labels, probabilities)?,
        brier(labels, probabilities)?,
        gain_at(labels, probabilities, TOP_DECILE)? / TOP_DECILE,
    ];
    let mut intervals = [Interval::default(); 5];
    for ((interval, all), value) in intervals.iter_mut().zip(&mut drawn).zip(values) {
        all.sort_unstable_by(f64::total_cmp);
        *interval = Interval {
            value,
            lower: percentile(all, 0.025),
            upper: percentile(all, 0.975),
        };
    }
    let [pr_auc, f1, log_loss, brier, top_decile_lift] = intervals;
    Ok(BootstrapIntervals {
        pr_auc,
        f1,
        log_loss,
        brier,
        top_decile_lift,
        replicates,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};

    #[test]
    fn values_are_those_of_the_rows_and_lie_in_their_intervals() {
        for case in cases().iter().filter(|case| case.labels.len() >= 100) {
            let found = bootstrap_intervals(&case.labels, &case.scores, 0.5, 300, 1).unwrap();
            assert_close(found.pr_auc.value, case.number("pr_auc"), 1e-12, &case.name);
            assert_close(found.log_loss.value, case.number("log_loss"), 1e-12, &case.name);
            for interval in [
                found.pr_auc,
                found.f1,
                found.log_loss,
                found.brier,
                found.top_decile_lift,
            ] {
                let holds = interval.lower <= interval.value && interval.value <= interval.upper;
                assert!(holds, "{}: {interval:?}", case.name);
            }
        }
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_its_standard_error() {
        // Within a class the losses are a plain sample: the variance of the mean is Σ over classes of n·var / rows².
        let case = &cases()[1];
        let found = bootstrap_intervals(&case.labels, &case.scores, 0.5, 2_000, 5).unwrap();
        let rows = case.labels.len() as f64;
        let variance: f64 = [true, false]
            .map(|class| {
                let losses: Vec<f64> = (0..case.labels.len())
                    .filter(|&row| case.labels[row] == class)
                    .map(|row| (f64::from(u8::from(class)) - case.scores[row]).powi(2))
                    .collect();
                let mean = losses.iter().sum::<f64>() / losses.len() as f64;
                losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>()
            })
            .iter()
            .sum();
        let expected = 2.0 * 1.96 * variance.sqrt() / rows;
        let quotient = (found.brier.upper - found.brier.lower) / expected;
        assert!((0.93..1.07).contains(&quotient), "{quotient}");
    }

    #[test]
    fn a_seed_fixes_the_numbers() {
        let case = &cases()[1];
        let run = |seed| bootstrap_intervals(&case.labels, &case.scores, 0.5, 50, seed).unwrap();
        assert_eq!(run(7), run(7));
        assert_ne!(run(7).f1, run(8).f1);
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(bootstrap_intervals(&[true, true], &[0.1, 0.2], 0.5, 100, 1).is_err());
        assert!(bootstrap_intervals(&[true, false], &[0.1, 1.2], 0.5, 100, 1).is_err());
        assert!(bootstrap_intervals(&[true, false], &[0.1, 0.2], 0.5, 1, 1).is_err());
    }
}
