//! What cannot be done about imports.

use holdfast_chassis::error::{Code, Fault};

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefusal {
    /// There is nothing to import.
    #[error("version {version} of {model:?} cannot be imported: {why}")]
    NotImportable {
        /// The model.
        model: String,
        /// The version.
        version: u32,
        /// Why, and what to do.
        why: String,
    },
    /// It is being imported, and would not heed new wishes.
    #[error("version {version} of {model:?} is being imported with other wishes: ask again when that has ended")]
    AtWork {
        /// The model.
        model: String,
        /// The version.
        version: u32,
    },
    /// Nobody has asked for it.
    #[error("nobody has asked for the import of version {version} of {model:?}")]
    NoImport {
        /// The model.
        model: String,
        /// The version.
        version: u32,
    },
    /// Somebody else has taken it up since, or it was asked for anew, or the version is gone.
    #[error("claim {number} of the import of version {version} of {model:?} has ended")]
    ClaimEnded {
        /// The model.
        model: String,
        /// The version.
        version: u32,
        /// Number of the claim.
        number: u64,
    },
    /// An artefact is brought for a version that no import is at.
    #[error("version {version} of {model:?} was made from files, and no import of it is at work: ask for one")]
    NotAtWork {
        /// The model.
        model: String,
        /// The version.
        version: u32,
    },
}

impl From<ImportRefusal> for Fault {
    fn from(refusal: ImportRefusal) -> Self {
        let (code, reason) = match refusal {
            ImportRefusal::NotImportable { .. } => (Code::FailedPrecondition, "NOT_IMPORTABLE"),
            ImportRefusal::AtWork { .. } => (Code::Aborted, "IMPORT_AT_WORK"),
            ImportRefusal::NoImport { .. } => (Code::NotFound, "NO_IMPORT"),
            ImportRefusal::ClaimEnded { .. } => (Code::Aborted, "IMPORT_CLAIM_ENDED"),
            ImportRefusal::NotAtWork { .. } => (Code::FailedPrecondition, "NO_IMPORT_AT_WORK"),
        };
        Fault::new(code, reason, refusal.to_string())
    }
}
