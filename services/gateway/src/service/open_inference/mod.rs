//! The Open Inference Protocol over REST: JSON and the binary tensor extension on one side, inference's own gRPC of the same protocol on the other.
//!
//! Every tensor goes to inference in raw contents: values behind the JSON are passed on as they are, values in the JSON are written with all their
//! bits. What a request means is judged in one place, inference.

mod data;
mod request;
mod response;

use holdfast_api::open_inference::v2 as wire;
use holdfast_chassis::Fault;
use serde::Serialize;
use utoipa::ToSchema;

pub use request::{Asked, InferenceInput, InferenceOutputWanted, InferenceRequest};
pub use response::{Answered, BinaryParameters, InferenceOutput, InferenceResponse, OutputData};

use crate::peers::Peers;

/// Whether the server is alive.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ServerLive {
    /// Always true: one that is not does not answer.
    pub live: bool,
}

/// Whether the server can infer.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ServerReady {
    /// True with a model in service.
    pub ready: bool,
}

/// Whether a model can infer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelReady {
    /// The model.
    #[schema(example = "churn")]
    pub name: String,
    /// True when it, and the version asked for, is in service.
    pub ready: bool,
}

/// What this server is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServerMetadata {
    /// The server.
    #[schema(example = "holdfast")]
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Extensions of the protocol that it knows.
    #[schema(example = json!(["binary_tensor_data"]))]
    pub extensions: [&'static str; 1],
}

/// One input or output of a model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TensorMetadata {
    /// Its name.
    #[schema(example = "Credit_Limit")]
    pub name: String,
    /// Its datatype.
    #[schema(example = "FP64")]
    pub datatype: String,
    /// Its shape; -1 for any number.
    #[schema(example = json!([-1]))]
    pub shape: Vec<i64>,
}

/// What a model takes and gives.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelMetadata {
    /// The model.
    #[schema(example = "churn")]
    pub name: String,
    /// Versions that can be asked for.
    #[schema(example = json!(["3"]))]
    pub versions: Vec<String>,
    /// What runs it.
    #[schema(example = "holdfast")]
    pub platform: String,
    /// Its inputs, from its signature.
    pub inputs: Vec<TensorMetadata>,
    /// Its outputs.
    pub outputs: Vec<TensorMetadata>,
}

/// One version in the index.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IndexedVersion {
    /// The model.
    #[schema(example = "churn")]
    pub name: String,
    /// The version; empty while none was ever loaded.
    #[schema(example = "3")]
    pub version: String,
    /// `READY` or `UNAVAILABLE`.
    #[schema(example = "READY")]
    pub state: String,
    /// Why it is not ready; else empty.
    pub reason: String,
}

/// What every failed request is answered with.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct InferenceError {
    /// What went wrong, in words.
    pub error: String,
}

/// What this server is.
pub const fn server() -> ServerMetadata {
    ServerMetadata {
        name: "holdfast",
        version: env!("CARGO_PKG_VERSION"),
        extensions: ["binary_tensor_data"],
    }
}

/// Whether a model is in service. It never fails: an inference that is away is not ready.
pub async fn server_ready(peers: &Peers) -> ServerReady {
    let answer = peers.server_ready(wire::ServerReadyRequest {}).await;
    ServerReady {
        ready: answer.is_ok_and(|answer| answer.ready),
    }
}

/// Whether a model, and a version of it unless that is empty, is in service. It never fails.
pub async fn model_ready(peers: &Peers, name: String, version: String) -> ModelReady {
    let asked = wire::ModelReadyRequest {
        name: name.clone(),
        version,
    };
    let answer = peers.model_ready(asked).await;
    ModelReady {
        name,
        ready: answer.is_ok_and(|answer| answer.ready),
    }
}

/// What a model takes and gives; the champion when the version is empty.
///
/// # Errors
/// Inference's, `NOT_SERVED` for another model or version than the one in service.
pub async fn model(peers: &Peers, name: String, version: String) -> Result<ModelMetadata, Fault> {
    let answer = peers
        .model_metadata(wire::ModelMetadataRequest { name, version })
        .await?;
    let tensors = |tensors: Vec<wire::model_metadata_response::TensorMetadata>| {
        let tensor = |tensor: wire::model_metadata_response::TensorMetadata| TensorMetadata {
            name: tensor.name,
            datatype: tensor.datatype,
            shape: tensor.shape,
        };
        tensors.into_iter().map(tensor).collect()
    };
    Ok(ModelMetadata {
        name: answer.name,
        versions: answer.versions,
        platform: answer.platform,
        inputs: tensors(answer.inputs),
        outputs: tensors(answer.outputs),
    })
}

/// The versions that are here, or those that are ready.
///
/// # Errors
/// Inference's.
pub async fn index(peers: &Peers, ready: bool) -> Result<Vec<IndexedVersion>, Fault> {
    let asked = wire::RepositoryIndexRequest {
        repository_name: String::new(),
        ready,
    };
    let models = peers.repository_index(asked).await?.models.into_iter();
    Ok(models
        .map(|model| IndexedVersion {
            name: model.name,
            version: model.version,
            state: model.state,
            reason: model.reason,
        })
        .collect())
}

/// Infers. `binary` is what stood behind the JSON.
///
/// # Errors
/// `INVALID_FIELDS` for a request that cannot be read; inference's.
pub async fn infer(peers: &Peers, asked: Asked, request: InferenceRequest, binary: &[u8]) -> Result<Answered, Fault> {
    let (request, forms) = request.into_wire(asked, binary)?;
    let answer = peers.model_infer(request).await?;
    Answered::from_wire(answer, &forms)
}
