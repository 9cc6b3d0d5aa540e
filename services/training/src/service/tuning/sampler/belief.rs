//! Where good points are believed to lie before any is measured: around the parameters that the search began with, which somebody chose for a reason.
//!
//! Expected improvement alone goes to the corners of a space, where the process knows least, and differences between good points are smaller than the
//! folds' noise: what it finds there is luck more often than not. The belief is a normal density around the first point, and its weight sinks with
//! what has been measured (Hvarfner et al., "πBO: Augmenting acquisition functions with user beliefs for Bayesian optimization", 2022).

/// The belief's standard deviation in each parameter, as a share of its range.
const SPREAD: f64 = 0.25;

/// The belief counts as much as the measurements when there are so many trials.
const TRIALS: f64 = 5.0;

/// What is believed.
pub(super) struct Belief {
    first: Vec<f64>,
    weight: f64,
}

impl Belief {
    /// The belief in the neighbourhood of the coordinates `first`, after so many trials.
    #[expect(clippy::cast_precision_loss, reason = "a thousand trials at most")]
    pub(super) fn around(first: Vec<f64>, trials: usize) -> Self {
        Self {
            first,
            weight: TRIALS / trials.max(1) as f64,
        }
    }

    /// The logarithm of what the gain at these coordinates is multiplied by: 0 at the first point, less the farther away.
    pub(super) fn log_weight(&self, at: &[f64]) -> f64 {
        let distances = self.first.iter().zip(at);
        let square: f64 = distances.map(|(one, other)| (one - other) * (one - other)).sum();
        -self.weight * square / (2.0 * SPREAD * SPREAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sinks_with_the_distance_and_with_what_was_measured() {
        let all_at = |place: f64| vec![place; 4];
        let weight = |trials, place| Belief::around(all_at(0.5), trials).log_weight(&all_at(place));
        assert_eq!(weight(10, 0.5), 0.0);
        assert!(weight(10, 0.9) < weight(10, 0.6) && weight(10, 0.6) < 0.0);
        assert!((weight(20, 0.9) * 2.0 - weight(10, 0.9)).abs() < 1e-12);
        assert!(weight(0, 0.9).is_finite());
    }
}
