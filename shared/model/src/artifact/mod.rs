//! The file `model.hfm`: an envelope around a payload and its digest.

mod draft;

use holdfast_domain::{Digest, Schema};
use prost::Message;

pub use draft::ModelDraft;

use crate::error::DecodeError;
use crate::model::Model;
use crate::wire;

/// The format this program writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// The largest artefact anybody reads: 128 MiB, a hundred times a model of 400 trees of depth 6.
pub const MAX_ARTIFACT_BYTES: usize = 128 << 20;

/// An artefact whose digest holds, and whose content nobody has checked.
#[derive(Clone, Debug)]
pub struct UnverifiedArtifact {
    payload: wire::ModelPayload,
}

impl UnverifiedArtifact {
    /// Opens the envelope. Memory is bounded by a small multiple of the bytes given: no length in them is believed before it is compared with
    /// what is there, and nothing of the payload is looked at before its digest holds.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that is not an undamaged artefact of this format.
    pub fn open(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_ARTIFACT_BYTES {
            return Err(DecodeError::TooLarge {
                bytes: bytes.len(),
                limit: MAX_ARTIFACT_BYTES,
            });
        }
        if bytes.is_empty() {
            return Err(DecodeError::NotAnArtifact("the file is empty".to_owned()));
        }
        let envelope = wire::Artifact::decode(bytes).map_err(|error| DecodeError::NotAnArtifact(error.to_string()))?;
        if envelope.format_version != FORMAT_VERSION {
            return Err(DecodeError::UnsupportedFormat {
                found: envelope.format_version,
                supported: FORMAT_VERSION,
            });
        }
        let computed = Digest::of(&envelope.payload);
        if computed.as_bytes() != envelope.payload_sha256.as_slice() {
            let stored = envelope
                .payload_sha256
                .iter()
                .take(32)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            return Err(DecodeError::DigestMismatch { stored, computed });
        }
        // The digest covers the payload; this covers the rest: another spelling of a length, fields beside the known ones.
        if envelope.encode_to_vec() != bytes {
            return Err(DecodeError::NotCanonical);
        }
        let payload = wire::ModelPayload::decode(envelope.payload.as_slice())
            .map_err(|error| DecodeError::Payload(error.to_string()))?;
        Ok(Self { payload })
    }

    /// Checks the content and binds it to `schema` by name.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] names the part that breaks a rule.
    pub fn verify(self, schema: &Schema) -> Result<Model, DecodeError> {
        let model = Model::bind(self.payload, schema)?;
        if model.golden_rows().is_empty() {
            return Err(crate::error::InvalidPart::new("golden_rows", "there is none").into());
        }
        Ok(model)
    }
}

/// The envelope of an encoded payload.
fn seal(payload: &wire::ModelPayload) -> Vec<u8> {
    let payload = payload.encode_to_vec();
    let payload_sha256 = Digest::of(&payload).as_bytes().to_vec();
    wire::Artifact {
        format_version: FORMAT_VERSION,
        payload,
        payload_sha256,
    }
    .encode_to_vec()
}
