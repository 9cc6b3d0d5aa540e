//! Why a table could not be read or written.

use std::io;
use std::path::Path;

use holdfast_domain::Violation;

/// How many violations an error lists; the rest are counted.
pub const LISTED_VIOLATIONS: usize = 100;

/// How many of the listed violations the error's text repeats.
const SHOWN_VIOLATIONS: usize = 5;

/// A table that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The text names no source.
    #[error("{text:?} is not a source: {reason}")]
    InvalidSpec {
        /// The text as given, without any password.
        text: String,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// The source is of a kind that this build cannot use.
    #[error("{name}: {reason}")]
    Unsupported {
        /// The source.
        name: String,
        /// What is missing, and what works instead.
        reason: String,
    },
    /// There is no such file.
    #[error("{name}: there is no such file")]
    NotFound {
        /// The source.
        name: String,
    },
    /// The file is not what its name says, or has no table in it.
    #[error("{name}: {reason}")]
    Malformed {
        /// The source.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The table is there, and its columns or values break rules.
    #[error("{name}: {}", listing(violations, *more))]
    Invalid {
        /// The source.
        name: String,
        /// The first [`LISTED_VIOLATIONS`] of them, in row order; those without a row concern the columns.
        violations: Vec<Violation>,
        /// How many there are beyond the list.
        more: u64,
    },
    /// The operating system or the database failed.
    #[error("{name}: {reason}")]
    Io {
        /// The source.
        name: String,
        /// What was being done and how it ended.
        reason: String,
        /// The cause, where the operating system gave one.
        #[source]
        cause: Option<io::Error>,
    },
}

impl SourceError {
    /// The violations, where the error is one of content.
    pub fn violations(&self) -> &[Violation] {
        match self {
            SourceError::Invalid { violations, .. } => violations,
            _ => &[],
        }
    }

    /// Whether another attempt may succeed without anybody changing something.
    pub fn is_retryable(&self) -> bool {
        match self {
            SourceError::Io { cause, .. } => cause
                .as_ref()
                .is_none_or(|cause| matches!(cause.kind(), io::ErrorKind::Interrupted | io::ErrorKind::TimedOut)),
            _ => false,
        }
    }

    pub(crate) fn io(name: &str, doing: &str, cause: io::Error) -> Self {
        if cause.kind() == io::ErrorKind::NotFound {
            return SourceError::NotFound { name: name.to_owned() };
        }
        SourceError::Io {
            name: name.to_owned(),
            reason: format!("{doing} failed: {cause}"),
            cause: Some(cause),
        }
    }

    pub(crate) fn malformed(name: &str, reason: impl Into<String>) -> Self {
        SourceError::Malformed {
            name: name.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(name: impl Into<String>, reason: impl Into<String>) -> Self {
        SourceError::Unsupported {
            name: name.into(),
            reason: reason.into(),
        }
    }

    /// Violations that concern the columns and so the whole table.
    pub(crate) fn columns(name: &str, mut violations: Vec<Violation>) -> Self {
        let more = violations.len().saturating_sub(LISTED_VIOLATIONS) as u64;
        violations.truncate(LISTED_VIOLATIONS);
        SourceError::Invalid {
            name: name.to_owned(),
            violations,
            more,
        }
    }
}

fn listing(violations: &[Violation], more: u64) -> String {
    let total = violations.len() as u64 + more;
    let noun = if total == 1 { "problem" } else { "problems" };
    let shown: Vec<String> = violations
        .iter()
        .take(SHOWN_VIOLATIONS)
        .map(ToString::to_string)
        .collect();
    let rest = total - shown.len() as u64;
    let tail = if rest == 0 {
        String::new()
    } else {
        format!("; and {rest} more")
    };
    format!("{total} {noun}: {}{tail}", shown.join("; "))
}

/// A regular file must be there before a reader opens it: the readers' own errors for directories and absent files are obscure.
pub(crate) fn require_file(name: &str, path: &Path) -> Result<(), SourceError> {
    let metadata = std::fs::metadata(path).map_err(|error| SourceError::io(name, "opening", error))?;
    if metadata.is_dir() {
        Err(SourceError::malformed(name, "this is a directory, not a file"))
    } else {
        Ok(())
    }
}
