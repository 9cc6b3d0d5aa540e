//! P(Dₙ < x) as an element of a matrix power: Durbin 1968; Marsaglia, Tsang & Wang, "Evaluating Kolmogorov's distribution",
//! Journal of Statistical Software 8 (18), 2003.

/// Powers of two by which numbers are scaled before they leave the range of a double.
const SCALE_BITS: i32 = 128;

/// P(Dₙ < x) for n·x > ½. Time O(k³ log n), memory O(k²), with k = ⌈n·x⌉.
pub(super) fn cdf(n: u64, x: f64) -> f64 {
    let scaled = n as f64 * x;
    let k = scaled.ceil();
    let middle = k as usize - 1;
    let power = Scaled {
        matrix: Square::durbin(2 * k as usize - 1, k - scaled),
        exponent: 0,
    }
    .pow(n, middle);

    // n!/nⁿ times the middle element, kept in range on the way.
    let scale = f64::powi(2.0, SCALE_BITS);
    let mut p = power.matrix.at(middle, middle);
    let mut exponent = power.exponent;
    for i in 1..=n {
        p *= i as f64 / n as f64;
        if p < scale.recip() {
            p *= scale;
            exponent -= SCALE_BITS;
        }
    }
    times_power_of_two(p, exponent)
}

fn times_power_of_two(value: f64, exponent: i32) -> f64 {
    // In two halves: one factor alone may be out of range where the product is not.
    value * f64::powi(2.0, exponent / 2) * f64::powi(2.0, exponent - exponent / 2)
}

struct Square {
    size: usize,
    cells: Vec<f64>,
}

impl Square {
    /// H of the paper: 1/(i − j + 1)! on and below the first superdiagonal, the first column and the last row corrected for
    /// the fractional part h.
    fn durbin(size: usize, h: f64) -> Self {
        let mut inverse_factorial = vec![1.0; size + 1];
        for i in 1..=size {
            inverse_factorial[i] = inverse_factorial[i - 1] / i as f64;
        }
        let mut matrix = Self {
            size,
            cells: vec![0.0; size * size],
        };
        for i in 0..size {
            for j in 0..=(i + 1).min(size - 1) {
                matrix.cells[i * size + j] = inverse_factorial[i + 1 - j];
            }
        }
        for i in 0..size {
            let corrected = (1.0 - h.powi(i as i32 + 1)) * inverse_factorial[i + 1];
            matrix.cells[i * size] = corrected;
            matrix.cells[(size - 1) * size + (size - 1 - i)] = corrected;
        }
        let beyond = (2.0 * h - 1.0).max(0.0);
        let corner = 1.0 - 2.0 * h.powi(size as i32) + beyond.powi(size as i32);
        matrix.cells[(size - 1) * size] = corner * inverse_factorial[size];
        matrix
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.cells[row * self.size + column]
    }

    fn times(&self, other: &Self) -> Self {
        let size = self.size;
        let mut cells = vec![0.0; size * size];
        for (row, out) in self.cells.chunks_exact(size).zip(cells.chunks_exact_mut(size)) {
            for (factor, other_row) in row.iter().zip(other.cells.chunks_exact(size)) {
                for (cell, value) in out.iter_mut().zip(other_row) {
                    *cell += factor * value;
                }
            }
        }
        Self { size, cells }
    }
}

/// A matrix times 2^exponent.
struct Scaled {
    matrix: Square,
    exponent: i32,
}

impl Scaled {
    fn times(&self, other: &Self, watched: usize) -> Self {
        let mut product = Self {
            matrix: self.matrix.times(&other.matrix),
            exponent: self.exponent + other.exponent,
        };
        let scale = f64::powi(2.0, SCALE_BITS);
        if product.matrix.at(watched, watched) > scale {
            product.matrix.cells.iter_mut().for_each(|cell| *cell /= scale);
            product.exponent += SCALE_BITS;
        }
        product
    }

    /// By squaring, from the highest bit of `n` ≥ 1 down.
    fn pow(self, n: u64, watched: usize) -> Self {
        let mut power = Self {
            matrix: Square {
                size: self.matrix.size,
                cells: self.matrix.cells.clone(),
            },
            exponent: self.exponent,
        };
        for bit in (0..n.ilog2()).rev() {
            power = power.times(&power, watched);
            if n >> bit & 1 == 1 {
                power = power.times(&self, watched);
            }
        }
        power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rows_by_hand() {
        // P(D₂ < x) = 2(2x − ½)² for ¼ ≤ x ≤ ½: the square of side 2x − ½ holds both orders.
        for x in [0.3, 0.4, 0.5] {
            let expected = 2.0 * (2.0 * x - 0.5_f64).powi(2);
            assert!((cdf(2, x) - expected).abs() < 1e-15, "{x}");
        }
    }

    #[test]
    fn three_rows_at_one_third() {
        // n·x = 1: n!/nⁿ · 1.
        assert!((cdf(3, 1.0 / 3.0) - 6.0 / 27.0).abs() < 1e-14);
    }

    #[test]
    fn large_powers_stay_in_range() {
        let p = cdf(100_000, 5e-4);
        assert!(p > 0.0 && p < 1e-20, "{p}");
    }
}
