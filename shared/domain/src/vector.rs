//! A customer's features as nineteen numbers, the form that training and scoring work on.

use crate::feature::{FEATURE_COUNT, Feature};
use crate::schema::Schema;

/// What a categorical feature holds when the caller sent a category that the schema does not list.
pub const UNKNOWN_CATEGORY: f64 = -1.0;

/// Nineteen numbers in the order of [`Feature::ALL`].
///
/// A numeric feature is its value; a categorical one is the index of its category in the schema's list, or
/// [`UNKNOWN_CATEGORY`]. NaN means missing. Two vectors are equal when every feature is equal or missing in both, so that
/// equality is usable in tests and for removing repeats in spite of NaN.
#[derive(Clone, Copy, Debug)]
pub struct FeatureVector(pub [f64; FEATURE_COUNT]);

impl FeatureVector {
    /// A vector with every feature missing.
    pub const MISSING: Self = Self([f64::NAN; FEATURE_COUNT]);

    /// The value of `feature`, or `None` when it is missing.
    pub fn get(&self, feature: Feature) -> Option<f64> {
        let value = self.0[feature.index()];
        if value.is_nan() { None } else { Some(value) }
    }

    /// Sets `feature`; NaN makes it missing.
    pub fn set(&mut self, feature: Feature, value: f64) {
        self.0[feature.index()] = value;
    }

    /// The same customer as a caller that sends only the required features would describe them: every optional feature missing.
    pub fn required_only(&self, schema: &Schema) -> Self {
        let mut masked = *self;
        for column in schema.columns().iter().filter(|column| !column.required) {
            masked.set(column.feature, f64::NAN);
        }
        masked
    }

    /// Features that are missing, in index order.
    pub fn missing(&self) -> impl Iterator<Item = Feature> + '_ {
        Feature::ALL
            .into_iter()
            .filter(|feature| self.0[feature.index()].is_nan())
    }
}

impl AsRef<FeatureVector> for FeatureVector {
    fn as_ref(&self) -> &FeatureVector {
        self
    }
}

impl PartialEq for FeatureVector {
    fn eq(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
    }
}

impl Default for FeatureVector {
    fn default() -> Self {
        Self::MISSING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_equals_a_missing_value() {
        assert_eq!(FeatureVector::MISSING, FeatureVector::MISSING);
        let mut some = FeatureVector::MISSING;
        some.set(Feature::CreditLimit, 1_000.0);
        assert_ne!(some, FeatureVector::MISSING);
        assert_eq!(some.get(Feature::CreditLimit), Some(1_000.0));
        assert_eq!(some.get(Feature::Gender), None);
        assert_eq!(some.missing().count(), FEATURE_COUNT - 1);
    }

    #[test]
    fn masking_keeps_the_required_features_alone() {
        let full = FeatureVector([1.0; FEATURE_COUNT]);
        let masked = full.required_only(Schema::embedded());
        let kept: Vec<Feature> = Feature::ALL.into_iter().filter(|f| masked.get(*f).is_some()).collect();
        assert_eq!(kept, Schema::embedded().required().collect::<Vec<_>>());
        assert_eq!(kept.len(), 8);
    }
}
