//! What is known of one group of customers, and how values are read from its tables.

/// Features tied together by the copula, in the order of the factor's rows.
pub(crate) const COPULA_SIZE: usize = 10;

/// Cumulative shares at which [`Quantiles`] are read.
const POINTS: [f64; 17] = [
    0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995, 1.0,
];

/// Cumulative shares at which [`ShortQuantiles`] are read.
const SHORT_POINTS: [f64; 7] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0];

/// A distribution as its quantiles at 17 points, dense at both ends.
pub(crate) type Quantiles = [f64; POINTS.len()];

/// A distribution as its quantiles at 7 points.
pub(crate) type ShortQuantiles = [f64; SHORT_POINTS.len()];

/// The value at cumulative share `rank`, linear between the points.
pub(crate) fn quantile(table: &Quantiles, rank: f64) -> f64 {
    interpolate(&POINTS, table, rank)
}

/// The value at cumulative share `rank`, linear between the points.
pub(crate) fn short_quantile(table: &ShortQuantiles, rank: f64) -> f64 {
    interpolate(&SHORT_POINTS, table, rank)
}

fn interpolate(points: &[f64], values: &[f64], rank: f64) -> f64 {
    let above = points.partition_point(|point| *point < rank).clamp(1, points.len() - 1);
    let below = above - 1;
    let part = ((rank - points[below]) / (points[above] - points[below])).clamp(0.0, 1.0);
    values[below] + part * (values[above] - values[below])
}

/// The level of a discrete distribution at cumulative share `rank`. What rounding leaves of a sum below 1 goes to the last level
/// of positive share.
pub(crate) fn level(shares: impl IntoIterator<Item = f64>, rank: f64) -> usize {
    let mut cumulative = 0.0;
    let mut last = 0;
    for (index, share) in shares.into_iter().enumerate() {
        cumulative += share;
        if rank < cumulative {
            return index;
        }
        if share > 0.0 {
            last = index;
        }
    }
    last
}

/// A group of customers that behave alike: stay or leave, and spend about the same.
///
/// The real file is not one cloud but several (by yearly amount spent), and what tells leaving customers from staying ones
/// differs between them. That, and not noise, is why a linear model does clearly worse on it than trees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// Whether its customers leave.
    pub(crate) label: bool,
    /// Its share of all customers.
    pub(crate) share: f64,
    /// Share of women.
    pub(crate) female: f64,
    /// Share of blue cards, the plainest tier.
    pub(crate) plain_card: f64,
    /// Marital status, in the order of [`MARITAL_STATES`](crate::bank::MARITAL_STATES).
    pub(crate) marital: [f64; 4],
    /// Products held, 1 to 6.
    pub(crate) relationships: [f64; 6],
    /// Months inactive, 0 to 6.
    pub(crate) inactive: [f64; 7],
    /// Contacts, 0 to 6.
    pub(crate) contacts: [f64; 7],
    /// Mean and deviation of the limit's normal score among customers of the same income and tier.
    pub(crate) limit_mean: f64,
    /// See [`Segment::limit_mean`].
    pub(crate) limit_deviation: f64,
    /// Share that carries no balance.
    pub(crate) balance_zero: f64,
    /// Share that carries the highest balance the bank allows.
    pub(crate) balance_cap: f64,
    /// Balances between the two, US dollars.
    pub(crate) balance: ShortQuantiles,
    /// Age in years.
    pub(crate) age: Quantiles,
    /// Amount spent in twelve months, US dollars.
    pub(crate) amount: Quantiles,
    /// Transactions in twelve months.
    pub(crate) count: Quantiles,
    /// Amount of the fourth quarter over that of the first.
    pub(crate) amount_change: Quantiles,
    /// Transactions of the fourth quarter over those of the first.
    pub(crate) count_change: Quantiles,
    /// Lower triangular factor of the correlation of normal scores. Rows: age, products, inactive, contacts, limit, balance,
    /// amount, count, amount change, count change. Every row has length 1.
    pub(crate) copula: [[f64; COPULA_SIZE]; COPULA_SIZE],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segments::SEGMENTS;

    #[test]
    fn quantiles_interpolate_and_stop_at_both_ends() {
        let table: Quantiles = std::array::from_fn(|index| POINTS[index] * 100.0);
        for rank in [0.0, 0.003, 0.25, 0.5, 0.999, 1.0] {
            assert!((quantile(&table, rank) - rank * 100.0).abs() < 1e-9, "{rank}");
        }
        assert!((quantile(&table, -1.0)).abs() < 1e-12);
        assert!((quantile(&table, 2.0) - 100.0).abs() < 1e-12);
    }

    #[test]
    fn a_rank_never_falls_on_a_level_of_no_share() {
        for rank in [0.0, 0.5, 0.9999, 1.0] {
            assert_eq!(level([0.0, 0.3, 0.0], rank), 1);
        }
        assert_eq!(level([0.25, 0.75], 0.25), 1);
    }

    #[test]
    fn segments_share_out_all_customers_and_a_sixth_leave() {
        let total: f64 = SEGMENTS.iter().map(|s| s.share).sum();
        let leaving: f64 = SEGMENTS.iter().filter(|s| s.label).map(|s| s.share).sum();
        assert!((total - 1.0).abs() < 1e-4, "{total}");
        assert!((leaving - 0.1607).abs() < 1e-3, "{leaving}");
    }

    #[test]
    fn tables_ascend_and_shares_sum_to_one() {
        for segment in &SEGMENTS {
            for table in [
                &segment.age,
                &segment.amount,
                &segment.count,
                &segment.amount_change,
                &segment.count_change,
            ] {
                assert!(table.is_sorted(), "{table:?}");
            }
            assert!(segment.balance.is_sorted());
            let sums = [
                segment.marital.iter().sum::<f64>(),
                segment.relationships.iter().sum(),
                segment.inactive.iter().sum(),
                segment.contacts.iter().sum(),
            ];
            for sum in sums {
                assert!((sum - 1.0).abs() < 1e-3, "{sum}");
            }
            for (index, row) in segment.copula.iter().enumerate() {
                assert!((row.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 5e-3, "{row:?}");
                assert!(row[index + 1..].iter().all(|x| x.abs() < 1e-12), "{row:?}");
            }
        }
    }
}
