//! Profiles to and from their messages.

use holdfast_domain::Feature;

use super::{CategoricalProfile, Distribution, FeatureProfile, NumericProfile, ReferenceProfile};
use crate::error::InvalidPart;
use crate::wire;
use crate::wire::feature_profile::Profile;

impl ReferenceProfile {
    pub(crate) fn to_wire(&self) -> wire::ReferenceProfile {
        let features = self.features.iter().map(|profile| wire::FeatureProfile {
            name: profile.feature.name().to_owned(),
            profile: Some(match &profile.distribution {
                Distribution::Numeric(numbers) => Profile::Numeric(numbers.to_wire()),
                Distribution::Categorical(names) => Profile::Categorical(names.to_wire()),
            }),
        });
        wire::ReferenceProfile {
            rows: self.rows,
            features: features.collect(),
            score: Some(self.score.to_wire()),
        }
    }

    /// Reads a profile of the given features, in their order.
    pub(crate) fn from_wire(message: wire::ReferenceProfile, expected: &[Feature]) -> Result<Self, InvalidPart> {
        if message.features.len() != expected.len() {
            let problem = format!("there are {}, and {} inputs", message.features.len(), expected.len());
            return Err(InvalidPart::new("features", problem));
        }
        let mut features = Vec::with_capacity(expected.len());
        for (index, (profile, feature)) in message.features.into_iter().zip(expected).enumerate() {
            let read = feature_from_wire(profile, *feature, message.rows);
            features.push(read.map_err(|error| error.inside(&format!("features[{index}]")))?);
        }
        let score = NumericProfile::from_wire(message.score.unwrap_or_default());
        // Fewer rows than there are may be scored: those that the model has not learnt from, or none before there is a model.
        let scored = score
            .rows()
            .filter(|scored| *scored <= message.rows)
            .ok_or_else(|| InvalidPart::new("score.counts", format!("more scores than {} rows", message.rows)))?;
        score.validate(scored).map_err(|error| error.inside("score"))?;
        Ok(Self {
            rows: message.rows,
            features,
            score,
        })
    }
}

fn feature_from_wire(
    profile: wire::FeatureProfile,
    feature: Feature,
    rows: u64,
) -> Result<FeatureProfile, InvalidPart> {
    if profile.name != feature.name() {
        return Err(InvalidPart::new(
            "name",
            format!("{:?} stands where {feature} should", profile.name),
        ));
    }
    let distribution = match profile.profile {
        Some(Profile::Numeric(numbers)) => {
            let numbers = NumericProfile::from_wire(numbers);
            numbers.validate(rows)?;
            Distribution::Numeric(numbers)
        }
        Some(Profile::Categorical(names)) => {
            let names = CategoricalProfile::from_wire(names);
            names.validate(rows)?;
            Distribution::Categorical(names)
        }
        None => return Err(InvalidPart::new("profile", "there is none")),
    };
    Ok(FeatureProfile { feature, distribution })
}

impl NumericProfile {
    fn to_wire(&self) -> wire::NumericProfile {
        wire::NumericProfile {
            values: self.values.clone(),
            counts: self.counts.clone(),
            missing: self.missing,
            bin_edges: self.bin_edges.clone(),
            bin_counts: self.bin_counts.clone(),
        }
    }

    fn from_wire(message: wire::NumericProfile) -> Self {
        let wire::NumericProfile {
            values,
            counts,
            missing,
            bin_edges,
            bin_counts,
        } = message;
        Self {
            values,
            counts,
            missing,
            bin_edges,
            bin_counts,
        }
    }
}

impl CategoricalProfile {
    fn to_wire(&self) -> wire::CategoricalProfile {
        wire::CategoricalProfile {
            categories: self.categories.clone(),
            counts: self.counts.clone(),
            unlisted: self.unlisted,
            missing: self.missing,
        }
    }

    fn from_wire(message: wire::CategoricalProfile) -> Self {
        let wire::CategoricalProfile {
            categories,
            counts,
            unlisted,
            missing,
        } = message;
        Self {
            categories,
            counts,
            unlisted,
            missing,
        }
    }
}
