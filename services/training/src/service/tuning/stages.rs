//! Trials that pass through the values of one parameter on their way: the first so many trees of a fit are the fit of so many trees, so that one fit
//! gives what every number of trees is worth.
//!
//! Which number is taken is decided by the mean over the folds, one for all of them: a number for each fold would be chosen by the rows that
//! measure it.

/// Each stage has so many times the trees of the one before.
const RATIO: f64 = 1.08;

/// A fit that is watched goes on to so many times the number of trees that was best so far, and a few more ...
const PATIENCE: f64 = 1.3;
/// ... so many.
const FEW_TREES: f64 = 20.0;

/// The other folds are measured so many stages beyond the first one's best.
const STAGES_BEYOND: usize = 2;

/// The stages of a range, both ends included.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "numbers of trees are within a billion"
)]
pub(super) fn stages(from: i64, to: i64) -> Vec<i64> {
    let mut all = vec![from];
    let mut last = from;
    while last < to {
        last = ((last as f64 * RATIO).round() as i64).max(last + 1).min(to);
        all.push(last);
    }
    all
}

/// The slope of a fit's gains is taken over so many times the trees.
const SLOPE_OVER: f64 = 1.45;

/// Watches the first fold's fit, and says when more trees bring nothing, or too little for a trial that is behind.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Trees and value of each stage.
    seen: Vec<(usize, f64)>,
    best: Option<(usize, f64)>,
    /// The trial is given up if no stage is worth so much.
    floor: Option<f64>,
    /// The last number of trees that there can be.
    last: usize,
}

impl Patience {
    /// For a fit of at most `last` trees, that is of no use if it does not come to `floor`.
    pub(super) fn new(floor: Option<f64>, last: usize) -> Self {
        Self {
            floor,
            last,
            ..Self::default()
        }
    }

    /// Notes what a stage is worth; whether to go on.
    #[expect(clippy::cast_precision_loss, reason = "numbers of trees are small")]
    pub(super) fn goes_on(&mut self, trees: usize, value: f64) -> bool {
        self.seen.push((trees, value));
        let (best, mark) = match self.best {
            Some(best) if value <= best.1 => best,
            _ => (trees, value),
        };
        self.best = Some((best, mark));
        if self.floor.is_some_and(|floor| self.hope().max(mark) < floor) {
            return false;
        }
        best == trees || (trees as f64) < PATIENCE * best as f64 + FEW_TREES
    }

    /// The most that the last tree can come to. Gains sink as trees grow more, so that a straight line through the last stages, over the logarithm of
    /// the number of trees, lies above what is to come.
    #[expect(clippy::cast_precision_loss, reason = "numbers of trees are small")]
    fn hope(&self) -> f64 {
        let far_enough = |earlier: &usize, trees: usize| *earlier as f64 * SLOPE_OVER <= trees as f64;
        let line = self.seen.last().and_then(|&(trees, value)| {
            let earlier = self.seen.iter().rfind(|(earlier, _)| far_enough(earlier, trees))?;
            let gain = (value - earlier.1).max(0.0);
            let steps = |from: usize, to: usize| libm::log(to as f64 / from as f64);
            Some(value + gain * steps(trees, self.last.max(trees)) / steps(earlier.0, trees))
        });
        line.unwrap_or(f64::INFINITY)
    }
}

/// How many stages the other folds are measured at, given what the stages of the first are worth: the best one and a little further.
pub(super) fn horizon(first: &[f64]) -> usize {
    (best(first) + 1 + STAGES_BEYOND).min(first.len())
}

/// The stage with the largest mean over the folds, the first of equals. Stages that a fold has not come to are no candidates.
pub(super) fn best_of_mean(folds: &[Vec<f64>]) -> usize {
    let stages = folds.iter().map(Vec::len).min().unwrap_or(0);
    let sums: Vec<f64> = (0..stages)
        .map(|stage| folds.iter().map(|fold| fold[stage]).sum())
        .collect();
    best(&sums)
}

/// The place of the largest, the first of equals.
fn best(values: &[f64]) -> usize {
    let place = values.iter().enumerate();
    let best = place.reduce(|best, other| if other.1 > best.1 { other } else { best });
    best.map_or(0, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_spread_by_ratio_and_include_both_ends() {
        let all = stages(200, 1_500);
        assert_eq!((all[0], all[all.len() - 1]), (200, 1_500));
        assert!(
            all.windows(2)
                .all(|pair| pair[1] > pair[0] && pair[1] as f64 <= 1.09 * pair[0] as f64)
        );
        assert_eq!(stages(1, 4), [1, 2, 3, 4]);
        assert_eq!(stages(5, 6), [5, 6]);
    }

    #[test]
    fn a_fit_goes_on_as_long_as_it_gains_and_a_while_longer() {
        let mut patience = Patience::default();
        assert!(patience.goes_on(100, 0.90));
        assert!(patience.goes_on(120, 0.95));
        // A dip is no end.
        assert!(patience.goes_on(140, 0.94));
        assert!(patience.goes_on(160, 0.96));
        assert!(patience.goes_on(200, 0.96));
        assert!(!patience.goes_on(1_000, 0.96));
    }

    #[test]
    fn a_fit_whose_gains_do_not_lead_to_the_floor_is_given_up_and_one_whose_gains_may_is_not() {
        // Gains that sink, as those of real fits do: from 0.9 on, half of what is left at every doubling of the trees.
        let value = |trees: usize, end: f64| end - 0.05 * 100.0 / trees as f64;
        let trees = [100, 110, 120, 135, 150, 165, 180, 200, 220, 240, 270, 300];
        let ended = |floor, end| {
            let mut patience = Patience::new(floor, 1_500);
            trees
                .iter()
                .position(|trees| !patience.goes_on(*trees, value(*trees, end)))
        };
        assert_eq!(ended(None, 0.95), None);
        assert_eq!(ended(Some(0.94), 0.95), None);
        let given_up = ended(Some(0.99), 0.95).unwrap();
        // Not before there is a slope to speak of.
        assert!(trees[given_up] >= 145, "{given_up}");
        // A fit that has been above the floor goes on, wherever it is now.
        let mut fallen = Patience::new(Some(0.9), 1_500);
        assert!(fallen.goes_on(200, 0.91) && fallen.goes_on(220, 0.89) && fallen.goes_on(270, 0.89));
    }

    #[test]
    fn other_folds_go_a_little_further_than_the_best_stage_of_the_first() {
        let first: Vec<f64> = (0..20).map(|stage| -f64::from((stage - 8_i32).pow(2))).collect();
        let stages = horizon(&first);
        assert!((10..20).contains(&stages), "{stages}");
        assert_eq!(horizon(&[0.5]), 1);
        assert_eq!(horizon(&[0.1, 0.2, 0.3]), 3);
    }

    #[test]
    fn one_stage_is_taken_for_all_folds_by_their_mean() {
        // Each fold for itself would take another.
        let folds = [vec![0.3, 0.2, 0.0], vec![0.0, 0.2, 0.3], vec![0.1, 0.1]];
        assert_eq!(best_of_mean(&folds), 1);
        assert_eq!(best_of_mean(&[vec![0.5]]), 0);
    }
}
