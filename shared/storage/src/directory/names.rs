//! How a key becomes a path: readable, one to one, and with room for `a` beside `a/b`.
//!
//! An object's file is its last segment and [`LEAF_SUFFIX`]; a directory is its segment as it stands. Three things are escaped, so that no two
//! keys share a path: a segment that begins with `.` or `%` gets a `%` in front (hidden names are thus never objects), and a directory
//! whose segment ends in the suffix, or in the suffix and percent signs, gets a `%` at its end (so no directory looks like an object's file).

use std::path::{Path, PathBuf};

use crate::key::Key;

/// Ends the file name of every object.
pub(super) const LEAF_SUFFIX: &str = ".blob";

/// Where the object of `key` lies.
pub(super) fn path_of(root: &Path, key: &Key) -> PathBuf {
    let mut path = root.to_owned();
    let mut segments = key.segments().peekable();
    while let Some(segment) = segments.next() {
        path.push(if segments.peek().is_some() {
            directory_name(segment)
        } else {
            leaf_name(segment)
        });
    }
    path
}

/// Where the objects below `folder` lie.
pub(super) fn folder_path(root: &Path, folder: Option<&Key>) -> PathBuf {
    let mut path = root.to_owned();
    path.extend(folder.into_iter().flat_map(Key::segments).map(directory_name));
    path
}

/// The segment of an object's file name; `None` for a file that is no object.
pub(super) fn segment_of_leaf(name: &str) -> Option<&str> {
    unmark_start(name.strip_suffix(LEAF_SUFFIX)?)
}

/// The segment of a directory's name; `None` for a directory that holds no objects.
pub(super) fn segment_of_directory(name: &str) -> Option<&str> {
    let name = if ends_like_a_leaf(name) {
        name.strip_suffix('%')?
    } else {
        name
    };
    unmark_start(name)
}

fn leaf_name(segment: &str) -> String {
    format!("{}{segment}{LEAF_SUFFIX}", start_mark(segment))
}

fn directory_name(segment: &str) -> String {
    format!(
        "{}{segment}{}",
        start_mark(segment),
        if ends_like_a_leaf(segment) { "%" } else { "" }
    )
}

fn ends_like_a_leaf(name: &str) -> bool {
    name.trim_end_matches('%').ends_with(LEAF_SUFFIX)
}

fn start_mark(segment: &str) -> &'static str {
    if segment.starts_with(['.', '%']) { "%" } else { "" }
}

fn unmark_start(name: &str) -> Option<&str> {
    match name.strip_prefix('%') {
        Some(segment) if segment.starts_with(['.', '%']) => Some(segment),
        Some(_) => None,
        None if name.is_empty() || name.starts_with('.') => None,
        None => Some(name),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn awkward_segment() -> impl Strategy<Value = String> {
        prop_oneof!["[a.%]{0,4}(\\.blob)?[a.%]{0,4}", "[^/\\\\\\p{Cc}]{1,12}"]
            .prop_filter("not a segment", |text| Key::parse(text.clone()).is_ok())
    }

    proptest! {
        #[test]
        fn a_name_gives_its_segment_back(segment in awkward_segment()) {
            let (leaf, directory) = (leaf_name(&segment), directory_name(&segment));
            prop_assert_eq!(segment_of_leaf(&leaf), Some(segment.as_str()));
            prop_assert_eq!(segment_of_directory(&directory), Some(segment.as_str()));
        }

        #[test]
        fn no_directory_has_the_name_of_an_object(leaf in awkward_segment(), directory in awkward_segment()) {
            prop_assert_ne!(leaf_name(&leaf), directory_name(&directory));
        }

        #[test]
        fn a_name_fits_a_file_system(segment in "[a.%é]{1,240}") {
            prop_assume!(Key::parse(segment.clone()).is_ok());
            prop_assert!(leaf_name(&segment).len() <= 255 && directory_name(&segment).len() <= 255);
        }
    }

    #[test]
    fn ordinary_keys_stay_readable() {
        let key = Key::parse("models/churn/3/model.hfm").unwrap();
        assert_eq!(
            path_of(Path::new("/data"), &key),
            Path::new("/data/models/churn/3/model.hfm.blob")
        );
    }

    #[test]
    fn foreign_files_are_no_objects() {
        for name in [".incoming", ".blob", "%.blob", "%a.blob", "notes.txt", ".DS_Store"] {
            assert_eq!(segment_of_leaf(name), None, "{name}");
        }
        for name in [".incoming", "%a", ""] {
            assert_eq!(segment_of_directory(name), None, "{name}");
        }
    }
}
