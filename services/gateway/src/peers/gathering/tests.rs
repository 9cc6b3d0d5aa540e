use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::join_all;
use holdfast_api::inference::v1::inference_service_server::{InferenceService, InferenceServiceServer};
use holdfast_api::inference::v1::predict_each_response::{Failure, Item as Outcomes};
use holdfast_api::inference::v1::{
    ExplainRequest, ExplainResponse, FlushPredictionLogRequest, FlushPredictionLogResponse, GetModelRequest,
    GetModelResponse, GetReplicaStatusRequest, GetReplicaStatusResponse, PredictBatchRequest, PredictBatchResponse,
    PredictEachRequest, PredictEachResponse, PredictRequest, PredictResponse, PredictStreamRequest,
    PredictStreamResponse,
};
use holdfast_chassis::client::ClientBuilder;
use holdfast_chassis::client::retry::RetryPolicy;
use holdfast_chassis::error::FieldViolation;
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::settings::ClientSettings;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Streaming};

use super::*;
use crate::metrics::{Metrics, PeerName};

/// A request that is never answered.
const HANGS: &str = "hangs";
/// A request that is refused.
const BAD: &str = "bad";

/// A replica that answers a request with its id.
#[derive(Clone, Default)]
struct Replica(Arc<Seen>);

#[derive(Default)]
struct Seen {
    alone: AtomicUsize,
    /// How many came together, call by call.
    together: Mutex<Vec<usize>>,
    hanging: watch::Sender<usize>,
    /// Whether it knows no calls with several requests.
    old: AtomicBool,
    /// Whether such calls fail.
    failing: AtomicBool,
}

impl Replica {
    /// Asks it.
    async fn gathering(&self) -> Gathering {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder().add_service(InferenceServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let settings = ClientSettings::default();
        Gathering::new(Peer {
            channel: ClientBuilder::new(url, &settings).channel().unwrap(),
            deadline: Duration::from_secs(60),
            retry: RetryPolicy::new(&settings.retry),
            failures: Metrics::register(&MetricsRegistry::new("gateway")).failures_of(PeerName::Inference),
        })
    }

    async fn answer(&self, request: PredictRequest) -> Result<PredictResponse, Status> {
        match request.request_id.as_str() {
            HANGS => {
                self.0.hanging.send_modify(|hanging| *hanging += 1);
                std::future::pending().await
            }
            BAD => {
                let violation = FieldViolation::new("Credit_Limit", "required", "must be set");
                Err(Fault::invalid_fields("INVALID_FIELDS", vec![violation]).into())
            }
            _ => Ok(PredictResponse {
                request_id: request.request_id,
                ..Default::default()
            }),
        }
    }
}

#[tonic::async_trait]
impl InferenceService for Replica {
    async fn predict(&self, request: Request<PredictRequest>) -> Result<Response<PredictResponse>, Status> {
        self.0.alone.fetch_add(1, Ordering::Relaxed);
        self.answer(request.into_inner()).await.map(Response::new)
    }

    async fn predict_each(
        &self,
        request: Request<PredictEachRequest>,
    ) -> Result<Response<PredictEachResponse>, Status> {
        if self.0.old.load(Ordering::Relaxed) {
            return Err(Status::unimplemented("what is that?"));
        }
        if self.0.failing.load(Ordering::Relaxed) {
            return Err(Fault::unavailable("ENDING", "the replica is ending").into());
        }
        let asked = request.into_inner().items;
        self.0.together.lock().unwrap().push(asked.len());
        let mut items = Vec::new();
        for item in asked {
            let outcome = match self.answer(item.predict.unwrap()).await {
                Ok(answer) => Outcome::Answer(answer),
                Err(status) => Outcome::Failure(Failure {
                    code: status.code() as i32,
                    message: status.message().to_owned(),
                    details: status.details().to_vec(),
                }),
            };
            items.push(Outcomes { outcome: Some(outcome) });
        }
        Ok(Response::new(PredictEachResponse { items }))
    }

    async fn predict_batch(&self, _: Request<PredictBatchRequest>) -> Result<Response<PredictBatchResponse>, Status> {
        unreachable!()
    }

    type PredictStreamStream = BoxStream<PredictStreamResponse>;

    async fn predict_stream(
        &self,
        _: Request<Streaming<PredictStreamRequest>>,
    ) -> Result<Response<Self::PredictStreamStream>, Status> {
        unreachable!()
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        unreachable!()
    }

    async fn get_model(&self, _: Request<GetModelRequest>) -> Result<Response<GetModelResponse>, Status> {
        unreachable!()
    }

    async fn get_replica_status(
        &self,
        _: Request<GetReplicaStatusRequest>,
    ) -> Result<Response<GetReplicaStatusResponse>, Status> {
        unreachable!()
    }

    async fn flush_prediction_log(
        &self,
        _: Request<FlushPredictionLogRequest>,
    ) -> Result<Response<FlushPredictionLogResponse>, Status> {
        unreachable!()
    }
}

fn named(id: &str) -> PredictRequest {
    PredictRequest {
        request_id: id.to_owned(),
        ..Default::default()
    }
}

/// Asks for all of them before the first call goes out.
async fn at_once(gathering: &Gathering, ids: &[&str]) -> Vec<Result<String, Fault>> {
    let requests: Vec<_> = ids.iter().map(|id| named(id)).collect();
    let answers = join_all(requests.iter().map(|request| gathering.predict(request))).await;
    answers.into_iter().map(|answer| Ok(answer?.request_id)).collect()
}

fn answered(ids: &[&str]) -> Vec<Result<String, Fault>> {
    ids.iter().map(|id| Ok((*id).to_owned())).collect()
}

#[tokio::test]
async fn a_request_alone_is_an_ordinary_call() {
    let replica = Replica::default();
    let gathering = replica.gathering().await;
    for id in ["a", "b"] {
        assert_eq!(at_once(&gathering, &[id]).await, answered(&[id]));
    }
    assert_eq!(replica.0.alone.load(Ordering::Relaxed), 2);
    assert!(replica.0.together.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_asked_at_once_goes_out_together_and_each_gets_its_own_answer() {
    let replica = Replica::default();
    let gathering = replica.gathering().await;
    let ids = ["a", "b", "c", "d", "e"];
    assert_eq!(at_once(&gathering, &ids).await, answered(&ids));
    assert_eq!(*replica.0.together.lock().unwrap(), [5]);

    let many: Vec<String> = (0..MOST_TOGETHER + 3).map(|number| number.to_string()).collect();
    let ids: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(at_once(&gathering, &ids).await, answered(&ids));
    assert_eq!(*replica.0.together.lock().unwrap(), [5, MOST_TOGETHER, 3]);
}

#[tokio::test]
async fn a_refused_request_is_refused_alone() {
    let replica = Replica::default();
    let gathering = replica.gathering().await;
    let mut answers = at_once(&gathering, &["a", BAD, "c"]).await;
    let refused = answers.remove(1).unwrap_err();
    assert_eq!(answers, answered(&["a", "c"]));
    assert_eq!(refused.code, Code::InvalidArgument);
    assert_eq!(refused.violations[0].field, "Credit_Limit");
}

#[tokio::test]
async fn a_call_that_fails_fails_for_all_who_came_along() {
    let replica = Replica::default();
    let gathering = replica.gathering().await;
    replica.0.failing.store(true, Ordering::Relaxed);
    for answer in at_once(&gathering, &["a", "b"]).await {
        assert_eq!(answer.unwrap_err().code, Code::Unavailable);
    }
    replica.0.failing.store(false, Ordering::Relaxed);
    assert_eq!(at_once(&gathering, &["a", "b"]).await, answered(&["a", "b"]));
}

#[tokio::test]
async fn a_replica_without_that_call_is_asked_one_by_one() {
    let replica = Replica::default();
    let gathering = replica.gathering().await;
    replica.0.old.store(true, Ordering::Relaxed);
    let ids = ["a", "b", "c"];
    assert_eq!(at_once(&gathering, &ids).await, answered(&ids));
    assert_eq!(replica.0.alone.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn calls_that_hang_keep_nobody_back() {
    let replica = Replica::default();
    let gathering = replica.gathering().await;
    let mut hanging = replica.0.hanging.subscribe();
    for number in 1..=CALLS + 1 {
        let gathering = gathering.clone();
        tokio::spawn(async move { gathering.predict(&named(HANGS)).await });
        hanging.wait_for(|hanging| *hanging == number).await.unwrap();
    }
    let ids = ["a", "b"];
    assert_eq!(at_once(&gathering, &ids).await, answered(&ids));
}

#[tokio::test]
async fn who_left_is_not_asked_for() {
    let replica = Replica::default();
    let gathering = replica.gathering().await;
    let request = named("gone");
    {
        let mut gone = pin!(gathering.predict(&request));
        assert!(futures::poll!(&mut gone).is_pending());
    }
    assert_eq!(at_once(&gathering, &["a"]).await, answered(&["a"]));
    let seen = (
        replica.0.alone.load(Ordering::Relaxed),
        replica.0.together.lock().unwrap().len(),
    );
    assert_eq!(seen, (1, 0));
}
