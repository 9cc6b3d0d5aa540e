//! What trials cost: a process over the logarithms of what is known, that says what others will.

use super::super::gaussian_process::{GaussianProcess, Hyperparameters, Observations};
use super::super::space::Space;
use super::{Seen, Standard};

/// With fewer trials whose cost is known nothing is said of the cost of others.
const LEAST_PRICED: usize = 4;

/// What trials cost.
pub(super) struct Prices(Option<(GaussianProcess, Standard)>);

impl Prices {
    pub(super) fn of(space: &Space, seen: &[Seen]) -> Self {
        let (at, logs): (Vec<_>, Vec<f64>) = seen
            .iter()
            .filter_map(|seen| Some((space.coordinates(&seen.point), libm::log(seen.work?))))
            .unzip();
        if logs.len() < LEAST_PRICED {
            return Self(None);
        }
        let standard = Standard::of(&logs);
        let observations = Observations {
            at,
            noise: vec![0.0; logs.len()],
            values: logs.iter().map(|log| standard.apply(*log)).collect(),
        };
        let start = Hyperparameters::of_priors(space.dimensions());
        Self(GaussianProcess::fit(observations, &[start]).map(|process| (process, standard)))
    }

    /// The logarithm of what the point at these coordinates is expected to cost, but for a constant.
    pub(super) fn log_work(&self, at: &[f64]) -> f64 {
        self.0
            .as_ref()
            .map_or(0.0, |(process, standard)| process.predict(at).0 * standard.deviation)
    }
}
