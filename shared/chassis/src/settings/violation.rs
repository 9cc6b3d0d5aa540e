//! What is wrong with the settings, and where it was written.

use std::fmt;
use std::path::PathBuf;

use url::Url;

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsViolation {
    /// The dotted path of the key: `inference.bind`.
    pub path: String,
    /// What is wrong, in words. Never holds the value of a wrongly typed key, which might be a secret.
    pub message: String,
    /// The known name nearest to a mistyped one.
    pub suggestion: Option<String>,
    /// Where the value was written: a file's name, an environment variable, `command line`; `None` when several keys together are at fault.
    pub origin: Option<String>,
}

impl SettingsViolation {
    /// A violation of the key at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            suggestion: None,
            origin: None,
        }
    }

    pub(super) fn with_origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_string());
        self
    }

    pub(super) fn with_suggestion(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }
}

impl fmt::Display for SettingsViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean `{suggestion}`?")?;
        }
        Ok(())
    }
}

/// Why settings could not be loaded. A main that ends with this exits with code 2.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The settings file cannot be read.
    #[error("cannot read settings file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The settings file is not YAML, or not a mapping. The text names line and column and quotes nothing, since the line may hold a secret.
    #[error("settings file {} is not valid: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
    /// The embedded defaults themselves are broken: a bug, found by the first test that loads them.
    #[error("embedded defaults of `{section}` are not valid: {message}")]
    BrokenDefaults {
        /// The section, or `common`.
        section: &'static str,
        /// What the parser says.
        message: String,
    },
    /// Keys are unknown or values are wrong; all of them, in the order of their paths.
    #[error("{}", list(.0))]
    Invalid(Vec<SettingsViolation>),
}

impl SettingsError {
    /// The violations, if that is what went wrong.
    #[must_use]
    pub fn violations(&self) -> &[SettingsViolation] {
        match self {
            Self::Invalid(violations) => violations,
            _ => &[],
        }
    }
}

fn list(violations: &[SettingsViolation]) -> String {
    let heading = match violations.len() {
        1 => "a setting is wrong:".to_owned(),
        several => format!("{several} settings are wrong:"),
    };
    violations
        .iter()
        .fold(heading, |text, violation| format!("{text}\n  {violation}"))
}

/// What is wrong with an address of a peer or a collector.
pub(super) fn url_violation(path: String, text: &str, found: &mut Vec<SettingsViolation>) {
    let message = match Url::parse(text) {
        Err(error) => format!("not a URL: {error}"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "must begin with http:// or https://".to_owned(),
        Ok(url) if url.host_str().is_none() => "must name a host".to_owned(),
        Ok(_) => return,
    };
    found.push(SettingsViolation::new(path, message));
}
