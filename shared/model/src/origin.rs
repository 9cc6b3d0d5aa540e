//! Where a model came from.

use holdfast_domain::{Digest, RunId};

use crate::error::InvalidPart;
use crate::wire;

/// Where a model came from. It holds no time of day, so that the same origin gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The kind of model.
    pub family: Family,
    /// Who made the estimator.
    pub provenance: Provenance,
    /// The run that made it; `None` outside of a run.
    pub run_id: Option<RunId>,
    /// Snapshots it was trained on.
    pub training_snapshots: Vec<Digest>,
    /// Snapshots it was tested on.
    pub test_snapshots: Vec<Digest>,
    /// Version of the code that trained it.
    pub code_version: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Parameters of the training by name; encoding sorts them.
    pub parameters: Vec<(String, String)>,
}

/// The kind of model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Gradient-boosted trees.
    BoostedTrees,
    /// A random forest.
    RandomForest,
    /// Logistic regression.
    LogisticRegression,
}

/// Who made the estimator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provenance {
    /// Trained by Holdfast.
    Trained,
    /// Imported from an XGBoost model.
    ImportedXgboost,
    /// Imported from a LightGBM model.
    ImportedLightgbm,
}

impl Family {
    /// The name in manifests, metrics and APIs: `boosted_trees`, `random_forest`, `logistic_regression`.
    pub const fn name(self) -> &'static str {
        match self {
            Family::BoostedTrees => "boosted_trees",
            Family::RandomForest => "random_forest",
            Family::LogisticRegression => "logistic_regression",
        }
    }
}

impl Origin {
    pub(crate) fn to_wire(&self) -> wire::Origin {
        let family = match self.family {
            Family::BoostedTrees => wire::Family::BoostedTrees,
            Family::RandomForest => wire::Family::RandomForest,
            Family::LogisticRegression => wire::Family::LogisticRegression,
        };
        let provenance = match self.provenance {
            Provenance::Trained => wire::Provenance::Trained,
            Provenance::ImportedXgboost => wire::Provenance::ImportedXgboost,
            Provenance::ImportedLightgbm => wire::Provenance::ImportedLightgbm,
        };
        let texts = |digests: &[Digest]| digests.iter().map(Digest::to_string).collect();
        let mut parameters = self.parameters.clone();
        parameters.sort();
        wire::Origin {
            family: family.into(),
            provenance: provenance.into(),
            run_id: self
                .run_id
                .as_ref()
                .map_or_else(String::new, |id| id.as_str().to_owned()),
            training_snapshots: texts(&self.training_snapshots),
            test_snapshots: texts(&self.test_snapshots),
            code_version: self.code_version.clone(),
            seed: self.seed,
            parameters: parameters
                .into_iter()
                .map(|(name, value)| wire::Parameter { name, value })
                .collect(),
        }
    }

    pub(crate) fn from_wire(message: wire::Origin) -> Result<Self, InvalidPart> {
        let family = match wire::Family::try_from(message.family) {
            Ok(wire::Family::BoostedTrees) => Family::BoostedTrees,
            Ok(wire::Family::RandomForest) => Family::RandomForest,
            Ok(wire::Family::LogisticRegression) => Family::LogisticRegression,
            _ => {
                return Err(InvalidPart::new(
                    "family",
                    format!("{} is not a family", message.family),
                ));
            }
        };
        let provenance = match wire::Provenance::try_from(message.provenance) {
            Ok(wire::Provenance::Trained) => Provenance::Trained,
            Ok(wire::Provenance::ImportedXgboost) => Provenance::ImportedXgboost,
            Ok(wire::Provenance::ImportedLightgbm) => Provenance::ImportedLightgbm,
            _ => {
                return Err(InvalidPart::new(
                    "provenance",
                    format!("{} is not a provenance", message.provenance),
                ));
            }
        };
        let run_id = match message.run_id.as_str() {
            "" => None,
            text => Some(RunId::parse(text).map_err(|error| InvalidPart::new("run_id", error.to_string()))?),
        };
        if let Some(index) = message
            .parameters
            .windows(2)
            .position(|pair| pair[0].name >= pair[1].name)
        {
            return Err(InvalidPart::new(
                format!("parameters[{}]", index + 1),
                "names are not sorted, or one is there twice",
            ));
        }
        Ok(Self {
            family,
            provenance,
            run_id,
            training_snapshots: digests("training_snapshots", &message.training_snapshots)?,
            test_snapshots: digests("test_snapshots", &message.test_snapshots)?,
            code_version: message.code_version,
            seed: message.seed,
            parameters: message
                .parameters
                .into_iter()
                .map(|parameter| (parameter.name, parameter.value))
                .collect(),
        })
    }
}

fn digests(what: &str, texts: &[String]) -> Result<Vec<Digest>, InvalidPart> {
    let parse = |(index, text): (usize, &String)| {
        text.parse().map_err(|error: holdfast_domain::InvalidId| {
            InvalidPart::new(format!("{what}[{index}]"), error.to_string())
        })
    };
    texts.iter().enumerate().map(parse).collect()
}
