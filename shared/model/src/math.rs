//! The exponential function, the same bits on every machine.
//!
//! The standard library's `exp` is the C library's, and two C libraries differ in the last bit: a golden row written on one machine would
//! then be refused on another. This one uses additions and multiplications alone, which IEEE 754 fixes and Rust never fuses.

use std::f64::consts::LOG2_E;

/// ln 2 in two parts, the first with 21 trailing zero bits, so that `k * LN_2_HIGH` is exact for every `k` used here.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN_2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);

/// 1/n! for even and odd n. The Taylor series to n = 13 on |r| <= ln(2)/2 leaves a remainder under 5e-18.
const EVEN: [f64; 7] = [
    1.0,
    1.0 / 2.0,
    1.0 / 24.0,
    1.0 / 720.0,
    1.0 / 40_320.0,
    1.0 / 3_628_800.0,
    1.0 / 479_001_600.0,
];
const ODD: [f64; 7] = [
    1.0,
    1.0 / 6.0,
    1.0 / 120.0,
    1.0 / 5_040.0,
    1.0 / 362_880.0,
    1.0 / 39_916_800.0,
    1.0 / 6_227_020_800.0,
];

/// e to the power of `x`: within two units in the last place, 0 below -708, infinity above 709; NaN stays NaN.
pub(crate) fn exp(x: f64) -> f64 {
    if x > 709.0 {
        return f64::INFINITY;
    }
    if x < -708.0 {
        return 0.0;
    }
    if x.is_nan() {
        return x;
    }
    // x = k ln 2 + r, |r| <= ln(2)/2.
    let half = if x < 0.0 { -0.5 } else { 0.5 };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "|x| is under 710, so |k| is under 1025; truncation rounds here"
    )]
    let k = (x * LOG2_E + half) as i32;
    let r = (x - f64::from(k) * LN_2_HIGH) - f64::from(k) * LN_2_LOW;
    let square = r * r;
    let horner = |terms: &[f64; 7]| terms.iter().rev().fold(0.0, |sum, term| sum * square + term);
    let series = horner(&EVEN) + r * horner(&ODD);
    // k is -1021..=1023 here, so the biased exponent is a normal one.
    #[expect(clippy::cast_sign_loss, reason = "1023 + k is positive")]
    let power = f64::from_bits(((1023 + k) as u64) << 52);
    series * power
}

/// The logistic function 1 / (1 + e^-x), without overflow at either end; NaN becomes 0.5, which no finite model produces.
pub(crate) fn logistic(x: f64) -> f64 {
    if x.is_nan() {
        return 0.5;
    }
    let decay = exp(-x.abs());
    if x < 0.0 {
        decay / (1.0 + decay)
    } else {
        1.0 / (1.0 + decay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_two_units_in_the_last_place() {
        let mut worst = 0.0_f64;
        for step in -70_800..=70_900 {
            let x = f64::from(step) / 100.0 + 0.001_234_5;
            if !(-708.0..=709.0).contains(&x) {
                continue;
            }
            let expected = x.exp();
            let ulp = expected.next_up() - expected;
            worst = worst.max((exp(x) - expected).abs() / ulp);
        }
        assert!(worst <= 2.0, "{worst} ulp");
        assert_eq!(exp(0.0).to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn the_bits_are_pinned() {
        // Worked with 50 decimal digits: e, e^-1.5, e^10.
        for (x, bits) in [
            (1.0, std::f64::consts::E.to_bits()),
            (-1.5, 0.223_130_160_148_429_83_f64.to_bits()),
            (10.0, 22_026.465_794_806_718_f64.to_bits()),
        ] {
            assert!(
                exp(x).to_bits().abs_diff(bits) <= 1,
                "{x}: {:x} {bits:x}",
                exp(x).to_bits()
            );
        }
    }

    #[test]
    fn the_logistic_function_meets_its_limits() {
        assert_eq!(logistic(0.0).to_bits(), 0.5_f64.to_bits());
        assert_eq!(logistic(f64::INFINITY).to_bits(), 1.0_f64.to_bits());
        assert_eq!(logistic(f64::NEG_INFINITY).to_bits(), 0.0_f64.to_bits());
        assert_eq!(logistic(1e300).to_bits(), 1.0_f64.to_bits());
        assert!((logistic(-2.0) - 0.119_202_922_022_117_56).abs() < 1e-16);
        assert!((logistic(3.0) + logistic(-3.0) - 1.0).abs() < 1e-15);
    }
}
