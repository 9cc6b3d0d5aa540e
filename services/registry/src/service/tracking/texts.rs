//! Rules of texts and counts.

use super::{KeyValue, MAX_KEY_CHARS};
use crate::error::Violation;

/// Length, in characters.
pub(crate) fn check_text(field: &str, text: &str, min: usize, max: usize, found: &mut Vec<Violation>) {
    let chars = text.chars().count();
    if chars < min {
        found.push(Violation::new(field, "required", "must not be empty"));
    }
    if chars > max {
        let rule = format!("has {chars} characters, at most {max} are allowed");
        found.push(Violation::new(field, "too_long", &rule));
    }
}

/// A key of a parameter, metric or tag: MLflow's rule. Keys are parts of paths for its file store and in people's exports, so
/// they look like a path that stays where it is.
pub(crate) fn check_key(field: &str, key: &str, found: &mut Vec<Violation>) {
    check_text(field, key, 1, MAX_KEY_CHARS, found);
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | ':' | '/');
    if let Some(odd) = key.chars().find(|c| !allowed(*c)) {
        let rule =
            format!("{key:?} has the character {odd:?}: only letters, digits, _, -, ., space, : and / are allowed");
        found.push(Violation::new(field, "key_characters", &rule));
    } else if !key.is_empty() && !is_plain_path(key) {
        let rule = format!("{key:?} must look like a path without \".\", \"..\", \"//\" and a \"/\" at either end");
        found.push(Violation::new(field, "key_path", &rule));
    }
}

fn is_plain_path(key: &str) -> bool {
    key.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Keys and lengths of pairs.
pub(crate) fn check_pairs(field: &str, pairs: &[KeyValue], max: usize, found: &mut Vec<Violation>) {
    for (index, pair) in pairs.iter().enumerate() {
        check_key(&format!("{field}[{index}].key"), &pair.key, found);
        check_text(&format!("{field}[{index}].value"), &pair.value, 0, max, found);
    }
}

/// A number of entries.
pub(crate) fn check_count(field: &str, count: usize, max: usize, found: &mut Vec<Violation>) {
    if count > max {
        let rule = format!("has {count} entries, at most {max} are allowed");
        found.push(Violation::new(field, "too_many", &rule));
    }
}
