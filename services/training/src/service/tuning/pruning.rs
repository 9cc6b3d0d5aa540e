//! When a trial is given up before its last fold, and when the whole search is.
//!
//! Folds differ more from each other than good trials do, so that everything is measured on *paired differences*: a trial's value on a fold minus
//! the best trial's value on the same fold. Their standard deviation is the folds' noise. One trial has few folds, so that the noise is taken from
//! all complete trials together: the median of their standard deviations, which a few bad trials do not move.
//!
//! The rank test that is used elsewhere for this (Wilcoxon's, on the same differences) cannot say anything before the fourth fold of five: with
//! three differences its least p-value is 1/8. A normal model of the noise can, and with the noise known from other trials it is no guess.

/// Complete trials beside the best that the noise is taken from; with fewer nothing is given up.
pub const LEAST_TRIALS: usize = 1;

/// A trial is given up when its mean would have to gain more than so many standard errors on the best trial's in the folds that are left: with
/// normal noise a trial that would have become the best is lost in one case of forty. The best trial so far has been lucky with its folds, so that
/// one of no more luck than others, though better, begins behind it: with half as many errors such trials are lost, and the search stays where the
/// luck was.
const SURELY: f64 = 2.0;

/// A search ends when it has gained less than so many standard errors ...
const LEAST_GAIN: f64 = 1.0;
/// ... in the last so many trials ...
pub const PATIENCE: usize = 20;
/// ... and not before so many: single steps are within the noise, and several of them may add up to more.
pub const LEAST_SEARCH: usize = 40;

/// Values of a trial, one a fold.
pub type FoldValues = [f64];

/// The standard deviation of a paired difference on one fold, from complete trials; `None` while there are too few.
pub fn noise<'a>(best: &FoldValues, others: impl IntoIterator<Item = &'a FoldValues>) -> Option<f64> {
    let mut deviations: Vec<f64> = others.into_iter().filter_map(|other| deviation(other, best)).collect();
    if deviations.len() < LEAST_TRIALS {
        return None;
    }
    deviations.sort_by(f64::total_cmp);
    let middle = deviations.len() / 2;
    Some(if deviations.len() % 2 == 1 {
        deviations[middle]
    } else {
        0.5 * (deviations[middle - 1] + deviations[middle])
    })
}

/// The sample standard deviation of the paired differences; `None` with fewer than two folds.
#[expect(clippy::cast_precision_loss, reason = "20 folds at most")]
fn deviation(values: &FoldValues, best: &FoldValues) -> Option<f64> {
    let count = values.len().min(best.len());
    if count < 2 {
        return None;
    }
    let gap = mean_difference(values, best);
    let squares = values
        .iter()
        .zip(best)
        .map(|(value, mark)| (value - mark - gap).powi(2));
    Some((squares.sum::<f64>() / (count - 1) as f64).sqrt())
}

/// Mean of `values - best` over the folds that both have.
#[expect(clippy::cast_precision_loss, reason = "20 folds at most")]
pub fn mean_difference(values: &FoldValues, best: &FoldValues) -> f64 {
    let count = values.len().min(best.len()).max(1);
    values.iter().zip(best).map(|(value, mark)| value - mark).sum::<f64>() / count as f64
}

/// Variance of a trial's mean over `folds` folds given its first `done`: the folds are a finite population, so that it is 0 with all of them.
#[expect(clippy::cast_precision_loss, reason = "20 folds at most")]
pub fn variance_left(noise: f64, done: usize, folds: usize) -> f64 {
    noise * noise * (1.0 / done.max(1) as f64 - 1.0 / folds.max(1) as f64).max(0.0)
}

/// Whether a trial with these first values has no hope of becoming the best. `best` has all folds.
pub fn is_hopeless(values: &FoldValues, best: &FoldValues, noise: f64) -> bool {
    if values.is_empty() || values.len() >= best.len() {
        return false;
    }
    let left = variance_left(noise, values.len(), best.len()).sqrt();
    mean_difference(values, best) + SURELY * left < 0.0
}

/// The value on its first fold below which a trial has no hope: what [`is_hopeless`] says of one fold.
pub fn floor(best: &FoldValues, noise: f64) -> f64 {
    let left = variance_left(noise, 1, best.len()).sqrt();
    best.first().map_or(f64::NEG_INFINITY, |first| first - SURELY * left)
}

/// Whether the folds cannot tell a trial from the best: it is behind by no more than the standard error of the difference.
pub fn is_as_good(values: &FoldValues, best: &FoldValues) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "20 folds at most")]
    let error = deviation(values, best).map_or(0.0, |deviation| deviation / (best.len() as f64).sqrt());
    mean_difference(values, best) + error >= 0.0
}

/// Whether a search that has come to `best`, after `trials` trials, should end: `before` is the best of all but the last [`PATIENCE`] trials.
///
/// What was gained since is compared with the standard error of that very difference over the folds; when nothing was gained at all there is
/// nothing to compare.
pub fn is_exhausted(best: &FoldValues, before: &FoldValues, trials: usize) -> bool {
    if trials < LEAST_SEARCH {
        return false;
    }
    let gain = mean_difference(best, before);
    let Some(deviation) = deviation(best, before) else {
        return false;
    };
    #[expect(clippy::cast_precision_loss, reason = "20 folds at most")]
    let error = deviation / (best.len() as f64).sqrt();
    gain <= 0.0 || gain < LEAST_GAIN * error
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEST: [f64; 5] = [0.991, 0.993, 0.995, 0.992, 0.994];

    #[test]
    fn the_noise_is_the_median_of_the_paired_deviations() {
        let shifted = |by: [f64; 5]| -> Vec<f64> { BEST.iter().zip(by).map(|(best, by)| best + by).collect() };
        // Deviations of 0, 0.001 and 0.01, whatever the distance.
        let alike = shifted([-0.1; 5]);
        let usual = shifted([-0.001, 0.001, 0.0, -0.001, 0.001].map(|by| by - 0.002));
        let wild = shifted([-0.01, 0.01, 0.0, -0.01, 0.01]);
        let found = noise(&BEST, [alike.as_slice(), &usual, &wild]).unwrap();
        assert!((found - 0.001).abs() < 1e-12, "{found}");
        let found = noise(&BEST, [alike.as_slice(), &usual]).unwrap();
        assert!((found - 0.000_5).abs() < 1e-12, "{found}");
        assert_eq!(noise(&BEST, []), None);
    }

    #[test]
    fn a_trial_that_falls_behind_by_more_than_the_noise_is_hopeless_and_a_close_one_is_not() {
        assert!(is_hopeless(&[0.98], &BEST, 0.001));
        assert!(!is_hopeless(&[0.9902], &BEST, 0.001));
        assert!(!is_hopeless(&[0.98], &BEST, 0.02));
        // All folds known: nothing is left to be given up.
        assert!(!is_hopeless(&[0.9; 5], &BEST, 0.001));
        assert!(!is_hopeless(&[], &BEST, 0.001));
    }

    #[test]
    fn the_floor_of_the_first_fold_parts_what_is_hopeless_from_what_is_not() {
        let floor = floor(&BEST, 0.001);
        assert!(floor < BEST[0]);
        assert!(is_hopeless(&[floor - 1e-9], &BEST, 0.001));
        assert!(!is_hopeless(&[floor + 1e-9], &BEST, 0.001));
    }

    #[test]
    fn the_more_folds_are_done_the_less_a_trial_can_still_gain() {
        let left: Vec<f64> = (1..=5).map(|done| variance_left(0.001, done, 5)).collect();
        assert!(left.windows(2).all(|pair| pair[1] < pair[0]), "{left:?}");
        assert_eq!(left[4], 0.0);
    }

    #[test]
    fn what_is_behind_within_the_noise_is_as_good() {
        let behind = |by: f64, scatter: f64| -> Vec<f64> {
            let signs = [1.0, -1.0, 1.0, -1.0, 0.0];
            BEST.iter()
                .zip(signs)
                .map(|(best, sign)| best - by + sign * scatter)
                .collect()
        };
        assert!(is_as_good(&BEST, &BEST));
        assert!(is_as_good(&behind(0.000_4, 0.001), &BEST));
        assert!(!is_as_good(&behind(0.000_6, 0.001), &BEST));
        assert!(!is_as_good(&behind(0.000_4, 0.000_1), &BEST));
    }

    #[test]
    fn a_search_ends_when_its_gain_is_within_the_noise_and_not_before_its_time() {
        let lucky = [0.9905, 0.9935, 0.9945, 0.9925, 0.9945];
        let better: Vec<f64> = BEST.iter().map(|value| value + 0.002).collect();
        assert!(is_exhausted(&BEST, &BEST, LEAST_SEARCH));
        assert!(is_exhausted(&lucky, &BEST, LEAST_SEARCH));
        assert!(!is_exhausted(&better, &BEST, LEAST_SEARCH));
        assert!(!is_exhausted(&BEST, &BEST, LEAST_SEARCH - 1));
    }
}
