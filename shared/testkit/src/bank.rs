//! The bank's real file, for the tests that measure quality on it.

use std::env;
use std::path::PathBuf;

use crate::workspace_root;

const VARIABLE: &str = "HOLDFAST_BANK_CSV";

/// Path of `BankChurners.csv`: `HOLDFAST_BANK_CSV`, or `../shared/data/BankChurners.csv` beside the source tree.
///
/// Where the file is missing the answer is `None` and a note on stderr, and the test should return: the file is not part of the source tree.
///
/// # Panics
/// When the file is missing although the variable names it, or although `CI` is set: there, a test that skips itself is a failure.
pub fn bank_csv() -> Option<PathBuf> {
    let named = env::var_os(VARIABLE).map(PathBuf::from);
    let must_exist = named.is_some() || env::var_os("CI").is_some();
    let path = named.unwrap_or_else(|| workspace_root().join("../shared/data/BankChurners.csv"));
    locate(path, must_exist)
}

fn locate(path: PathBuf, must_exist: bool) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path);
    }
    assert!(
        !must_exist,
        "the bank's file is missing: {} (set {VARIABLE})",
        path.display()
    );
    note(&format!(
        "skipped: the bank's file is missing: {} (set {VARIABLE})",
        path.display()
    ));
    None
}

#[expect(clippy::print_stderr, reason = "the note belongs to the test's output")]
fn note(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_skips_where_it_may() {
        assert_eq!(locate(PathBuf::from("/no/such/file.csv"), false), None);
    }

    #[test]
    #[should_panic(expected = "the bank's file is missing")]
    fn a_missing_file_fails_where_it_must_exist() {
        locate(PathBuf::from("/no/such/file.csv"), true);
    }

    #[test]
    fn a_file_that_is_there_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(locate(file.path().to_owned(), true), Some(file.path().to_owned()));
    }
}
