//! A registry that tells a champion and listens to replicas, and that can be killed: it has a runtime of its own, which
//! goes with all its connections.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt};
use holdfast_api::common::v1::ModelRef;
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::champion_service_server::{ChampionService, ChampionServiceServer};
use holdfast_domain::Digest;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_stream::wrappers::{TcpListenerStream, WatchStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::MODEL;

/// A registry; it has an address from the start and answers between `start` and `kill`.
pub(crate) struct FakeRegistry {
    address: SocketAddr,
    told: watch::Sender<wire::WatchChampionResponse>,
    reports: Arc<Mutex<Vec<wire::Replica>>>,
    runtime: Option<Runtime>,
}

impl FakeRegistry {
    /// A registry that is away, on an address nobody else listens on.
    pub(crate) fn away() -> Self {
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        Self {
            address,
            told: watch::Sender::default(),
            reports: Arc::default(),
            runtime: None,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins to answer, again if it was killed.
    pub(crate) fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let service = Champion {
            told: self.told.clone(),
            reports: Arc::clone(&self.reports),
        };
        let socket = std::net::TcpListener::bind(self.address).unwrap();
        socket.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(socket).unwrap());
            Server::builder()
                .add_service(ChampionServiceServer::new(service))
                .serve_with_incoming(incoming)
                .await
        });
        self.runtime = Some(runtime);
    }

    /// Goes away with all its connections.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Tells a champion.
    pub(crate) fn announce(&self, generation: u64, version: u32, artifact_digest: Digest) {
        let model = ModelRef {
            model: MODEL.to_owned(),
            version,
            artifact_digest: artifact_digest.to_string(),
        };
        let entry = wire::ChampionEntry {
            generation,
            model: Some(model),
            ..wire::ChampionEntry::default()
        };
        self.told.send_modify(|told| told.entry = Some(entry));
    }

    /// Tells a revision of the record of rollouts, and what runs.
    pub(crate) fn announce_rollout(&self, revision: u64, running: Option<wire::Rollout>) {
        self.told.send_modify(|told| {
            told.rollout = running;
            told.rollout_revision = revision;
        });
    }

    /// What the replicas said, oldest first.
    pub(crate) fn reports(&self) -> Vec<wire::Replica> {
        self.reports.lock().unwrap().clone()
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.kill();
    }
}

struct Champion {
    told: watch::Sender<wire::WatchChampionResponse>,
    reports: Arc<Mutex<Vec<wire::Replica>>>,
}

fn unused<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not needed here"))
}

#[tonic::async_trait]
impl ChampionService for Champion {
    type WatchChampionStream = Pin<Box<dyn Stream<Item = Result<wire::WatchChampionResponse, Status>> + Send>>;

    async fn watch_champion(
        &self,
        _: Request<wire::WatchChampionRequest>,
    ) -> Result<Response<Self::WatchChampionStream>, Status> {
        let states = WatchStream::new(self.told.subscribe());
        Ok(Response::new(Box::pin(states.map(Ok))))
    }

    async fn report_replica(
        &self,
        request: Request<wire::ReportReplicaRequest>,
    ) -> Result<Response<wire::ReportReplicaResponse>, Status> {
        self.reports.lock().unwrap().extend(request.into_inner().replica);
        Ok(Response::new(wire::ReportReplicaResponse {}))
    }

    async fn promote(&self, _: Request<wire::PromoteRequest>) -> Result<Response<wire::PromoteResponse>, Status> {
        unused()
    }

    async fn rollback(&self, _: Request<wire::RollbackRequest>) -> Result<Response<wire::RollbackResponse>, Status> {
        unused()
    }

    async fn get_champion(
        &self,
        _: Request<wire::GetChampionRequest>,
    ) -> Result<Response<wire::GetChampionResponse>, Status> {
        unused()
    }

    async fn list_champions(
        &self,
        _: Request<wire::ListChampionsRequest>,
    ) -> Result<Response<wire::ListChampionsResponse>, Status> {
        unused()
    }

    async fn list_replicas(
        &self,
        _: Request<wire::ListReplicasRequest>,
    ) -> Result<Response<wire::ListReplicasResponse>, Status> {
        unused()
    }
}
