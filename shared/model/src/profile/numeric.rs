//! A number's exact empirical distribution and its frozen decile bins.

use crate::error::InvalidPart;

/// Inner edges of ten bins.
const DECILE_EDGES: u64 = 9;

/// How often each value occurs, and how many rows fall between the deciles.
///
/// Edge k (k = 1..9) is the smallest value that at least k tenths of the values do not exceed; equal edges count once. Bin 0 holds x ≤ edge 0, bin i
/// holds edge i-1 < x ≤ edge i, the last bin the rest; it is empty when the last edge is the largest value, and there for what comes later.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct NumericProfile {
    pub(super) values: Vec<f64>,
    pub(super) counts: Vec<u64>,
    pub(super) missing: u64,
    pub(super) bin_edges: Vec<f64>,
    pub(super) bin_counts: Vec<u64>,
}

impl NumericProfile {
    /// The profile of values; those that are not finite count as missing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut missing = 0;
        let mut sorted = Vec::new();
        for value in values {
            if value.is_finite() {
                // Adding zero makes the two zeros one.
                sorted.push(value + 0.0);
            } else {
                missing += 1;
            }
        }
        sorted.sort_unstable_by(f64::total_cmp);
        let mut distinct: Vec<f64> = Vec::new();
        let mut counts: Vec<u64> = Vec::new();
        for value in sorted {
            match (distinct.last(), counts.last_mut()) {
                (Some(last), Some(count)) if last.to_bits() == value.to_bits() => *count += 1,
                _ => {
                    distinct.push(value);
                    counts.push(1);
                }
            }
        }
        Self::with_bins(distinct, counts, missing)
    }

    fn with_bins(values: Vec<f64>, counts: Vec<u64>, missing: u64) -> Self {
        let mut profile = Self {
            values,
            counts,
            missing,
            bin_edges: Vec::new(),
            bin_counts: Vec::new(),
        };
        let deciles = (1..=DECILE_EDGES)
            .filter_map(|k| profile.smallest_reaching(|total| (total * k).div_ceil(DECILE_EDGES + 1)));
        let mut edges: Vec<f64> = deciles.collect();
        edges.dedup();
        profile.bin_counts = profile.counts_within(&edges);
        profile.bin_edges = edges;
        profile
    }

    /// Distinct values, strictly increasing.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// How many rows have each value.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Rows without a value.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Rows with a value.
    pub fn present(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Rows with and without a value; `None` beyond 2^64, which only damaged counts add up to.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.counts
            .iter()
            .try_fold(self.missing, |sum, count| sum.checked_add(*count))
    }

    /// Inner edges of the frozen bins.
    pub fn bin_edges(&self) -> &[f64] {
        &self.bin_edges
    }

    /// Rows in each frozen bin: one more than edges, or none when no row has a value.
    pub fn bin_counts(&self) -> &[u64] {
        &self.bin_counts
    }

    /// Smallest and largest value.
    pub fn range(&self) -> Option<(f64, f64)> {
        Some((*self.values.first()?, *self.values.last()?))
    }

    /// The smallest value that at least `share` (0..1) of the values do not exceed (inverse of the distribution function,
    /// Hyndman and Fan's definition 1); `None` when there are none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts of rows"
        )]
        self.smallest_reaching(|total| (total as f64 * share.clamp(0.0, 1.0)).ceil() as u64)
    }

    /// The middle value: [`quantile`](Self::quantile) at one half.
    pub fn median(&self) -> Option<f64> {
        self.smallest_reaching(|total| total.div_ceil(2))
    }

    /// How many of the values fall into each bin between `edges`, which increase strictly: `edges.len() + 1` numbers, or none when there are
    /// no values. This is how a window is counted on a reference's frozen bins.
    pub fn counts_within(&self, edges: &[f64]) -> Vec<u64> {
        if self.values.is_empty() {
            return Vec::new();
        }
        let mut bins = vec![0; edges.len() + 1];
        for (value, count) in self.values.iter().zip(&self.counts) {
            bins[edges.partition_point(|edge| edge < value)] += count;
        }
        bins
    }

    /// The distribution of the values of both.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let mut values = Vec::with_capacity(self.values.len().max(other.values.len()));
        let mut counts = Vec::with_capacity(values.capacity());
        let (mut a, mut b) = (self.pairs().peekable(), other.pairs().peekable());
        loop {
            let (value, count) = match (a.peek().copied(), b.peek().copied()) {
                (None, None) => break,
                (Some(first), None) => first,
                (None, Some(second)) => second,
                (Some((x, n)), Some((y, m))) if x.to_bits() == y.to_bits() => (x, n + m),
                (Some(first), Some(second)) => {
                    if first.0 < second.0 {
                        first
                    } else {
                        second
                    }
                }
            };
            a.next_if(|(own, _)| own.to_bits() == value.to_bits());
            b.next_if(|(own, _)| own.to_bits() == value.to_bits());
            values.push(value);
            counts.push(count);
        }
        Self::with_bins(values, counts, self.missing + other.missing)
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.values.iter().copied().zip(self.counts.iter().copied())
    }

    /// The smallest value whose cumulative count reaches a rank, counted from 1, that depends on the number of values.
    fn smallest_reaching(&self, rank: impl Fn(u64) -> u64) -> Option<f64> {
        let total = self.present();
        let rank = rank(total).clamp(1, total.max(1));
        let mut cumulative = 0;
        self.pairs().find_map(|(value, count)| {
            cumulative += count;
            (cumulative >= rank).then_some(value)
        })
    }

    /// Checks a profile that was read. Counts must add up to at most `rows`, which keeps every later sum in range.
    pub(super) fn validate(&self, rows: u64) -> Result<(), InvalidPart> {
        let invalid = |what: &str, problem: String| Err(InvalidPart::new(what, problem));
        if self.values.len() != self.counts.len() {
            return invalid(
                "counts",
                format!("there are {}, and {} values", self.counts.len(), self.values.len()),
            );
        }
        if let Some(index) = self.values.iter().position(|value| !value.is_finite()) {
            return invalid("values", format!("value {index} is not finite"));
        }
        if let Some(index) = self.values.windows(2).position(|pair| pair[0] >= pair[1]) {
            return invalid("values", format!("they do not increase after value {index}"));
        }
        if self.counts.contains(&0) {
            return invalid("counts", "a value that no row has".to_owned());
        }
        if self.rows() != Some(rows) {
            return invalid("counts", format!("they and the missing do not add up to {rows} rows"));
        }
        if self.bin_edges.len() as u64 > DECILE_EDGES {
            return invalid(
                "bin_edges",
                format!("there are {}, allowed are {DECILE_EDGES}", self.bin_edges.len()),
            );
        }
        // The first comparison refuses a lone NaN, the second any other.
        let ordered = self.bin_edges.iter().all(|edge| edge.is_finite())
            && self.bin_edges.windows(2).all(|pair| pair[0] < pair[1]);
        if !ordered {
            return invalid("bin_edges", "they do not increase".to_owned());
        }
        if self.bin_counts != self.counts_within(&self.bin_edges) {
            return invalid(
                "bin_counts",
                "they are not the counts of the values between the edges".to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_the_two_zeros_are_one() {
        let profile = NumericProfile::of([3.0, 1.0, f64::NAN, -0.0, 3.0, 0.0, f64::INFINITY]);
        assert_eq!(profile.values(), [0.0, 1.0, 3.0]);
        assert_eq!(profile.counts(), [2, 1, 2]);
        assert_eq!((profile.missing(), profile.present()), (2, 5));
        assert_eq!(profile.range(), Some((0.0, 3.0)));
        assert_eq!(profile.median(), Some(1.0));
    }

    #[test]
    fn deciles_of_one_to_a_hundred_are_the_tens() {
        let profile = NumericProfile::of((1..=100).map(f64::from));
        assert_eq!(
            profile.bin_edges(),
            [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]
        );
        assert_eq!(profile.bin_counts(), [10; 10]);
        assert_eq!(profile.quantile(0.25), Some(25.0));
        assert_eq!(profile.quantile(0.0), Some(1.0));
        assert_eq!(profile.quantile(1.0), Some(100.0));
        assert_eq!(profile.counts_within(&[50.0]), [50, 50]);
    }

    #[test]
    fn a_constant_has_one_edge_and_room_above_it() {
        let profile = NumericProfile::of([7.0; 4]);
        assert_eq!(profile.bin_edges(), [7.0]);
        assert_eq!(profile.bin_counts(), [4, 0]);
    }

    #[test]
    fn nothing_has_no_bins_and_no_median() {
        let profile = NumericProfile::of([f64::NAN]);
        assert_eq!(profile.bin_counts(), [0_u64; 0]);
        assert_eq!(profile.median(), None);
        profile.validate(1).unwrap();
    }
}
