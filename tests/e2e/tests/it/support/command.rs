//! Programs that were built beside this test.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitStatus;

use holdfast_testkit::ProcessBuilder;
use serde_json::Value;

use super::PATIENCE;

/// The path of a program of this workspace: in `HOLDFAST_BIN_DIR`, or where this test was built.
///
/// # Panics
/// When it has not been built: cargo builds the programs of other packages only when asked.
pub(crate) fn binary(name: &str) -> PathBuf {
    let directory = std::env::var_os("HOLDFAST_BIN_DIR").map_or_else(beside_this_test, PathBuf::from);
    let path = directory.join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `make test`, or `cargo build --workspace --bins` first",
        path.display()
    );
    path
}

/// `target/<profile>`, of `target/<profile>/deps/it-…`.
fn beside_this_test() -> PathBuf {
    let test = std::env::current_exe().expect("this test's own path");
    let directory = test.parent().and_then(|deps| deps.parent());
    directory.expect("a target directory").to_owned()
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The one JSON value on stdout, of a command that did what it was asked.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code(), Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.json_whatever_the_code()
    }

    /// The one JSON value on stdout.
    #[track_caller]
    pub(crate) fn json_whatever_the_code(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\nstderr: {}", self.stdout, self.stderr))
    }
}

/// The command line, before it is started. It inherits no settings.
pub(crate) fn holdfast<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> ProcessBuilder {
    ProcessBuilder::new(binary("holdfast"))
        .clear_env()
        .current_dir(std::env::temp_dir())
        .args(arguments)
}

/// Runs the command line to its end.
pub(crate) async fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Finished {
    let mut process = holdfast(arguments).spawn();
    let status = process.wait_exit(PATIENCE).await;
    process.wait_output(PATIENCE).await;
    Finished {
        status,
        stdout: process.stdout().join("\n"),
        stderr: process.stderr().join("\n"),
    }
}
