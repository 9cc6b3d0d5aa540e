//! What the stand-in for inference answers on the Open Inference Protocol.

use std::collections::HashMap;

use holdfast_api::open_inference::v2 as wire;
use holdfast_api::open_inference::v2::infer_parameter::ParameterChoice;
use holdfast_api::open_inference::v2::model_infer_response::InferOutputTensor;
use holdfast_api::open_inference::v2::model_metadata_response::TensorMetadata;
use holdfast_api::open_inference::v2::repository_index_response::ModelIndex;

use super::DIGEST;

/// A probability that no shorter text than that of its 64 bits reads back as.
pub(crate) const PROBABILITY: f64 = 0.1 + 0.2;

pub(crate) fn server_live(_: wire::ServerLiveRequest) -> wire::ServerLiveResponse {
    wire::ServerLiveResponse { live: true }
}

pub(crate) fn server_ready(_: wire::ServerReadyRequest) -> wire::ServerReadyResponse {
    wire::ServerReadyResponse { ready: true }
}

/// Version 3 of churn is in service.
pub(crate) fn model_ready(message: wire::ModelReadyRequest) -> wire::ModelReadyResponse {
    let ready = message.name == "churn" && ["", "3"].contains(&message.version.as_str());
    wire::ModelReadyResponse { ready }
}

pub(crate) fn server_metadata(_: wire::ServerMetadataRequest) -> wire::ServerMetadataResponse {
    wire::ServerMetadataResponse::default()
}

pub(crate) fn model_metadata(message: wire::ModelMetadataRequest) -> wire::ModelMetadataResponse {
    let tensor = |name: &str, datatype: &str| TensorMetadata {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: vec![-1],
    };
    wire::ModelMetadataResponse {
        name: message.name,
        versions: vec!["3".to_owned()],
        platform: "holdfast".to_owned(),
        inputs: vec![tensor("Credit_Limit", "FP64"), tensor("Gender", "BYTES")],
        outputs: vec![tensor("probability", "FP64"), tensor("label", "BOOL")],
    }
}

/// Two customers, in the outputs that are asked for; contents of one only from a model named `short`.
pub(crate) fn model_infer(message: wire::ModelInferRequest) -> wire::ModelInferResponse {
    let mut wanted: Vec<String> = message.outputs.into_iter().map(|output| output.name).collect();
    if wanted.is_empty() {
        wanted = vec!["probability".to_owned(), "label".to_owned()];
    }
    let output = |name: &String| InferOutputTensor {
        name: name.clone(),
        datatype: if name == "label" { "BOOL" } else { "FP64" }.to_owned(),
        shape: vec![2],
        ..Default::default()
    };
    let short = message.model_name == "short";
    let raw = |name: &String| match name.as_str() {
        _ if short => vec![0],
        "label" => vec![0, 1],
        _ => [PROBABILITY, 0.75]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
    };
    let parameter = |choice| wire::InferParameter {
        parameter_choice: Some(choice),
    };
    wire::ModelInferResponse {
        model_name: message.model_name,
        model_version: "3".to_owned(),
        id: message.id,
        parameters: HashMap::from([
            (
                "artifact_digest".to_owned(),
                parameter(ParameterChoice::StringParam(DIGEST.to_owned())),
            ),
            ("generation".to_owned(), parameter(ParameterChoice::Uint64Param(5))),
            ("threshold".to_owned(), parameter(ParameterChoice::DoubleParam(0.5))),
        ]),
        outputs: wanted.iter().map(output).collect(),
        raw_output_contents: wanted.iter().map(raw).collect(),
    }
}

pub(crate) fn repository_index(message: wire::RepositoryIndexRequest) -> wire::RepositoryIndexResponse {
    let entry = |version: &str, state: &str, reason: &str| ModelIndex {
        name: "churn".to_owned(),
        version: version.to_owned(),
        state: state.to_owned(),
        reason: reason.to_owned(),
    };
    let mut models = vec![entry("3", "READY", "")];
    if !message.ready {
        models.push(entry("4", "UNAVAILABLE", "digest does not match"));
    }
    wire::RepositoryIndexResponse { models }
}
