//! Keys and prefixes: one set of rules, so that a key which one backend takes, every backend takes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest key, in bytes of UTF-8: the limit of S3.
pub const MAX_KEY_BYTES: usize = 1024;

/// Longest segment, in bytes of UTF-8: the 255 of common file systems, less what the directory backend adds.
pub const MAX_SEGMENT_BYTES: usize = 240;

/// Name of an object: segments joined by `/`.
///
/// No segment is empty, `.` or `..`; there is no leading or trailing slash, no control character and no backslash; at most
/// [`MAX_KEY_BYTES`] in all and [`MAX_SEGMENT_BYTES`] a segment. Keys order by their bytes, as listings do. `a` and `a/b` may both exist.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

impl Key {
    /// Checks and takes a key.
    ///
    /// # Errors
    /// [`InvalidKey`] saying which rule is broken.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidKey> {
        let text = text.into();
        match broken_rule(&text) {
            None => Ok(Self(text)),
            Some(rule) => Err(InvalidKey { text, rule }),
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, first to last; there is at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// This key with further segments below it: `a/b`.`join("c/d")` is `a/b/c/d`.
    ///
    /// # Errors
    /// [`InvalidKey`] when the result breaks a rule.
    pub fn join(&self, below: &str) -> Result<Self, InvalidKey> {
        Self::parse(format!("{}/{below}", self.0))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.0)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Key {
    type Error = InvalidKey;
    fn try_from(text: String) -> Result<Self, InvalidKey> {
        Self::parse(text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

/// A folder of keys: empty for all of them, else the keys strictly below it.
///
/// Written with or without the closing slash: `champion/churn` and `champion/churn/` are the same, hold `champion/churn/1.json`, and hold
/// neither `champion/churn` itself nor `champion/churn2/1.json`. So a prefix always ends at a segment's border.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Prefix(Option<Key>);

impl Prefix {
    /// Checks and takes a prefix.
    ///
    /// # Errors
    /// [`InvalidKey`] when what stands before the closing slash is neither empty nor a key. A lone `/` is refused.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        match text {
            "" => Ok(Self(None)),
            "/" => Err(InvalidKey {
                text: text.to_owned(),
                rule: Rule::LeadingSlash,
            }),
            _ => Key::parse(text.strip_suffix('/').unwrap_or(text)).map(|key| Self(Some(key))),
        }
    }

    /// The folder as a key; `None` for the root.
    pub fn folder(&self) -> Option<&Key> {
        self.0.as_ref()
    }

    /// Whether `key` lies below.
    pub fn holds(&self, key: &str) -> bool {
        self.0.as_ref().is_none_or(|folder| {
            key.strip_prefix(folder.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

impl fmt::Display for Prefix {
    /// With the closing slash, as S3 wants it; empty for the root.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => Ok(()),
            Some(folder) => write!(f, "{folder}/"),
        }
    }
}

/// A text that is no key, and the first rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid key {text:?}: {rule}")]
pub struct InvalidKey {
    text: String,
    rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Empty,
    TooLong,
    LeadingSlash,
    TrailingSlash,
    EmptySegment,
    DotSegment,
    LongSegment,
    ControlCharacter,
    Backslash,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty"),
            Self::TooLong => write!(f, "longer than {MAX_KEY_BYTES} bytes"),
            Self::LeadingSlash => f.write_str("must not start with a slash"),
            Self::TrailingSlash => f.write_str("must not end with a slash"),
            Self::EmptySegment => f.write_str("a segment is empty"),
            Self::DotSegment => f.write_str("a segment is `.` or `..`"),
            Self::LongSegment => write!(f, "a segment is longer than {MAX_SEGMENT_BYTES} bytes"),
            Self::ControlCharacter => f.write_str("holds a control character"),
            Self::Backslash => f.write_str("holds a backslash"),
        }
    }
}

fn broken_rule(text: &str) -> Option<Rule> {
    if text.is_empty() {
        return Some(Rule::Empty);
    }
    if text.len() > MAX_KEY_BYTES {
        return Some(Rule::TooLong);
    }
    if text.starts_with('/') {
        return Some(Rule::LeadingSlash);
    }
    if text.ends_with('/') {
        return Some(Rule::TrailingSlash);
    }
    if text.chars().any(char::is_control) {
        return Some(Rule::ControlCharacter);
    }
    if text.contains('\\') {
        return Some(Rule::Backslash);
    }
    text.split('/').find_map(|segment| match segment {
        "" => Some(Rule::EmptySegment),
        "." | ".." => Some(Rule::DotSegment),
        _ if segment.len() > MAX_SEGMENT_BYTES => Some(Rule::LongSegment),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_says_which_rule_it_breaks() {
        for (text, rule) in [
            ("", Rule::Empty),
            ("/a", Rule::LeadingSlash),
            ("a/", Rule::TrailingSlash),
            ("a//b", Rule::EmptySegment),
            ("a/../b", Rule::DotSegment),
            ("..", Rule::DotSegment),
            ("a/.", Rule::DotSegment),
            ("a\\b", Rule::Backslash),
            ("a\nb", Rule::ControlCharacter),
            ("a\0", Rule::ControlCharacter),
            ("a\u{7f}", Rule::ControlCharacter),
        ] {
            assert_eq!(Key::parse(text).unwrap_err().rule, rule, "{text:?}");
        }
        let long = "ab/".repeat(MAX_KEY_BYTES / 3) + "ab";
        assert_eq!(Key::parse(long).unwrap_err().rule, Rule::TooLong);
        assert_eq!(
            Key::parse("x".repeat(MAX_SEGMENT_BYTES + 1)).unwrap_err().rule,
            Rule::LongSegment
        );
    }

    #[test]
    fn the_longest_key_and_segment_are_taken() {
        assert!(Key::parse("x".repeat(MAX_SEGMENT_BYTES)).is_ok());
        assert!(Key::parse("ab/".repeat(MAX_KEY_BYTES / 3) + "a").is_ok());
    }

    #[test]
    fn a_prefix_ends_at_a_segment_border() {
        for text in ["champion/churn", "champion/churn/"] {
            let prefix = Prefix::parse(text).unwrap();
            assert!(prefix.holds("champion/churn/1"));
            assert!(!prefix.holds("champion/churn"));
            assert!(!prefix.holds("champion/churn2/1"));
            assert_eq!(prefix.to_string(), "champion/churn/");
        }
        assert!(Prefix::parse("").unwrap().holds("anything"));
        for text in ["/", "//", "a//", "/a", "a/../b"] {
            assert!(Prefix::parse(text).is_err(), "{text:?}");
        }
    }
}
