//! The little linear algebra that a Gaussian process of some hundred observations needs.

/// The lower triangular factor of a symmetric positive definite matrix.
#[derive(Clone, Debug)]
pub(super) struct Cholesky {
    /// Row after row, zeros above the diagonal.
    lower: Vec<f64>,
    size: usize,
}

impl Cholesky {
    /// Factors a matrix of `size` rows, given row after row. `None` when it is not positive definite.
    pub(super) fn of(mut matrix: Vec<f64>, size: usize) -> Option<Self> {
        for row in 0..size {
            for column in 0..=row {
                let (above, below) = matrix.split_at(row * size);
                let (left, right) = match above.get(column * size..column * size + column) {
                    Some(other) => (&below[..column], other),
                    None => (&below[..column], &below[..column]),
                };
                let sum: f64 = left.iter().zip(right).map(|(a, b)| a * b).sum();
                let rest = matrix[row * size + column] - sum;
                matrix[row * size + column] = if row == column {
                    if !(rest > 0.0 && rest.is_finite()) {
                        return None;
                    }
                    rest.sqrt()
                } else {
                    rest / matrix[column * size + column]
                };
            }
            matrix[row * size + row + 1..(row + 1) * size].fill(0.0);
        }
        Some(Self { lower: matrix, size })
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.lower[row * self.size..=row * self.size + row]
    }

    /// Solves `L x = b`.
    pub(super) fn forward(&self, right: &[f64]) -> Vec<f64> {
        let mut solved: Vec<f64> = Vec::with_capacity(self.size);
        for row in 0..self.size {
            let line = self.row(row);
            let sum: f64 = line.iter().zip(&solved).map(|(a, b)| a * b).sum();
            solved.push((right[row] - sum) / line[row]);
        }
        solved
    }

    /// Solves `L Lᵀ x = b`.
    pub(super) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut solved = self.forward(right);
        for row in (0..self.size).rev() {
            let line = self.row(row);
            let value = solved[row] / line[row];
            solved[row] = value;
            for (rest, factor) in solved[..row].iter_mut().zip(line) {
                *rest -= factor * value;
            }
        }
        solved
    }

    /// The inverse of the matrix, row after row.
    pub(super) fn inverse(&self) -> Vec<f64> {
        let mut inverse = Vec::with_capacity(self.size * self.size);
        let mut unit = vec![0.0; self.size];
        for row in 0..self.size {
            unit[row] = 1.0;
            inverse.extend(self.solve(&unit));
            unit[row] = 0.0;
        }
        inverse
    }

    /// The logarithm of the matrix's determinant.
    pub(super) fn log_determinant(&self) -> f64 {
        (0..self.size)
            .map(|row| 2.0 * libm::log(self.lower[row * self.size + row]))
            .sum()
    }
}

const MOST_STEPS: usize = 60;
const MOST_HALVINGS: usize = 20;
/// A step must gain at least this share of what the slope promises (Armijo).
const SUFFICIENT: f64 = 1e-4;
const SMALL_GRADIENT: f64 = 1e-4;

/// A minimum of a smooth function near `start`, by BFGS with backtracking (Nocedal & Wright, "Numerical optimization", algorithm 6.1). The function
/// answers its value and gradient, or `None` where it has none. `None` when it has none at the start.
pub(super) fn minimise(start: &[f64], function: impl Fn(&[f64]) -> Option<(f64, Vec<f64>)>) -> Option<(f64, Vec<f64>)> {
    let size = start.len();
    let mut at = start.to_vec();
    let (mut value, mut gradient) = function(&at)?;
    let identity = |scale: f64| -> Vec<f64> {
        (0..size * size)
            .map(|place| if place % (size + 1) == 0 { scale } else { 0.0 })
            .collect()
    };
    let largest = |values: &[f64]| values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let mut inverse_hessian = identity(1.0);
    for step in 0..MOST_STEPS {
        if largest(&gradient) < SMALL_GRADIENT {
            break;
        }
        let mut direction: Vec<f64> = (0..size)
            .map(|row| -dot(&inverse_hessian[row * size..(row + 1) * size], &gradient))
            .collect();
        if dot(&direction, &gradient) >= 0.0 {
            inverse_hessian = identity(1.0);
            direction = gradient.iter().map(|slope| -slope).collect();
        }
        // Logarithms: a step of more than 2 is a leap.
        let scale = (2.0 / largest(&direction)).min(1.0);
        let slope = dot(&direction, &gradient);
        let mut length = scale;
        let mut next = None;
        for _ in 0..MOST_HALVINGS {
            let there: Vec<f64> = at.iter().zip(&direction).map(|(a, d)| a + length * d).collect();
            if let Some((found, steepness)) = function(&there)
                && found <= value + SUFFICIENT * length * slope
            {
                next = Some((there, found, steepness));
                break;
            }
            length *= 0.5;
        }
        let Some((there, found, steepness)) = next else { break };
        let moved: Vec<f64> = there.iter().zip(&at).map(|(a, b)| a - b).collect();
        let turned: Vec<f64> = steepness.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let gained = value - found;
        (at, value, gradient) = (there, found, steepness);
        if gained.abs() < 1e-9 * (1.0 + value.abs()) {
            break;
        }
        update(&mut inverse_hessian, &moved, &turned, step == 0);
    }
    Some((value, at))
}

/// The BFGS update of the inverse Hessian (Nocedal & Wright, eq. 6.17).
fn update(inverse: &mut [f64], moved: &[f64], turned: &[f64], first: bool) {
    let size = moved.len();
    let curvature = dot(moved, turned);
    if curvature <= 1e-12 {
        return;
    }
    if first {
        // The scale of the first guess, eq. 6.20.
        let scale = curvature / dot(turned, turned);
        inverse.iter_mut().for_each(|entry| *entry *= scale);
    }
    let bent: Vec<f64> = (0..size)
        .map(|row| dot(&inverse[row * size..(row + 1) * size], turned))
        .collect();
    let factor = (1.0 + dot(turned, &bent) / curvature) / curvature;
    for row in 0..size {
        for column in 0..size {
            inverse[row * size + column] += factor * moved[row] * moved[column]
                - (bent[row] * moved[column] + moved[row] * bent[column]) / curvature;
        }
    }
}

/// The sum of the products, in order.
pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATRIX: [f64; 9] = [4.0, 2.0, 0.6, 2.0, 5.0, 1.5, 0.6, 1.5, 3.0];

    #[test]
    fn a_factored_matrix_solves_inverts_and_has_its_determinant() {
        let factor = Cholesky::of(MATRIX.to_vec(), 3).unwrap();
        let solved = factor.solve(&[1.0, -2.0, 0.5]);
        let again: Vec<f64> = (0..3).map(|row| dot(&MATRIX[row * 3..row * 3 + 3], &solved)).collect();
        for (found, expected) in again.iter().zip([1.0, -2.0, 0.5]) {
            assert!((found - expected).abs() < 1e-12, "{again:?}");
        }
        let inverse = factor.inverse();
        for row in 0..3 {
            for column in 0..3 {
                let product: f64 = (0..3).map(|k| MATRIX[row * 3 + k] * inverse[k * 3 + column]).sum();
                assert!((product - f64::from(u8::from(row == column))).abs() < 1e-12);
            }
        }
        let determinant: f64 = 4.0 * (15.0 - 2.25) - 2.0 * (6.0 - 0.9) + 0.6 * (3.0 - 3.0);
        assert!((factor.log_determinant() - determinant.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_has_no_factor() {
        assert!(Cholesky::of(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::of(vec![f64::NAN], 1).is_none());
    }

    #[test]
    fn a_valley_is_followed_to_its_minimum() {
        // Rosenbrock's.
        let valley = |x: &[f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            Some((a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b]))
        };
        let (value, at) = minimise(&[-1.2, 1.0], valley).unwrap();
        assert!(value < 1e-6 && (at[0] - 1.0).abs() < 1e-2, "{value} at {at:?}");
        assert!(minimise(&[0.0], |_| None).is_none());
    }

    #[test]
    fn a_function_that_ends_is_not_left() {
        let half = |x: &[f64]| (x[0] > 0.0).then(|| (x[0] - x[0].ln(), vec![1.0 - 1.0 / x[0]]));
        let (_, at) = minimise(&[0.05], half).unwrap();
        assert!((at[0] - 1.0).abs() < 1e-3, "{at:?}");
    }
}
