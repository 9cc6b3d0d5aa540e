//! Student's t distribution: tail and quantile.

use statrs::function::beta::beta_reg;

use crate::bisection::turn;

/// P(|T| ≥ |t|) with `dof` degrees of freedom, by the incomplete beta function: I_x(dof/2, ½) at x = dof/(dof + t²)
/// (Abramowitz & Stegun 26.7.1). Good in relative terms far into the tail. NaN for NaN.
///
/// Near t = 0 it is the complement that is computed: x is next to 1 there, and statrs takes that for 1.
pub(super) fn two_sided(t: f64, dof: f64) -> f64 {
    if t.is_nan() {
        return f64::NAN;
    }
    if t.is_infinite() {
        return 0.0;
    }
    let square = t * t;
    let tail = if square < 1.0 {
        1.0 - beta_reg(0.5, dof / 2.0, square / (dof + square))
    } else {
        beta_reg(dof / 2.0, 0.5, dof / (dof + square))
    };
    tail.clamp(0.0, 1.0)
}

/// The t that is exceeded on either side with probability `level` in all, by halving; `level` in (0, 1).
pub(super) fn critical(level: f64, dof: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while two_sided(high, dof) > level && high < 1e300 {
        low = high;
        high *= 2.0;
    }
    turn(low, high, |t| two_sided(t, dof) > level).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, numbers_of_associations};

    #[test]
    fn one_degree_of_freedom_has_a_closed_form() {
        // Cauchy: P(|T| ≥ 1) = ½.
        assert_close(two_sided(1.0, 1.0), 0.5, 1e-14, "t 1");
        assert_close(critical(0.5, 1.0), 1.0, 1e-13, "t of a half");
    }

    #[test]
    fn the_ends_are_exact() {
        assert_eq!((two_sided(0.0, 9.0), two_sided(f64::INFINITY, 9.0)), (1.0, 0.0));
    }

    #[test]
    fn it_agrees_with_scipy() {
        for row in numbers_of_associations("students_t") {
            let [t, dof, tail, critical_of_5_percent] = row[..] else {
                panic!("four numbers")
            };
            let what = format!("t {t} dof {dof}");
            assert_close(two_sided(t, dof), tail, 1e-9, &what);
            assert_close(critical(0.05, dof), critical_of_5_percent, 1e-9, &what);
        }
    }
}
