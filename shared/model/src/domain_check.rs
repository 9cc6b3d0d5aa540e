//! Whether a row lies where the training rows lay.

use holdfast_domain::{FEATURE_COUNT, Feature, FeatureVector, Schema};

use crate::preprocess::transform::code;
use crate::signature::{InputKind, Signature};

/// What training saw of each feature, by feature index, in the codes of the schema the model is bound to.
#[derive(Debug)]
pub(crate) struct DomainCheck([Limits; FEATURE_COUNT]);

#[derive(Debug)]
enum Limits {
    /// The model does not look at the feature: whatever it holds, nothing is extrapolated.
    Unused,
    Range(f64, f64),
    /// Whether the training rows had the category, by the schema's code.
    Codes(Vec<bool>),
    /// Training saw no value at all.
    NeverSeen,
}

impl DomainCheck {
    pub(crate) fn new(signature: &Signature, schema: &Schema) -> Self {
        Self(Feature::ALL.map(|feature| {
            match signature.input(feature) {
                None => Limits::Unused,
                Some(input) if !input.used => Limits::Unused,
                Some(input) => match &input.kind {
                    InputKind::Numeric {
                        range: Some((minimum, maximum)),
                        ..
                    } => Limits::Range(*minimum, *maximum),
                    InputKind::Numeric { range: None, .. } => Limits::NeverSeen,
                    InputKind::Categorical { categories } => Limits::Codes(
                        schema
                            .column(feature)
                            .categories
                            .iter()
                            .map(|name| categories.contains(name))
                            .collect(),
                    ),
                },
            }
        }))
    }

    /// Features the model looks at whose value is outside of what training saw. A missing value is not: models are trained for it.
    pub(crate) fn outside(&self, features: &FeatureVector) -> Vec<Feature> {
        let is_outside = |feature: &Feature| {
            let Some(value) = features.get(*feature) else {
                return false;
            };
            match &self.0[feature.index()] {
                Limits::Unused => false,
                Limits::Range(minimum, maximum) => value < *minimum || value > *maximum,
                Limits::Codes(known) => !code(value).and_then(|code| known.get(code)).copied().unwrap_or(false),
                Limits::NeverSeen => true,
            }
        };
        Feature::ALL.into_iter().filter(is_outside).collect()
    }
}
