//! First Wasserstein distance ("earth mover's") between two samples of one feature.

use super::Ecdf;
use super::ecdf::merged;

/// From here, in standard deviations of the reference, a shift counts as drift.
pub const DEFAULT_NORMED_WASSERSTEIN_THRESHOLD: f64 = 0.1;

/// A reference that hardly varies is taken to vary this much, so that the normed distance stays finite.
const SMALLEST_DEVIATION: f64 = 1e-3;

/// How far, on average, a value has to move to turn one sample into the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wasserstein {
    /// In the feature's own unit.
    pub distance: f64,
    /// In standard deviations (population) of the reference.
    pub normed: f64,
}

/// ∫ |F₁ − F₂| dx. Equal to `scipy.stats.wasserstein_distance`.
#[must_use]
pub fn wasserstein(reference: &Ecdf<'_>, current: &Ecdf<'_>) -> Wasserstein {
    let (n, m) = (reference.rows() as f64, current.rows() as f64);
    let (mut distance, mut last, mut gap) = (0.0, None, 0.0_f64);
    for step in merged(reference, current) {
        if let Some(from) = last {
            distance += gap * (step.value - from);
        }
        last = Some(step.value);
        gap = (step.first as f64 / n - step.second as f64 / m).abs();
    }
    Wasserstein {
        distance,
        normed: distance / standard_deviation(reference).max(SMALLEST_DEVIATION),
    }
}

fn standard_deviation(sample: &Ecdf<'_>) -> f64 {
    let rows = sample.rows() as f64;
    let weighted = || {
        sample
            .values()
            .iter()
            .zip(sample.counts())
            .map(|(&v, &c)| (v, c as f64 / rows))
    };
    let mean: f64 = weighted().map(|(value, share)| value * share).sum();
    weighted()
        .map(|(value, share)| share * (value - mean).powi(2))
        .sum::<f64>()
        .sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, distances};

    fn sample(values: &[f64]) -> Ecdf<'static> {
        Ecdf::from_sample(values.to_vec()).unwrap()
    }

    #[test]
    fn a_shift_costs_its_length() {
        // {0, 1, 3} to {5, 6, 8}: every value moves by 5; the reference's deviation is √(14/9).
        let moved = wasserstein(&sample(&[0.0, 1.0, 3.0]), &sample(&[5.0, 6.0, 8.0]));
        assert_close(moved.distance, 5.0, 1e-14, "distance");
        assert_close(moved.normed, 5.0 / f64::sqrt(14.0 / 9.0), 1e-14, "normed");
    }

    #[test]
    fn identical_and_constant_samples_are_well_defined() {
        let constant = sample(&[2.0; 5]);
        assert_eq!(
            wasserstein(&constant, &constant),
            Wasserstein {
                distance: 0.0,
                normed: 0.0
            }
        );
        assert_eq!(wasserstein(&constant, &sample(&[3.0])).normed, 1000.0);
    }

    #[test]
    fn it_agrees_with_scipy() {
        for case in distances("wasserstein") {
            let moved = wasserstein(&sample(&case.list("reference")), &sample(&case.list("current")));
            assert_close(moved.distance, case.number("distance"), 1e-12, &case.name());
            assert_close(moved.normed, case.number("normed"), 1e-12, &case.name());
        }
    }
}
