//! Gauss-Legendre quadrature on 0..1: n points integrate every polynomial of degree 2n - 1 exactly.
//!
//! Points and weights are found by bisection with additions, multiplications and divisions alone, so that they are the same bits on every machine.

/// Halvings of an interval within 0..1 after which it cannot be halved any more.
const HALVINGS: usize = 64;

/// Points within 0..1 and weights that add up to 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quadrature {
    pub(super) points: Vec<f64>,
    pub(super) weights: Vec<f64>,
}

impl Quadrature {
    /// The rule of `count` points, at least 1. The roots of a Legendre polynomial lie between those of the one before.
    pub(super) fn new(count: usize) -> Self {
        let mut roots: Vec<f64> = Vec::new();
        for degree in 1..=count {
            let mut borders = vec![-1.0];
            borders.append(&mut roots);
            borders.push(1.0);
            roots = borders.windows(2).map(|pair| root(degree, pair[0], pair[1])).collect();
        }
        let weight = |x: &f64| {
            let (_, slope) = legendre(count, *x);
            1.0 / ((1.0 - x * x) * slope * slope)
        };
        Self {
            points: roots.iter().map(|x| (1.0 + x) / 2.0).collect(),
            weights: roots.iter().map(weight).collect(),
        }
    }
}

/// The one root between two borders.
fn root(degree: usize, mut low: f64, mut high: f64) -> f64 {
    let rising = legendre(degree, high).0 > 0.0;
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if (legendre(degree, middle).0 > 0.0) == rising {
            high = middle;
        } else {
            low = middle;
        }
    }
    (low + high) / 2.0
}

/// The Legendre polynomial of a degree of at least 1 and its derivative, by their recurrences.
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    let mut n = 1.0;
    for _ in 1..degree {
        (before, value) = (value, ((2.0 * n + 1.0) * x * value - n * before) / (n + 1.0));
        n += 1.0;
    }
    (value, n * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_points_are_the_textbook_ones() {
        let rule = Quadrature::new(3);
        let offset = 0.6_f64.sqrt() / 2.0;
        for (found, expected) in rule.points.iter().zip([0.5 - offset, 0.5, 0.5 + offset]) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
        for (found, expected) in rule.weights.iter().zip([5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0]) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
    }

    #[test]
    fn powers_up_to_the_promised_degree_are_exact() {
        for count in 1..=32 {
            let rule = Quadrature::new(count);
            assert!(rule.points.is_sorted() && rule.points.iter().all(|point| (0.0..1.0).contains(point)));
            for degree in 0..2 * count {
                let sum: f64 = rule
                    .points
                    .iter()
                    .zip(&rule.weights)
                    .map(|(point, weight)| weight * point.powi(degree as i32))
                    .sum();
                let expected = 1.0 / (degree as f64 + 1.0);
                assert!((sum - expected).abs() < 1e-14, "{count} points, degree {degree}: {sum}");
            }
        }
    }
}
