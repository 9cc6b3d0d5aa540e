//! `InferenceService`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::future::join_all;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use holdfast_api::common::v1::Customer;
use holdfast_api::inference::v1 as wire;
use holdfast_api::inference::v1::inference_service_server::InferenceService;
use holdfast_api::{customer, time};
use holdfast_chassis::error::{Fault, FieldViolation};
use holdfast_chassis::telemetry::{RPC_TARGET, TraceContext, current_trace_id};
use holdfast_domain::{Feature, Schema, all_checked};
use jiff::Timestamp;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument as _, Span};

use super::{convert, status};
use crate::error::{Error, Result};
use crate::service::predict::{Checked, Envelope, Naming, Predictor, wrong_number};
use crate::service::prediction_log::PredictionLog;
use crate::service::status::StatusBoard;

/// Independent requests in one call: they are scored where they arrive, and so many do not hold up others for long.
const MOST_AT_ONCE: usize = 256;

/// Who answers.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    /// Its name.
    pub(crate) name: String,
    /// When its process started.
    pub(crate) started_at: Timestamp,
}

/// `InferenceService` over [`Predictor`].
#[derive(Clone, Debug)]
pub(crate) struct InferenceAdapter {
    predictor: Arc<Predictor>,
    log: Arc<PredictionLog>,
    board: StatusBoard,
    replica: Replica,
    stream_window: usize,
}

impl InferenceAdapter {
    /// The adapter; at most `stream_window` requests of a stream are worked on at once.
    pub(crate) fn new(
        predictor: Arc<Predictor>,
        log: Arc<PredictionLog>,
        board: StatusBoard,
        replica: Replica,
        stream_window: usize,
    ) -> Self {
        Self {
            predictor,
            log,
            board,
            replica,
            stream_window,
        }
    }
}

/// What a method of the service returns.
type Answering<'a, A> = Pin<Box<dyn Future<Output = Result<Response<A>, Status>> + Send + 'a>>;

#[tonic::async_trait]
impl InferenceService for InferenceAdapter {
    // Checked before there is a future: it would carry the message with it, and is made by copying.
    fn predict<'me, 'answer>(
        &'me self,
        request: Request<wire::PredictRequest>,
    ) -> Answering<'answer, wire::PredictResponse>
    where
        'me: 'answer,
        Self: 'answer,
    {
        let checked = check_single(&self.predictor, request.into_inner());
        Box::pin(async move {
            let answer = answer_single(&self.predictor, checked.map_err(status)?).await;
            answer.map(Response::new).map_err(status)
        })
    }

    async fn predict_batch(
        &self,
        request: Request<wire::PredictBatchRequest>,
    ) -> Result<Response<wire::PredictBatchResponse>, Status> {
        let request = request.into_inner();
        let envelope = Envelope {
            request_id: request.request_id,
            explain: request.explain,
            trace_id: current_trace_id(),
            naming: Naming::Indexed,
        };
        let customers = request.customers;
        let checked = self
            .predictor
            .check(
                customers.len(),
                |most| customers.checked(Schema::embedded(), most),
                envelope,
            )
            .map_err(status)?;
        let answer = self.predictor.predict(checked).await.map_err(status)?;
        let serving = answer.served_by;
        let predictions = answer
            .predictions
            .into_iter()
            .map(|prediction| convert::prediction(prediction, &serving));
        Ok(Response::new(wire::PredictBatchResponse {
            predictions: predictions.collect(),
            served_by: Some(convert::served(&serving)),
            request_id: answer.request_id,
        }))
    }

    async fn predict_each(
        &self,
        request: Request<wire::PredictEachRequest>,
    ) -> Result<Response<wire::PredictEachResponse>, Status> {
        let items = request.into_inner().items;
        if let Some(violation) = wrong_number("items", items.len(), MOST_AT_ONCE) {
            let error = Error::Invalid(vec![violation]);
            self.predictor.refused(&error, items.len());
            return Err(status(error));
        }
        // All are scored before the first waits for the log, which then writes them together.
        let outcomes = items.into_iter().map(|item| {
            let span = span_of(item.traceparent);
            predict_one(&self.predictor, item.predict.unwrap_or_default()).instrument(span)
        });
        let outcomes = join_all(outcomes).await.into_iter().map(convert::outcome);
        Ok(Response::new(wire::PredictEachResponse {
            items: outcomes.collect(),
        }))
    }

    type PredictStreamStream = Pin<Box<dyn Stream<Item = Result<wire::PredictStreamResponse, Status>> + Send>>;

    /// A request that is refused ends the stream; the status says which one it was, counted from 0.
    async fn predict_stream(
        &self,
        request: Request<Streaming<wire::PredictStreamRequest>>,
    ) -> Result<Response<Self::PredictStreamStream>, Status> {
        let predictor = Arc::clone(&self.predictor);
        let answers = request.into_inner().enumerate().map(move |(index, message)| {
            let predictor = Arc::clone(&predictor);
            async move {
                let request = message?.predict.unwrap_or_default();
                match predict_one(&predictor, request).await {
                    Ok(answer) => Ok(wire::PredictStreamResponse { predict: Some(answer) }),
                    Err(error) => Err(Fault::from(error).with("message_index", index).into()),
                }
            }
        });
        // Nothing follows a status on the wire.
        let mut failed = false;
        let answers = answers.buffered(self.stream_window).take_while(move |answer| {
            let goes_on = !failed;
            failed = answer.is_err();
            std::future::ready(goes_on)
        });
        Ok(Response::new(Box::pin(answers.into_stream())))
    }

    async fn explain(&self, request: Request<wire::ExplainRequest>) -> Result<Response<wire::ExplainResponse>, Status> {
        let checked = check_one(
            &self.predictor,
            request.into_inner().customer.as_ref(),
            Envelope::default(),
        )
        .map_err(status)?;
        let explained = self.predictor.explain(&checked).map_err(status)?;
        let serving = explained.served_by;
        let contribution = |feature: Feature| wire::Contribution {
            feature: feature.name().to_owned(),
            contribution: explained.explanation.contribution(feature),
        };
        Ok(Response::new(wire::ExplainResponse {
            base_value: explained.explanation.base,
            margin: explained.explanation.margin,
            contributions: serving
                .model
                .signature()
                .inputs
                .iter()
                .map(|input| contribution(input.feature))
                .collect(),
            prediction: Some(convert::prediction(explained.prediction, &serving)),
            served_by: Some(convert::served(&serving)),
        }))
    }

    async fn get_model(&self, _: Request<wire::GetModelRequest>) -> Result<Response<wire::GetModelResponse>, Status> {
        let serving = self.predictor.serving().map_err(status)?;
        let origin = serving.model.origin();
        Ok(Response::new(wire::GetModelResponse {
            served: Some(convert::served(&serving)),
            family: origin.family.name().to_owned(),
            threshold: serving.model.threshold(),
            signature: serving
                .model
                .signature()
                .inputs
                .iter()
                .map(convert::signature)
                .collect(),
            run_id: origin.run_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            serving_since: Some(time::to_wire(serving.since)),
        }))
    }

    async fn get_replica_status(
        &self,
        _: Request<wire::GetReplicaStatusRequest>,
    ) -> Result<Response<wire::GetReplicaStatusResponse>, Status> {
        let state = self.board.now();
        Ok(Response::new(wire::GetReplicaStatusResponse {
            replica: self.replica.name.clone(),
            serving: state.serving.as_ref().map(|(target, _)| convert::served_target(target)),
            serving_since: state.serving.as_ref().map(|(_, since)| time::to_wire(*since)),
            last_reload_ms: state.last_reload.as_secs_f64() * 1_000.0,
            last_failure: state.last_failure.map(convert::load_failure),
            registry_connected: state.registry_connected,
            prediction_log: Some(convert::log_status(self.log.status())),
            started_at: Some(time::to_wire(self.replica.started_at)),
            rollout: state.rollout.as_ref().map(super::tally_out),
        }))
    }

    async fn flush_prediction_log(
        &self,
        _: Request<wire::FlushPredictionLogRequest>,
    ) -> Result<Response<wire::FlushPredictionLogResponse>, Status> {
        self.log.flush().await.map_err(|error| status(error.into()))?;
        let prediction_log = Some(convert::log_status(self.log.status()));
        Ok(Response::new(wire::FlushPredictionLogResponse { prediction_log }))
    }
}

/// The span of one of several requests in a call; disabled when it belongs to no trace.
fn span_of(traceparent: String) -> Span {
    if traceparent.is_empty() {
        return Span::none();
    }
    let span = tracing::debug_span!(
        target: RPC_TARGET,
        "rpc",
        otel.name = "holdfast.inference.v1.InferenceService/Predict",
        otel.kind = "server",
        rpc.system.name = "grpc",
    );
    TraceContext::from(traceparent).adopt(&span);
    span
}

fn check_one(predictor: &Predictor, customer: Option<&Customer>, envelope: Envelope) -> Result<Checked> {
    let Some(customer) = customer else {
        let error = Error::Invalid(vec![FieldViolation::new("customer", "required", "must be set")]);
        predictor.refused(&error, 1);
        return Err(error);
    };
    let check = |customer, into: &mut Vec<_>| customer::check_into(into, customer, Schema::embedded());
    predictor.check(1, |_| all_checked(std::iter::once(customer), check), envelope)
}

async fn predict_one(predictor: &Predictor, request: wire::PredictRequest) -> Result<wire::PredictResponse> {
    answer_single(predictor, check_single(predictor, request)?).await
}

fn check_single(predictor: &Predictor, request: wire::PredictRequest) -> Result<Checked> {
    let envelope = Envelope {
        request_id: request.request_id,
        explain: request.explain,
        trace_id: current_trace_id(),
        naming: Naming::Single,
    };
    check_one(predictor, request.customer.as_ref(), envelope)
}

async fn answer_single(predictor: &Predictor, checked: Checked) -> Result<wire::PredictResponse> {
    let answer = predictor.predict(checked).await?;
    let serving = answer.served_by;
    Ok(wire::PredictResponse {
        prediction: answer
            .predictions
            .into_iter()
            .next()
            .map(|prediction| convert::prediction(prediction, &serving)),
        served_by: Some(convert::served(&serving)),
        request_id: answer.request_id,
    })
}
