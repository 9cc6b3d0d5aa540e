//! Models as files: one of another library in, an artefact or a file for another library out.

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::import_model_request::Part;
use holdfast_chassis::Fault;
use serde::Deserialize;
use utoipa::ToSchema;

use super::runs::StartedRun;
use super::tuning::ThresholdRule;
use super::upload::{Upload, UploadError, UploadPart, messages};
use crate::peers::Peers;

/// Which trees of a file become the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelRounds {
    /// Those up to the best iteration, where early stopping recorded one.
    #[default]
    Best,
    /// All of them.
    All,
}

/// The format of an exported model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// What XGBoost's `save_model("model.json")` writes.
    #[default]
    XgboostJson,
    /// The artefact itself, `model.hfm`, byte for byte as registered.
    Holdfast,
}

impl ExportFormat {
    /// The media type of such a file.
    pub const fn content_type(self) -> &'static str {
        match self {
            ExportFormat::XgboostJson => "application/json",
            ExportFormat::Holdfast => "application/octet-stream",
        }
    }
}

/// What is asked for with a model file.
#[derive(Clone, Debug, Default)]
pub struct WantedModel {
    /// The model that gets a new version.
    pub model: String,
    /// Where the file comes from.
    pub source: String,
    /// Digest of labelled rows.
    pub snapshot: String,
    /// Digest of the rows to test on; empty for a part of the others.
    pub test_snapshot: String,
    /// Share of the rows that test.
    pub test_share: Option<f64>,
    /// Which trees become the model.
    pub rounds: ModelRounds,
    /// Names of the columns, for a file without names.
    pub columns: Vec<String>,
    /// Columns that the file calls otherwise: its name, the schema's.
    pub renamed: Vec<(String, String)>,
    /// Categories in the order of their codes, by column.
    pub categories: Vec<(String, Vec<String>)>,
    /// Parameter set; empty for the default.
    pub preset: String,
    /// Seed of every draw of rows.
    pub seed: Option<u64>,
    /// Who asks.
    pub requested_by: Option<String>,
    /// Whether an accepted version becomes champion.
    pub promote: Option<bool>,
    /// How the threshold is chosen.
    pub threshold: Option<ThresholdRule>,
    /// The same key again is the same run.
    pub idempotency_key: String,
}

impl From<WantedModel> for wire::ImportModelHeader {
    fn from(wanted: WantedModel) -> Self {
        let rounds = match wanted.rounds {
            ModelRounds::Best => wire::ModelRounds::Best,
            ModelRounds::All => wire::ModelRounds::All,
        };
        let renamed = wanted.renamed.into_iter();
        let categories = wanted.categories.into_iter();
        Self {
            model: wanted.model,
            format: wire::ModelFormat::Unspecified.into(),
            source: wanted.source,
            snapshot: wanted.snapshot,
            test_snapshot: wanted.test_snapshot,
            columns: wanted.columns,
            categories: categories
                .map(|(column, categories)| wire::ColumnCategories { column, categories })
                .collect(),
            preset: wanted.preset,
            seed: wanted.seed,
            requested_by: wanted.requested_by.unwrap_or_else(|| super::ACTOR.to_owned()),
            promote: wanted.promote,
            threshold: wanted.threshold.map(Into::into),
            test_share: wanted.test_share,
            rounds: rounds.into(),
            renamed: renamed.map(|(from, to)| wire::RenamedColumn { from, to }).collect(),
            idempotency_key: wanted.idempotency_key,
        }
    }
}

fn message(part: UploadPart) -> wire::ImportModelRequest {
    let part = match part {
        UploadPart::Chunk(chunk) => Part::Chunk(chunk),
        UploadPart::End { size_bytes } => Part::End(wire::ImportModelEnd { size_bytes }),
    };
    wire::ImportModelRequest { part: Some(part) }
}

/// Passes a model file on to training as it comes; the answer is the run that makes a version of it.
///
/// # Errors
/// [`UploadError`]; then no run was started for the part that was passed on.
pub async fn import<S, E>(peers: &Peers, wanted: WantedModel, upload: Upload<S>) -> Result<StartedRun, UploadError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let header = wire::ImportModelHeader::from(wanted);
    let first = wire::ImportModelRequest {
        part: Some(Part::Header(header)),
    };
    let peers = peers.clone();
    let answer = upload.pass_on(message, |arriving| async move {
        peers.import_model(messages(first, arriving)).await
    });
    Ok(StartedRun {
        run_id: answer.await?.run_id,
    })
}

/// A version as a file, piece by piece.
///
/// # Errors
/// Training's to begin with, later ones as items.
pub async fn export(
    peers: &Peers,
    model: String,
    version: u32,
    format: ExportFormat,
) -> Result<impl Stream<Item = Result<Bytes, Fault>> + Send + use<>, Fault> {
    let format = match format {
        ExportFormat::XgboostJson => wire::ModelFormat::XgboostJson,
        ExportFormat::Holdfast => wire::ModelFormat::Holdfast,
    };
    let message = wire::ExportModelRequest {
        model,
        version,
        format: format.into(),
    };
    let pieces = peers.export_model(message).await?;
    Ok(pieces.map_ok(|piece| Bytes::from(piece.chunk)))
}
