//! Names and numbers of things: models, versions, runs, generations.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {what}: it must be {allowed}")]
pub struct InvalidId {
    /// What it should have been: "model name", "run id" and so on.
    pub what: &'static str,
    /// The text as given, cut to 100 characters.
    pub text: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl InvalidId {
    pub(crate) fn new(what: &'static str, text: &str, allowed: &'static str) -> Self {
        Self {
            what,
            text: text.chars().take(100).collect(),
            allowed,
        }
    }
}

/// The name of a registered model: 1 to 64 of `a-z 0-9 _ -`, the first a letter or digit. It is a part of storage keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(String);

impl ModelName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidId`] when the name has other characters or another length.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if Self::is_valid(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId::new(
                "model name",
                text,
                "1 to 64 characters of a-z, 0-9, '_' and '-', starting with a letter or digit",
            ))
        }
    }

    /// Whether a text is a model name.
    pub fn is_valid(text: &str) -> bool {
        let first_is_fine = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let all_are_fine = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        first_is_fine && all_are_fine && text.len() <= 64
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ModelName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ModelName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.0
    }
}

/// A version of a model, counted from 1. Text form: the plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelVersion(pub u32);

impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for ModelVersion {
    type Err = InvalidId;

    /// Takes one spelling only, because versions are parts of storage keys: no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.parse::<u32>() {
            Ok(number) if number >= 1 && number.to_string() == text => Ok(Self(number)),
            _ => Err(InvalidId::new("model version", text, "a whole number from 1")),
        }
    }
}

/// A place in a model's champion log, counted from 1; 0 stands for "no champion yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation after this one, or `None` at the end of the number range.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The id of a training run: a version 7 UUID in its lower-case hyphenated form, so that ids sort by time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// A new id from the system clock and random bits.
    pub fn generate() -> Self {
        Self(Uuid::now_v7().hyphenated().to_string())
    }

    /// The id made of a time in milliseconds since 1970 and ten random bytes; the same input gives the same id.
    pub fn from_parts(unix_millis: u64, random: &[u8; 10]) -> Self {
        Self(
            uuid::Builder::from_unix_timestamp_millis(unix_millis, random)
                .into_uuid()
                .hyphenated()
                .to_string(),
        )
    }

    /// Checks an id.
    ///
    /// # Errors
    /// [`InvalidId`] for anything but a lower-case, hyphenated version 7 UUID.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let canonical = Uuid::try_parse(text)
            .ok()
            .filter(|id| id.get_version_num() == 7)
            .map(|id| id.hyphenated().to_string())
            .filter(|canonical| canonical == text);
        canonical
            .map(Self)
            .ok_or_else(|| InvalidId::new("run id", text, "a lower-case version 7 UUID"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for RunId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_name_is_safe_inside_a_key() {
        for name in ["churn", "churn-2", "0_a", &"a".repeat(64)] {
            assert_eq!(ModelName::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "-churn", "_a", "Churn", "a/b", "..", "a b", "é", &"a".repeat(65)] {
            assert!(ModelName::parse(name).is_err(), "{name}");
        }
        assert!(serde_json::from_str::<ModelName>("\"a/b\"").is_err());
    }

    #[test]
    fn a_version_has_one_spelling() {
        assert_eq!("3".parse::<ModelVersion>().unwrap(), ModelVersion(3));
        assert_eq!(ModelVersion(3).to_string(), "3");
        for text in ["0", "+3", "03", "3 ", "-1", "", "4294967296"] {
            assert!(text.parse::<ModelVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn run_ids_sort_by_time_and_read_back() {
        let earlier = RunId::from_parts(1_700_000_000_000, &[9; 10]);
        let later = RunId::from_parts(1_700_000_000_001, &[0; 10]);
        assert!(earlier < later);
        assert_eq!(RunId::parse(earlier.as_str()).unwrap(), earlier);
        let generated = RunId::generate();
        assert_eq!(generated.as_str().parse::<RunId>().unwrap(), generated);
        assert!(RunId::parse(&earlier.as_str().to_uppercase()).is_err());
        assert!(
            RunId::parse("67e55044-10b1-426f-9247-bb680e5fe0c8").is_err(),
            "version 4"
        );
    }

    #[test]
    fn generations_end_without_wrapping() {
        assert_eq!(Generation(0).next(), Some(Generation(1)));
        assert_eq!(Generation(u64::MAX).next(), None);
    }

    #[test]
    fn an_invalid_id_says_what_is_allowed() {
        let error = ModelName::parse("My Model").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"My Model\" is not a valid model name: it must be 1 to 64 characters of a-z, 0-9, '_' and '-', starting with a letter or digit"
        );
    }
}
