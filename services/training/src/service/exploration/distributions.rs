//! How the numbers of customers who left differ from those of customers who stayed.

use holdfast_domain::{Feature, Schema};
use holdfast_statistics::{Ecdf, EffectSize, benjamini_hochberg, ks, mann_whitney, quantile_of_sorted};
use serde::Serialize;

use super::ExploreError;
use super::frame::{Frame, Values};

/// Histograms have at most this many bins.
const MOST_BINS: usize = 40;

/// The ends of a histogram of reals: values beyond these quantiles go into the first and the last bin.
const HISTOGRAM_SPAN: (f64, f64) = (0.005, 0.995);

/// A number, by class.
#[derive(Clone, Debug, Serialize)]
pub struct NumericFeature {
    /// The column.
    pub name: String,
    /// Unit, for people.
    pub unit: Option<String>,
    /// What it means.
    pub description: String,
    /// Customers who stayed.
    pub stayed: FiveNumbers,
    /// Customers who left.
    pub left: FiveNumbers,
    /// Kolmogorov–Smirnov distance of the two distributions, 0 to 1: the strength by which features are ordered.
    pub ks_distance: f64,
    /// The value at which the two distributions are furthest apart.
    pub ks_location: f64,
    /// Its p-value, adjusted over all numeric features (Benjamini–Hochberg).
    pub p_adjusted: f64,
    /// Cliff's delta, −1 to 1: above 0, customers who left tend to larger values.
    pub cliffs_delta: f64,
    /// The delta in a word.
    pub effect: &'static str,
    /// The two distributions in bins.
    pub histogram: Histogram,
}

/// What a sample looks like.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FiveNumbers {
    /// Values.
    pub rows: usize,
    /// Smallest value.
    pub minimum: f64,
    /// 5 % of the values are below.
    pub p05: f64,
    /// First quartile.
    pub q1: f64,
    /// Median.
    pub median: f64,
    /// Third quartile.
    pub q3: f64,
    /// 95 % of the values are below.
    pub p95: f64,
    /// Largest value.
    pub maximum: f64,
    /// Mean.
    pub mean: f64,
}

/// Shares of either class by bin.
#[derive(Clone, Debug, Serialize)]
pub struct Histogram {
    /// Ends of the bins, one more than there are bins.
    pub edges: Vec<f64>,
    /// Share of the customers who stayed in each bin, 0 to 1.
    pub stayed: Vec<f64>,
    /// Share of the customers who left in each bin, 0 to 1.
    pub left: Vec<f64>,
    /// Whether values below the first edge were counted into the first bin.
    pub open_below: bool,
    /// Whether values above the last edge were counted into the last bin.
    pub open_above: bool,
}

/// Every numeric feature that has values in both classes, the strongest first.
pub(super) fn distributions(frame: &Frame, schema: &Schema) -> Result<Vec<NumericFeature>, ExploreError> {
    let mut found = Vec::new();
    for column in schema.columns() {
        let Some(Values::Numbers(values)) = frame.feature(column.feature).map(|column| &column.values) else {
            continue;
        };
        found.extend(of_numbers(column.feature, values, &frame.labels, schema)?);
    }
    let p_values: Vec<f64> = found.iter().map(|(_, p)| *p).collect();
    let adjusted = benjamini_hochberg(&p_values)?;
    let mut features: Vec<NumericFeature> = found
        .into_iter()
        .zip(adjusted)
        .map(|((feature, _), p_adjusted)| NumericFeature { p_adjusted, ..feature })
        .collect();
    features.sort_by(|a, b| b.ks_distance.total_cmp(&a.ks_distance));
    Ok(features)
}

/// Both distributions and the p-value of their difference; nothing where a class has no value.
fn of_numbers(
    feature: Feature,
    values: &[f64],
    labels: &[bool],
    schema: &Schema,
) -> Result<Option<(NumericFeature, f64)>, ExploreError> {
    let mut sorted: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for (value, label) in values.iter().zip(labels).filter(|(value, _)| !value.is_nan()) {
        sorted[usize::from(*label)].push(*value);
    }
    for class in &mut sorted {
        class.sort_unstable_by(f64::total_cmp);
    }
    let [stayed, left] = &sorted;
    if stayed.is_empty() || left.is_empty() {
        return Ok(None);
    }
    let (first, second) = (Ecdf::from_sorted(left)?, Ecdf::from_sorted(stayed)?);
    let distance = ks::two_sample(&first, &second, ks::PValueMethod::Auto);
    let order = mann_whitney(&first, &second)?;
    let column = schema.column(feature);
    let described = NumericFeature {
        name: feature.name().to_owned(),
        unit: column.unit.clone(),
        description: column.description.clone(),
        stayed: five_numbers(stayed)?,
        left: five_numbers(left)?,
        ks_distance: distance.statistic,
        ks_location: distance.location,
        p_adjusted: distance.p_value,
        cliffs_delta: order.delta,
        effect: EffectSize::of(order.delta).word(),
        histogram: histogram(stayed, left, column.integer)?,
    };
    Ok(Some((described, distance.p_value)))
}

fn five_numbers(sorted: &[f64]) -> Result<FiveNumbers, ExploreError> {
    Ok(FiveNumbers {
        rows: sorted.len(),
        minimum: quantile_of_sorted(sorted, 0.0)?,
        p05: quantile_of_sorted(sorted, 0.05)?,
        q1: quantile_of_sorted(sorted, 0.25)?,
        median: quantile_of_sorted(sorted, 0.5)?,
        q3: quantile_of_sorted(sorted, 0.75)?,
        p95: quantile_of_sorted(sorted, 0.95)?,
        maximum: quantile_of_sorted(sorted, 1.0)?,
        mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
    })
}

/// A bin for each whole number where there are few, else bins of equal width over nearly all values.
pub(super) fn histogram(stayed: &[f64], left: &[f64], integer: bool) -> Result<Histogram, ExploreError> {
    let mut all: Vec<f64> = stayed.iter().chain(left).copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let (smallest, largest) = (all[0], all[all.len() - 1]);
    let whole = integer && largest - smallest < MOST_BINS as f64;
    let edges: Vec<f64> = if whole {
        let bins = (largest - smallest) as usize + 1;
        (0..=bins).map(|place| smallest - 0.5 + place as f64).collect()
    } else {
        let low = quantile_of_sorted(&all, HISTOGRAM_SPAN.0)?;
        let high = quantile_of_sorted(&all, HISTOGRAM_SPAN.1)?;
        // Many equal values can bring both ends together.
        let (low, high) = if high > low { (low, high) } else { (smallest, largest) };
        let (low, high) = if high > low {
            (low, high)
        } else {
            (low - 0.5, low + 0.5)
        };
        (0..=MOST_BINS)
            .map(|place| low + (high - low) * place as f64 / MOST_BINS as f64)
            .collect()
    };
    let shares = |class: &[f64]| {
        let mut counts = vec![0_usize; edges.len() - 1];
        for value in class {
            let after = edges.partition_point(|edge| edge <= value);
            counts[after.saturating_sub(1).min(edges.len() - 2)] += 1;
        }
        counts
            .into_iter()
            .map(|count| count as f64 / class.len() as f64)
            .collect()
    };
    Ok(Histogram {
        stayed: shares(stayed),
        left: shares(left),
        open_below: smallest < edges[0],
        open_above: largest > edges[edges.len() - 1],
        edges,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_a_bin_each_and_shares_add_up() {
        let found = histogram(&[1.0, 2.0, 2.0, 5.0], &[5.0, 5.0], true).unwrap();
        assert_eq!(found.edges, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
        assert_eq!(found.stayed, [0.25, 0.5, 0.0, 0.0, 0.25]);
        assert_eq!(found.left, [0.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(!found.open_below && !found.open_above);
    }

    #[test]
    fn an_outlier_does_not_flatten_the_rest() {
        let mut values: Vec<f64> = (0..2_000).map(|row| f64::from(row) / 2_000.0).collect();
        values.push(1e9);
        let found = histogram(&values, &[0.5], false).unwrap();
        assert!(found.open_above && found.edges[MOST_BINS] < 2.0, "{:?}", found.edges);
        assert!((found.stayed.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_constant_has_a_histogram_too() {
        let found = histogram(&[7.0, 7.0], &[7.0], false).unwrap();
        assert!((found.stayed.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
