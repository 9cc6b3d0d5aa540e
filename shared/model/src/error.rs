//! What can be wrong with an artefact.

use holdfast_domain::Digest;

/// One part of an artefact that breaks a rule of the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct InvalidPart {
    /// Where, as a path of field names: `ensemble.members[0].trees[3].nodes[5]`.
    pub path: String,
    /// What is wrong there, and what was found.
    pub problem: String,
}

impl InvalidPart {
    pub(crate) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
        }
    }

    /// The same problem, seen from a message further out.
    pub(crate) fn inside(mut self, outer: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{outer}{dot}{}", self.path);
        self
    }
}

/// Why bytes are not a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The file is larger than any artefact may be.
    #[error("the artefact has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Size found, in bytes.
        bytes: usize,
        /// Size allowed, in bytes.
        limit: usize,
    },
    /// The bytes are not the envelope message: empty, cut off, or another kind of file.
    #[error("not a model artefact: {0}")]
    NotAnArtifact(String),
    /// A format this program does not read.
    #[error("artefact format {found} is not supported: this program reads format {supported}")]
    UnsupportedFormat {
        /// The format the file claims.
        found: u32,
        /// The format read here.
        supported: u32,
    },
    /// The payload is not the one that was written.
    #[error("the artefact is damaged: its payload has digest {computed}, its envelope says {stored}")]
    DigestMismatch {
        /// The digest in the envelope, hexadecimal; any length when the envelope itself is damaged.
        stored: String,
        /// The digest of the payload as found.
        computed: Digest,
    },
    /// The envelope decodes, but to something that would be written differently: bits were changed or added around the payload.
    #[error("the artefact is damaged: its envelope is not in canonical form")]
    NotCanonical,
    /// The payload has the right digest and is no payload message: whoever wrote it did it wrong.
    #[error("the artefact's payload cannot be read: {0}")]
    Payload(String),
    /// The payload breaks a rule of the format, or does not fit the schema.
    #[error("invalid artefact: {0}")]
    Invalid(#[from] InvalidPart),
}

/// Why a draft cannot become an artefact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The draft breaks a rule of the format.
    #[error("invalid model draft: {0}")]
    Invalid(#[from] InvalidPart),
    /// There is no golden row: a loaded model could not be told from a broken one.
    #[error("an artefact needs at least one golden row")]
    NoGoldenRows,
    /// The artefact would be larger than any reader accepts.
    #[error("the artefact would have {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Size, in bytes.
        bytes: usize,
        /// Size allowed, in bytes.
        limit: usize,
    },
}

/// A golden row that does not score to the bits it was recorded with: model and program do not belong together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("golden row {row} gives {what} {found}, recorded was {expected} ({found_bits:#018x}, not {expected_bits:#018x})",
    found_bits = found.to_bits(), expected_bits = expected.to_bits())]
pub struct GoldenMismatch {
    /// The row, counted from 0.
    pub row: usize,
    /// What differs: "margin", "probability" or "batch probability".
    pub what: &'static str,
    /// As recorded.
    pub expected: f64,
    /// As computed now.
    pub found: f64,
}
