//! A Gaussian process with a Matérn 5/2 kernel, a length scale for each dimension, and a noise of its own for each observation.
//!
//! Length scales, signal and noise are fitted by the largest posterior density. The priors on them are those of Hvarfner, Hellsten & Nardi,
//! "Vanilla Bayesian optimization performs great in high dimensions" (2024): length scales grow with the square root of the dimensions, so that few
//! observations in many dimensions give a smooth model and not a flat one.
//!
//! All of it is deterministic on every machine: `libm` in place of the system's functions, no threads, sums in a fixed order.

use super::linear_algebra::{Cholesky, dot, minimise};

const SQRT_5: f64 = 2.236_067_977_499_79;

/// Mean and standard deviation of a normal prior on the logarithm of a hyperparameter.
#[derive(Clone, Copy, Debug)]
struct LogNormal {
    mean: f64,
    deviation: f64,
}

impl LogNormal {
    /// Negative log density without its constant, and its derivative.
    fn penalty(self, log: f64) -> (f64, f64) {
        let z = (log - self.mean) / self.deviation;
        (0.5 * z * z, z / self.deviation)
    }
}

/// Standardised values have variance 1, so the signal's is near it.
const SIGNAL_PRIOR: LogNormal = LogNormal {
    mean: 0.0,
    deviation: 0.5,
};
const NOISE_PRIOR: LogNormal = LogNormal {
    mean: -4.0,
    deviation: 1.0,
};
/// What is left of the common noise where the process believes itself.
const BELIEF: f64 = 0.01;
/// Beyond these the process says nothing more, and numbers end.
const LEAST_LOG: f64 = -9.0;
const LARGEST_LOG: f64 = 7.0;

/// Values in standard units, and where they were observed.
#[derive(Clone, Debug, Default)]
pub(super) struct Observations {
    /// Places, one row an observation.
    pub(super) at: Vec<Vec<f64>>,
    /// Values, mean about 0 and variance about 1.
    pub(super) values: Vec<f64>,
    /// What is known of each observation's noise beyond the common one: a variance.
    pub(super) noise: Vec<f64>,
}

/// Logarithms of the length scales, of the signal's variance and of the common noise's variance.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hyperparameters(Vec<f64>);

impl Hyperparameters {
    /// Where the priors are highest.
    #[expect(clippy::cast_precision_loss, reason = "dimensions are a few dozen")]
    pub(super) fn of_priors(dimensions: usize) -> Self {
        let mut logs = vec![length_prior(dimensions as f64).mean; dimensions];
        logs.extend([SIGNAL_PRIOR.mean, NOISE_PRIOR.mean]);
        Self(logs)
    }

    /// A wigglier function seen with less noise than the priors expect: where this leads to something likelier, the smooth start had taken
    /// structure for noise.
    pub(super) fn wiggly(dimensions: usize) -> Self {
        let mut wiggly = Self::of_priors(dimensions);
        wiggly.0[..dimensions].iter_mut().for_each(|log| *log -= 1.0);
        wiggly.0[dimensions + 1] -= 2.0;
        wiggly
    }

    fn dimensions(&self) -> usize {
        self.0.len() - 2
    }

    fn inverse_lengths(&self) -> Vec<f64> {
        self.0[..self.dimensions()].iter().map(|log| libm::exp(-log)).collect()
    }

    fn signal(&self) -> f64 {
        libm::exp(self.0[self.dimensions()])
    }

    fn noise(&self) -> f64 {
        libm::exp(self.0[self.dimensions() + 1])
    }
}

/// Narrower than in the paper (1 for √3): a search has tens of observations, not thousands.
fn length_prior(dimensions: f64) -> LogNormal {
    LogNormal {
        mean: std::f64::consts::SQRT_2 - 1.0 + 0.5 * libm::log(dimensions.max(1.0)) - 0.5,
        deviation: 1.0,
    }
}

/// A process given its observations.
#[derive(Clone, Debug)]
pub(super) struct GaussianProcess {
    observations: Observations,
    inverse_lengths: Vec<f64>,
    signal: f64,
    factor: Cholesky,
    weights: Vec<f64>,
    hyperparameters: Hyperparameters,
}

impl GaussianProcess {
    /// Fits the hyperparameters, from each of `starts`, and takes the best. `None` when no start leads anywhere.
    pub(super) fn fit(observations: Observations, starts: &[Hyperparameters]) -> Option<Self> {
        let mut best: Option<(f64, Hyperparameters)> = None;
        for start in starts {
            let found = minimise(&start.0, |logs| loss(&observations, logs));
            if let Some((value, logs)) = found
                && best.as_ref().is_none_or(|(least, _)| value < *least)
            {
                best = Some((value, Hyperparameters(logs)));
            }
        }
        Self::given(observations, best?.1)
    }

    /// The process with these hyperparameters.
    pub(super) fn given(observations: Observations, hyperparameters: Hyperparameters) -> Option<Self> {
        let inverse_lengths = hyperparameters.inverse_lengths();
        let (signal, noise) = (hyperparameters.signal(), hyperparameters.noise());
        let covariance = covariance(&observations, &inverse_lengths, signal, noise);
        let factor = Cholesky::of(covariance, observations.values.len())?;
        let weights = factor.solve(&observations.values);
        Some(Self {
            observations,
            inverse_lengths,
            signal,
            factor,
            weights,
            hyperparameters,
        })
    }

    /// Mean and standard deviation of the function, without noise.
    pub(super) fn predict(&self, at: &[f64]) -> (f64, f64) {
        let known = self.observations.at.iter();
        let shared: Vec<f64> = known
            .map(|other| self.signal * matern(squared_distance(at, other, &self.inverse_lengths)).0)
            .collect();
        let mean = dot(&shared, &self.weights);
        let explained = self.factor.forward(&shared);
        let variance = self.signal - dot(&explained, &explained);
        (mean, variance.max(1e-12).sqrt())
    }

    /// The largest mean at a place that was observed, or is believed to have been.
    pub(super) fn largest_mean(&self) -> f64 {
        let means = self.observations.at.iter().map(|at| self.predict(at).0);
        means.fold(f64::NEG_INFINITY, f64::max)
    }

    /// The process as if the function had been seen at `at` and was what the process expects there. This takes away the wish to look there again
    /// before the true value is known (the "kriging believer" of Ginsbourger, Le Riche & Carraro, 2010). It is believed without noise: a second look at
    /// nearly the same place would be worth something, but less than a look elsewhere.
    pub(super) fn believing(&self, at: Vec<f64>) -> Option<Self> {
        let (mean, _) = self.predict(&at);
        let mut observations = self.observations.clone();
        observations.at.push(at);
        observations.values.push(mean);
        observations.noise.push(-(1.0 - BELIEF) * self.hyperparameters.noise());
        Self::given(observations, self.hyperparameters.clone())
    }
}

fn squared_distance(left: &[f64], right: &[f64], inverse_lengths: &[f64]) -> f64 {
    let pairs = left.iter().zip(right).zip(inverse_lengths);
    pairs
        .map(|((a, b), inverse)| {
            let step = (a - b) * inverse;
            step * step
        })
        .sum()
}

/// The Matérn 5/2 correlation at a squared distance, and the factor that, times a dimension's part of the squared distance, is the derivative by the
/// logarithm of its length scale.
fn matern(squared: f64) -> (f64, f64) {
    let root = SQRT_5 * squared.sqrt();
    let decay = libm::exp(-root);
    (
        (1.0 + root + 5.0 / 3.0 * squared) * decay,
        5.0 / 3.0 * (1.0 + root) * decay,
    )
}

/// Row after row; noise is on the diagonal.
fn covariance(observations: &Observations, inverse_lengths: &[f64], signal: f64, noise: f64) -> Vec<f64> {
    let count = observations.values.len();
    let mut matrix = vec![0.0; count * count];
    for row in 0..count {
        for column in 0..row {
            let squared = squared_distance(&observations.at[row], &observations.at[column], inverse_lengths);
            let shared = signal * matern(squared).0;
            matrix[row * count + column] = shared;
            matrix[column * count + row] = shared;
        }
        matrix[row * count + row] = signal + noise + observations.noise[row];
    }
    matrix
}

/// Negative log posterior of the hyperparameters, up to a constant, and its gradient (Rasmussen & Williams, "Gaussian processes for machine
/// learning", eqs. 2.30 and 5.9). `None` where the covariance has no factor.
#[expect(clippy::cast_precision_loss, reason = "dimensions are a few dozen")]
fn loss(observations: &Observations, logs: &[f64]) -> Option<(f64, Vec<f64>)> {
    if logs.iter().any(|log| !(LEAST_LOG..=LARGEST_LOG).contains(log)) {
        return None;
    }
    let hyperparameters = Hyperparameters(logs.to_vec());
    let dimensions = hyperparameters.dimensions();
    let inverse_lengths = hyperparameters.inverse_lengths();
    let (signal, noise) = (hyperparameters.signal(), hyperparameters.noise());
    let count = observations.values.len();
    let factor = Cholesky::of(covariance(observations, &inverse_lengths, signal, noise), count)?;
    let weights = factor.solve(&observations.values);
    let mut value = 0.5 * dot(&observations.values, &weights) + factor.log_determinant() / 2.0;
    // The derivative of the first two parts by an entry of the covariance is half of `inverse - weights weightsᵀ`.
    let inverse = factor.inverse();
    let mut gradient = vec![0.0; logs.len()];
    for row in 0..count {
        for column in 0..row {
            let (left, right) = (&observations.at[row], &observations.at[column]);
            let (correlation, slope) = matern(squared_distance(left, right, &inverse_lengths));
            // Both halves of the symmetric matrix at once.
            let outer = inverse[row * count + column] - weights[row] * weights[column];
            gradient[dimensions] += outer * signal * correlation;
            let outer = outer * signal * slope;
            for (dimension, inverse_length) in inverse_lengths.iter().enumerate() {
                let step = (left[dimension] - right[dimension]) * inverse_length;
                gradient[dimension] += outer * step * step;
            }
        }
        let outer = 0.5 * (inverse[row * count + row] - weights[row] * weights[row]);
        gradient[dimensions] += outer * signal;
        gradient[dimensions + 1] += outer * noise;
    }
    let length = length_prior(dimensions as f64);
    for (place, log) in logs.iter().enumerate() {
        let prior = match place.checked_sub(dimensions) {
            None => length,
            Some(0) => SIGNAL_PRIOR,
            Some(_) => NOISE_PRIOR,
        };
        let (penalty, slope) = prior.penalty(*log);
        value += penalty;
        gradient[place] += slope;
    }
    Some((value, gradient))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Process, fixture};
    use super::*;

    fn observations(process: &Process) -> Observations {
        Observations {
            at: process.at.clone(),
            values: process.values.clone(),
            noise: process.extra_noise.clone(),
        }
    }

    fn hyperparameters(process: &Process) -> Hyperparameters {
        let values = process.lengths.iter().chain([&process.signal, &process.noise]);
        Hyperparameters(values.map(|value| value.ln()).collect())
    }

    #[test]
    fn predictions_are_those_of_scikit_learn() {
        for process in fixture().processes {
            let ours = GaussianProcess::given(observations(&process), hyperparameters(&process)).unwrap();
            for (place, asked) in process.asked.iter().enumerate() {
                let (mean, deviation) = ours.predict(asked);
                let expected = (process.mean[place], process.deviation[place]);
                assert!((mean - expected.0).abs() < 1e-9, "{mean} and {}", expected.0);
                assert!((deviation - expected.1).abs() < 1e-9, "{deviation} and {}", expected.1);
            }
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let process = &fixture().processes[2];
        let (observations, logs) = (observations(process), hyperparameters(process).0);
        let (_, gradient) = loss(&observations, &logs).unwrap();
        for (place, slope) in gradient.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = logs.clone();
                moved[place] += step;
                loss(&observations, &moved).unwrap().0
            };
            let measured = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (slope - measured).abs() < 1e-5 * (1.0 + measured.abs()),
                "{place}: {slope} and {measured}"
            );
        }
    }

    #[test]
    fn fitting_finds_something_likelier_than_the_priors_and_no_less_likely_with_more_starts() {
        let process = &fixture().processes[2];
        let priors = Hyperparameters::of_priors(3);
        let fitted = |starts: &[Hyperparameters]| {
            let fitted = GaussianProcess::fit(observations(process), starts).unwrap();
            loss(&observations(process), &fitted.hyperparameters.0).unwrap().0
        };
        let one = fitted(std::slice::from_ref(&priors));
        let two = fitted(&[priors.clone(), Hyperparameters::wiggly(3)]);
        assert!(one < loss(&observations(process), &priors.0).unwrap().0);
        assert!(two <= one);
    }

    #[test]
    fn a_point_that_is_believed_in_is_no_longer_uncertain_and_moves_no_mean() {
        let process = &fixture().processes[1];
        let ours = GaussianProcess::given(observations(process), hyperparameters(process)).unwrap();
        let there = &process.asked[0];
        let believing = ours.believing(there.clone()).unwrap();
        let (before, after) = (ours.predict(there).1, believing.predict(there).1);
        assert!(after < before && after <= process.noise.sqrt(), "{before} then {after}");
        assert!((believing.predict(there).0 - ours.predict(there).0).abs() < 1e-9);
        assert!((believing.predict(&process.asked[1]).0 - ours.predict(&process.asked[1]).0).abs() < 1e-9);
    }

    #[test]
    fn observations_at_one_place_without_noise_give_no_process_and_no_panic() {
        let observations = Observations {
            at: vec![vec![0.5]; 3],
            values: vec![0.0, 1.0, 2.0],
            noise: vec![0.0; 3],
        };
        let noiseless = Hyperparameters(vec![0.0, 0.0, -800.0]);
        assert!(GaussianProcess::given(observations.clone(), noiseless).is_none());
        assert!(GaussianProcess::fit(observations, &[Hyperparameters::of_priors(1)]).is_some());
    }
}
