//! What can go wrong with a blob, named by what the caller may do about it.

use std::fmt;
use std::time::Duration;

use crate::key::{InvalidKey, Key};
use crate::settings::SettingsProblem;

/// Result of a blob store call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The call during which an error arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Opening the store.
    Open,
    /// `create` and `create_from_file`.
    Create,
    /// `put`.
    Put,
    /// `get` and `get_to_file`.
    Get,
    /// `head`.
    Head,
    /// `list`.
    List,
    /// `delete`.
    Delete,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Put => "put",
            Self::Get => "get",
            Self::Head => "head",
            Self::List => "list",
            Self::Delete => "delete",
        })
    }
}

/// An error of the blob store. The text carries its whole cause, so that one log line tells it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key or prefix breaks the rules; nothing was sent or touched.
    #[error(transparent)]
    InvalidKey(#[from] InvalidKey),

    /// No object has this key.
    #[error("no object at {key}")]
    NotFound {
        /// The key asked for.
        key: Key,
    },

    /// A local file could not be read or written.
    #[error("cannot {operation} {target}: {cause}")]
    Io {
        /// The call.
        operation: Operation,
        /// Path or key.
        target: String,
        /// What the operating system said.
        cause: std::io::Error,
    },

    /// The remote store answered with an error, or could not be reached before anything was sent.
    #[error("cannot {operation} {target}: {reason}")]
    Backend {
        /// The call.
        operation: Operation,
        /// Key, prefix or bucket.
        target: String,
        /// The same call may succeed later.
        retryable: bool,
        /// The store's own code and words.
        reason: String,
    },

    /// No answer in time. For the idempotent calls, which may be repeated; `create` says [`Error::Ambiguous`] instead.
    #[error("{operation} of {target} was not answered within {after:?}")]
    TimedOut {
        /// The call.
        operation: Operation,
        /// Key, prefix or bucket.
        target: String,
        /// The deadline that passed.
        after: Duration,
    },

    /// A `create` was sent and its outcome is unknown: the object may be ours, somebody else's, absent, or still on its way.
    #[error("outcome of create {key} is unknown: {reason}")]
    Ambiguous {
        /// The key that may or may not have been created.
        key: Key,
        /// Why the reply was lost.
        reason: String,
    },

    /// The store reported writers in conflict (409 on S3) until the attempts were used up. Nothing was created by this call.
    #[error("create {key} met conflicting writers {attempts} times")]
    Contended {
        /// The key.
        key: Key,
        /// How often it was tried.
        attempts: usize,
    },

    /// The settings do not describe a store.
    #[error("invalid blob store settings: {}", join(.0))]
    Settings(Vec<SettingsProblem>),
}

impl Error {
    /// Whether the very same call may be repeated and may then succeed. [`Error::Ambiguous`] is not: repeating it can answer
    /// "already exists" about one's own object. See [`crate::create_resolving`].
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Backend { retryable, .. } => *retryable,
            Self::TimedOut { .. } | Self::Contended { .. } => true,
            Self::Io { cause, .. } => {
                matches!(
                    cause.kind(),
                    std::io::ErrorKind::Interrupted | std::io::ErrorKind::TimedOut | std::io::ErrorKind::StorageFull
                )
            }
            Self::InvalidKey(_) | Self::NotFound { .. } | Self::Ambiguous { .. } | Self::Settings(_) => false,
        }
    }

    /// Whether no object has the key asked for.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    pub(crate) fn io(operation: Operation, target: impl Into<String>, cause: std::io::Error) -> Self {
        Self::Io {
            operation,
            target: target.into(),
            cause,
        }
    }
}

fn join(problems: &[SettingsProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
