//! `GRPCInferenceService`: the Open Inference Protocol over the same core as the typed API.
//!
//! Inputs: one tensor a feature by its column name, of shape [n] or [n, 1], and `CLIENTNUM` for the customers' keys.
//! Optional features may be left out; NaN and empty texts are missing values (`docs/serving.md`). Outputs: `probability` FP64 [n] and
//! `label` BOOL [n], raw when the inputs were raw.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_api::open_inference::v2 as wire;
use holdfast_api::open_inference::v2::grpc_inference_service_server::GrpcInferenceService;
use holdfast_api::open_inference::v2::infer_parameter::ParameterChoice;
use holdfast_api::open_inference::v2::model_infer_request::InferInputTensor;
use holdfast_api::open_inference::v2::model_infer_response::InferOutputTensor;
use holdfast_api::open_inference::v2::model_metadata_response::TensorMetadata;
use holdfast_api::open_inference::v2::repository_index_response::ModelIndex;
use holdfast_chassis::error::{Fault, FieldViolation};
use holdfast_chassis::telemetry::current_trace_id;
use holdfast_domain::{ColumnRole, FeatureKind, Schema, all_checked};
use tonic::{Request, Response, Status};

use super::convert;
use super::tensors::{Column, column};
use crate::error::{Error, Result};
use crate::service::predict::{Answer, Envelope, Naming, Predictor};
use crate::service::serving::ServingModel;
use crate::service::status::StatusBoard;

const PROBABILITY: &str = "probability";
const LABEL: &str = "label";

/// States of a version, as Triton spells them.
const READY: &str = "READY";
const UNAVAILABLE: &str = "UNAVAILABLE";

/// `GRPCInferenceService` over [`Predictor`].
#[derive(Clone, Debug)]
pub(crate) struct OpenInferenceAdapter {
    predictor: Arc<Predictor>,
    board: StatusBoard,
}

impl OpenInferenceAdapter {
    /// The adapter.
    pub(crate) fn new(predictor: Arc<Predictor>, board: StatusBoard) -> Self {
        Self { predictor, board }
    }

    /// The model in service, if it is the one asked for; an empty version is the champion's.
    fn serving(&self, name: &str, version: &str) -> Result<Arc<ServingModel>> {
        let not_served = |served: String| {
            let asked = if version.is_empty() {
                format!("model {name:?}")
            } else {
                format!("model {name:?} version {version:?}")
            };
            Error::NotServed { asked, served }
        };
        if name != self.predictor.model() {
            return Err(not_served(format!("model {:?}", self.predictor.model())));
        }
        let serving = self.predictor.serving()?;
        if !version.is_empty() && version != serving.target.version.to_string() {
            return Err(not_served(format!("version {:?}", serving.target.version.to_string())));
        }
        Ok(serving)
    }

    /// What is in service, and a later champion that could not be loaded.
    fn index(&self) -> Vec<ModelIndex> {
        let entry = |version: String, state: &str, reason: String| ModelIndex {
            name: self.predictor.model().to_owned(),
            version,
            state: state.to_owned(),
            reason,
        };
        let mut models = Vec::new();
        let failed = self.board.now().last_failure;
        match self.predictor.serving() {
            Ok(serving) => models.push(entry(serving.target.version.to_string(), READY, String::new())),
            Err(none) if failed.is_none() => models.push(entry(String::new(), UNAVAILABLE, none.to_string())),
            Err(_) => {}
        }
        models.extend(failed.map(|failed| entry(failed.target.version.to_string(), UNAVAILABLE, failed.message)));
        models
    }

    async fn infer(&self, request: wire::ModelInferRequest) -> Result<wire::ModelInferResponse> {
        if let Err(error) = self.serving(&request.model_name, &request.model_version) {
            self.predictor.refused(&error, 1);
            return Err(error);
        }
        let wanted = wanted_outputs(&request);
        let columns = columns(&request);
        let (columns, wanted) = match (columns, wanted) {
            (Ok(columns), Ok(wanted)) => (columns, wanted),
            (columns, wanted) => {
                let violations = [columns.err(), wanted.err()].into_iter().flatten().flatten().collect();
                let error = Error::Invalid(violations);
                self.predictor.refused(&error, 1);
                return Err(error);
            }
        };
        let rows = columns.first().map_or(0, |input| input.column.len());
        let fields = |row: usize| columns.iter().map(move |input| (input.role, input.column.field(row)));
        let envelope = Envelope {
            request_id: request.id.clone(),
            explain: false,
            trace_id: current_trace_id(),
            naming: Naming::Indexed,
        };
        let check = |row, into: &mut Vec<_>| Schema::embedded().check_into(into, fields(row));
        let customers = |most| all_checked(0..rows.min(most), check);
        let mut checked = self.predictor.check(rows, customers, envelope)?;
        if !request.model_version.is_empty() {
            checked.by_champion();
        }
        let answer = self.predictor.predict(checked).await?;
        Ok(response(answer, &wanted, !request.raw_input_contents.is_empty()))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for OpenInferenceAdapter {
    async fn server_live(
        &self,
        _: Request<wire::ServerLiveRequest>,
    ) -> Result<Response<wire::ServerLiveResponse>, Status> {
        Ok(Response::new(wire::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<wire::ServerReadyRequest>,
    ) -> Result<Response<wire::ServerReadyResponse>, Status> {
        Ok(Response::new(wire::ServerReadyResponse {
            ready: self.predictor.serving().is_ok(),
        }))
    }

    async fn model_ready(
        &self,
        request: Request<wire::ModelReadyRequest>,
    ) -> Result<Response<wire::ModelReadyResponse>, Status> {
        let request = request.into_inner();
        Ok(Response::new(wire::ModelReadyResponse {
            ready: self.serving(&request.name, &request.version).is_ok(),
        }))
    }

    async fn server_metadata(
        &self,
        _: Request<wire::ServerMetadataRequest>,
    ) -> Result<Response<wire::ServerMetadataResponse>, Status> {
        Ok(Response::new(wire::ServerMetadataResponse {
            name: "holdfast".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: Vec::new(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<wire::ModelMetadataRequest>,
    ) -> Result<Response<wire::ModelMetadataResponse>, Status> {
        let request = request.into_inner();
        let serving = self.serving(&request.name, &request.version).map_err(status)?;
        let inputs = serving.model.signature().inputs.iter().map(|input| {
            let datatype = if input.feature.kind() == FeatureKind::Numeric {
                "FP64"
            } else {
                "BYTES"
            };
            tensor(input.feature.name(), datatype)
        });
        Ok(Response::new(wire::ModelMetadataResponse {
            name: request.name,
            versions: vec![serving.target.version.to_string()],
            platform: "holdfast".to_owned(),
            inputs: inputs.chain([tensor(convert::key_name(), "INT64")]).collect(),
            outputs: vec![tensor(PROBABILITY, "FP64"), tensor(LABEL, "BOOL")],
        }))
    }

    async fn model_infer(
        &self,
        request: Request<wire::ModelInferRequest>,
    ) -> Result<Response<wire::ModelInferResponse>, Status> {
        self.infer(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn repository_index(
        &self,
        request: Request<wire::RepositoryIndexRequest>,
    ) -> Result<Response<wire::RepositoryIndexResponse>, Status> {
        let mut models = self.index();
        if request.into_inner().ready {
            models.retain(|model| model.state == READY);
        }
        Ok(Response::new(wire::RepositoryIndexResponse { models }))
    }
}

/// Clients of the protocol show the message and nothing else.
fn status(error: Error) -> Status {
    Fault::from(error).naming_fields().into()
}

fn tensor(name: &str, datatype: &str) -> TensorMetadata {
    TensorMetadata {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: vec![-1],
    }
}

/// The outputs asked for; both when none is named.
fn wanted_outputs(request: &wire::ModelInferRequest) -> Result<Vec<&'static str>, Vec<FieldViolation>> {
    if request.outputs.is_empty() {
        return Ok(vec![PROBABILITY, LABEL]);
    }
    let mut wanted = Vec::new();
    let mut violations = Vec::new();
    for output in &request.outputs {
        match [PROBABILITY, LABEL].into_iter().find(|known| *known == output.name) {
            Some(known) => wanted.push(known),
            None => {
                let description = format!("is not an output; there are {PROBABILITY} and {LABEL}");
                violations.push(FieldViolation::new(
                    format!("outputs.{}", output.name),
                    "unknown_output",
                    description,
                ));
            }
        }
    }
    if violations.is_empty() {
        Ok(wanted)
    } else {
        Err(violations)
    }
}

/// A column of the request.
struct Input<'a> {
    name: &'a str,
    role: ColumnRole,
    column: Column<'a>,
}

/// The inputs as columns of the same length.
fn columns(request: &wire::ModelInferRequest) -> Result<Vec<Input<'_>>, Vec<FieldViolation>> {
    let raw = &request.raw_input_contents;
    if !raw.is_empty() && raw.len() != request.inputs.len() {
        let description = format!(
            "has {} entries, and there are {} inputs",
            raw.len(),
            request.inputs.len()
        );
        return Err(vec![FieldViolation::new("raw_input_contents", "shape", description)]);
    }
    let mut columns: Vec<Input<'_>> = Vec::new();
    let mut violations = Vec::new();
    for (index, tensor) in request.inputs.iter().enumerate() {
        let raw = (!raw.is_empty()).then(|| raw.get(index).map_or(&[][..], |bytes| &bytes[..]));
        match input(tensor, raw) {
            Ok(Some(input)) => match columns.first() {
                Some(first) if first.column.len() != input.column.len() => {
                    let (rows, expected) = (input.column.len(), first.column.len());
                    let description = format!("has {rows} rows, {} has {expected}", first.name);
                    violations.push(FieldViolation::new(
                        format!("inputs.{}.shape", tensor.name),
                        "shape",
                        description,
                    ));
                }
                _ => columns.push(input),
            },
            Ok(None) => {}
            Err(violation) => violations.push(violation),
        }
    }
    if violations.is_empty() {
        Ok(columns)
    } else {
        Err(violations)
    }
}

/// One input; `None` for a column that is dropped. An input given twice is found when the rows are checked.
fn input<'a>(tensor: &'a InferInputTensor, raw: Option<&'a [u8]>) -> Result<Option<Input<'a>>, FieldViolation> {
    let schema = Schema::embedded();
    let (role, kind) = match schema.role(&tensor.name) {
        Some(role @ ColumnRole::Feature(feature)) => (role, feature.kind()),
        Some(role @ ColumnRole::Key) => (role, FeatureKind::Numeric),
        Some(ColumnRole::Dropped) => return Ok(None),
        Some(ColumnRole::Target) => {
            return Err(FieldViolation::new(
                format!("inputs.{}", tensor.name),
                "target",
                "is what is to be predicted",
            ));
        }
        None => {
            let unknown = schema.unknown_column(&tensor.name);
            return Err(FieldViolation::new(
                format!("inputs.{}", unknown.column),
                unknown.rule.code(),
                unknown.message,
            ));
        }
    };
    let column = column(tensor, raw, kind)?;
    let name = &tensor.name;
    Ok(Some(Input { name, role, column }))
}

fn response(answer: Answer, wanted: &[&str], raw: bool) -> wire::ModelInferResponse {
    let rows = i64::try_from(answer.predictions.len()).unwrap_or(i64::MAX);
    let mut outputs = Vec::with_capacity(wanted.len());
    let mut raw_output_contents = Vec::new();
    for name in wanted {
        let probabilities = answer.predictions.iter().map(|prediction| prediction.probability);
        let labels = answer.predictions.iter().map(|prediction| prediction.label);
        let mut contents = wire::InferTensorContents::default();
        let mut bytes = Vec::new();
        match (*name == PROBABILITY, raw) {
            (true, false) => contents.fp64_contents = probabilities.collect(),
            (true, true) => probabilities.for_each(|probability| bytes.extend(probability.to_le_bytes())),
            (false, false) => contents.bool_contents = labels.collect(),
            (false, true) => bytes.extend(labels.map(u8::from)),
        }
        if raw {
            raw_output_contents.push(bytes);
        }
        outputs.push(InferOutputTensor {
            name: (*name).to_owned(),
            datatype: if *name == PROBABILITY { "FP64" } else { "BOOL" }.to_owned(),
            shape: vec![rows],
            parameters: HashMap::new(),
            contents: (!raw).then_some(contents),
        });
    }
    let serving = answer.served_by;
    let text = |text: String| wire::InferParameter {
        parameter_choice: Some(ParameterChoice::StringParam(text)),
    };
    let generation = ParameterChoice::Uint64Param(serving.target.generation.0);
    let threshold = ParameterChoice::DoubleParam(serving.model.threshold());
    let parameters = HashMap::from([
        ("artifact_digest".to_owned(), text(serving.digest_text.clone())),
        (
            "generation".to_owned(),
            wire::InferParameter {
                parameter_choice: Some(generation),
            },
        ),
        (
            "threshold".to_owned(),
            wire::InferParameter {
                parameter_choice: Some(threshold),
            },
        ),
    ]);
    wire::ModelInferResponse {
        model_name: serving.target.model.to_string(),
        model_version: serving.target.version.to_string(),
        id: answer.request_id,
        parameters,
        outputs,
        raw_output_contents,
    }
}
