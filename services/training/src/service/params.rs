//! The named parameter sets of `config/params.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::trainer::{BoostedTreesParams, LogisticParams};

/// The parameter sets this program was built with.
pub const EMBEDDED: &str = include_str!("../../../../config/params.yaml");

const VERSION: u32 = 1;

/// One named parameter set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// What it is good for.
    pub description: String,
    /// The candidate.
    pub boosted_trees: BoostedTreesParams,
    /// What the candidate must beat.
    pub baseline: LogisticParams,
}

/// All parameter sets by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Presets(BTreeMap<String, Preset>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    presets: BTreeMap<String, Preset>,
}

/// Why parameter sets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ParamsError {
    /// The file cannot be read.
    #[error("cannot read the parameter file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not a parameter file.
    #[error("the parameter file is not valid: {0}")]
    Malformed(String),
    /// Values are outside their range.
    #[error("parameters are outside their range: {}", .0.join("; "))]
    OutOfRange(Vec<String>),
    /// There is no such set.
    #[error("there is no parameter set {name:?}; there are {}", known.join(", "))]
    Unknown {
        /// The name as given.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
}

impl Presets {
    /// The sets in `path`, or the embedded ones.
    ///
    /// # Errors
    /// [`ParamsError`] for a file that cannot be read or used.
    pub fn load(path: Option<&Path>) -> Result<Self, ParamsError> {
        match path {
            None => Self::parse(EMBEDDED),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|source| ParamsError::Unreadable {
                    path: path.to_owned(),
                    source,
                })?;
                Self::parse(&text)
            }
        }
    }

    /// The sets in a text of the form of `config/params.yaml`.
    ///
    /// # Errors
    /// [`ParamsError::Malformed`] with the place, [`ParamsError::OutOfRange`] with every path and range.
    pub fn parse(text: &str) -> Result<Self, ParamsError> {
        let document: Document =
            serde_saphyr::from_str(text).map_err(|error| ParamsError::Malformed(error.to_string()))?;
        if document.version != VERSION {
            let message = format!("it has version {}, this program reads {VERSION}", document.version);
            return Err(ParamsError::Malformed(message));
        }
        let outside: Vec<String> = document
            .presets
            .iter()
            .flat_map(|(name, preset)| preset.violations(name))
            .collect();
        if outside.is_empty() {
            Ok(Self(document.presets))
        } else {
            Err(ParamsError::OutOfRange(outside))
        }
    }

    /// The set of that name.
    ///
    /// # Errors
    /// [`ParamsError::Unknown`] lists the names there are.
    pub fn get(&self, name: &str) -> Result<&Preset, ParamsError> {
        self.0.get(name).ok_or_else(|| ParamsError::Unknown {
            name: name.to_owned(),
            known: self.0.keys().cloned().collect(),
        })
    }
}

impl Preset {
    fn violations(&self, name: &str) -> Vec<String> {
        let trees = self.boosted_trees.violations().into_iter();
        let baseline = self.baseline.violations().into_iter();
        trees
            .map(|(field, problem)| format!("presets.{name}.boosted_trees.{field} {problem}"))
            .chain(baseline.map(|(field, problem)| format!("presets.{name}.baseline.{field} {problem}")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_sets_are_the_ones_promised() {
        let presets = Presets::load(None).unwrap();
        assert_eq!(
            presets.get("default").unwrap().boosted_trees,
            BoostedTreesParams::default()
        );
        assert_eq!(presets.get("default").unwrap().baseline, LogisticParams::default());
        let fast = &presets.get("fast").unwrap().boosted_trees;
        assert_eq!((fast.trees, fast.max_depth, fast.eta), (100, 5, 0.15));
        assert!(fast.mask_optional_features);
    }

    #[test]
    fn an_unknown_set_is_answered_with_the_known_ones() {
        let error = Presets::load(None).unwrap().get("fats").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no parameter set \"fats\"; there are default, fast"
        );
    }

    #[test]
    fn values_outside_their_range_are_named_with_their_path() {
        let text = EMBEDDED
            .replace("eta: 0.15", "eta: 1.5")
            .replacen("trees: 400", "trees: 0", 1);
        let error = Presets::parse(&text).unwrap_err().to_string();
        assert!(
            error.contains("presets.default.boosted_trees.trees is 0, but must be 1 to 10,000"),
            "{error}"
        );
        assert!(error.contains("presets.fast.boosted_trees.eta is 1.5"), "{error}");
    }

    #[test]
    fn misspelt_and_missing_parameters_are_refused() {
        for text in [
            EMBEDDED.replacen("subsample:", "sub_sample:", 2),
            EMBEDDED.replacen("      gamma: 0.0\n", "", 1),
            EMBEDDED.replacen("version: 1", "version: 2", 1),
        ] {
            assert!(matches!(Presets::parse(&text), Err(ParamsError::Malformed(_))));
        }
    }
}
