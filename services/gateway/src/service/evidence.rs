//! What is on record of a version: its model card, the files of its evaluation, and whether it can be made again.

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::reproduce_version_response::Part;
use holdfast_chassis::Fault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::convert::promised;
use crate::peers::Peers;

/// How a model card is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CardFormat {
    /// Markdown; plots are named.
    #[default]
    Markdown,
    /// One self-contained HTML page with the plots.
    Html,
    /// Its sections as data; plots are named.
    Json,
}

impl From<CardFormat> for wire::ModelCardFormat {
    fn from(format: CardFormat) -> Self {
        match format {
            CardFormat::Markdown => Self::Markdown,
            CardFormat::Html => Self::Html,
            CardFormat::Json => Self::Json,
        }
    }
}

/// A file on its way to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The bytes.
    pub content: Bytes,
    /// Media type, for example `image/svg+xml`.
    pub content_type: String,
}

/// A file that an evaluation left.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EvaluationFile {
    /// Its name, for example `reliability.svg`.
    pub name: String,
    /// Media type, for example `image/svg+xml`.
    pub content_type: String,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// The files of an evaluation, by name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EvaluationFiles {
    /// None for a version from before evaluations were stored.
    pub files: Vec<EvaluationFile>,
}

/// How a version is to be made again.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reproduce {
    /// Threads, 1 to 64; as the service's settings say when absent. The bytes do not depend on it.
    #[schema(maximum = 64)]
    pub threads: Option<u32>,
}

/// How far a reproduction is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct ReproductionProgress {
    /// 0 to 1.
    pub progress: f64,
}

/// What a reproduction came to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Reproduction {
    /// SHA-256 of the registered artefact.
    pub registered_digest: String,
    /// SHA-256 of the artefact made again.
    pub rebuilt_digest: String,
    /// Are they the same?
    pub identical: bool,
    /// Where they differ, part by part, when they do.
    pub differences: Vec<String>,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// Version of the code that trained the registered artefact.
    pub registered_code_version: String,
    /// Version of the code that made it again.
    pub code_version: String,
}

/// What following a reproduction brings.
#[derive(Clone, Debug)]
pub enum ReproductionNews {
    /// It goes on.
    Progress(ReproductionProgress),
    /// The verdict; nothing comes after it.
    Done(Box<Reproduction>),
}

impl From<wire::Reproduction> for Reproduction {
    fn from(wire: wire::Reproduction) -> Self {
        Self {
            registered_digest: wire.registered_digest,
            rebuilt_digest: wire.rebuilt_digest,
            identical: wire.identical,
            differences: wire.differences,
            duration_seconds: wire.duration_seconds,
            registered_code_version: wire.registered_code_version,
            code_version: wire.code_version,
        }
    }
}

/// The model card of a version.
///
/// # Errors
/// Training's.
pub async fn card(peers: &Peers, model: String, version: u32, format: CardFormat) -> Result<Document, Fault> {
    let message = wire::GetModelCardRequest {
        model,
        version,
        format: wire::ModelCardFormat::from(format).into(),
    };
    let answer = peers.get_model_card(message).await?;
    Ok(Document {
        content: answer.content.into(),
        content_type: answer.content_type,
    })
}

/// The files of a version's evaluation.
///
/// # Errors
/// Training's.
pub async fn files(peers: &Peers, model: String, version: u32) -> Result<EvaluationFiles, Fault> {
    let message = wire::ListEvaluationFilesRequest { model, version };
    let answer = peers.list_evaluation_files(message).await?;
    let files = answer.files.into_iter().map(|file| EvaluationFile {
        name: file.name,
        content_type: file.content_type,
        size_bytes: file.size_bytes,
    });
    Ok(EvaluationFiles { files: files.collect() })
}

/// One of these files.
///
/// # Errors
/// Training's.
pub async fn file(peers: &Peers, model: String, version: u32, name: String) -> Result<Document, Fault> {
    let message = wire::GetEvaluationFileRequest { model, version, name };
    let answer = peers.get_evaluation_file(message).await?;
    Ok(Document {
        content: answer.content.into(),
        content_type: answer.content_type,
    })
}

/// Makes a version again and compares the bytes. Dropping the stream gives the work up.
///
/// # Errors
/// Training's to begin with, later ones as items.
pub async fn reproduce(
    peers: &Peers,
    model: String,
    version: u32,
    wanted: Reproduce,
) -> Result<impl Stream<Item = Result<ReproductionNews, Fault>> + Send + use<>, Fault> {
    let message = wire::ReproduceVersionRequest {
        model,
        version,
        threads: wanted.threads.unwrap_or_default(),
    };
    let messages = peers.reproduce_version(message).await?;
    Ok(messages.and_then(|message| async {
        Ok(match promised(message.part, "news")? {
            Part::Progress(progress) => ReproductionNews::Progress(ReproductionProgress { progress }),
            Part::Reproduction(verdict) => ReproductionNews::Done(Box::new(verdict.into())),
        })
    }))
}
