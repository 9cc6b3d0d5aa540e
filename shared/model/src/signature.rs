//! Which features a model takes, and what training saw of them.

use std::collections::BTreeSet;

use holdfast_domain::{Digest, Feature, FeatureKind, FeatureVector, Schema, UNKNOWN_CATEGORY};

use crate::error::InvalidPart;
use crate::preprocess::Preprocessor;
use crate::preprocess::transform::code;
use crate::profile::{Distribution, ReferenceProfile};
use crate::wire;

/// The features a model takes, in the schema's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// One a feature.
    pub inputs: Vec<Input>,
    /// Digest of the schema at training time.
    pub schema_digest: Digest,
}

/// One feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The feature.
    pub feature: Feature,
    /// Whether a caller must send it.
    pub required: bool,
    /// Whether preprocessing and estimator look at it at all.
    pub used: bool,
    /// Unit of the value, for people.
    pub unit: Option<String>,
    /// What training saw of it.
    pub kind: InputKind,
}

/// What training saw of a feature.
#[derive(Clone, Debug, PartialEq)]
pub enum InputKind {
    /// A number.
    Numeric {
        /// Whether valid values are whole numbers.
        integer: bool,
        /// Smallest and largest value among the training rows; `None` when none had one.
        range: Option<(f64, f64)>,
    },
    /// A category.
    Categorical {
        /// Names that occurred among the training rows, in the schema's order.
        categories: Vec<String>,
    },
}

impl Signature {
    /// The input of `feature`.
    pub fn input(&self, feature: Feature) -> Option<&Input> {
        self.inputs.iter().find(|input| input.feature == feature)
    }

    /// The signature of a model that was trained on rows like those of `profile`.
    pub(crate) fn derive(
        schema: &Schema,
        profile: &ReferenceProfile,
        preprocessor: &Preprocessor,
    ) -> Result<Self, InvalidPart> {
        let inputs = schema.columns().iter().map(|column| {
            let feature = column.feature;
            let missing = || {
                InvalidPart::new(
                    "profile.features",
                    format!("{feature} is not there, or of the wrong kind"),
                )
            };
            let kind = match (column.kind, profile.feature(feature).ok_or_else(missing)?) {
                (FeatureKind::Numeric, Distribution::Numeric(numbers)) => InputKind::Numeric {
                    integer: column.integer,
                    range: numbers.range(),
                },
                (FeatureKind::Categorical, Distribution::Categorical(names)) => {
                    let occurs = |name: &&String| names.count(name).is_some_and(|count| count > 0);
                    InputKind::Categorical {
                        categories: column.categories.iter().filter(occurs).cloned().collect(),
                    }
                }
                _ => return Err(missing()),
            };
            let (required, used, unit) = (column.required, preprocessor.uses(feature), column.unit.clone());
            Ok(Input {
                feature,
                required,
                used,
                unit,
                kind,
            })
        });
        Ok(Self {
            inputs: inputs.collect::<Result<_, _>>()?,
            schema_digest: schema.digest(),
        })
    }

    /// A row as golden rows are stored: categories by their place in the signature.
    pub(crate) fn store_row(&self, features: &FeatureVector, schema: &Schema) -> Vec<f64> {
        let store = |input: &Input| {
            let value = features.get(input.feature)?;
            let InputKind::Categorical { categories } = &input.kind else {
                return Some(value);
            };
            let name = code(value).and_then(|code| schema.category_name(input.feature, code));
            let place = name.and_then(|name| categories.iter().position(|category| category == name));
            #[expect(clippy::cast_precision_loss, reason = "at most 64 categories")]
            Some(place.map_or(UNKNOWN_CATEGORY, |place| place as f64))
        };
        self.inputs
            .iter()
            .map(|input| store(input).unwrap_or(f64::NAN))
            .collect()
    }

    /// A stored row in the codes of `schema`.
    pub(crate) fn load_row(&self, values: &[f64], schema: &Schema) -> Result<FeatureVector, String> {
        if values.len() != self.inputs.len() {
            return Err(format!(
                "there are {} values, and {} inputs",
                values.len(),
                self.inputs.len()
            ));
        }
        let mut features = FeatureVector::MISSING;
        for (input, value) in self.inputs.iter().zip(values) {
            let value = match &input.kind {
                InputKind::Categorical { categories }
                    if !value.is_nan() && value.to_bits() != UNKNOWN_CATEGORY.to_bits() =>
                {
                    let name = code(*value).and_then(|place| categories.get(place));
                    let known = name.and_then(|name| schema.category_code(input.feature, name));
                    #[expect(clippy::cast_precision_loss, reason = "at most 64 categories")]
                    let known = known.map(|code| code as f64);
                    known.ok_or_else(|| format!("{value} is not a category of {}", input.feature))?
                }
                _ => *value,
            };
            features.set(input.feature, value);
        }
        Ok(features)
    }

    pub(crate) fn to_wire(&self) -> wire::Signature {
        let inputs = self.inputs.iter().map(|input| {
            let mut message = wire::Input {
                name: input.feature.name().to_owned(),
                required: input.required,
                used: input.used,
                unit: input.unit.clone(),
                ..wire::Input::default()
            };
            match &input.kind {
                InputKind::Numeric { integer, range } => {
                    message.set_kind(wire::FeatureKind::Numeric);
                    message.integer = *integer;
                    message.minimum = range.map(|(minimum, _)| minimum);
                    message.maximum = range.map(|(_, maximum)| maximum);
                }
                InputKind::Categorical { categories } => {
                    message.set_kind(wire::FeatureKind::Categorical);
                    message.categories.clone_from(categories);
                }
            }
            message
        });
        wire::Signature {
            inputs: inputs.collect(),
            schema_digest: self.schema_digest.to_string(),
        }
    }

    /// Reads the signature and binds it to `schema` by name.
    pub(crate) fn from_wire(message: wire::Signature, schema: &Schema) -> Result<Self, InvalidPart> {
        let mut seen = BTreeSet::new();
        let mut inputs = Vec::with_capacity(message.inputs.len());
        for (index, input) in message.inputs.into_iter().enumerate() {
            let here = |problem: String| InvalidPart::new(format!("inputs[{index}]"), problem);
            let input = input_from_wire(input, schema).map_err(here)?;
            if !seen.insert(input.feature) {
                return Err(here(format!("{} is listed twice", input.feature)));
            }
            inputs.push(input);
        }
        let digest = message.schema_digest.parse();
        let schema_digest =
            digest.map_err(|error: holdfast_domain::InvalidId| InvalidPart::new("schema_digest", error.to_string()))?;
        Ok(Self { inputs, schema_digest })
    }
}

fn input_from_wire(input: wire::Input, schema: &Schema) -> Result<Input, String> {
    let feature = Feature::from_name(&input.name).ok_or_else(|| format!("there is no feature {:?}", input.name))?;
    let kind = match wire::FeatureKind::try_from(input.kind) {
        Ok(wire::FeatureKind::Numeric) => {
            let range = match (input.minimum, input.maximum) {
                (None, None) => None,
                (Some(minimum), Some(maximum)) if minimum <= maximum && minimum.is_finite() && maximum.is_finite() => {
                    Some((minimum, maximum))
                }
                (minimum, maximum) => return Err(format!("{minimum:?} to {maximum:?} is not a range")),
            };
            InputKind::Numeric {
                integer: input.integer,
                range,
            }
        }
        Ok(wire::FeatureKind::Categorical) => {
            for (place, name) in input.categories.iter().enumerate() {
                if schema.category_code(feature, name).is_none() {
                    return Err(format!("category {name:?} of {feature} is not in the schema"));
                }
                if input.categories[..place].contains(name) {
                    return Err(format!("category {name:?} of {feature} is listed twice"));
                }
            }
            InputKind::Categorical {
                categories: input.categories,
            }
        }
        _ => return Err(format!("{} is not a kind of feature", input.kind)),
    };
    let stored = if matches!(kind, InputKind::Numeric { .. }) {
        FeatureKind::Numeric
    } else {
        FeatureKind::Categorical
    };
    if stored != schema.column(feature).kind {
        return Err(format!(
            "{feature} is {} here and {} in the schema",
            stored.name(),
            schema.column(feature).kind.name()
        ));
    }
    Ok(Input {
        feature,
        required: input.required,
        used: input.used,
        unit: input.unit,
        kind,
    })
}
