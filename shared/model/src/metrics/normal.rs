//! Upper tail of the standard normal distribution, to a double's precision in relative terms.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// P(Z ≥ z), accurate in the far tail, where 1 − Φ(z) would be 0.
pub(super) fn upper_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - upper_tail(-z);
    }
    let x = z * FRAC_1_SQRT_2;
    let density = (-x * x).exp() / PI.sqrt();
    if x < 2.0 {
        // erf(x) = 2/√π · e^(−x²) · Σ 2ᵏ x^(2k+1) / (2k+1)!!: all terms positive (Abramowitz & Stegun 7.1.6).
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term > sum * 1e-17 {
            odd += 2.0;
            term *= 2.0 * x * x / odd;
            sum += term;
        }
        return 0.5 - density * sum;
    }
    // erfc(x) = e^(−x²)/√π · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …)))) (A&S 7.1.14), from far enough out.
    let fraction = (1..=80).rev().fold(x, |tail, k| x + 0.5 * f64::from(k) / tail);
    0.5 * density / fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, section};

    #[test]
    fn well_known_values_come_out() {
        assert_eq!(upper_tail(0.0), 0.5);
        assert!((upper_tail(1.959_963_984_540_054) - 0.025).abs() < 1e-16);
        assert_eq!((upper_tail(f64::INFINITY), upper_tail(f64::NEG_INFINITY)), (0.0, 1.0));
    }

    #[test]
    fn it_agrees_with_scipy() {
        for row in section("normal") {
            let z = row["z"].as_f64().unwrap();
            assert_close(
                upper_tail(z),
                row["upper_tail"].as_f64().unwrap(),
                1e-12,
                &format!("z {z}"),
            );
        }
    }
}
