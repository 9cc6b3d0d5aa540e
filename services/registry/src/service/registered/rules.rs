//! What names, tags and texts may be: MLflow's rules and limits, with its messages.

use super::refusal::Refusal;
use super::{Alias, Stage};
use crate::service::tracking::KeyValue;

/// The alias that shows the champion log.
pub const CHAMPION: &str = "champion";
/// The alias that stands for the newest version.
pub(super) const LATEST: &str = "latest";

/// Longest name of a model, in characters.
pub const MAX_NAME_CHARS: usize = 256;
/// Longest description of a model or version, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 5_000;
/// Longest source and run link of a version, in characters.
pub const MAX_LINK_CHARS: usize = 500;
/// Longest run id, logged model's id and name of a user, in characters.
pub const MAX_ID_CHARS: usize = 256;
/// Longest alias, in characters.
pub const MAX_ALIAS_CHARS: usize = 255;
/// Longest key of a tag, in characters.
pub const MAX_TAG_KEY_CHARS: usize = 250;
/// Longest value of a tag, in characters.
pub const MAX_TAG_VALUE_CHARS: usize = 100_000;

/// Whether an alias is the champion's, however it is written: two that differ in case would be told apart by machines alone.
pub(super) fn is_champion(alias: &str) -> bool {
    alias.eq_ignore_ascii_case(CHAMPION)
}

/// Checks the name of a model, which `field` has.
pub(super) fn name(field: &'static str, name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() {
        let message = format!("Missing value for required parameter '{field}'.");
        return Err(Refusal::field(field, "required", message));
    }
    if name.contains(['/', ':']) {
        let message = format!("Invalid model name '{name}'. Names cannot contain '/' or ':'.");
        return Err(Refusal::field(field, "character", message));
    }
    unambiguous(field, name)?;
    if name.chars().any(char::is_control) {
        let message = invalid(field, name, "Names cannot contain control characters.");
        return Err(Refusal::field(field, "character", message));
    }
    within(field, name, MAX_NAME_CHARS)
}

/// Checks an alias that is to be followed or removed.
pub(super) fn alias(alias: &str) -> Result<(), Refusal> {
    if alias.is_empty() {
        let message = "Registered model alias name cannot be empty.";
        return Err(Refusal::field("alias", "required", message));
    }
    if !alias.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
        let message = format!(
            "Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        );
        return Err(Refusal::field("alias", "character", message));
    }
    if alias.chars().count() > MAX_ALIAS_CHARS {
        let message = too_long("Registered model alias name", MAX_ALIAS_CHARS);
        return Err(Refusal::field("alias", "too_long", message));
    }
    Ok(())
}

/// Checks an alias that is to be set: names that mean versions by themselves are not free.
pub(super) fn new_alias(name: &str) -> Result<(), Refusal> {
    alias(name)?;
    if name.eq_ignore_ascii_case(LATEST) {
        let message = "'latest' alias name (case insensitive) is reserved.";
        return Err(Refusal::field("alias", "reserved", message));
    }
    let digits = name.strip_prefix(['v', 'V']);
    if digits.is_some_and(|digits| !digits.is_empty() && digits.chars().all(char::is_numeric)) {
        let message = format!("Version alias name '{name}' is reserved.");
        return Err(Refusal::field("alias", "reserved", message));
    }
    Ok(())
}

/// Checks the key of a tag.
pub(super) fn tag_key(key: &str) -> Result<(), Refusal> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | ' ' | ':');
    if !key.chars().all(fits) {
        let why = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).";
        return Err(Refusal::field("key", "character", invalid("key", key, why)));
    }
    unambiguous("key", key)?;
    within("key", key, MAX_TAG_KEY_CHARS)
}

/// Checks a tag.
pub(super) fn tag(tag: &KeyValue) -> Result<(), Refusal> {
    tag_key(&tag.key)?;
    text("value", &tag.value, MAX_TAG_VALUE_CHARS)
}

/// Checks tags and drops all but the last value of each key, as MLflow does.
pub(super) fn tags(given: Vec<KeyValue>) -> Result<Vec<KeyValue>, Refusal> {
    let mut last = std::collections::BTreeMap::new();
    for each in given {
        tag(&each)?;
        last.insert(each.key, each.value);
    }
    Ok(last.into_iter().map(|(key, value)| KeyValue { key, value }).collect())
}

/// Checks a free text.
pub(super) fn text(field: &'static str, text: &str, most: usize) -> Result<(), Refusal> {
    // Postgres cannot keep one, and no text has a use for it.
    if text.contains('\0') {
        let message = format!("'{field}' contains a null character");
        return Err(Refusal::field(field, "character", message));
    }
    within(field, text, most)
}

/// The stage that a caller names, in any case of letters.
pub(super) fn stage(text: &str) -> Result<Stage, Refusal> {
    Stage::ALL
        .into_iter()
        .find(|stage| stage.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| {
            let all = Stage::ALL.map(Stage::as_str).join(", ");
            let message = format!("Invalid Model Version stage: {text}. Value must be one of {all}.");
            Refusal::field("stage", "stage", message)
        })
}

/// Sorts aliases by name.
pub(super) fn sorted(mut aliases: Vec<Alias>) -> Vec<Alias> {
    aliases.sort_by(|one, other| one.name.cmp(&other.name));
    aliases
}

fn within(field: &'static str, text: &str, most: usize) -> Result<(), Refusal> {
    // Characters are never more than bytes.
    if text.len() > most && text.chars().count() > most {
        return Err(Refusal::field(field, "too_long", too_long(field, most)));
    }
    Ok(())
}

fn too_long(what: &str, most: usize) -> String {
    format!("'{what}' exceeds the maximum length of {most} characters")
}

fn invalid(field: &str, value: &str, why: &str) -> String {
    let shown = serde_json::Value::from(value);
    format!("Invalid value {shown} for parameter '{field}' supplied: {why}")
}

/// Refuses what would be another name if it were a path.
fn unambiguous(field: &'static str, text: &str) -> Result<(), Refusal> {
    let normal = normal_path(text);
    if normal == text && normal != "." && !normal.starts_with("..") && !normal.starts_with('/') {
        return Ok(());
    }
    let why = format!(
        "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. This name would resolve to '{normal}'"
    );
    Err(Refusal::field(field, "path", invalid(field, text, &why)))
}

/// A path without empty segments, `.` and `..`, as Python's `posixpath.normpath` has it.
fn normal_path(path: &str) -> String {
    // Exactly two slashes at the start mean something else than one to POSIX.
    let root = match path.bytes().take_while(|byte| *byte == b'/').count() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if root.is_empty() && segments.last().is_none_or(|last| *last == "..") => segments.push(".."),
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let joined = format!("{root}{}", segments.join("/"));
    if joined.is_empty() { ".".to_owned() } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(refused: Result<(), Refusal>) -> String {
        refused.unwrap_err().to_string()
    }

    /// Answers of `posixpath.normpath`.
    #[test]
    fn paths_are_made_normal_as_python_does() {
        for (path, normal) in [
            ("", "."),
            (".", "."),
            ("a", "a"),
            ("a/b", "a/b"),
            ("a/", "a"),
            ("a//b", "a/b"),
            ("a/./b", "a/b"),
            ("a/../b", "b"),
            ("a/..", "."),
            ("..", ".."),
            ("../../a", "../../a"),
            ("../a/..", ".."),
            ("/a", "/a"),
            ("//a", "//a"),
            ("///a", "/a"),
            ("/../a", "/a"),
        ] {
            assert_eq!(normal_path(path), normal, "{path:?}");
        }
    }

    #[test]
    fn names_that_mlflow_allows_are_allowed() {
        for fine in [
            "churn",
            "Churn Model",
            "a.b",
            "mödel",
            "x@y",
            "a b\u{a0}c",
            &"x".repeat(256),
        ] {
            assert_eq!(name("name", fine), Ok(()), "{fine:?}");
        }
        assert_eq!(
            message(name("name", " ")),
            "Missing value for required parameter 'name'."
        );
        assert_eq!(
            message(name("new_name", "")),
            "Missing value for required parameter 'new_name'."
        );
        for broken in ["a/b", "a:b"] {
            assert_eq!(
                message(name("name", broken)),
                format!("Invalid model name '{broken}'. Names cannot contain '/' or ':'.")
            );
        }
        assert_eq!(
            message(name("name", "..")),
            "Invalid value \"..\" for parameter 'name' supplied: Names may be treated as files in certain cases, and must not resolve to other names when treated as such. This name would resolve to '..'"
        );
        assert_eq!(
            message(name("name", &"x".repeat(257))),
            "'name' exceeds the maximum length of 256 characters"
        );
        assert!(name("name", "a\0b").is_err());
        assert!(name("name", "a\nb").is_err());
    }

    #[test]
    fn an_alias_is_no_version_number_and_not_the_latest() {
        for fine in ["champion", "prod-eu_1", "v", "v1a", "größe", "1", "latest1"] {
            assert_eq!(new_alias(fine), Ok(()), "{fine:?}");
        }
        assert_eq!(message(new_alias("")), "Registered model alias name cannot be empty.");
        assert_eq!(
            message(new_alias("a.b")),
            "Invalid alias name: 'a.b'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        );
        assert_eq!(
            message(new_alias("LATEST")),
            "'latest' alias name (case insensitive) is reserved."
        );
        assert_eq!(message(new_alias("V12")), "Version alias name 'V12' is reserved.");
        assert_eq!(
            message(new_alias(&"x".repeat(256))),
            "'Registered model alias name' exceeds the maximum length of 255 characters"
        );
        // They can be asked for.
        assert_eq!(alias("latest"), Ok(()));
        assert!(is_champion("Champion") && !is_champion("champions"));
    }

    #[test]
    fn the_last_value_of_a_tag_counts() {
        let pair = |key: &str, value: &str| KeyValue {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let given = vec![pair("b", "1"), pair("a", "2"), pair("b", "3")];
        assert_eq!(tags(given).unwrap(), [pair("a", "2"), pair("b", "3")]);
        assert!(tags(vec![pair("a/../b", "")]).is_err());
        assert!(tags(vec![pair("", "")]).is_err());
        assert!(tags(vec![pair("a,b", "")]).is_err());
        assert!(tags(vec![pair(&"x".repeat(251), "")]).is_err());
        assert!(tags(vec![pair("a", "a\0")]).is_err());
        assert_eq!(tag(&pair("a.b/c d:e-f_g", &"ä".repeat(100_000))), Ok(()));
        assert!(tag(&pair("a", &"ä".repeat(100_001))).is_err());
    }

    #[test]
    fn stages_are_known_in_any_case() {
        assert_eq!(stage("production"), Ok(Stage::Production));
        assert_eq!(stage("NONE"), Ok(Stage::None));
        assert_eq!(
            stage("live").unwrap_err().to_string(),
            "Invalid Model Version stage: live. Value must be one of None, Staging, Production, Archived."
        );
    }
}
