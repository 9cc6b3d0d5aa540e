//! Which values of a row the model was not trained for, and how they leave its domain.

use holdfast_domain::{Feature, FeatureKind, FeatureVector};
use holdfast_model::{InputKind, Model};

/// How a value leaves the model's domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Below the smallest value of training.
    BelowTrainingRange,
    /// Above the largest value of training, or training saw none.
    AboveTrainingRange,
    /// A category that training did not see.
    UnknownCategory,
}

/// Every such feature of the row.
pub fn of(model: &Model, row: &FeatureVector) -> Vec<(Feature, Kind)> {
    model
        .out_of_domain(row)
        .into_iter()
        .map(|feature| (feature, kind(model, row, feature)))
        .collect()
}

fn kind(model: &Model, row: &FeatureVector, feature: Feature) -> Kind {
    if feature.kind() == FeatureKind::Categorical {
        return Kind::UnknownCategory;
    }
    let smallest = match model.signature().input(feature).map(|input| &input.kind) {
        Some(InputKind::Numeric { range, .. }) => range.map(|(smallest, _)| smallest),
        _ => None,
    };
    match (row.get(feature), smallest) {
        (Some(value), Some(smallest)) if value < smallest => Kind::BelowTrainingRange,
        _ => Kind::AboveTrainingRange,
    }
}
