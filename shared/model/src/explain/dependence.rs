//! How the probability depends on one feature when the others are as they are: partial dependence (Friedman, Annals of Statistics
//! 29, 2001, section 8.2), with the spread of the individual curves behind it (Goldstein et al., Journal of Computational and
//! Graphical Statistics 24, 2015).
//!
//! It says what the model answers, not what would happen to a customer: features that move together in life are moved apart here,
//! to customers that may not exist.

use holdfast_domain::{Feature, FeatureKind, FeatureVector};

use crate::model::Model;
use crate::preprocess::transform::code;
use crate::profile::NumericProfile;

/// Share of the individual curves below the lower and above the upper end of the band.
pub const BAND_TAIL: f64 = 0.1;

/// The probability as one feature is set to a value in every row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DependencePoint {
    /// The value; a code of the schema for categories.
    pub value: f64,
    /// Share of the rows with a value that have at most this one; for a category, that have this one.
    pub rows_share: f64,
    /// Mean probability over the rows.
    pub mean: f64,
    /// The probability that a tenth of the rows stays below.
    pub lower: f64,
    /// The probability that a tenth of the rows exceeds.
    pub upper: f64,
}

/// The partial dependence of the probability on `feature` over `rows`: at up to `points` quantiles of its values, smallest and
/// largest included, or at each category that occurs. A row in which the feature is missing counts like the others. Empty when
/// no row has a value.
#[expect(clippy::cast_precision_loss, reason = "counts of rows and points")]
pub fn partial_dependence(
    model: &Model,
    rows: &[FeatureVector],
    feature: Feature,
    points: usize,
) -> Vec<DependencePoint> {
    let values: Vec<f64> = rows.iter().filter_map(|row| row.get(feature)).collect();
    let present = values.len() as f64;
    let grid = match feature.kind() {
        FeatureKind::Numeric => quantiles(&values, points),
        FeatureKind::Categorical => categories(&values),
    };
    let mut moved = rows.to_vec();
    let mut scores = vec![f64::NAN; rows.len()];
    let at = |value: f64| {
        for row in &mut moved {
            row.set(feature, value);
        }
        model.score_batch(&moved, &mut scores);
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let counted = values.iter().filter(|own| match feature.kind() {
            FeatureKind::Numeric => **own <= value,
            FeatureKind::Categorical => own.to_bits() == value.to_bits(),
        });
        let rows_share = counted.count() as f64 / present;
        scores.sort_unstable_by(f64::total_cmp);
        let last = (scores.len() - 1) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a position within the rows"
        )]
        let quantile = |share: f64| scores[(share * last).round() as usize];
        DependencePoint {
            value,
            rows_share,
            mean,
            lower: quantile(BAND_TAIL),
            upper: quantile(1.0 - BAND_TAIL),
        }
    };
    grid.into_iter().map(at).collect()
}

/// Distinct quantiles at equal steps from the smallest to the largest value.
#[expect(clippy::cast_precision_loss, reason = "counts of points")]
fn quantiles(values: &[f64], points: usize) -> Vec<f64> {
    let profile = NumericProfile::of(values.iter().copied());
    let steps = points.max(2) - 1;
    let mut found: Vec<f64> = (0..=steps)
        .filter_map(|step| profile.quantile(step as f64 / steps as f64))
        .collect();
    found.dedup();
    found
}

/// The codes that occur, in order; unknown categories are left out.
#[expect(clippy::cast_precision_loss, reason = "category codes are small")]
fn categories(values: &[f64]) -> Vec<f64> {
    let mut found: Vec<usize> = values.iter().filter_map(|value| code(*value)).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|code| code as f64).collect()
}
