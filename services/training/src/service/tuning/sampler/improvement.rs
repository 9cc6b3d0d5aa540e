//! What a point is expected to gain.

use super::super::normal;

/// The logarithm of the expected improvement on `mark`, precise also where the improvement itself would underflow (Ament et al., "Unexpected
/// improvements to expected improvement for Bayesian optimization", 2023).
pub(super) fn log_expected_improvement(mean: f64, deviation: f64, mark: f64) -> f64 {
    const LOG_ROOT_TAU: f64 = 0.918_938_533_204_672_7;
    let z = (mean - mark) / deviation;
    let log_density = -0.5 * z * z - LOG_ROOT_TAU;
    let log_factor = if z > -6.0 {
        libm::log(libm::exp(log_density) + z * normal::below(z))
    } else {
        // The tail of the normal integral, to the third term.
        let inverse = 1.0 / (z * z);
        log_density + libm::log(inverse * (1.0 - 3.0 * inverse + 15.0 * inverse * inverse))
    };
    libm::log(deviation) + log_factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_improvement_does_not_vanish_far_below_the_mark() {
        // Near the mark the closed form in plain numbers: φ(0) for a mean at the mark.
        let at_mark = log_expected_improvement(0.0, 1.0, 0.0);
        assert!((at_mark - (1.0 / std::f64::consts::TAU.sqrt()).ln()).abs() < 1e-12);
        let mut before = at_mark;
        for step in 1..60 {
            let now = log_expected_improvement(-f64::from(step), 1.0, 0.0);
            assert!(now.is_finite() && now < before, "{step}: {now}");
            before = now;
        }
        // Where the two forms meet.
        let (above, below) = (
            log_expected_improvement(-5.999_999, 1.0, 0.0),
            log_expected_improvement(-6.000_001, 1.0, 0.0),
        );
        assert!((above - below).abs() < 2e-3, "{above} and {below}");
    }
}
