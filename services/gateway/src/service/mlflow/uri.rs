//! Addresses of artefacts, `mlflow-artifacts:/3/<run>/artifacts`, and paths below them.

use holdfast_chassis::Fault;

use super::asked::invalid;

const SCHEME: &str = "mlflow-artifacts:";

/// The path in the registry that an address names.
///
/// # Errors
/// `InvalidArgument` when the files are elsewhere: this server neither opens nor lists what others keep.
pub(super) fn path_of(uri: &str) -> Result<&str, Fault> {
    let rest = uri.strip_prefix(SCHEME);
    let rest = rest.ok_or_else(|| {
        invalid(format!(
            "{uri:?} is not kept by this server, so its files cannot be listed here"
        ))
    })?;
    // A host, if there is one, is this server by whatever name.
    let path = match rest.strip_prefix("//") {
        Some(with_host) => with_host.split_once('/').map_or("", |(_, path)| path),
        None => rest,
    };
    Ok(path.trim_matches('/'))
}

/// A path as a caller names it, without the slash that a folder may end with.
///
/// # Errors
/// `InvalidArgument` for one that is absolute or leads out of where it is.
pub(super) fn relative(path: &str) -> Result<&str, Fault> {
    // Alone, a slash is no end but a beginning.
    let path = path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(path);
    let odd = |c: char| c == '\\' || c.is_control();
    let leads_out = |segment: &str| matches!(segment, "" | "." | "..");
    if !path.is_empty() && (path.contains(odd) || path.split('/').any(leads_out)) {
        return Err(invalid(format!("Invalid path: {path:?}")));
    }
    Ok(path)
}

/// `path` below `root`, either of which may be empty.
pub(super) fn below(root: &str, path: &str) -> String {
    if root.is_empty() || path.is_empty() {
        format!("{root}{path}")
    } else {
        format!("{root}/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_paths() {
        for uri in [
            "mlflow-artifacts:/3/r/artifacts",
            "mlflow-artifacts:///3/r/artifacts/",
            "mlflow-artifacts://host:5000/3/r/artifacts",
        ] {
            assert_eq!(path_of(uri).unwrap(), "3/r/artifacts", "{uri}");
        }
        assert_eq!(path_of("mlflow-artifacts:/").unwrap(), "");
        for elsewhere in ["s3://bucket/3", "file:///etc", "/etc", "models:/m-1"] {
            assert!(path_of(elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn paths_stay_where_they_are() {
        for (good, read) in [
            ("", ""),
            ("a", "a"),
            ("a/b/", "a/b"),
            ("a b+c%2e", "a b+c%2e"),
            ("..a", "..a"),
        ] {
            assert_eq!(relative(good).unwrap(), read);
        }
        for bad in ["/a", "a//b", "..", "a/../b", "./a", "a\\b", "a\0", "/", "a/.."] {
            assert!(relative(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            (below("", "a"), below("a", ""), below("a", "b")),
            ("a".into(), "a".into(), "a/b".into())
        );
    }
}
