//! Files of runs and logged models: streamed in and out, listed, removed.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::read_artifact_response::Part as ReadPart;
use holdfast_api::registry::v1::write_artifact_request::Part as WritePart;
use holdfast_chassis::{Code, Fault};
use serde_json::{Value, json};

use super::asked::Asked;
use super::out::{Out, done};
use super::uri::{below, path_of, relative};
use super::{asked, runs};
use crate::peers::Peers;
use crate::service::convert::promised;
use crate::service::silence;
use crate::service::upload::{Upload, UploadError, UploadPart, messages};

/// Most entries of a folder that is listed: clients of MLflow know no pages of files.
const MOST_LISTED: usize = 100_000;

/// `GET mlflow-artifacts/artifacts`: names within a folder.
///
/// # Errors
/// As the registry's, or a wrong field; here and below.
pub async fn list(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let path = asked.text("path")?;
    let found = all_within(peers, relative(&path)?.to_owned()).await?;
    Ok(Out::default().list("files", found, |file| entry("", &file)).done())
}

/// `GET artifacts/list`: paths within a run.
///
/// # Errors
/// See [`list`].
pub async fn list_of_run(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let path = asked.text("path")?;
    let run = runs::read(peers, asked.run_id()?).await?;
    list_below(peers, run.artifact_uri, &path).await
}

/// What lies in a folder below a root, with paths relative to the root.
pub(super) async fn list_below(peers: &Peers, root_uri: String, path: &str) -> Result<Value, Fault> {
    let path = relative(path)?;
    let found = all_within(peers, below(path_of(&root_uri)?, path)).await?;
    let out = Out::default().set("root_uri", root_uri);
    Ok(out.list("files", found, |file| entry(path, &file)).done())
}

/// Removes a file, or a folder with all in it.
///
/// # Errors
/// See [`list`].
pub async fn delete(peers: &Peers, path: &str) -> Result<Value, Fault> {
    let path = named(path)?;
    peers.delete_artifacts(wire::DeleteArtifactsRequest { path }).await?;
    Ok(done())
}

/// Passes a file on as it comes. What was at its path stays until the last byte is there.
///
/// # Errors
/// [`UploadError`]; then nothing is at the path that was not before.
pub async fn write<S, E>(peers: &Peers, path: &str, upload: Upload<S>) -> Result<(), UploadError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let path = named(path).map_err(UploadError::Refused)?;
    let first = wire::WriteArtifactRequest {
        part: Some(WritePart::Header(wire::ArtifactHeader { path })),
    };
    let peers = peers.clone();
    let answer = upload.pass_on(message, |arriving| async move {
        peers.write_artifact(messages(first, arriving)).await
    });
    answer.await?;
    Ok(())
}

fn message(part: UploadPart) -> wire::WriteArtifactRequest {
    let part = match part {
        UploadPart::Chunk(chunk) => WritePart::Chunk(chunk),
        // What the sender says of its digest, this server has not seen.
        UploadPart::End { .. } => WritePart::End(wire::ArtifactEnd::default()),
    };
    wire::WriteArtifactRequest { part: Some(part) }
}

/// A file: its size in bytes, then its bytes as the registry sends them. One that breaks off, or pauses for longer than `silence`, ends with a failure.
///
/// # Errors
/// See [`list`]; later ones are items of the stream.
pub async fn read(
    peers: &Peers,
    path: &str,
    silence: Duration,
) -> Result<(u64, impl Stream<Item = Result<Bytes, Fault>> + Send + use<>), Fault> {
    let message = wire::ReadArtifactRequest { path: named(path)? };
    let begun = async {
        let mut parts = Box::pin(peers.read_artifact(message).await?);
        let first = parts.next().await.transpose()?;
        Ok::<_, Fault>((first, parts))
    };
    let begun = tokio::time::timeout(silence, begun).await;
    let (first, parts) = begun.map_err(|_| unanswered())??;
    let Some(ReadPart::Artifact(file)) = promised(first, "file")?.part else {
        return Err(Fault::internal(
            "INCOMPLETE_ANSWER",
            "a service answered bytes of no file",
        ));
    };
    let pieces = silence::limited(parts, silence, unanswered).map(|part| match part?.part {
        Some(ReadPart::Chunk(chunk)) => Ok(Bytes::from(chunk)),
        _ => Err(Fault::internal(
            "INCOMPLETE_ANSWER",
            "a service answered a piece that is none",
        )),
    });
    Ok((file.size_bytes, pieces))
}

fn unanswered() -> Fault {
    Fault::new(
        Code::DeadlineExceeded,
        "PEER_SILENT",
        "the registry did not send the file in time",
    )
}

/// A path that must name something.
fn named(path: &str) -> Result<String, Fault> {
    match relative(path)? {
        "" => Err(asked::invalid("the path must name a file or a folder")),
        path => Ok(path.to_owned()),
    }
}

async fn all_within(peers: &Peers, path: String) -> Result<Vec<wire::ArtifactInfo>, Fault> {
    let mut message = wire::ListArtifactsRequest {
        path,
        page_size: 0,
        page_token: String::new(),
    };
    let mut found = Vec::new();
    loop {
        let page = peers.list_artifacts(message.clone()).await?;
        found.extend(page.artifacts);
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        if found.len() >= MOST_LISTED {
            let problem = format!(
                "{:?} has more than {MOST_LISTED} entries: list its folders",
                message.path
            );
            return Err(Fault::new(Code::FailedPrecondition, "FOLDER_TOO_LARGE", problem));
        }
        message.page_token = page.next_page_token;
    }
}

fn entry(folder: &str, file: &wire::ArtifactInfo) -> Value {
    let path = below(folder, &file.path);
    if file.is_dir {
        json!({"path": path, "is_dir": true})
    } else {
        json!({"path": path, "is_dir": false, "file_size": file.size_bytes})
    }
}
