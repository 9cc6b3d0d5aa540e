//! The adapter: wire types in, domain types out.

mod convert;
mod evaluation;
mod interchange;
mod reproduction;
mod upload;

use std::pin::Pin;

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::training_service_server::TrainingService;
use holdfast_chassis::Shutdown;
use holdfast_chassis::error::Fault;
use holdfast_domain::Digest;
use tonic::{Request, Response, Status, Streaming};

use crate::error::Error;
use crate::service::pipeline::{Followed, Pipelines};
use crate::service::reproduction::Reproductions;
use crate::service::versions::Versions;
use crate::settings::Settings;
use convert::{model_name, page_size, run_id};
pub(crate) use interchange::wishes_in;
use upload::Upload;

/// The largest piece of an import, in bytes.
const MAX_CHUNK_BYTES: usize = 1 << 20;

/// `TrainingService` over [`Pipelines`].
#[derive(Debug)]
pub(crate) struct TrainingAdapter {
    pipelines: Pipelines,
    versions: Versions,
    reproductions: Reproductions,
    settings: Settings,
    shutdown: Shutdown,
}

impl TrainingAdapter {
    pub(crate) fn new(pipelines: Pipelines, settings: Settings, shutdown: Shutdown) -> Self {
        let versions = pipelines.versions();
        let reproductions = Reproductions::new(
            versions.clone(),
            shutdown.clone(),
            settings.training_threads(),
            settings.progress_interval(),
        );
        Self {
            pipelines,
            versions,
            reproductions,
            settings,
            shutdown,
        }
    }
}

fn status(error: Error) -> Status {
    Fault::from(error).into()
}

#[tonic::async_trait]
impl TrainingService for TrainingAdapter {
    async fn import_snapshot(
        &self,
        request: Request<Streaming<wire::ImportSnapshotRequest>>,
    ) -> Result<Response<wire::ImportSnapshotResponse>, Status> {
        let (header, mut file) = Upload::begin(request.into_inner()).await?;
        let format = convert::format_in(header.format()).map_err(status)?;
        let mut upload = self
            .pipelines
            .snapshots()
            .upload(format, &header.source)
            .map_err(status)?;
        while let Some(chunk) = file.chunk().await? {
            upload.write(&chunk).await.map_err(status)?;
        }
        let imported = upload.finish().await.map_err(status)?;
        Ok(Response::new(wire::ImportSnapshotResponse {
            snapshot: Some(convert::snapshot_out(&imported.manifest)),
            dropped_columns: imported.dropped_columns,
        }))
    }

    async fn get_snapshot(
        &self,
        request: Request<wire::GetSnapshotRequest>,
    ) -> Result<Response<wire::GetSnapshotResponse>, Status> {
        let digest = convert::digest_in("digest", &request.into_inner().digest).map_err(status)?;
        let manifest = self.pipelines.snapshots().get(&digest).await.map_err(status)?;
        Ok(Response::new(wire::GetSnapshotResponse {
            snapshot: Some(convert::snapshot_out(&manifest)),
        }))
    }

    async fn list_snapshots(
        &self,
        request: Request<wire::ListSnapshotsRequest>,
    ) -> Result<Response<wire::ListSnapshotsResponse>, Status> {
        let request = request.into_inner();
        let size = page_size(request.page_size).map_err(status)?;
        let after = convert::optional_digest("page_token", &request.page_token).map_err(status)?;
        let page = self
            .pipelines
            .snapshots()
            .list(size as usize, after)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::ListSnapshotsResponse {
            snapshots: page.snapshots.iter().map(convert::snapshot_out).collect(),
            next_page_token: page.next.as_ref().map(Digest::to_string).unwrap_or_default(),
        }))
    }

    async fn start_run(
        &self,
        request: Request<wire::StartRunRequest>,
    ) -> Result<Response<wire::StartRunResponse>, Status> {
        let request = convert::run_request_in(request.into_inner(), &self.settings).map_err(status)?;
        let run = self.pipelines.start(request).await.map_err(status)?;
        Ok(Response::new(wire::StartRunResponse {
            run_id: run.to_string(),
        }))
    }

    async fn get_run(&self, request: Request<wire::GetRunRequest>) -> Result<Response<wire::GetRunResponse>, Status> {
        let id = run_id(&request.into_inner().run_id).map_err(status)?;
        let run = self.pipelines.run(&id).await.map_err(status)?;
        Ok(Response::new(wire::GetRunResponse {
            run: Some(convert::run_out(run)),
        }))
    }

    async fn list_runs(
        &self,
        request: Request<wire::ListRunsRequest>,
    ) -> Result<Response<wire::ListRunsResponse>, Status> {
        let request = request.into_inner();
        let size = page_size(request.page_size).map_err(status)?;
        let model = match request.model.as_str() {
            "" => None,
            name => Some(model_name(name).map_err(status)?),
        };
        let before = convert::run_token(&request.page_token).map_err(status)?;
        let page = self
            .pipelines
            .runs(model.as_ref(), before, size)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::ListRunsResponse {
            runs: page.runs.into_iter().map(convert::run_out).collect(),
            next_page_token: page.next.map(|position| position.to_string()).unwrap_or_default(),
        }))
    }

    type WatchRunStream = Pin<Box<dyn Stream<Item = Result<wire::WatchRunResponse, Status>> + Send>>;

    async fn watch_run(
        &self,
        request: Request<wire::WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let request = request.into_inner();
        let id = run_id(&request.run_id).map_err(status)?;
        let follower = self
            .pipelines
            .follow(&id, request.after_sequence)
            .await
            .map_err(status)?;
        let lines = stream::try_unfold(follower, |mut follower| async move {
            let seen = follower.next().await.map_err(status)?;
            Ok::<_, Status>((!seen.is_empty()).then_some((seen, follower)))
        });
        let lines = lines
            .map_ok(|seen| stream::iter(seen).map(|followed| Ok(followed_out(followed))))
            .try_flatten();
        let last = Err(Fault::unavailable("ENDING", "the service is shutting down").into());
        Ok(Response::new(Box::pin(self.shutdown.end_with(lines, last))))
    }

    async fn cancel_run(
        &self,
        request: Request<wire::CancelRunRequest>,
    ) -> Result<Response<wire::CancelRunResponse>, Status> {
        let id = run_id(&request.into_inner().run_id).map_err(status)?;
        let run = self.pipelines.cancel(&id).await.map_err(status)?;
        Ok(Response::new(wire::CancelRunResponse {
            run: Some(convert::run_out(run)),
        }))
    }

    async fn import_model(
        &self,
        request: Request<Streaming<wire::ImportModelRequest>>,
    ) -> Result<Response<wire::ImportModelResponse>, Status> {
        let answer = interchange::import(&self.pipelines, &self.settings, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    type ExportModelStream = Pin<Box<dyn Stream<Item = Result<wire::ExportModelResponse, Status>> + Send>>;

    async fn export_model(
        &self,
        request: Request<wire::ExportModelRequest>,
    ) -> Result<Response<Self::ExportModelStream>, Status> {
        let file = interchange::export(&self.versions, request.into_inner()).await?;
        Ok(Response::new(Box::pin(file)))
    }

    type ReproduceVersionStream = Pin<Box<dyn Stream<Item = Result<wire::ReproduceVersionResponse, Status>> + Send>>;

    async fn reproduce_version(
        &self,
        request: Request<wire::ReproduceVersionRequest>,
    ) -> Result<Response<Self::ReproduceVersionStream>, Status> {
        let news = reproduction::reproduce(&self.reproductions, request.into_inner()).await?;
        let last = Err(Fault::unavailable("ENDING", "the service is shutting down").into());
        Ok(Response::new(Box::pin(self.shutdown.end_with(news, last))))
    }

    async fn get_model_card(
        &self,
        request: Request<wire::GetModelCardRequest>,
    ) -> Result<Response<wire::GetModelCardResponse>, Status> {
        evaluation::card(&self.versions, request.into_inner()).await
    }

    async fn list_evaluation_files(
        &self,
        request: Request<wire::ListEvaluationFilesRequest>,
    ) -> Result<Response<wire::ListEvaluationFilesResponse>, Status> {
        evaluation::files(&self.versions, request.into_inner()).await
    }

    async fn get_evaluation_file(
        &self,
        request: Request<wire::GetEvaluationFileRequest>,
    ) -> Result<Response<wire::GetEvaluationFileResponse>, Status> {
        evaluation::file(&self.versions, request.into_inner()).await
    }
}

fn followed_out(followed: Followed) -> wire::WatchRunResponse {
    wire::WatchRunResponse {
        event: followed.event.map(convert::event_out),
        run: followed.run.map(convert::run_out),
    }
}
