//! Factorials without cancellation: Stirling's error term, after Loader, "Fast and accurate computation of binomial
//! probabilities", 2000.

/// ln √(2π)
pub(super) const LN_SQRT_2_PI: f64 = 0.918_938_533_204_672_8;

/// ln n! − (n + ½) ln n + n − ln √(2π): what Stirling's formula leaves out. For n ≥ 1.
pub(super) fn stirling_error(n: f64) -> f64 {
    if n <= 15.0 {
        // 15! is exact in a double.
        let mut factorial = 1.0;
        let mut factor = 2.0;
        while factor <= n {
            factorial *= factor;
            factor += 1.0;
        }
        return f64::ln(factorial) - (n + 0.5) * n.ln() + n - LN_SQRT_2_PI;
    }
    let inverse_square = (n * n).recip();
    // Bernoulli numbers B₂ₖ / (2k (2k − 1)); the first term left out is below 2e-16 from n = 16.
    let terms = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0];
    terms.iter().rev().fold(0.0, |sum, term| sum * inverse_square + term) / n
}

/// ln (n! / nⁿ) + `plus`, the addend taken in where it cancels best.
pub(super) fn ln_factorial_over_power(n: u64, plus: f64) -> f64 {
    let n = n as f64;
    (plus - n) + 0.5 * n.ln() + LN_SQRT_2_PI + stirling_error(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_branches_give_the_logarithm_of_a_factorial() {
        for (n, factorial) in [
            (1.0, 1.0),
            (5.0, 120.0),
            (15.0, 1_307_674_368_000.0),
            (18.0, 6_402_373_705_728_000.0),
        ] {
            let ln = stirling_error(n) + LN_SQRT_2_PI + (n + 0.5) * f64::ln(n) - n;
            assert!((ln - f64::ln(factorial)).abs() < 1e-14, "{n}");
        }
    }

    #[test]
    fn the_series_takes_over_without_a_step() {
        // 1/(12n) − 1/(360n³) leaves out 1/(1260n⁵), 1e-9 at 15.
        for n in [15.0_f64, 16.0, 40.0] {
            let rough = (12.0 * n).recip() - (360.0 * n.powi(3)).recip();
            assert!((stirling_error(n) - rough).abs() < 1.1e-9);
        }
    }
}
