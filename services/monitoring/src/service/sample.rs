//! A window of predictions as columns: what a comparison needs, and nothing else.

use holdfast_domain::{FEATURE_COUNT, Feature, FeatureVector, Schema};
use holdfast_model::{Distribution, ReferenceProfile};

/// The values of a window, feature by feature, and its scores. Eight bytes a value.
#[derive(Clone, Debug)]
pub struct WindowSample {
    /// Optional features that most reference rows have.
    usual: Vec<Feature>,
    rows: u64,
    features: [Vec<f64>; FEATURE_COUNT],
    scores: Vec<f64>,
}

impl WindowSample {
    /// An empty window, to be compared with `reference`.
    pub fn new(reference: &ReferenceProfile, schema: &Schema) -> Self {
        let usual = schema.optional().filter(|feature| {
            let missing = match reference.feature(*feature) {
                Some(Distribution::Numeric(profile)) => profile.missing(),
                Some(Distribution::Categorical(profile)) => profile.missing(),
                None => reference.rows,
            };
            missing * 2 < reference.rows
        });
        Self {
            usual: usual.collect(),
            rows: 0,
            features: std::array::from_fn(|_| Vec::new()),
            scores: Vec::new(),
        }
    }

    /// Adds a prediction; `score` is `None` when another version than the reference's gave it, because versions score differently.
    ///
    /// Nor is a score kept of a row that has less than half of the optional features that reference rows have: the model answers such a
    /// call with less knowledge, and its scores are spread otherwise without anything having changed.
    pub fn push(&mut self, features: &FeatureVector, score: Option<f64>) {
        self.rows += 1;
        for (column, value) in self.features.iter_mut().zip(features.0) {
            column.push(value);
        }
        let known = self.usual.iter().filter(|feature| features.get(**feature).is_some());
        if known.count() * 2 >= self.usual.len() {
            self.scores.extend(score);
        }
    }

    /// Predictions in the window.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The values of a feature, one a row; NaN where it was not sent.
    pub fn feature(&self, feature: Feature) -> &[f64] {
        &self.features[feature.index()]
    }

    /// The scores that can be compared with the reference's.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_rows_with_few_optional_features_are_left_out() {
        let schema = Schema::embedded();
        let full = FeatureVector([1.0; FEATURE_COUNT]);
        let reference = ReferenceProfile::build(&[full; 10], &[0.5; 10], schema);
        let mut sample = WindowSample::new(&reference, schema);
        sample.push(&full, Some(0.25));
        sample.push(&full.required_only(schema), Some(0.75));
        sample.push(&full, None);
        let mut nearly_full = full;
        nearly_full.set(Feature::CustomerAge, f64::NAN);
        sample.push(&nearly_full, Some(0.5));
        assert_eq!(sample.scores(), [0.25, 0.5]);
        assert_eq!(sample.rows(), 4);
        assert_eq!(sample.feature(Feature::CreditLimit), [1.0; 4]);
        assert!(sample.feature(Feature::CustomerAge)[1].is_nan());
    }

    #[test]
    fn scores_count_when_the_reference_has_no_optional_features_either() {
        let schema = Schema::embedded();
        let row = FeatureVector([1.0; FEATURE_COUNT]).required_only(schema);
        let reference = ReferenceProfile::build(&[row; 10], &[0.5; 10], schema);
        let mut sample = WindowSample::new(&reference, schema);
        sample.push(&row, Some(0.25));
        assert_eq!(sample.scores(), [0.25]);
    }
}
