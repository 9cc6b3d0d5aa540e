//! Which features matter over many rows: the mean absolute contribution (Lundberg, Erion and Lee 2018, section 5), by the same
//! contributions that explain single rows.

use holdfast_domain::{Feature, FeatureVector};

use super::Explanation;
use crate::model::Model;

/// How much a feature moves the margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureImportance {
    /// The feature.
    pub feature: Feature,
    /// Mean of |contribution| over the rows, in units of the margin: log-odds, or probability for random forests.
    pub mean_absolute: f64,
    /// Standard error of that mean; 0 with fewer than two rows.
    pub standard_error: f64,
    /// `mean_absolute` as a share of the sum over all features; 0 when nothing contributes.
    pub share: f64,
}

/// The importance of every feature over explained rows, the strongest first, equal ones in feature order. Empty without rows.
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
pub fn importance(explanations: &[Explanation]) -> Vec<FeatureImportance> {
    if explanations.is_empty() {
        return Vec::new();
    }
    let rows = explanations.len() as f64;
    let mut found: Vec<FeatureImportance> = Feature::ALL
        .into_iter()
        .map(|feature| {
            let absolute = || explanations.iter().map(|row| row.contribution(feature).abs());
            let mean = absolute().sum::<f64>() / rows;
            let squares: f64 = absolute().map(|value| (value - mean).powi(2)).sum();
            FeatureImportance {
                feature,
                mean_absolute: mean,
                standard_error: if rows < 2.0 {
                    0.0
                } else {
                    (squares / (rows - 1.0) / rows).sqrt()
                },
                share: 0.0,
            }
        })
        .collect();
    let total: f64 = found.iter().map(|feature| feature.mean_absolute).sum();
    if total > 0.0 {
        for feature in &mut found {
            feature.share = feature.mean_absolute / total;
        }
    }
    found.sort_by(|a, b| b.mean_absolute.total_cmp(&a.mean_absolute));
    found
}

impl Model {
    /// The [`importance`] of every feature over `rows`.
    pub fn importance(&self, rows: &[FeatureVector]) -> Vec<FeatureImportance> {
        importance(&self.explain_batch(rows))
    }
}
