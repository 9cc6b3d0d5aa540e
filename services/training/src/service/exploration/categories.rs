//! Churn by category.

use holdfast_domain::Schema;
use holdfast_model::metrics::wilson;
use holdfast_statistics::{association, benjamini_hochberg, chi_squared};
use serde::Serialize;

use super::ExploreError;
use super::frame::{Frame, Values};
use super::overview::Share;

/// A category column, by class.
#[derive(Clone, Debug, Serialize)]
pub struct CategoricalFeature {
    /// The column.
    pub name: String,
    /// What it means.
    pub description: String,
    /// Its categories in the schema's order, then rows without one.
    pub groups: Vec<Group>,
    /// Chi-squared of "which category" against "left or stayed".
    pub chi_squared: f64,
    /// Its degrees of freedom.
    pub degrees_of_freedom: u32,
    /// Its p-value, adjusted over all category columns (Benjamini–Hochberg).
    pub p_adjusted: f64,
    /// Cramér's V, 0 to 1: the strength by which columns are ordered.
    pub cramers_v: f64,
    /// Whether the smallest expected count is below five, where the p-value is not to be trusted.
    pub few_expected: bool,
}

/// The customers of one category.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// The category.
    pub name: String,
    /// Customers.
    pub rows: usize,
    /// Customers who left.
    pub left: usize,
    /// Share of customers who left, with its Wilson interval.
    pub churn: Share,
}

/// Every categorical feature, the strongest first.
pub(super) fn categories(frame: &Frame, schema: &Schema) -> Result<Vec<CategoricalFeature>, ExploreError> {
    let mut features = Vec::new();
    for column in schema.columns() {
        let Some(Values::Categories { codes, names }) = frame.feature(column.feature).map(|column| &column.values)
        else {
            continue;
        };
        let mut counts = vec![[0_u64; 2]; names.len() + 1];
        for (code, label) in codes.iter().zip(&frame.labels) {
            counts[code.unwrap_or(names.len())][usize::from(*label)] += 1;
        }
        let stayed: Vec<u64> = counts.iter().map(|[stayed, _]| *stayed).collect();
        let left: Vec<u64> = counts.iter().map(|[_, left]| *left).collect();
        let found = association(&[stayed, left])?;
        let shown = names.iter().map(String::as_str).chain(["(missing)"]).zip(&counts);
        let groups = shown.filter(|(_, [stayed, left])| stayed + left > 0);
        features.push(CategoricalFeature {
            name: column.name().to_owned(),
            description: column.description.clone(),
            groups: groups
                .map(|(name, [stayed, left])| {
                    Ok(Group {
                        name: name.to_owned(),
                        rows: (stayed + left) as usize,
                        left: *left as usize,
                        churn: wilson(*left, stayed + left)?.into(),
                    })
                })
                .collect::<Result<_, ExploreError>>()?,
            chi_squared: found.test.statistic,
            degrees_of_freedom: found.test.degrees_of_freedom,
            p_adjusted: found.test.p_value,
            cramers_v: found.cramers_v,
            few_expected: found.test.smallest_expected < chi_squared::MINIMUM_EXPECTED,
        });
    }
    let p_values: Vec<f64> = features.iter().map(|feature| feature.p_adjusted).collect();
    for (feature, adjusted) in features.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        feature.p_adjusted = adjusted;
    }
    features.sort_by(|a, b| b.cramers_v.total_cmp(&a.cramers_v));
    Ok(features)
}
