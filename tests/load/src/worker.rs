//! Answers requests from standard input, one JSON value a line, until it ends: how Python measures Rust in turn with its own libraries.

use std::io::{BufRead as _, Write as _};
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// Answers each line with the value that `answer` gives, or with `{"error": ...}`.
///
/// # Errors
/// When input or output breaks, or a line is no JSON.
pub fn serve(mut answer: impl FnMut(&Value) -> Result<Value>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?).context("a request is no JSON")?;
        let reply = answer(&request).unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        writeln!(out, "{reply}")?;
        out.flush()?;
    }
    Ok(())
}

/// Wall-clock seconds that `work` takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// A text of a request.
///
/// # Errors
/// When it is missing.
pub fn text<'a>(request: &'a Value, name: &str) -> Result<&'a str> {
    request[name].as_str().with_context(|| format!("{name:?} is missing"))
}

/// A whole number of a request.
///
/// # Errors
/// When it is missing.
pub fn count(request: &Value, name: &str) -> Result<usize> {
    let count = request[name].as_u64().with_context(|| format!("{name:?} is missing"))?;
    Ok(usize::try_from(count)?)
}
