//! Answers to inference: from raw contents to JSON, with or without the bytes of tensors behind it.

use std::collections::BTreeMap;

use holdfast_api::open_inference::v2 as wire;
use holdfast_api::open_inference::v2::infer_parameter::ParameterChoice;
use holdfast_chassis::Fault;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::request::{Form, Forms};
use crate::service::convert::promised;

/// The values of an output.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OutputData {
    /// Of `probability`: calibrated probabilities of leaving, 0 to 1, in the shortest text that reads back as the same 64 bits.
    Numbers(Vec<f64>),
    /// Of `label`.
    Booleans(Vec<bool>),
}

/// Parameters of an output behind the JSON.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BinaryParameters {
    /// Size of its values, in bytes.
    binary_data_size: usize,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct InferenceOutput {
    /// `probability` or `label`.
    #[schema(example = "probability")]
    pub name: String,
    /// `FP64` or `BOOL`.
    #[schema(example = "FP64")]
    pub datatype: String,
    /// `[n]`, of n customers.
    pub shape: Vec<i64>,
    /// Only of an output behind the JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parameters: Option<BinaryParameters>,
    /// The values in the order of the customers; absent when they stand behind the JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = json!([0.031]))]
    pub data: Option<OutputData>,
}

/// The answer to a request for inference.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct InferenceResponse {
    /// The model.
    #[schema(example = "churn")]
    pub model_name: String,
    /// The version that answered.
    #[schema(example = "3")]
    pub model_version: String,
    /// The id under which the prediction log has the answer.
    pub id: String,
    /// What else names the answer: `artifact_digest`, `generation`, `threshold`.
    pub parameters: BTreeMap<String, Value>,
    /// In the order in which they were asked for.
    pub outputs: Vec<InferenceOutput>,
}

/// An answer with the bytes that stand behind its JSON.
#[derive(Debug, PartialEq)]
pub struct Answered {
    /// The JSON.
    pub response: InferenceResponse,
    /// The outputs that were wanted as bytes; `None` when none was.
    pub binary: Option<Vec<u8>>,
}

impl Answered {
    pub(super) fn from_wire(answer: wire::ModelInferResponse, forms: &Forms) -> Result<Self, Fault> {
        let raw = answer.raw_output_contents;
        let mut binary: Option<Vec<u8>> = None;
        let mut outputs = Vec::with_capacity(answer.outputs.len());
        for (place, output) in answer.outputs.into_iter().enumerate() {
            let raw = promised(raw.get(place), "the contents of an output")?;
            let data = promised(
                values(&output.datatype, raw, &output.shape),
                "contents that fit their shape",
            )?;
            let (parameters, data) = match forms.of(place) {
                Form::Json => (None, Some(data)),
                Form::Binary => {
                    binary.get_or_insert_default().extend(raw);
                    let binary_data_size = raw.len();
                    (Some(BinaryParameters { binary_data_size }), None)
                }
            };
            outputs.push(InferenceOutput {
                name: output.name,
                datatype: output.datatype,
                shape: output.shape,
                parameters,
                data,
            });
        }
        let parameters = answer.parameters.into_iter();
        let response = InferenceResponse {
            model_name: answer.model_name,
            model_version: answer.model_version,
            id: answer.id,
            parameters: parameters.map(|(name, value)| (name, parameter(value))).collect(),
            outputs,
        };
        Ok(Self { response, binary })
    }
}

/// Raw contents as values; `None` unless there are as many as the shape says, of a datatype that an output has.
fn values(datatype: &str, raw: &[u8], shape: &[i64]) -> Option<OutputData> {
    let [rows] = *shape else { return None };
    let (data, found) = match datatype {
        "FP64" => {
            let (words, rest) = raw.as_chunks::<8>();
            let numbers: Vec<f64> = words.iter().map(|word| f64::from_le_bytes(*word)).collect();
            let found = numbers.len();
            rest.is_empty().then_some((OutputData::Numbers(numbers), found))?
        }
        "BOOL" => (
            OutputData::Booleans(raw.iter().map(|byte| *byte != 0).collect()),
            raw.len(),
        ),
        _ => return None,
    };
    (i64::try_from(found) == Ok(rows)).then_some(data)
}

fn parameter(parameter: wire::InferParameter) -> Value {
    match parameter.parameter_choice {
        None => Value::Null,
        Some(ParameterChoice::BoolParam(value)) => value.into(),
        Some(ParameterChoice::Int64Param(value)) => value.into(),
        Some(ParameterChoice::Uint64Param(value)) => value.into(),
        Some(ParameterChoice::DoubleParam(value)) => value.into(),
        Some(ParameterChoice::StringParam(value)) => value.into(),
    }
}
