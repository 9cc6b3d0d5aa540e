//! What training hands over, and how it becomes bytes.

use holdfast_domain::{FeatureVector, Schema};

use super::{FORMAT_VERSION, MAX_ARTIFACT_BYTES, seal};
use crate::calibration::Calibration;
use crate::ensemble::Ensemble;
use crate::error::{EncodeError, InvalidPart};
use crate::golden::GoldenRow;
use crate::model::Model;
use crate::origin::Origin;
use crate::preprocess::{Preprocessing, Preprocessor};
use crate::profile::ReferenceProfile;
use crate::signature::Signature;
use crate::threshold::Threshold;
use crate::wire;

/// A model that is still being made.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelDraft {
    /// From features to columns.
    pub preprocessing: Preprocessing,
    /// From columns to a margin.
    pub ensemble: Ensemble,
    /// From the margin to the probability.
    pub calibration: Calibration,
    /// From the probability to the label.
    pub threshold: Threshold,
    /// The training rows (each once, unmasked) and their scores. Ranges and categories of the signature are read off it.
    pub profile: ReferenceProfile,
    /// Where the model comes from.
    pub origin: Origin,
}

impl ModelDraft {
    /// The draft as a model without golden rows: for calibration, threshold and scores of the profile, which need a model that scores.
    ///
    /// # Errors
    /// [`EncodeError::Invalid`] names the part that breaks a rule.
    pub fn preview(&self, schema: &Schema) -> Result<Model, EncodeError> {
        Ok(Model::bind(self.payload(schema)?, schema)?)
    }

    /// The bytes of `model.hfm`. The same draft, rows and schema give the same bytes on every machine. The expected scores of the golden
    /// rows are computed here; a category that the training rows did not have is kept as an unlisted one.
    ///
    /// # Errors
    /// [`EncodeError`] when a part breaks a rule, when there is no golden row, and when the artefact would be too large. What encodes, decodes.
    pub fn encode(self, golden: &[FeatureVector], schema: &Schema) -> Result<Vec<u8>, EncodeError> {
        if golden.is_empty() {
            return Err(EncodeError::NoGoldenRows);
        }
        let mut payload = self.payload(schema)?;
        drop(self);
        let model = Model::bind(payload.clone(), schema)?;
        let signature = model.signature();
        for features in golden {
            let stored = signature.store_row(features, schema);
            let features = signature
                .load_row(&stored, schema)
                .map_err(|problem| InvalidPart::new("golden_rows", problem))?;
            let row = GoldenRow {
                features,
                margin: model.margin(&features),
                probability: model.score(&features),
            };
            payload.golden_rows.push(row.to_wire(signature, schema));
        }
        let bytes = seal(&payload);
        if bytes.len() > MAX_ARTIFACT_BYTES {
            return Err(EncodeError::TooLarge {
                bytes: bytes.len(),
                limit: MAX_ARTIFACT_BYTES,
            });
        }
        Ok(bytes)
    }

    fn payload(&self, schema: &Schema) -> Result<wire::ModelPayload, InvalidPart> {
        let preprocessor =
            Preprocessor::new(&self.preprocessing, schema).map_err(|error| error.inside("preprocessing"))?;
        let signature = Signature::derive(schema, &self.profile, &preprocessor)?;
        Ok(wire::ModelPayload {
            format_version: FORMAT_VERSION,
            signature: Some(signature.to_wire()),
            preprocessing: Some(self.preprocessing.to_wire()),
            ensemble: Some(self.ensemble.to_wire()),
            calibration: Some(self.calibration.to_wire()),
            threshold: Some(self.threshold.to_wire()),
            profile: Some(self.profile.to_wire()),
            golden_rows: Vec::new(),
            origin: Some(self.origin.to_wire()),
        })
    }
}
