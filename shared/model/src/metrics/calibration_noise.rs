//! How large the calibration error of perfectly calibrated probabilities would be, on so few rows: consistency resampling
//! (Bröcker & Smith, Weather and Forecasting 22, 2007). The expected calibration error is never 0 on a finite sample, so an error
//! says something only beside this.

use super::error::check_probabilities;
use super::resampling::{SplitMix64, percentile};
use super::{MetricError, ece};

/// The calibration error that chance alone makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationNoise {
    /// Mean over the replicates.
    pub mean: f64,
    /// 95th percentile: a larger error is a sign that the probabilities are off.
    pub upper: f64,
    /// Replicates drawn.
    pub replicates: usize,
}

/// Draws labels from the probabilities themselves and measures [`ece`]. The same seed gives the same numbers.
///
/// # Errors
/// No rows, a score outside [0, 1] or NaN; fewer than two replicates.
pub fn calibration_noise(probabilities: &[f64], replicates: usize, seed: u64) -> Result<CalibrationNoise, MetricError> {
    let mut labels = vec![false; probabilities.len()];
    check_probabilities(&labels, probabilities)?;
    if replicates < 2 {
        return Err(MetricError::TooFewReplicates { replicates });
    }
    let mut random = SplitMix64(seed);
    let mut errors = Vec::with_capacity(replicates);
    for _ in 0..replicates {
        for (label, probability) in labels.iter_mut().zip(probabilities) {
            *label = random.unit() < *probability;
        }
        errors.push(ece(&labels, probabilities)?.ece);
    }
    errors.sort_unstable_by(f64::total_cmp);
    Ok(CalibrationNoise {
        mean: errors.iter().sum::<f64>() / replicates as f64,
        upper: percentile(&errors, 0.95),
        replicates,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bin_has_the_mean_deviation_of_a_proportion() {
        // All rows in one bin: the error is |share − ½|, whose mean is √(2/π)·σ with σ = ½/√n.
        let noise = calibration_noise(&[0.5; 400], 2_000, 3).unwrap();
        let expected = (2.0 / std::f64::consts::PI).sqrt() * 0.5 / 20.0;
        assert!((noise.mean / expected - 1.0).abs() < 0.06, "{noise:?}");
        assert!((noise.upper / (1.96 * 0.5 / 20.0) - 1.0).abs() < 0.12, "{noise:?}");
    }

    #[test]
    fn certain_probabilities_have_no_noise() {
        let noise = calibration_noise(&[0.0, 1.0, 1.0], 20, 1).unwrap();
        assert_eq!((noise.mean, noise.upper), (0.0, 0.0));
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(calibration_noise(&[], 20, 1).is_err());
        assert!(calibration_noise(&[1.5], 20, 1).is_err());
        assert!(calibration_noise(&[0.5], 1, 1).is_err());
    }
}
