//! Names of files, as clients choose them.

use std::fmt;

use crate::error::{Error, Violation};

/// Longest path, in bytes of UTF-8.
pub const MAX_PATH_BYTES: usize = 1_024;

/// The folder of the artefacts of Holdfast's own versions, which nobody writes through here.
const VERSIONS: &str = "models";

/// Path of a file or folder: segments joined by `/`, none empty, `.` or `..`, with no backslash and no control character.
///
/// It is a name and nothing else: the bytes lie under their digest, so no path leads to a file of any disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactPath(String);

impl ArtifactPath {
    /// Checks and takes a path.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the rule that is broken, of the field `path`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rule = if text.is_empty() {
            Some(("required", "must name a file or folder"))
        } else if text.len() > MAX_PATH_BYTES {
            Some(("too_long", "must have at most 1,024 bytes"))
        } else if text.chars().any(|c| c == '\\' || c.is_control()) {
            Some(("character", "must have no backslash and no control character"))
        } else if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            Some(("segment", "must have no segment that is empty, \".\" or \"..\""))
        } else {
            None
        };
        match rule {
            None => Ok(Self(text.to_owned())),
            Some((rule, description)) => Err(Violation::new("path", rule, description).into()),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folders that it lies in, outermost first.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').filter_map(|(at, _)| self.0.get(..at))
    }

    /// Whether it is the folder of Holdfast's own versions or lies in it.
    pub fn is_of_versions(&self) -> bool {
        self.0.split('/').next() == Some(VERSIONS)
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folders_come_outermost_first() {
        let path = ArtifactPath::parse("3/run/artifacts/model/MLmodel").unwrap();
        let folders: Vec<_> = path.folders().collect();
        assert_eq!(folders, ["3", "3/run", "3/run/artifacts", "3/run/artifacts/model"]);
        assert_eq!(ArtifactPath::parse("a").unwrap().folders().count(), 0);
    }

    #[test]
    fn a_broken_rule_is_named() {
        for (text, expected) in [
            ("", "required"),
            ("/etc/passwd", "segment"),
            ("a/../b", "segment"),
            ("a/.", "segment"),
            ("a//b", "segment"),
            ("a/", "segment"),
            ("a\\..\\b", "character"),
            ("a\0b", "character"),
            ("a\u{85}b", "character"),
            (&*"x".repeat(1_025), "too_long"),
        ] {
            match ArtifactPath::parse(text) {
                Err(Error::Invalid(found)) => assert_eq!(found[0].rule, expected, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    proptest! {
        /// Whatever is taken stays below whatever folder it is put in, on every system's reading of a path.
        #[test]
        fn no_path_leads_out(text in "[./\\\\a-c:%\u{0}\u{2025}é ]{0,24}") {
            if let Ok(path) = ArtifactPath::parse(&text) {
                prop_assert_eq!(path.as_str(), &text);
                let below = std::path::Path::new(path.as_str());
                prop_assert!(below.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert_eq!(below.components().count(), text.split('/').count());
                prop_assert!(!text.contains('\\') && !text.contains('\0'));
            }
        }
    }
}
