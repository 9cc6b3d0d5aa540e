//! `holdfast models evaluation`: the files that a version's evaluation left.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{Context, VersionArgs};
use crate::failure::{Failure, Result};
use crate::output::{self, cell};
use crate::unfinished::write_whole;

pub(super) const EXAMPLES: &str = "\
evaluation.json has every figure with its interval, every curve and every group; the pictures are drawn from it alone.

Examples:
  holdfast models evaluation 3                  which files there are
  holdfast models evaluation 3 --out plots      all of them, into the folder plots";

/// What `models evaluation` takes.
#[derive(Args, Debug)]
pub(super) struct EvaluationArgs {
    #[command(flatten)]
    version: VersionArgs,
    /// A folder for the files, made if it is not there; files of the same names are replaced
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(super) async fn run(args: EvaluationArgs, context: &Context) -> Result<()> {
    let path = format!("{}/evaluation", args.version.path());
    let mut answer = context.rest.get(&path, &[]).await?;
    let files: Vec<Value> = answer
        .get("files")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if let Some(out) = &args.out {
        for file in &files {
            save(&path, file, out, context).await?;
        }
        if let Value::Object(members) = &mut answer {
            members.insert("out".to_owned(), json!(out));
        }
    }
    context.output.emit(&answer, || people(&files, &args))
}

async fn save(path: &str, file: &Value, out: &Path, context: &Context) -> Result<()> {
    let name = file.get("name").and_then(Value::as_str).unwrap_or_default();
    if !is_plain(name) {
        return Err(Failure::new(format!(
            "the gateway names a file {name:?}, which is no file's name"
        )));
    }
    let bytes = context.rest.download(&format!("{path}/{name}"), &[]).await?;
    tokio::fs::create_dir_all(out)
        .await
        .map_err(|error| Failure::new(format!("{} cannot be made: {error}", out.display())))?;
    write_whole(&out.join(name), &bytes).await
}

/// A name that leads nowhere else, in a URL and in a folder.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
}

fn people(files: &[Value], args: &EvaluationArgs) -> String {
    if files.is_empty() {
        return format!("version {} has no evaluation on record", args.version.version);
    }
    let mut table = output::table(["file", "type", "bytes"]);
    for file in files {
        let text = |name: &str| file.get(name).map_or_else(|| "-".to_owned(), cell);
        table.add_row(["name", "content_type", "size_bytes"].map(text));
    }
    match &args.out {
        Some(out) => format!("{table}\nwritten to {}", out.display()),
        None => table.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_no_files_name() {
        assert!(["roc.svg", "evaluation.json", "a-b_c.svg"].into_iter().all(is_plain));
        assert!(
            !["", "..", ".hidden", "../roc.svg", "a/b", "a\\b", "a?b", "ä.svg"]
                .into_iter()
                .any(is_plain)
        );
    }
}
