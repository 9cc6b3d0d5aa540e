//! `MLmodel`: what MLflow's client writes beside the files of a model it logs. It tells which library saved which file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::MlModelError;

/// The largest `MLmodel` that is read, in bytes: 1 MiB.
pub const MAX_MLMODEL_BYTES: usize = 1 << 20;
/// Name of the file, in the folder of the model's files.
pub const MLMODEL: &str = "MLmodel";
/// Endings of files that hold Python objects.
const PICKLES: [&str; 6] = ["pkl", "pickle", "cloudpickle", "dill", "joblib", "skops"];

/// A model that MLflow has logged and that can be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlModel {
    /// `xgboost` or `lightgbm`.
    pub library: &'static str,
    /// Path of the model file within the model's folder, as the description names it.
    pub file: String,
    /// Names of the columns by the model's signature, in its order; empty when it has none that names columns.
    pub columns: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    flavors: Flavors,
    #[serde(default)]
    signature: Option<Signature>,
}

#[derive(Default, Deserialize)]
struct Flavors {
    #[serde(default)]
    xgboost: Option<Flavor>,
    #[serde(default)]
    lightgbm: Option<Flavor>,
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct Flavor {
    #[serde(default)]
    data: String,
    #[serde(default)]
    model_class: Option<String>,
}

#[derive(Deserialize)]
struct Signature {
    /// JSON in a text.
    #[serde(default)]
    inputs: Option<String>,
}

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    name: Option<String>,
}

impl MlModel {
    /// Reads a description. It says nothing of the file's bytes.
    ///
    /// # Errors
    /// [`MlModelError`] says why the model is not imported, and what to do.
    pub fn read(bytes: &[u8]) -> Result<Self, MlModelError> {
        if bytes.len() > MAX_MLMODEL_BYTES {
            let limit = MAX_MLMODEL_BYTES;
            return Err(MlModelError::TooLarge { limit });
        }
        let malformed = |problem: String| MlModelError::Malformed(problem);
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is no text".to_owned()))?;
        let options = serde_saphyr::options! { with_snippet: false };
        let read = serde_saphyr::from_str_with_options::<Document>(text, options);
        let document = read.map_err(|error| malformed(error.without_snippet().to_string()))?;
        let (library, flavor) = match document.flavors {
            Flavors {
                xgboost: Some(flavor), ..
            } => ("xgboost", flavor),
            Flavors {
                lightgbm: Some(flavor), ..
            } => ("lightgbm", flavor),
            Flavors { others, .. } => {
                let flavors = others.into_keys().collect();
                return Err(MlModelError::OtherFlavor { flavors });
            }
        };
        if flavor.data.is_empty() {
            return Err(malformed(format!("the flavor {library} names no file (data)")));
        }
        let ending = flavor.data.rsplit_once('.').map_or("", |(_, ending)| ending);
        if PICKLES.iter().any(|pickle| ending.eq_ignore_ascii_case(pickle)) {
            return Err(MlModelError::Pickled {
                library,
                file: flavor.data,
                class: flavor.model_class.unwrap_or_else(|| "of an unknown class".to_owned()),
            });
        }
        Ok(Self {
            library,
            file: flavor.data,
            columns: document.signature.map(columns).unwrap_or_default(),
        })
    }
}

/// The names of a signature's inputs, where all have one. A signature of tensors has none.
fn columns(signature: Signature) -> Vec<String> {
    let inputs = signature.inputs.unwrap_or_default();
    let inputs: Vec<Input> = serde_json::from_str(&inputs).unwrap_or_default();
    let names: Option<Vec<String>> = inputs.into_iter().map(|input| input.name).collect();
    names.unwrap_or_default()
}
