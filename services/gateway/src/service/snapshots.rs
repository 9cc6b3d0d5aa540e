//! Snapshots: immutable tables named by their digest.

use bytes::Bytes;
use futures::Stream;
use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::import_snapshot_request::Part;
use holdfast_chassis::Fault;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::convert::{promised, text, time};
use super::upload::{Upload, UploadError, UploadPart, messages};
use crate::peers::Peers;

/// An immutable table.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Snapshot {
    /// SHA-256 of the Parquet object, in hexadecimal: its name.
    pub digest: String,
    /// Where it came from.
    pub source: String,
    /// Rows.
    pub rows: u64,
    /// Rows of customers who left.
    pub positives: u64,
    /// SHA-256 of the schema it was checked against.
    pub schema_digest: String,
    /// When it was stored first.
    pub created_at: Option<Timestamp>,
    /// The snapshots it was made from.
    pub parents: Vec<String>,
}

/// What an upload came to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ImportedSnapshot {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// Columns of the upload that were left out, because the schema says so.
    pub dropped_columns: Vec<String>,
}

/// A page of snapshots, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Snapshots {
    /// The page.
    pub snapshots: Vec<Snapshot>,
    /// Asks for the next page; null on the last one.
    pub next_page_token: Option<String>,
}

/// How an uploaded table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values with a header.
    Csv,
    /// Parquet.
    Parquet,
}

impl From<wire::Snapshot> for Snapshot {
    fn from(wire: wire::Snapshot) -> Self {
        Self {
            digest: wire.digest,
            source: wire.source,
            rows: wire.rows,
            positives: wire.positives,
            schema_digest: wire.schema_digest,
            created_at: time(wire.created_at),
            parents: wire.parents,
        }
    }
}

fn message(part: UploadPart) -> wire::ImportSnapshotRequest {
    let part = match part {
        UploadPart::Chunk(chunk) => Part::Chunk(chunk),
        UploadPart::End { size_bytes } => Part::End(wire::ImportSnapshotEnd { size_bytes }),
    };
    wire::ImportSnapshotRequest { part: Some(part) }
}

/// Passes a table on to training as it comes. `source` is where it comes from, for the manifest.
///
/// # Errors
/// [`UploadError`]; then no snapshot was made of the part that was passed on.
pub async fn import<S, E>(
    peers: &Peers,
    format: TableFormat,
    source: String,
    upload: Upload<S>,
) -> Result<ImportedSnapshot, UploadError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let format = match format {
        TableFormat::Csv => wire::TableFormat::Csv,
        TableFormat::Parquet => wire::TableFormat::Parquet,
    };
    let header = wire::ImportSnapshotHeader {
        format: format.into(),
        source,
    };
    let first = wire::ImportSnapshotRequest {
        part: Some(Part::Header(header)),
    };
    let peers = peers.clone();
    let answer = upload.pass_on(message, |arriving| async move {
        peers.import_snapshot(messages(first, arriving)).await
    });
    let answer = answer.await?;
    let snapshot = promised(answer.snapshot, "the snapshot")
        .map_err(UploadError::Refused)?
        .into();
    Ok(ImportedSnapshot {
        snapshot,
        dropped_columns: answer.dropped_columns,
    })
}

/// What is known of a snapshot.
///
/// # Errors
/// Training's.
pub async fn get(peers: &Peers, digest: String) -> Result<Snapshot, Fault> {
    let answer = peers.get_snapshot(wire::GetSnapshotRequest { digest }).await?;
    Ok(promised(answer.snapshot, "the snapshot")?.into())
}

/// A page of snapshots.
///
/// # Errors
/// Training's.
pub async fn list(peers: &Peers, page_size: u32, page_token: String) -> Result<Snapshots, Fault> {
    let answer = peers
        .list_snapshots(wire::ListSnapshotsRequest { page_size, page_token })
        .await?;
    Ok(Snapshots {
        snapshots: answer.snapshots.into_iter().map(Snapshot::from).collect(),
        next_page_token: text(answer.next_page_token),
    })
}
