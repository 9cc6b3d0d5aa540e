//! What a run of `score` is about: two runs with the same plan write the same bytes, and one may go on where the other ended.

use std::path::Path;
use std::time::UNIX_EPOCH;

use holdfast_sources::SourceSpec;
use holdfast_storage::S3Settings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::artifact::Scorer;
use super::calls::CallRule;
use super::place::TableFormat;
use crate::failure::{Failure, Result};

/// Rows that are scored at once. A part has a whole number of such chunks.
pub(super) const CHUNK_ROWS: usize = 4_096;

/// The format of the plan and of the parts; a change of either makes old ones unusable.
const FORMAT_VERSION: u32 = 1;

/// What to do with a row that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnBadRow {
    /// End at the first chunk that has one; nothing is written.
    Fail,
    /// Leave it out, and write it with its reasons into a file of its own.
    Skip,
}

/// Everything that the bytes of the result depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    format_version: u32,
    /// The release: another one may write numbers or pages otherwise.
    written_by: String,
    source: SourceIdentity,
    model: ModelIdentity,
    /// Reasons a row.
    pub(super) reasons: usize,
    /// What to do with bad rows.
    pub(super) on_bad_row: OnBadRow,
    /// How the table is written.
    pub(super) table: TableFormat,
    /// Who is to be called.
    pub(super) calls: Option<CallRule>,
    /// Rows of the source that one part of the result stands for: a row group of a Parquet result, and what an interruption costs at
    /// most.
    pub(super) part_rows: u64,
}

/// The part of a plan that the caller chooses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) reasons: usize,
    pub(super) on_bad_row: OnBadRow,
    pub(super) table: TableFormat,
    pub(super) calls: Option<CallRule>,
    pub(super) part_rows: u64,
}

/// What tells a source from a changed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceIdentity {
    name: String,
    size_bytes: u64,
    /// Microseconds since 1970.
    modified: i64,
    /// S3's, or what SQLite has not yet written into its file.
    tag: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ModelIdentity {
    name: String,
    version: Option<u32>,
    artifact_digest: String,
}

impl SourceIdentity {
    /// Looks at the source as it is now.
    pub(super) async fn of(spec: &SourceSpec, s3: &S3Settings) -> Result<Self> {
        let name = spec.to_string();
        if let SourceSpec::S3(object) = spec {
            let found = object.head(s3).await?;
            return Ok(Self {
                name,
                size_bytes: found.size_bytes,
                modified: found.modified.as_microsecond(),
                tag: found.etag,
            });
        }
        let Some(path) = spec.path() else {
            // A server's table: refused when it is opened.
            return Ok(Self {
                name,
                size_bytes: 0,
                modified: 0,
                tag: None,
            });
        };
        let (size_bytes, modified) = stamp(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::new(format!("{name}: there is no such file")),
            _ => Failure::new(format!("{name} cannot be read: {error}")),
        })?;
        let tag = match spec {
            SourceSpec::Sqlite { path, .. } => {
                let mut log = path.as_os_str().to_owned();
                log.push("-wal");
                stamp(Path::new(&log))
                    .ok()
                    .filter(|(size, _)| *size > 0)
                    .map(|log| format!("{log:?}"))
            }
            _ => None,
        };
        Ok(Self {
            name,
            size_bytes,
            modified,
            tag,
        })
    }
}

fn stamp(path: &Path) -> std::io::Result<(u64, i64)> {
    let metadata = std::fs::metadata(path)?;
    let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((metadata.len(), i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
}

impl Plan {
    /// The plan of a run.
    pub(super) fn new(source: SourceIdentity, scorer: &Scorer, options: Options) -> Self {
        let Options {
            reasons,
            on_bad_row,
            table,
            calls,
            part_rows,
        } = options;
        Self {
            format_version: FORMAT_VERSION,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            source,
            model: ModelIdentity {
                name: scorer.name.clone(),
                version: scorer.version,
                artifact_digest: scorer.digest.to_string(),
            },
            reasons,
            on_bad_row,
            table,
            calls,
            part_rows,
        }
    }

    /// The source as it was when the run began.
    pub(super) fn source(&self) -> &SourceIdentity {
        &self.source
    }

    /// What differs from the plan that was begun, in words; empty when nothing does.
    pub(super) fn differences(&self, begun: &Value) -> Vec<String> {
        let now = serde_json::to_value(self).unwrap_or_default();
        let mut found = Vec::new();
        compare("", begun, &now, &mut found);
        found
    }

    /// Whether the difference is one of the model alone, which naming the version mends.
    pub(super) fn other_version(&self, begun: &Value) -> Option<u64> {
        let version = begun.pointer("/model/version")?.as_u64()?;
        (Some(version) != self.model.version.map(u64::from)).then_some(version)
    }
}

fn compare(path: &str, begun: &Value, now: &Value, found: &mut Vec<String>) {
    match (begun, now) {
        (Value::Object(before), Value::Object(after)) => {
            let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                let none = Value::Null;
                compare(
                    &path,
                    before.get(name).unwrap_or(&none),
                    after.get(name).unwrap_or(&none),
                    found,
                );
            }
        }
        _ if begun != now => found.push(format!("{path} was {begun} and is {now}")),
        _ => {}
    }
}
