//! The reference profile: what the training rows and their scores looked like.
//!
//! Every distribution is exact, so that two-sample tests need no training data, and profiles of parts merge to the profile of the whole.

mod categorical;
mod numeric;
mod wire;

use holdfast_domain::{Feature, FeatureKind, FeatureVector, Schema};

pub use categorical::CategoricalProfile;
pub use numeric::NumericProfile;

/// Distributions of features and score over a set of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceProfile {
    /// Number of rows.
    pub rows: u64,
    /// One a feature, in the schema's order.
    pub features: Vec<FeatureProfile>,
    /// Probabilities of attrition that the model gave to the rows; empty before there is a model.
    pub score: NumericProfile,
}

/// One feature's distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureProfile {
    /// The feature.
    pub feature: Feature,
    /// Its distribution.
    pub distribution: Distribution,
}

/// The distribution of a feature.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Of a number.
    Numeric(NumericProfile),
    /// Of a category.
    Categorical(CategoricalProfile),
}

/// Two profiles that describe different columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the profiles do not fit together: {0}")]
pub struct ProfileMismatch(String);

impl ReferenceProfile {
    /// The profile of `rows` (in the codes of `schema`) and of the probabilities the model gave to them; `scores` may be empty.
    pub fn build(rows: &[FeatureVector], scores: &[f64], schema: &Schema) -> Self {
        let features = schema.columns().iter().map(|column| {
            let values = rows.iter().map(|row| row.0[column.feature.index()]);
            let distribution = match column.kind {
                FeatureKind::Numeric => Distribution::Numeric(NumericProfile::of(values)),
                FeatureKind::Categorical => {
                    Distribution::Categorical(CategoricalProfile::of(values, &column.categories))
                }
            };
            FeatureProfile {
                feature: column.feature,
                distribution,
            }
        });
        Self {
            rows: rows.len() as u64,
            features: features.collect(),
            score: NumericProfile::of(scores.iter().copied()),
        }
    }

    /// The distribution of `feature`.
    pub fn feature(&self, feature: Feature) -> Option<&Distribution> {
        self.features
            .iter()
            .find(|profile| profile.feature == feature)
            .map(|profile| &profile.distribution)
    }

    /// The profile of the rows of both: equal to the one built from all of them together.
    ///
    /// # Errors
    /// [`ProfileMismatch`] when the two describe different features or categories.
    pub fn merge(&self, other: &Self) -> Result<Self, ProfileMismatch> {
        if self.features.len() != other.features.len() {
            return Err(ProfileMismatch(format!(
                "{} and {} features",
                self.features.len(),
                other.features.len()
            )));
        }
        let features = self.features.iter().zip(&other.features).map(|(a, b)| {
            let differ = || {
                ProfileMismatch(format!(
                    "{} and {} have different places, kinds or categories",
                    a.feature, b.feature
                ))
            };
            let distribution = match (&a.distribution, &b.distribution) {
                _ if a.feature != b.feature => return Err(differ()),
                (Distribution::Numeric(a), Distribution::Numeric(b)) => Distribution::Numeric(a.merge(b)),
                (Distribution::Categorical(a), Distribution::Categorical(b)) => {
                    Distribution::Categorical(a.merge(b).ok_or_else(differ)?)
                }
                _ => return Err(differ()),
            };
            Ok(FeatureProfile {
                feature: a.feature,
                distribution,
            })
        });
        Ok(Self {
            rows: self.rows + other.rows,
            features: features.collect::<Result<_, _>>()?,
            score: self.score.merge(&other.score),
        })
    }
}
