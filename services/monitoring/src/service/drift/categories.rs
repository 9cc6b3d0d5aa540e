//! Comparing categories.

use holdfast_domain::{Feature, Schema};
use holdfast_model::CategoricalProfile;
use holdfast_statistics::{StatisticsError, chi_squared};
use statrs::distribution::{ChiSquared as ChiSquaredDistribution, ContinuousCDF as _};

use super::cramers_v::cramers_v;
use super::{Compared, missing_share};
use crate::service::policy::DriftPolicy;
use crate::service::report::{FeatureDrift, Method};

/// Counts of the reference and of the window, category by category.
type Pair = (u64, u64);

pub(super) fn compare(
    feature: Feature,
    reference: &CategoricalProfile,
    codes: &[f64],
    policy: &DriftPolicy,
    schema: &Schema,
) -> Result<Compared, StatisticsError> {
    let window = CategoricalProfile::of(codes.iter().copied(), &schema.column(feature).categories);
    let (reference_rows, window_rows) = (reference.present(), window.present());
    if reference_rows == 0 || window_rows < policy.minimum_rows {
        return Ok(Compared::skipped(feature.name(), reference_rows, window_rows));
    }
    let (of_reference, of_window): (Vec<u64>, Vec<u64>) = pooled(by_name(reference, &window)).into_iter().unzip();
    let test = chi_squared::two_sample(&of_reference, &of_window)?;
    Ok(Compared::Judged(FeatureDrift {
        feature: feature.name().to_owned(),
        method: Method::ChiSquared,
        statistic: test.statistic,
        p_value: test.p_value,
        adjusted_p_value: test.p_value,
        effect_size: cramers_v(&of_reference, &of_window),
        drifted: false,
        reference_rows,
        window_rows,
        reference_median: None,
        window_median: None,
        reference_missing_share: missing_share(reference.missing(), reference_rows),
        window_missing_share: missing_share(window.missing(), window_rows),
        detectable_effect: detectable_v(reference_rows, window_rows, test.degrees_of_freedom, policy.alpha),
    }))
}

/// The counts by category *name*: the codes of the reference need not be those of today's schema. Unlisted categories are the last.
fn by_name(reference: &CategoricalProfile, window: &CategoricalProfile) -> Vec<Pair> {
    let mut counts: Vec<Pair> = reference
        .categories()
        .iter()
        .zip(reference.counts())
        .map(|(name, &count)| (count, window.count(name).unwrap_or(0)))
        .collect();
    let new = window.categories().iter().zip(window.counts());
    counts.extend(
        new.filter(|(name, _)| reference.count(name).is_none())
            .map(|(_, &count)| (0, count)),
    );
    counts.push((reference.unlisted(), window.unlisted()));
    counts
}

/// Rare categories made one: those of which the window has, and by the reference should have, fewer than
/// [`chi_squared::MINIMUM_EXPECTED`]. The chi-squared distribution is no good approximation with them apart, and three holders of a rare
/// card would look like news. A category that is new and frequent stays apart. When even together they are rare, they join the
/// smallest other one.
fn pooled(mut counts: Vec<Pair>) -> Vec<Pair> {
    let totals = counts.iter().fold((0, 0), add);
    let scale = totals.1 as f64 / totals.0 as f64;
    let weight = |pair: &Pair| (pair.0 as f64 * scale).max(pair.1 as f64);
    counts.retain(|pair| *pair != (0, 0));
    counts.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    let frequent = counts.partition_point(|pair| weight(pair) >= chi_squared::MINIMUM_EXPECTED);
    let rare = counts.split_off(frequent).iter().fold((0, 0), add);
    match counts.last_mut() {
        _ if rare == (0, 0) => {}
        Some(smallest) if weight(&rare) < chi_squared::MINIMUM_EXPECTED => *smallest = add(*smallest, &rare),
        _ => counts.push(rare),
    }
    counts
}

fn add(sum: Pair, pair: &Pair) -> Pair {
    (sum.0 + pair.0, sum.1 + pair.1)
}

/// The smallest V that is significant at `alpha`: √(χ²(1 − α) / 4h) with h = n·m/(n+m), because χ² ≈ 4h·V² where the shares of the two
/// samples are close. 1 for a single category.
fn detectable_v(n: u64, m: u64, degrees_of_freedom: u32, alpha: f64) -> f64 {
    let Ok(distribution) = ChiSquaredDistribution::new(f64::from(degrees_of_freedom)) else {
        return 1.0;
    };
    let (n, m) = (n as f64, m as f64);
    let critical = distribution.inverse_cdf(1.0 - alpha);
    (critical * (n + m) / (4.0 * n * m)).sqrt().min(1.0)
}

#[cfg(test)]
mod tests {
    use holdfast_domain::UNKNOWN_CATEGORY;

    use super::*;

    #[test]
    fn rare_categories_are_pooled_and_new_frequent_ones_are_not() {
        // 1,000 reference rows against 100: the last two are expected 3 and 1 times.
        let counts = vec![(900, 88), (60, 6), (30, 4), (10, 2)];
        assert_eq!(pooled(counts), [(900, 88), (60, 6), (40, 6)]);
        // Together still rare: they join the smallest of the others.
        assert_eq!(pooled(vec![(900, 90), (98, 9), (2, 1)]), [(900, 90), (100, 10)]);
        // New in the window, and frequent there.
        assert_eq!(pooled(vec![(1_000, 70), (0, 30), (0, 0)]), [(1_000, 70), (0, 30)]);
        assert_eq!(pooled(vec![(1_000, 100)]), [(1_000, 100)]);
    }

    #[test]
    fn categories_meet_by_name_whatever_their_codes() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let reference = CategoricalProfile::of([0.0, 0.0, 1.0, UNKNOWN_CATEGORY], &names(&["Gold", "Blue"]));
        let window = CategoricalProfile::of([0.0, 1.0, 2.0, 2.0, f64::NAN], &names(&["Blue", "Gold", "New"]));
        assert_eq!(by_name(&reference, &window), [(2, 1), (1, 1), (0, 2), (1, 0)]);
    }

    #[test]
    fn the_detectable_effect_is_the_critical_value_as_an_effect() {
        // χ²₁(0.95) = 3.841459; n = m = 100: √(3.841459 · 200 / 40,000) = 0.138590. A table of 57:43 and 43:57, V = 0.14, is significant.
        let v = detectable_v(100, 100, 1, 0.05);
        assert!((v - 0.138_590).abs() < 1e-6, "{v}");
        let significant = chi_squared::two_sample(&[57, 43], &[43, 57]).unwrap();
        assert!(significant.p_value < 0.05);
        let one_category = detectable_v(100, 100, 0, 0.05);
        assert!((one_category - 1.0).abs() < 1e-15);
    }
}
