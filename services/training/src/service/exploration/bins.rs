//! Any column as a few bins, each with its customers who left and who stayed: what purity and information value are counted on.

use super::frame::Values;

/// Numbers are cut into at most this many bins of about as many rows each.
const NUMERIC_BINS: usize = 20;

/// Categories with fewer rows than this share one bin: a category seen once is always pure.
const RARE_CATEGORY_ROWS: usize = 10;

/// A column in bins.
#[derive(Debug)]
pub(super) struct Bins {
    /// The bin of each row.
    pub(super) of_row: Vec<usize>,
    /// Customers who left, by bin.
    pub(super) left: Vec<u64>,
    /// Customers who stayed, by bin.
    pub(super) stayed: Vec<u64>,
}

impl Bins {
    /// Bins of values; rows without a value have one of their own, because a gap can tell as much as a value.
    pub(super) fn of(values: &Values, labels: &[bool]) -> Self {
        let of_row = match values {
            Values::Numbers(values) => numeric(values),
            Values::Categories { codes, names } => categorical(codes, names.len()),
        };
        let bins = of_row.iter().max().map_or(0, |last| last + 1);
        let (mut left, mut stayed) = (vec![0; bins], vec![0; bins]);
        for (bin, label) in of_row.iter().zip(labels) {
            if *label {
                left[*bin] += 1;
            } else {
                stayed[*bin] += 1;
            }
        }
        Self { of_row, left, stayed }
    }

    /// Rows of a bin.
    pub(super) fn rows(&self, bin: usize) -> u64 {
        self.left[bin] + self.stayed[bin]
    }
}

/// Bin 0 for missing values, then bins of about equal size; equal values are never parted.
fn numeric(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).filter(|row| !values[*row].is_nan()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let distinct = order.chunk_by(|a, b| values[*a] == values[*b]).count();
    let wanted = order.len().div_ceil(NUMERIC_BINS).max(1);
    let mut of_row = vec![0; values.len()];
    let (mut bin, mut in_bin) = (1, 0);
    for tied in order.chunk_by(|a, b| values[*a] == values[*b]) {
        if in_bin > 0 && (distinct <= NUMERIC_BINS || in_bin + tied.len() / 2 >= wanted) {
            bin += 1;
            in_bin = 0;
        }
        for row in tied {
            of_row[*row] = bin;
        }
        in_bin += tied.len();
    }
    of_row
}

/// Bin 0 for missing values, bin 1 for rare categories, then one for each other category.
fn categorical(codes: &[Option<usize>], categories: usize) -> Vec<usize> {
    let mut counts = vec![0_usize; categories];
    for code in codes.iter().flatten() {
        counts[*code] += 1;
    }
    let mut bin_of = vec![1; categories];
    let frequent = (0..categories).filter(|code| counts[*code] >= RARE_CATEGORY_ROWS);
    for (place, code) in frequent.enumerate() {
        bin_of[code] = place + 2;
    }
    codes.iter().map(|code| code.map_or(0, |code| bin_of[code])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_bins_of_about_equal_size_and_ties_stay_together() {
        let values: Vec<f64> = (0..1_000).map(f64::from).collect();
        let bins = Bins::of(&Values::Numbers(values), &vec![false; 1_000]);
        assert_eq!(bins.stayed.len(), 21);
        assert!(
            bins.stayed[1..].iter().all(|rows| (45..=55).contains(rows)),
            "{:?}",
            bins.stayed
        );
        let halves: Vec<f64> = (0..1_000).map(|row| f64::from(u8::from(row >= 900))).collect();
        let bins = Bins::of(&Values::Numbers(halves), &vec![true; 1_000]);
        assert_eq!(bins.left, [0, 900, 100]);
    }

    #[test]
    fn missing_values_have_a_bin_and_rare_categories_share_one() {
        let values = Values::Numbers(vec![f64::NAN, 3.0, f64::NAN, 4.0]);
        assert_eq!(Bins::of(&values, &[true; 4]).of_row, [0, 1, 0, 2]);
        let mut codes = vec![Some(0); 20];
        codes.extend([Some(1), Some(2), None]);
        let names = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let bins = Bins::of(&Values::Categories { codes, names }, &[false; 23]);
        assert_eq!(bins.stayed, [1, 2, 20]);
        assert_eq!(bins.rows(2), 20);
    }
}
