//! `RetentionService`.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::retention_service_server::RetentionService;
use holdfast_api::time;
use tonic::{Request, Response, Status};

use super::status;
use crate::service::retention::{Collection, GarbageKind, Retention};

/// `RetentionService` over [`Retention`].
#[derive(Clone, Debug)]
pub(crate) struct RetentionAdapter {
    retention: Retention,
}

impl RetentionAdapter {
    /// The adapter.
    pub(crate) fn new(retention: Retention) -> Self {
        Self { retention }
    }
}

#[tonic::async_trait]
impl RetentionService for RetentionAdapter {
    async fn collect(&self, request: Request<wire::CollectRequest>) -> Result<Response<wire::CollectResponse>, Status> {
        let request = request.into_inner();
        let collected = self.retention.collect(request.remove, request.older_than_days).await;
        Ok(Response::new(collection_out(collected.map_err(status)?)))
    }
}

fn collection_out(collection: Collection) -> wire::CollectResponse {
    let garbage = collection.garbage.into_iter().map(|garbage| wire::Garbage {
        kind: kind_out(garbage.kind).into(),
        id: garbage.id,
        size_bytes: garbage.size_bytes,
        reason: garbage.reason.to_owned(),
    });
    let kept = collection.kept.into_iter().map(|kept| wire::Kept {
        kind: kind_out(kept.kind).into(),
        id: kept.id,
        reason: kept.reason,
    });
    wire::CollectResponse {
        garbage: garbage.collect(),
        total: collection.total,
        total_bytes: collection.total_bytes,
        kept: kept.collect(),
        removed: collection.removed,
        cutoff: Some(time::to_wire(collection.cutoff)),
    }
}

fn kind_out(kind: GarbageKind) -> wire::GarbageKind {
    match kind {
        GarbageKind::Experiment => wire::GarbageKind::Experiment,
        GarbageKind::Run => wire::GarbageKind::Run,
        GarbageKind::LoggedModel => wire::GarbageKind::LoggedModel,
        GarbageKind::Artifact => wire::GarbageKind::Artifact,
        GarbageKind::Blob => wire::GarbageKind::Blob,
    }
}
