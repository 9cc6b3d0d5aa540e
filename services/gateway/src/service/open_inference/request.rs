//! Requests for inference: JSON, with or without the bytes of tensors behind it, as inference takes them.

use holdfast_api::open_inference::v2 as wire;
use holdfast_api::open_inference::v2::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use holdfast_chassis::{Fault, FieldViolation};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::data::Data;
use crate::service::object::Object;

/// Size of a tensor's bytes behind the JSON.
pub(super) const BINARY_DATA_SIZE: &str = "binary_data_size";
/// Asks for all outputs as bytes behind the JSON.
const BINARY_DATA_OUTPUT: &str = "binary_data_output";
/// Asks for one output as bytes behind the JSON, or not.
const BINARY_DATA: &str = "binary_data";

/// Parameters that would change the meaning of the request and are not offered.
const NOT_OFFERED: [&str; 2] = ["shared_memory_region", "classification"];

type Parameters = Map<String, Value>;

/// One input: the values of one feature, for all customers of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InferenceInput {
    /// The feature's column name; `CLIENTNUM` for the customers' keys.
    #[schema(example = "Credit_Limit")]
    name: String,
    /// `[n]` or `[n, 1]`, of n customers.
    #[schema(example = json!([1]))]
    shape: Vec<i64>,
    /// `FP64`, `FP32` or an integer type for numbers, `BYTES` for texts.
    #[schema(example = "FP64")]
    datatype: String,
    /// `binary_data_size`: size of the values behind the JSON, in bytes.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Option<Parameters>,
    /// The values, flat or nested; null is a missing one. Absent when they stand behind the JSON.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Value>>, example = json!([12691.0]))]
    data: Option<Data>,
}

/// One output that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InferenceOutputWanted {
    /// `probability` or `label`.
    #[schema(example = "probability")]
    name: String,
    /// `binary_data`: whether the values are wanted as bytes behind the JSON.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Option<Parameters>,
}

/// A request for inference.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InferenceRequest {
    /// The caller's id, at most 128 bytes; that of the header `x-request-id` when absent.
    #[serde(default)]
    id: Option<String>,
    /// The model again, as the kserve client writes it; must be that of the path.
    #[serde(default)]
    model_name: Option<String>,
    /// `binary_data_output`: whether all outputs are wanted as bytes behind the JSON. Others are ignored.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Option<Parameters>,
    /// One for each feature that is known; the eight required ones must be there.
    #[schema(value_type = Vec<InferenceInput>, min_items = 1)]
    inputs: Vec<Object<InferenceInput>>,
    /// The outputs wanted; both when absent or empty.
    #[serde(default)]
    #[schema(value_type = Option<Vec<InferenceOutputWanted>>)]
    outputs: Option<Vec<Object<InferenceOutputWanted>>>,
}

/// How an output is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In the JSON.
    Json,
    /// As bytes behind it.
    Binary,
}

/// How the outputs are wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forms {
    /// In the order of the request; empty when it names no outputs.
    by_output: Vec<Form>,
    /// Of outputs that the request does not name.
    others: Form,
}

impl Forms {
    /// The form of the output at a place.
    pub(super) fn of(&self, place: usize) -> Form {
        self.by_output.get(place).copied().unwrap_or(self.others)
    }
}

/// Which model is asked, as the path says.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The model.
    pub model: String,
    /// Its version; the champion when empty.
    pub version: String,
    /// The id of a request that has none of its own.
    pub request_id: String,
}

impl InferenceRequest {
    /// The request as inference takes it, with the bytes that stood behind the JSON.
    ///
    /// # Errors
    /// `INVALID_FIELDS` with one violation per bad field. Names, datatypes and shapes are inference's to judge.
    pub(super) fn into_wire(self, asked: Asked, binary: &[u8]) -> Result<(wire::ModelInferRequest, Forms), Fault> {
        let mut violations = Vec::new();
        if let Some(name) = self.model_name.filter(|name| !name.is_empty() && *name != asked.model) {
            let description = format!("is {name:?}, the path says {:?}", asked.model);
            violations.push(FieldViolation::new("model_name", "contradiction", description));
        }
        let mut rest = binary;
        let (mut inputs, mut raw_input_contents) = (Vec::new(), Vec::new());
        for Object(input) in self.inputs {
            match contents(input, &mut rest) {
                Ok((input, raw)) => {
                    inputs.push(input);
                    raw_input_contents.push(raw);
                }
                Err(violation) => violations.push(violation),
            }
        }
        if violations.is_empty() && !rest.is_empty() {
            let description = format!(
                "{} of the {} bytes behind the JSON belong to no input",
                rest.len(),
                binary.len()
            );
            violations.push(FieldViolation::new("body", BINARY_DATA_SIZE, description));
        }
        let forms = forms(self.parameters.as_ref(), self.outputs.as_deref(), &mut violations);
        if !violations.is_empty() {
            return Err(Fault::invalid_fields("INVALID_FIELDS", violations).naming_fields());
        }
        let outputs = self.outputs.into_iter().flatten();
        let request = wire::ModelInferRequest {
            model_name: asked.model,
            model_version: asked.version,
            id: self.id.filter(|id| !id.is_empty()).unwrap_or(asked.request_id),
            inputs,
            outputs: outputs
                .map(|Object(output)| InferRequestedOutputTensor {
                    name: output.name,
                    ..Default::default()
                })
                .collect(),
            raw_input_contents,
            ..Default::default()
        };
        Ok((request, forms))
    }
}

/// One input and its raw contents; what stood behind the JSON is taken off `rest`.
fn contents(input: InferenceInput, rest: &mut &[u8]) -> Result<(InferInputTensor, Vec<u8>), FieldViolation> {
    let wrong = |part: &str, rule: &str, description: String| {
        FieldViolation::new(format!("inputs.{}.{part}", input.name), rule, description)
    };
    let parameters = input.parameters.as_ref();
    if let Some(name) = not_offered(parameters) {
        return Err(wrong(
            &format!("parameters.{name}"),
            "not_offered",
            "is not offered".to_owned(),
        ));
    }
    let size = match parameters.and_then(|parameters| parameters.get(BINARY_DATA_SIZE)) {
        None | Some(Value::Null) => None,
        Some(size) => {
            let bytes = size.as_u64().and_then(|size| usize::try_from(size).ok());
            let place = format!("parameters.{BINARY_DATA_SIZE}");
            Some(bytes.ok_or_else(|| wrong(&place, "invalid", format!("is {size}; a number of bytes is needed")))?)
        }
    };
    let (datatype, raw) = match (input.data, size) {
        (Some(data), None) => data
            .raw(&input.datatype)
            .map_err(|problem| FieldViolation::new(format!("inputs.{}.data", input.name), "invalid", problem))?,
        (None, Some(size)) => {
            let Some((bytes, behind)) = rest.split_at_checked(size) else {
                let description = format!("is {size}, and {} bytes are left behind the JSON", rest.len());
                let place = format!("inputs.{}.parameters.{BINARY_DATA_SIZE}", input.name);
                return Err(FieldViolation::new(place, "cut_off", description));
            };
            *rest = behind;
            (input.datatype, bytes.to_vec())
        }
        (data, _) => {
            let description = if data.is_some() {
                format!("must not be set beside {BINARY_DATA_SIZE}")
            } else {
                format!("is missing, and so is {BINARY_DATA_SIZE}")
            };
            return Err(FieldViolation::new(
                format!("inputs.{}.data", input.name),
                "data",
                description,
            ));
        }
    };
    let tensor = InferInputTensor {
        name: input.name,
        datatype,
        shape: input.shape,
        ..Default::default()
    };
    Ok((tensor, raw))
}

fn not_offered(parameters: Option<&Parameters>) -> Option<&'static str> {
    NOT_OFFERED
        .into_iter()
        .find(|name| parameters.is_some_and(|parameters| parameters.contains_key(*name)))
}

fn forms(
    parameters: Option<&Parameters>,
    outputs: Option<&[Object<InferenceOutputWanted>]>,
    violations: &mut Vec<FieldViolation>,
) -> Forms {
    let mut form = |parameters: Option<&Parameters>, name: &str, place: String, absent: Form| match parameters
        .and_then(|parameters| parameters.get(name))
    {
        None | Some(Value::Null) => absent,
        Some(Value::Bool(true)) => Form::Binary,
        Some(Value::Bool(false)) => Form::Json,
        Some(other) => {
            let description = format!("is {other}; true or false is needed");
            violations.push(FieldViolation::new(format!("{place}.{name}"), "invalid", description));
            absent
        }
    };
    let others = form(parameters, BINARY_DATA_OUTPUT, "parameters".to_owned(), Form::Json);
    let wanted = outputs.unwrap_or_default().iter();
    let by_output = wanted
        .clone()
        .map(|Object(output)| {
            let place = format!("outputs.{}.parameters", output.name);
            form(output.parameters.as_ref(), BINARY_DATA, place, others)
        })
        .collect();
    for Object(output) in wanted {
        if let Some(name) = not_offered(output.parameters.as_ref()) {
            let place = format!("outputs.{}.parameters.{name}", output.name);
            violations.push(FieldViolation::new(place, "not_offered", "is not offered"));
        }
    }
    Forms { by_output, others }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(request: &Value, binary: &[u8]) -> Result<(wire::ModelInferRequest, Forms), Vec<String>> {
        let asked = Asked {
            model: "churn".to_owned(),
            version: String::new(),
            request_id: "ours".to_owned(),
        };
        let request: InferenceRequest = serde_json::from_value(request.clone()).unwrap();
        let fields = |fault: Fault| fault.violations.into_iter().map(|broken| broken.field).collect();
        request.into_wire(asked, binary).map_err(fields)
    }

    fn input(name: &str) -> Value {
        json!({"name": name, "shape": [1], "datatype": "FP64", "data": [1.0]})
    }

    fn behind(name: &str, datatype: &str, size: usize) -> Value {
        json!({"name": name, "shape": [1], "datatype": datatype, "parameters": {"binary_data_size": size}})
    }

    #[test]
    fn values_in_the_json_and_behind_it_become_raw_contents_in_the_order_of_the_inputs() {
        let binary = [&2.0_f32.to_le_bytes()[..], &[1, 0, 0, 0, b'F']].concat();
        let request = json!({"id": "7", "inputs": [behind("a", "FP32", 4), input("b"), behind("c", "BYTES", 5)]});
        let (request, _) = read(&request, &binary).unwrap();
        assert_eq!((request.id.as_str(), request.model_name.as_str()), ("7", "churn"));
        assert_eq!(
            request.raw_input_contents,
            [
                binary[..4].to_vec(),
                1.0_f64.to_le_bytes().to_vec(),
                binary[4..].to_vec()
            ]
        );
        assert!(request.inputs.iter().all(|input| input.contents.is_none()));
    }

    #[test]
    fn a_request_without_an_id_has_that_of_the_header() {
        for id in [Value::Null, json!("")] {
            let (request, _) = read(&json!({"id": id, "inputs": [input("a")]}), &[]).unwrap();
            assert_eq!(request.id, "ours");
        }
    }

    #[test]
    fn sizes_that_do_not_fit_the_body_are_named() {
        let fields = |inputs: Value, binary: &[u8]| read(&json!({"inputs": inputs}), binary).unwrap_err();
        let size = "inputs.a.parameters.binary_data_size";
        assert_eq!(fields(json!([behind("a", "FP64", 8)]), &[0; 7]), [size]);
        assert_eq!(fields(json!([behind("a", "FP64", 8)]), &[0; 9]), ["body"]);
        assert_eq!(fields(json!([behind("a", "FP64", 8)]), &[]), [size]);
        let mut odd = behind("a", "FP64", 8);
        odd["parameters"]["binary_data_size"] = json!(-8);
        assert_eq!(fields(json!([odd]), &[0; 8]), [size]);
        let mut both = behind("a", "FP64", 8);
        both["data"] = json!([1.0]);
        let neither = json!({"name": "a", "shape": [1], "datatype": "FP64"});
        assert_eq!(
            fields(json!([both, neither]), &[0; 8]),
            ["inputs.a.data", "inputs.a.data"]
        );
    }

    #[test]
    fn each_output_has_its_form_and_else_that_of_the_request() {
        let request = json!({"inputs": [input("a")], "parameters": {"binary_data_output": true}});
        let (_, forms) = read(&request, &[]).unwrap();
        assert_eq!((forms.of(0), forms.of(1)), (Form::Binary, Form::Binary));
        let request = json!({
            "inputs": [input("a")], "parameters": {"binary_data_output": true},
            "outputs": [{"name": "label", "parameters": {"binary_data": false}}, {"name": "probability"}],
        });
        let (request, forms) = read(&request, &[]).unwrap();
        assert_eq!((forms.of(0), forms.of(1)), (Form::Json, Form::Binary));
        assert_eq!(request.outputs[0].name, "label");
    }

    #[test]
    fn what_is_not_offered_is_refused_and_other_parameters_are_ignored() {
        let mut shared = input("a");
        shared["parameters"] = json!({"shared_memory_region": "x"});
        let request = json!({
            "model_name": "fraud", "inputs": [shared], "parameters": {"binary_data_output": 1, "priority": 3},
            "outputs": [{"name": "label", "parameters": {"classification": 3}}],
        });
        let expected = [
            "model_name",
            "inputs.a.parameters.shared_memory_region",
            "parameters.binary_data_output",
            "outputs.label.parameters.classification",
        ];
        assert_eq!(read(&request, &[]).unwrap_err(), expected);
    }
}
