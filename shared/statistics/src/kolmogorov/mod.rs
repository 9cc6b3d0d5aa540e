//! Distribution of the two-sided one-sample Kolmogorov statistic Dₙ = sup |Fₙ(x) − F(x)|, at finite n.
//!
//! No single formula is both fast and accurate everywhere, so the plane of (n, x) is cut as in Simard & L'Ecuyer, "Computing the
//! two-sided Kolmogorov–Smirnov distribution", Journal of Statistical Software 39 (11), 2011, and as scipy's `kstwo` cuts it:
//!
//! | where | formula |
//! |---|---|
//! | n·x ≤ 1, n·x ≥ n − 1 | closed forms (Ruben & Gambino 1982) |
//! | x ≥ ½, or the upper tail | twice the one-sided probability (`smirnov`), Miller 1956 |
//! | n ≤ 140, or n·x^1.5 ≤ 1.4 | Durbin's matrix, after Marsaglia, Tsang & Wang 2003 (`durbin`) |
//! | elsewhere | Pelz & Good's expansion, 1976 (`pelz_good`) |
//!
//! The expansion has a relative error of up to about 1e-5 near n = 141; everything else is good to 1e-11 or better, up to a
//! million rows. Choosing as scipy chooses makes the p-values equal in the expansion's region too.

mod durbin;
mod limit;
mod pelz_good;
mod smirnov;
mod stirling;

pub use limit::{limit_quantile, limit_survival};
pub use smirnov::smirnov_survival;

/// P(Dₙ ≥ x), for n ≥ 1 rows. NaN is answered by NaN.
///
/// Takes O(n) steps in the upper tail, a million at the most.
#[must_use]
pub fn survival(n: u64, x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if n == 0 || x <= 0.0 {
        return 1.0;
    }
    if x >= 1.0 {
        return 0.0;
    }
    let rows = n as f64;
    let scaled = rows * x;
    if scaled <= 0.5 {
        // No empirical distribution of n steps comes closer than 1/(2n).
        return 1.0;
    }
    let p = if scaled <= 1.0 {
        1.0 - stirling::ln_factorial_over_power(n, rows * (2.0 * scaled - 1.0).ln()).exp()
    } else if scaled >= rows - 1.0 {
        2.0 * (rows * (-x).ln_1p()).exp()
    } else if x >= 0.5 || in_upper_tail(n, scaled * x) {
        if scaled * x >= 370.0 && n > SMALL_SAMPLE {
            0.0
        } else {
            2.0 * smirnov_survival(n, x)
        }
    } else if n <= SMALL_SAMPLE || (n <= 100_000 && rows * x.powf(1.5) <= 1.4) {
        1.0 - durbin::cdf(n, x)
    } else {
        1.0 - pelz_good::cdf(n, x)
    };
    p.clamp(0.0, 1.0)
}

/// Up to here Durbin's matrix is small whenever the upper tail's formula does not hold.
const SMALL_SAMPLE: u64 = 140;

/// Where both-sided deviations are so unlikely to happen together that twice the one-sided probability is the answer to full
/// precision (small samples) or to more digits than Pelz & Good's expansion has. `scaled` is n·x².
fn in_upper_tail(n: u64, scaled: f64) -> bool {
    if n <= SMALL_SAMPLE { scaled > 4.0 } else { scaled >= 2.2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, numbers};

    #[test]
    fn one_row_is_uniform_beyond_one_half() {
        // D₁ = max(u, 1 − u) is uniform on [½, 1].
        assert_eq!(survival(1, 0.5), 1.0);
        assert!((survival(1, 0.75) - 0.5).abs() < 1e-15);
        assert_eq!(survival(1, 1.0), 0.0);
    }

    #[test]
    fn the_published_value_of_marsaglia_tsang_and_wang_is_met() {
        // "Evaluating Kolmogorov's distribution", section 2: P(D₁₀ < 0.274) = 0.6284796154565.
        assert!((survival(10, 0.274) - (1.0 - 0.628_479_615_456_504)).abs() < 1e-13);
    }

    #[test]
    fn it_falls_from_one_to_zero() {
        for n in [1, 5, 140, 141, 5000] {
            let mut last = 1.0;
            for step in 0..=400 {
                let p = survival(n, f64::from(step) / 400.0);
                assert!(p <= last + 1e-6, "n {n} step {step}: {last} then {p}");
                last = p;
            }
            assert_eq!(last, 0.0);
        }
        assert!(survival(10, f64::NAN).is_nan());
    }

    #[test]
    fn it_agrees_with_scipy_in_every_region() {
        for row in numbers("kstwo_sf") {
            let [n, x, expected] = row[..] else {
                panic!("three numbers")
            };
            assert_close(survival(n as u64, x), expected, 1e-9, &format!("n {n} x {x}"));
        }
    }
}
