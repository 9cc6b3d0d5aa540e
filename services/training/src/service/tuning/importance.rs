//! How much each parameter matters among good trials: PED-ANOVA (Watanabe, Bansal & Hutter, "PED-ANOVA: efficiently quantifying hyperparameter
//! importance in arbitrary subspaces", IJCAI 2023), with the choices that Optuna 5.0 made, whose numbers a fixture holds.
//!
//! Of each parameter two densities are estimated on a grid: of all trials and of the best tenth. The more they differ (Pearson divergence), the more
//! the parameter had to do with being among the best.

use super::normal;
use super::space::{Point, Range, Scale, Space, Value};

/// The share of trials that counts as good.
const GOOD_SHARE: f64 = 0.1;
/// Most points of a grid.
const GRID: usize = 50;
/// Weight of the flat part of a density beside one observation's.
const FLAT_WEIGHT: f64 = 1.0;
/// Keeps densities above 0.
const LEAST_DENSITY: f64 = 1e-12;
/// With fewer trials a tenth of them is no more than the best one and the shares say nothing.
const LEAST_TRIALS: usize = 10;

/// The share of each parameter, in the space's order, together 1; empty with fewer than ten trials or when no parameter makes a difference.
///
/// `values` are the trials' values, larger is better.
pub fn shares(space: &Space, points: &[Point], values: &[f64]) -> Vec<f64> {
    if points.len() < LEAST_TRIALS {
        return Vec::new();
    }
    let divergences = divergences(space, points, values);
    let total: f64 = divergences.iter().sum();
    if total > 0.0 && total.is_finite() {
        divergences.iter().map(|divergence| divergence / total).collect()
    } else {
        Vec::new()
    }
}

/// The variance that each parameter explains (theorem 1 of the paper): its divergence, times the square of the share of good trials.
#[expect(clippy::cast_precision_loss, reason = "a thousand trials at most")]
fn divergences(space: &Space, points: &[Point], values: &[f64]) -> Vec<f64> {
    let good = good(values);
    let share = good.len() as f64 / points.len() as f64;
    let parameters = space.parameters().iter().enumerate();
    parameters
        .map(|(place, parameter)| {
            let grid = Grid::of(&parameter.range);
            let all = density(&grid, points.iter().map(|point| point[place]));
            let best = density(&grid, good.iter().map(|trial| points[*trial][place]));
            let divergence: f64 = all
                .iter()
                .zip(&best)
                .map(|(all, best)| all * (best / all - 1.0).powi(2))
                .sum();
            share * share * divergence
        })
        .collect()
}

/// The trials that are at least as good as the last of the best tenth.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a thousand trials at most"
)]
fn good(values: &[f64]) -> Vec<usize> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let last = (GOOD_SHARE * values.len() as f64).ceil() as usize;
    let mark = sorted.get(last.saturating_sub(1)).copied().unwrap_or(f64::NEG_INFINITY);
    (0..values.len()).filter(|trial| values[*trial] >= mark).collect()
}

/// A range cut into steps; a choice has a step for each.
struct Grid<'a> {
    range: &'a Range,
    steps: usize,
}

impl<'a> Grid<'a> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole numbers are within a billion, and the result is small"
    )]
    fn of(range: &'a Range) -> Self {
        let steps = match range {
            Range::Real { .. } => GRID,
            Range::Integer {
                from,
                to,
                scale: Scale::Log,
            } => ((((to - from + 1) as f64).log2()).ceil() as usize + 1).min(GRID),
            Range::Integer { from, to, .. } => usize::try_from(to - from + 1).unwrap_or(GRID).min(GRID),
            Range::Choice { of } => of.len(),
        };
        Self { range, steps }
    }

    /// The step that a value falls into; the middle between two belongs to the lower.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "cut to the grid"
    )]
    fn step(&self, value: Value) -> usize {
        let (from, to, scale, number) = match (self.range, value) {
            (_, Value::Choice(choice)) => return choice.min(self.steps - 1),
            (Range::Integer { from, to, scale }, Value::Integer(number)) => {
                (*from as f64, *to as f64, *scale, number as f64)
            }
            (Range::Real { from, to, scale }, Value::Real(number)) => (*from, *to, *scale, number),
            _ => return 0,
        };
        let number = number.clamp(from, to);
        let walk = |number: f64| match scale {
            Scale::Linear => number,
            Scale::Log => number.ln(),
        };
        let size = (walk(to) - walk(from)) / (self.steps - 1) as f64;
        let step = ((walk(number) - walk(from)) / size - 0.5).ceil();
        (step.max(0.0) as usize).min(self.steps - 1)
    }
}

/// The density of values on the grid's steps.
fn density(grid: &Grid<'_>, values: impl Iterator<Item = Value>) -> Vec<f64> {
    let mut counts = vec![0_u32; grid.steps];
    for value in values {
        counts[grid.step(value)] += 1;
    }
    let observed: Vec<(usize, f64)> = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(step, count)| (step, f64::from(*count)))
        .collect();
    let mut density = match grid.range {
        Range::Choice { .. } => of_choices(&observed, grid.steps),
        _ => of_numbers(&observed, grid.steps),
    };
    density.iter_mut().for_each(|value| *value += LEAST_DENSITY);
    density
}

/// A kernel for each observed choice, a little of it spread over the others, and one that is flat.
#[expect(clippy::cast_precision_loss, reason = "a handful of choices")]
fn of_choices(observed: &[(usize, f64)], steps: usize) -> Vec<f64> {
    let kernels = observed.len() as f64 + 1.0;
    let spread = FLAT_WEIGHT / kernels;
    let total = observed.iter().map(|(_, weight)| weight).sum::<f64>() + FLAT_WEIGHT;
    let row = 1.0 + spread * steps as f64;
    let mut density = vec![FLAT_WEIGHT / total / steps as f64; steps];
    for (choice, weight) in observed {
        for (step, value) in density.iter_mut().enumerate() {
            let kernel = if step == *choice { spread + 1.0 } else { spread };
            *value += weight / total * kernel / row;
        }
    }
    density
}

/// A normal kernel for each observed step, as wide as Scott's rule says, and a broad one in the middle; each cut off at the grid's ends.
#[expect(clippy::cast_precision_loss, reason = "grids have at most 50 steps")]
fn of_numbers(observed: &[(usize, f64)], steps: usize) -> Vec<f64> {
    let total: f64 = observed.iter().map(|(_, weight)| weight).sum();
    let mean = observed.iter().map(|(step, weight)| *step as f64 * weight).sum::<f64>() / total;
    let squares: f64 = observed
        .iter()
        .map(|(step, weight)| (*step as f64 - mean).powi(2) * weight)
        .sum();
    let deviation = (squares / (total - 1.0).max(1.0)).sqrt();
    let scott = 1.059 * (middle_half(observed, total) / 1.34).min(deviation) * total.powf(-0.2);
    // At least so wide that 90 % of a kernel lie within one step.
    let width = scott.max(0.5 / 1.64);
    let all = total + FLAT_WEIGHT;
    let last = (steps - 1) as f64;
    let mut density = vec![0.0; steps];
    let kernels = observed.iter().map(|(step, weight)| (*step as f64, width, *weight));
    for (centre, width, weight) in kernels.chain([(last / 2.0, last + 1.0, FLAT_WEIGHT)]) {
        let below = |edge: f64| normal::below((edge - centre) / width);
        let inside = below(last + 0.5) - below(-0.5);
        for (step, value) in density.iter_mut().enumerate() {
            let mass = below(step as f64 + 0.5) - below(step as f64 - 0.5);
            *value += weight / all * mass / inside;
        }
    }
    density
}

/// The spread of the middle half of the observations, in steps.
#[expect(clippy::cast_precision_loss, reason = "grids have at most 50 steps")]
fn middle_half(observed: &[(usize, f64)], total: f64) -> f64 {
    let cumulated: Vec<f64> = observed
        .iter()
        .scan(0.0, |sum, (_, weight)| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let first = cumulated.partition_point(|sum| *sum < (total / 4.0).floor());
    let third = cumulated.partition_point(|sum| *sum <= (total * 3.0 / 4.0).floor());
    let step = |place: usize| observed[place.min(observed.len() - 1)].0 as f64;
    step(third) - step(first)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::fixture;
    use super::*;

    #[test]
    fn shares_are_those_of_optuna() {
        let fixture = fixture();
        let space = fixture.space();
        for case in &fixture.importance {
            let ours = shares(&space, &case.points(&space), &case.values);
            for ((name, expected), share) in case.shares.iter().zip(ours) {
                assert!((share - expected).abs() < 1e-6, "{name}: {share} and {expected}");
            }
        }
    }

    #[test]
    fn few_trials_and_trials_that_are_all_alike_say_nothing() {
        let fixture = fixture();
        let space = fixture.space();
        let case = &fixture.importance[0];
        let points = case.points(&space);
        assert!(shares(&space, &points[..9], &case.values[..9]).is_empty());
        // All are among the best when all are equal.
        assert!(shares(&space, &points, &vec![0.5; points.len()]).is_empty());
    }
}
