//! P(Dₙ ≤ x) by the first four terms of its expansion in 1/√n: Pelz & Good, "Approximating the lower tail-areas of the
//! Kolmogorov–Smirnov one-sample statistic", Journal of the Royal Statistical Society B 38 (2), 1976.

use std::f64::consts::PI;

/// P(Dₙ ≤ x) ≈ K₀(z) + K₁(z)/√n + K₂(z)/n + K₃(z)/n^1.5 with z = x√n, in the form of Jacobi's theta functions that
/// converges fast for small z. May leave [0, 1] by its own error.
pub(super) fn cdf(n: u64, x: f64) -> f64 {
    let rows = n as f64;
    let z = rows.sqrt() * x;
    let squared = z * z;
    let fourth = squared * squared;
    let sixth = fourth * squared;
    let eighth = fourth * fourth;
    let pi2 = PI * PI;
    // Sums over all integers are twice the sums over the positive ones: √(2π) stands for 2·√(π/2).
    let front = (2.0 * PI).sqrt();

    let (mut k0, mut k1, mut k2, mut k3) = (0.0, 0.0, 0.0, 0.0);
    let (mut k2_whole, mut k3_whole) = (0.0, 0.0);
    let terms = (16.0 * z / PI).ceil() as u32;
    // Smallest terms first.
    for k in (1..=terms).rev() {
        let half = f64::from(k) - 0.5;
        let a = pi2 * half * half;
        let weight = (-a / (2.0 * squared)).exp();
        k0 += weight;
        k1 += weight * (a - squared);
        k2 +=
            weight * (6.0 * sixth + 2.0 * fourth + a * (2.0 * fourth - 5.0 * squared) + a * a * (1.0 - 2.0 * squared));
        k3 += weight
            * (a * a * a * (5.0 - 30.0 * squared)
                + a * a * (212.0 * fourth - 60.0 * squared)
                + a * (135.0 * fourth - 96.0 * sixth)
                - 30.0 * sixth
                - 90.0 * eighth);

        let b = pi2 * f64::from(k) * f64::from(k);
        let weight = (-b / (2.0 * squared)).exp();
        k2_whole += weight * b;
        k3_whole += weight * b * (3.0 * squared - b);
    }
    let k0 = front * k0 / z;
    let k1 = front * k1 / (6.0 * fourth);
    let k2 = front * (k2 / (72.0 * sixth * z) - k2_whole / (36.0 * squared * z));
    let k3 = front * (k3 / (6480.0 * eighth * squared) + k3_whole / (216.0 * sixth));
    k0 + k1 / rows.sqrt() + k2 / rows + k3 / (rows * rows.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_first_term_is_the_limiting_distribution() {
        let n = 1_000_000_000_000;
        for z in [0.4, 0.8276, 1.2] {
            let limit = 1.0 - super::super::limit_survival(z);
            assert!((cdf(n, z * 1e-6) - limit).abs() < 1e-6, "{z}");
        }
    }

    #[test]
    fn it_agrees_with_the_exact_value_at_moderate_sizes() {
        for x in [0.03, 0.04, 0.06] {
            let (approximate, exact) = (cdf(400, x), super::super::durbin::cdf(400, x));
            assert!((approximate - exact).abs() < 1e-6, "{x}: {approximate} {exact}");
        }
    }
}
