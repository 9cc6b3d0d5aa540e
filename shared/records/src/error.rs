//! What can go wrong with stored records.

use holdfast_domain::Generation;
use holdfast_storage::Key;

use crate::append_log::LogKind;
use crate::verify::BrokenChain;

/// Why bytes are not the record they should be. Knows no key; [`Error::Format`] adds it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The bytes are not those that were written: the checksum inside does not match.
    #[error("its bytes do not match the checksum written with them")]
    Checksum,
    /// The bytes do not have the name they are stored under, which is their digest.
    #[error("its bytes have the digest {found}, not the one in its name")]
    Digest {
        /// The digest of the bytes as they are.
        found: holdfast_domain::Digest,
    },
    /// The bytes have not the shape of the format.
    #[error("{0}")]
    Malformed(String),
    /// A record of another kind lies there.
    #[error("it holds {found}, not {expected}")]
    WrongKind {
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// Written by a newer build than this one.
    #[error("it has format version {found} of {kind}; this build reads up to {newest}")]
    UnsupportedVersion {
        /// What is stored.
        kind: &'static str,
        /// The version found.
        found: u32,
        /// The newest version this build reads.
        newest: u32,
    },
    /// A value that the format cannot hold, met while encoding.
    #[error("it cannot be stored: {0}")]
    Unstorable(String),
}

impl FormatError {
    /// The same error, with the key of the object it is about.
    pub fn at(self, key: &Key) -> Error {
        Error::Format {
            key: key.clone(),
            source: self,
        }
    }

    pub(crate) fn malformed(why: impl std::fmt::Display) -> Self {
        Self::Malformed(why.to_string())
    }
}

/// What a read or a write of records answers when it fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object is damaged, foreign or too new.
    #[error("{key} cannot be read: {source}")]
    Format {
        /// The object.
        key: Key,
        /// What is wrong with it.
        source: FormatError,
    },
    /// Records that cannot be written down; nothing was stored.
    #[error("records cannot be encoded: {0}")]
    Encode(#[source] FormatError),
    /// The key exists with other content. Nothing was written.
    #[error("{key} exists already with other content")]
    Conflict {
        /// The object in the way.
        key: Key,
    },
    /// A log is damaged at or below the entry needed. Nothing was written.
    #[error(transparent)]
    BrokenChain(Box<BrokenChain>),
    /// The store gave no clear answer to an append, several times over: the entry may be there or may yet appear. Append
    /// again with the same nonce to find out; a repeat never makes two entries.
    #[error("whether {} {generation} of the {} was written is unknown", log.place_name(), log.name())]
    Unresolved {
        /// The log.
        log: LogKind,
        /// The place that was to be written.
        generation: Generation,
        /// The store's last answer.
        source: holdfast_storage::Error,
    },
    /// A key that the layout cannot hold.
    #[error("no key can be made: {0}")]
    Key(String),
    /// The decoding task ended early: the runtime shuts down.
    #[error("decoding was cut short: {0}")]
    Interrupted(String),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] holdfast_storage::Error),
}

impl From<BrokenChain> for Error {
    fn from(broken: BrokenChain) -> Self {
        Self::BrokenChain(Box::new(broken))
    }
}

impl Error {
    /// Whether the same call may succeed later without anyone repairing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Storage(source) => source.is_retryable(),
            Error::Unresolved { .. } => true,
            _ => false,
        }
    }

    /// Whether the object asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Storage(holdfast_storage::Error::NotFound { .. }))
    }
}
