//! The named parameter sets of `config/params.yaml`.

mod version_1;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::recipe::Recipe;
use super::tuning::SearchSpaces;
use super::tuning::space::Range;

/// The parameter sets this program was built with.
pub const EMBEDDED: &str = include_str!("../../../../../config/params.yaml");

const VERSION: u32 = 2;

/// One named parameter set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// What it is good for.
    pub description: String,
    /// How the model is made.
    pub recipe: Recipe,
}

/// All parameter sets by name, and the ranges that a search for better parameters goes through.
#[derive(Clone, Debug, PartialEq)]
pub struct Presets {
    by_name: BTreeMap<String, Preset>,
    search_spaces: SearchSpaces,
}

/// Ranges by family and parameter.
type Ranges = BTreeMap<String, BTreeMap<String, Range>>;

/// What comes first in every version.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[expect(dead_code, reason = "read before, and still a field of the file")]
    version: u32,
    presets: BTreeMap<String, Preset>,
    /// Absent in files that were written before there was a search: the built-in ranges.
    #[serde(default)]
    search_space: Option<Ranges>,
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
        let malformed = |error: serde_saphyr::Error| ParamsError::Malformed(error.to_string());
        let Versioned { version } = serde_saphyr::from_str(text).map_err(malformed)?;
        let (presets, ranges) = match version {
            1 => (version_1::parse(text).map_err(malformed)?, None),
            VERSION => {
                let document = serde_saphyr::from_str::<Document>(text).map_err(malformed)?;
                (document.presets, document.search_space)
            }
            other => {
                let message = format!("it has version {other}, this program reads 1 and {VERSION}");
                return Err(ParamsError::Malformed(message));
            }
        };
        let ranges = match ranges {
            Some(ranges) => ranges,
            None => {
                let built_in: Document = serde_saphyr::from_str(EMBEDDED).map_err(malformed)?;
                built_in.search_space.unwrap_or_default()
            }
        };
        let mut outside: Vec<String> = presets
            .iter()
            .flat_map(|(name, preset)| preset.violations(name))
            .collect();
        match SearchSpaces::new(ranges) {
            Ok(search_spaces) if outside.is_empty() => Ok(Self {
                by_name: presets,
                search_spaces,
            }),
            Ok(_) => Err(ParamsError::OutOfRange(outside)),
            Err(problems) => {
                outside.extend(problems.into_iter().map(|problem| format!("search_space.{problem}")));
                Err(ParamsError::OutOfRange(outside))
            }
        }
    }

    /// The set of that name.
    ///
    /// # Errors
    /// [`ParamsError::Unknown`] lists the names there are.
    pub fn get(&self, name: &str) -> Result<&Preset, ParamsError> {
        self.by_name.get(name).ok_or_else(|| ParamsError::Unknown {
            name: name.to_owned(),
            known: self.by_name.keys().cloned().collect(),
        })
    }

    /// The ranges that a search for better parameters goes through.
    pub fn search_spaces(&self) -> &SearchSpaces {
        &self.search_spaces
    }
}

impl Preset {
    fn violations(&self, name: &str) -> Vec<String> {
        let found = self.recipe.violations().into_iter();
        found
            .map(|(path, problem)| format!("presets.{name}.recipe.{path} {problem}"))
            .collect()
    }
}

#[cfg(test)]
mod tests;
