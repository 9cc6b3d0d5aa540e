//! Snapshots: immutable tables named by their digest.

use std::pin::pin;

use bytes::Bytes;
use futures::future::{self, Either};
use futures::{Stream, StreamExt as _};
use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::import_snapshot_request::Part;
use holdfast_chassis::{Fault, Shutdown};
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;
use utoipa::ToSchema;

use super::convert::{promised, text, time};
use crate::peers::Peers;

/// Largest part passed on at once: what the wire contract allows.
const PART_BYTES: usize = 1 << 20;

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

/// Why an upload came to nothing.
#[derive(Debug)]
pub enum UploadError<E> {
    /// Training refused it.
    Refused(Fault),
    /// It is larger than allowed.
    TooLarge,
    /// It broke off on the caller's side.
    Broken(E),
}

/// A table on its way.
#[derive(Debug)]
pub struct Upload<S> {
    /// How it is written.
    pub format: TableFormat,
    /// Where it comes from, for the manifest.
    pub source: String,
    /// Its bytes.
    pub body: S,
    /// Most bytes it may have.
    pub limit: u64,
    /// Counts the bytes passed on.
    pub passed_on: Counter,
    /// Keeps the call to training alive until it has ended.
    pub tasks: Shutdown,
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

impl<S, E> Upload<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// Passes the table on to training as it comes, in bounded memory: what training does not take is not read.
    ///
    /// Only a table that came to its end is ended towards training, so that half of one never becomes a snapshot. The call runs as a task of its own: it
    /// hears of the end, or that there is none, also when the caller goes away.
    ///
    /// # Errors
    /// [`UploadError`]; then no snapshot was made of the part that was passed on.
    pub async fn import(self, peers: &Peers) -> Result<ImportedSnapshot, UploadError<E>> {
        let Self {
            format,
            source,
            body,
            limit,
            passed_on,
            tasks,
        } = self;
        let format = match format {
            TableFormat::Csv => wire::TableFormat::Csv,
            TableFormat::Parquet => wire::TableFormat::Parquet,
        };
        let header = wire::ImportSnapshotHeader {
            format: format.into(),
            source,
        };
        let (pieces, arriving) = mpsc::channel(1);
        let (answered, answer) = oneshot::channel();
        let peers = peers.clone();
        let call = async move {
            // Nobody listening means the caller has gone away.
            let _ = answered.send(peers.import_snapshot(parts(header, arriving)).await);
        };
        tasks.spawn("upload", call.in_current_span());
        let feeding = pin!(feed(body, pieces, limit, passed_on));
        let answered = match future::select(answer, feeding).await {
            Either::Left((answered, _)) => answered,
            Either::Right((Ok(()), answer)) => answer.await,
            Either::Right((Err(why), _)) => return Err(why),
        };
        let ended = |_| Fault::unavailable("ENDING", "the gateway is shutting down");
        let answer = answered.map_err(ended).flatten().map_err(UploadError::Refused)?;
        let snapshot = promised(answer.snapshot, "the snapshot")
            .map_err(UploadError::Refused)?
            .into();
        Ok(ImportedSnapshot {
            snapshot,
            dropped_columns: answer.dropped_columns,
        })
    }
}

/// What arrives of a table. A channel that closes before the end means that the table broke off.
enum Piece {
    Bytes(Bytes),
    End,
}

async fn feed<S, E>(
    mut body: S,
    pieces: mpsc::Sender<Piece>,
    limit: u64,
    passed_on: Counter,
) -> Result<(), UploadError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut left = limit;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(UploadError::Broken)?;
        let size = piece.len() as u64;
        left = left.checked_sub(size).ok_or(UploadError::TooLarge)?;
        if pieces.send(Piece::Bytes(piece)).await.is_err() {
            // Training wants no more: its answer is on the way.
            return future::pending().await;
        }
        passed_on.inc_by(size);
    }
    if pieces.send(Piece::End).await.is_err() {
        return future::pending().await;
    }
    Ok(())
}

/// The messages of the call: the header, then parts that are small enough, then the end.
fn parts(
    header: wire::ImportSnapshotHeader,
    arriving: mpsc::Receiver<Piece>,
) -> impl Stream<Item = wire::ImportSnapshotRequest> + Send + 'static {
    let state = Some((arriving, Bytes::new(), 0_u64));
    let rest = futures::stream::unfold(state, async |state| {
        let (mut arriving, mut rest, size_bytes) = state?;
        while rest.is_empty() {
            match arriving.recv().await {
                Some(Piece::Bytes(piece)) => rest = piece,
                Some(Piece::End) => return Some((Part::End(wire::ImportSnapshotEnd { size_bytes }), None)),
                // Broken off: without the end training stores nothing.
                None => return None,
            }
        }
        let part = rest.split_to(rest.len().min(PART_BYTES));
        let size_bytes = size_bytes + part.len() as u64;
        Some((Part::Chunk(part.into()), Some((arriving, rest, size_bytes))))
    });
    let first = futures::stream::once(future::ready(Part::Header(header)));
    first
        .chain(rest)
        .map(|part| wire::ImportSnapshotRequest { part: Some(part) })
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
