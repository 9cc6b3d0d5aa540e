//! `ArtifactService`.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::artifact_service_server::ArtifactService;
use holdfast_api::registry::v1::read_artifact_response::Part as ReadPart;
use holdfast_api::registry::v1::write_artifact_request::Part as WritePart;
use holdfast_chassis::error::{Code, Fault};
use holdfast_domain::Digest;
use tonic::{Request, Response, Status, Streaming};

use super::convert::digest_in;
use super::{LARGEST_PAGE, page_size, status, unknown_token, violation};
use crate::service::artifacts::{ArtifactPath, Artifacts, FileInfo, Upload};
use crate::service::store::{Child, Place};

/// Longest piece of a file in a message.
const MAX_CHUNK_BYTES: usize = 1024 * 1024;
/// How long an upload may be silent.
const UPLOAD_SILENCE: Duration = Duration::from_secs(60);

/// `ArtifactService` over [`Artifacts`].
#[derive(Clone, Debug)]
pub(crate) struct ArtifactAdapter {
    artifacts: Artifacts,
}

impl ArtifactAdapter {
    /// The adapter.
    pub(crate) fn new(artifacts: Artifacts) -> Self {
        Self { artifacts }
    }
}

#[tonic::async_trait]
impl ArtifactService for ArtifactAdapter {
    type ReadArtifactStream = Pin<Box<dyn Stream<Item = Result<wire::ReadArtifactResponse, Status>> + Send>>;

    async fn write_artifact(
        &self,
        request: Request<Streaming<wire::WriteArtifactRequest>>,
    ) -> Result<Response<wire::WriteArtifactResponse>, Status> {
        let mut messages = request.into_inner();
        let Some(WritePart::Header(header)) = next_part(&mut messages).await? else {
            return Err(violation("header", "required", "must be the first message"));
        };
        let path = ArtifactPath::parse(&header.path).map_err(status)?;
        let mut upload = self.artifacts.upload(path).map_err(status)?;
        let claimed = receive(&mut messages, &mut upload).await?;
        let file = upload.finish(claimed).await.map_err(status)?;
        Ok(Response::new(wire::WriteArtifactResponse {
            artifact: Some(file_out(file)),
        }))
    }

    async fn read_artifact(
        &self,
        request: Request<wire::ReadArtifactRequest>,
    ) -> Result<Response<Self::ReadArtifactStream>, Status> {
        let path = ArtifactPath::parse(&request.into_inner().path).map_err(status)?;
        let reading = self.artifacts.read(&path).await.map_err(status)?;
        let first = ReadPart::Artifact(file_out(reading.file));
        let pieces = reading.pieces.map_err(status).map_ok(|piece| {
            let chunks: Vec<Result<ReadPart, Status>> = piece
                .chunks(MAX_CHUNK_BYTES)
                .map(|chunk| Ok(ReadPart::Chunk(Bytes::copy_from_slice(chunk).into())))
                .collect();
            stream::iter(chunks)
        });
        let parts = stream::iter([Ok(first)]).chain(pieces.try_flatten());
        let messages = parts.map_ok(|part| wire::ReadArtifactResponse { part: Some(part) });
        Ok(Response::new(Box::pin(messages)))
    }

    async fn list_artifacts(
        &self,
        request: Request<wire::ListArtifactsRequest>,
    ) -> Result<Response<wire::ListArtifactsResponse>, Status> {
        let request = request.into_inner();
        let bounds = (LARGEST_PAGE, LARGEST_PAGE);
        let size = page_size(request.page_size, bounds, "must be 0 (the default, 1,000) to 1,000")?;
        let folder = match request.path.as_str() {
            "" => None,
            path => Some(ArtifactPath::parse(path).map_err(status)?),
        };
        let after = place_in(&request.page_token)?;
        let listed = self.artifacts.list(folder.as_ref(), after.as_ref(), size as usize);
        let page = listed.await.map_err(status)?;
        Ok(Response::new(wire::ListArtifactsResponse {
            artifacts: page.children.into_iter().map(child_out).collect(),
            next_page_token: page.next.map(|place| place_out(&place)).unwrap_or_default(),
        }))
    }

    async fn delete_artifacts(
        &self,
        request: Request<wire::DeleteArtifactsRequest>,
    ) -> Result<Response<wire::DeleteArtifactsResponse>, Status> {
        let path = ArtifactPath::parse(&request.into_inner().path).map_err(status)?;
        let files = self.artifacts.delete(&path).await.map_err(status)?;
        Ok(Response::new(wire::DeleteArtifactsResponse { files }))
    }
}

/// Takes the bytes up to the end; answers the digest that the sender claims.
async fn receive(
    messages: &mut Streaming<wire::WriteArtifactRequest>,
    upload: &mut Upload,
) -> Result<Option<Digest>, Status> {
    loop {
        match next_part(messages).await? {
            Some(WritePart::Chunk(chunk)) if chunk.len() > MAX_CHUNK_BYTES => {
                return Err(violation("chunk", "too_long", "must have at most 1 MiB"));
            }
            Some(WritePart::Chunk(chunk)) => upload.write(&chunk).await.map_err(status)?,
            Some(WritePart::Header(_)) => return Err(violation("header", "repeated", "must come once, first")),
            Some(WritePart::End(end)) if end.sha256.is_empty() => return Ok(None),
            Some(WritePart::End(end)) => return digest_in("end.sha256", &end.sha256).map(Some),
            // A call that is cancelled looks like a stream that has ended: only the end says that the file is whole.
            None => return Err(violation("end", "required", "must be the last message")),
        }
    }
}

/// What the next message brings; `None` at the end of the stream. Empty messages are passed over.
async fn next_part(messages: &mut Streaming<wire::WriteArtifactRequest>) -> Result<Option<WritePart>, Status> {
    loop {
        let next = tokio::time::timeout(UPLOAD_SILENCE, messages.message()).await;
        let silent = |_| Fault::new(Code::DeadlineExceeded, "UPLOAD_SILENT", "nothing came for a minute");
        match next.map_err(silent)?? {
            None => return Ok(None),
            Some(wire::WriteArtifactRequest { part: Some(part) }) => return Ok(Some(part)),
            Some(_) => {}
        }
    }
}

fn file_out(file: FileInfo) -> wire::ArtifactInfo {
    wire::ArtifactInfo {
        path: file.path,
        is_dir: false,
        size_bytes: file.size_bytes,
        digest: file.digest.map(|digest| digest.to_string()).unwrap_or_default(),
    }
}

fn child_out(child: Child) -> wire::ArtifactInfo {
    let (size_bytes, digest) = child.file.unwrap_or_default();
    wire::ArtifactInfo {
        path: child.name,
        is_dir: child.file.is_none(),
        size_bytes,
        digest: digest.map(|digest| digest.to_string()).unwrap_or_default(),
    }
}

/// A page token: the last child of the page, and whether it is a folder.
fn place_out(place: &Place) -> String {
    let kind = if place.is_dir { "d" } else { "f" };
    format!("{kind}:{}", place.name)
}

fn place_in(token: &str) -> Result<Option<Place>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let (kind, name) = token.split_once(':').ok_or_else(unknown_token)?;
    let known = matches!(kind, "f" | "d");
    let is_name = !name.contains('/') && ArtifactPath::parse(name).is_ok();
    if !known || !is_name {
        return Err(unknown_token());
    }
    Ok(Some(Place {
        name: name.to_owned(),
        is_dir: kind == "d",
    }))
}
