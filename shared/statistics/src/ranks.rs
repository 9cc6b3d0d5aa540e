//! Mid-ranks: the rank of each value in its sample, tied values sharing the mean of their places.

use super::StatisticsError;

/// The mid-rank of each value, from 1, in the order given; as `scipy.stats.rankdata`.
///
/// # Errors
/// No values, a value that is not finite.
pub fn mid_ranks(values: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    if values.is_empty() {
        return Err(StatisticsError::Empty);
    }
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(StatisticsError::NotFinite { index });
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    // By `==`, so that -0 and 0 are tied.
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        // The mean of before + 1 … before + len.
        let shared = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        for &index in tied {
            ranks[index] = shared;
        }
        before += tied.len();
    }
    Ok(ranks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tied_values_share_the_mean_of_their_places() {
        assert_eq!(
            mid_ranks(&[7.0, 3.0, 7.0, -0.0, 0.0]).unwrap(),
            [4.5, 3.0, 4.5, 1.5, 1.5]
        );
    }

    #[test]
    fn what_has_no_rank_is_refused() {
        assert_eq!(mid_ranks(&[]), Err(StatisticsError::Empty));
        assert_eq!(
            mid_ranks(&[1.0, f64::NAN]),
            Err(StatisticsError::NotFinite { index: 1 })
        );
    }
}
