//! Listing in key order, reading only the directories that can hold an answer.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{meta, names};
use crate::key::{Key, Prefix};
use crate::store::BlobMeta;

struct Child {
    /// What the keys of this child begin with, relative to its directory: `name` for an object, `name/` for a directory. Sorting by it is
    /// sorting by key, for example `a-b` before `a/c`.
    order: String,
    path: PathBuf,
}

pub(super) fn list(root: &Path, prefix: &Prefix, after: Option<&Key>, limit: usize) -> io::Result<Vec<BlobMeta>> {
    let mut found = Vec::new();
    let after = after.map_or("", Key::as_str);
    walk(
        &names::folder_path(root, prefix.folder()),
        &prefix.to_string(),
        after,
        limit,
        &mut found,
    )?;
    Ok(found)
}

fn walk(directory: &Path, above: &str, after: &str, limit: usize, found: &mut Vec<BlobMeta>) -> io::Result<()> {
    for child in children(directory)? {
        if found.len() >= limit {
            return Ok(());
        }
        let name = format!("{above}{}", child.order);
        if name.ends_with('/') {
            // Every key below begins with `name`, so all of them are past when `after` is greater without lying below itself.
            if name.as_str() > after || after.starts_with(&name) {
                walk(&child.path, &name, after, limit, found)?;
            }
        } else if name.as_str() > after
            && let Ok(key) = Key::parse(name)
            && let Some(metadata) = unless_missing(fs::metadata(&child.path))?
        {
            found.push(meta(key, &metadata)?);
        }
    }
    Ok(())
}

fn children(directory: &Path) -> io::Result<Vec<Child>> {
    let Some(entries) = unless_missing(fs::read_dir(directory))? else {
        return Ok(Vec::new());
    };
    let mut children = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let (Some(name), Some(kind)) = (name.to_str(), unless_missing(entry.file_type())?) else {
            continue;
        };
        let order = if kind.is_dir() {
            names::segment_of_directory(name).map(|segment| format!("{segment}/"))
        } else if kind.is_file() {
            names::segment_of_leaf(name).map(str::to_owned)
        } else {
            None
        };
        children.extend(order.map(|order| Child {
            order,
            path: entry.path(),
        }));
    }
    children.sort_unstable_by(|a, b| a.order.cmp(&b.order));
    Ok(children)
}

/// What was deleted while we looked is not there.
fn unless_missing<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
