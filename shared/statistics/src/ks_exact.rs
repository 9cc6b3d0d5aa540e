//! Exact null distribution of the two-sided two-sample Kolmogorov–Smirnov statistic.
//!
//! An ordering of the pooled sample is a lattice path from (0, 0) to (n, m), and every path is equally likely if both samples
//! come from one (continuous) distribution. D ≥ d is the event that the path touches or leaves the band |x/n − y/m| < d.
//!
//! * Equal sizes: the reflection principle (Gnedenko & Korolyuk 1951), an alternating sum of binomials, evaluated as nested
//!   products so that nothing large is subtracted.
//! * Different sizes: recursion over the lattice (Hodges 1958, "The significance probability of the Smirnov two-sample
//!   test"), carried out on the *probability of having left the band*, which loses no digits in the tail (Viehmann 2021,
//!   arXiv 2102.08037).

/// Above this many steps (lattice points; rows, for equal sizes) the samples are left to the asymptotic distribution.
const MAX_STEPS: u128 = 1 << 33;

/// P(D ≥ `steps` / lcm(n, m)) for samples of `n` and `m` rows; `None` where it cannot be had.
pub(super) fn p_value(n: u64, m: u64, steps: u128) -> Option<f64> {
    if steps == 0 {
        return Some(1.0);
    }
    let p = if n == m {
        if u128::from(n) > MAX_STEPS {
            return None;
        }
        equal_sizes(n, u64::try_from(steps).ok()?)
    } else {
        let (n, m) = (n.max(m), n.min(m));
        let divisor = super::ks::gcd(n, m);
        let (across, up) = (n / divisor, m / divisor);
        let lcm = u128::from(across) * u128::from(m);
        // scipy's own limit is on lcm/gcd; the other one keeps the loop below finite in practice.
        if u128::from(across) * u128::from(up) >= i32::MAX as u128
            || u128::from(n) * u128::from(m) > MAX_STEPS
            || steps > lcm
        {
            return None;
        }
        if below_every_double(n, m, steps) {
            return Some(0.0);
        }
        different_sizes(n, m, Slope { across, up }, u64::try_from(steps).ok()?)
    };
    // Equal sizes and a tiny D can round above 1; scipy turns to the asymptotic value then, and so do we.
    (0.0..=1.0).contains(&p).then_some(p)
}

/// P(D ≥ d) ≤ e·exp(−2d²·nm/(n+m)) for all sizes (Wei & Dudley, "Two-sample Dvoretzky–Kiefer–Wolfowitz inequalities", 2012):
/// a window that has plainly moved need not walk the lattice to learn that its p-value is 0.
fn below_every_double(n: u64, m: u64, steps: u128) -> bool {
    let lcm = u128::from(n) / u128::from(super::ks::gcd(n, m)) * u128::from(m);
    let d = steps as f64 / lcm as f64;
    1.0 - 2.0 * d * d * super::ks::effective_rows(n, m) < -746.0
}

/// 2·Σₖ₌₁ (−1)ᵏ⁻¹ C(2n, n − k·h) / C(2n, n), as 2·r₁(1 − r₂(1 − r₃(…))) with rₖ the quotient of neighbouring binomials.
fn equal_sizes(n: u64, h: u64) -> f64 {
    let mut nested = 0.0;
    for k in (0..=n / h).rev() {
        let lower = (k * h) as f64;
        let quotient = (0..h).fold(1.0, |product, j| {
            let j = j as f64;
            product * (n as f64 - lower - j) / (n as f64 + lower + j + 1.0)
        });
        nested = quotient * (1.0 - nested);
    }
    2.0 * nested
}

/// The sizes over their greatest common divisor: the point (i, j) lies `i·up − j·across` from the diagonal.
#[derive(Clone, Copy)]
struct Slope {
    across: u64,
    up: u64,
}

/// `left[j]` is the probability that a random path to (i, j) has touched or left the band. Column by column; points
/// outside the band keep the 1 they start with, because the band only ever moves up.
fn different_sizes(n: u64, m: u64, slope: Slope, h: u64) -> f64 {
    let Slope { across, up } = slope;
    let end = |i: u64| (up * i + h).div_ceil(across).min(m + 1) as usize;
    let mut left = vec![1.0_f64; m as usize + 1];
    left[..end(0)].fill(0.0);
    for i in 1..=n {
        let start = (up * i).checked_sub(h).map_or(0, |over| over / across + 1).min(m) as usize;
        let end = end(i);
        if end <= start {
            // The band has no lattice point in this column: no path gets through.
            return 1.0;
        }
        let steps_right = i as f64;
        // From below the band every path comes from outside; below the lattice none comes at all (its weight is j = 0).
        let mut below = 1.0;
        for (j, point) in left[..end].iter_mut().enumerate().skip(start) {
            let steps_up = j as f64;
            below = (*point * steps_right + below * steps_up) / (steps_right + steps_up);
            *point = below;
        }
    }
    left[m as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks every path, for sizes where that can be done.
    fn by_enumeration(n: u64, m: u64, threshold: f64) -> f64 {
        let (mut all, mut reached) = (0_u64, 0_u64);
        for ordering in 0_u64..1 << (n + m) {
            if u64::from(ordering.count_ones()) != n {
                continue;
            }
            let (mut x, mut y, mut furthest) = (0.0, 0.0, 0.0_f64);
            for step in 0..n + m {
                if ordering >> step & 1 == 1 {
                    x += 1.0 / n as f64;
                } else {
                    y += 1.0 / m as f64;
                }
                furthest = furthest.max((x - y).abs());
            }
            all += 1;
            reached += u64::from(furthest > threshold - 1e-9);
        }
        reached as f64 / all as f64
    }

    #[test]
    fn small_samples_agree_with_counting_every_ordering() {
        for (n, m) in [(1, 1), (1, 4), (3, 2), (4, 4), (5, 3), (6, 4), (6, 6), (7, 5)] {
            let lcm = n / super::super::ks::gcd(n, m) * m;
            for steps in 1..=lcm {
                let counted = by_enumeration(n, m, steps as f64 / lcm as f64);
                let p = p_value(n, m, u128::from(steps)).unwrap_or(1.0);
                assert!((p - counted).abs() < 1e-14, "{n} {m} {steps}: {p} {counted}");
            }
        }
    }

    #[test]
    fn disjoint_samples_leave_two_orderings() {
        // C(10, 4) = 210 orderings, two of which keep the samples apart.
        assert!((p_value(6, 4, 12).unwrap() - 2.0 / 210.0).abs() < 1e-16);
        assert!((p_value(5, 5, 5).unwrap() - 2.0 / 252.0).abs() < 1e-16);
    }

    #[test]
    fn a_window_that_has_plainly_moved_is_answered_at_once() {
        assert!(below_every_double(9_999, 8_101, 81_001_899 / 2));
        assert_eq!(p_value(9_999, 8_101, 81_001_899 / 2), Some(0.0));
        assert!(!below_every_double(900, 700, 6_300 * 8 / 10));
        let p = p_value(900, 700, 6_300 * 8 / 10).unwrap();
        assert!(p > 0.0 && p < 1e-200, "{p}");
    }

    #[test]
    fn sizes_whose_lattice_is_too_large_are_refused() {
        assert_eq!(p_value(100_003, 99_989, 1), None);
        assert_eq!(p_value(2_000_000, 1_000_000, 1), None);
        assert!(p_value(3_000_000, 3_000_000, 10_000).is_some());
    }
}
