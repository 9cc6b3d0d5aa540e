//! The Open Inference Protocol.

use holdfast_api::open_inference::v2 as wire;
use holdfast_api::open_inference::v2::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use holdfast_chassis::error::{Code, Fault};
use holdfast_domain::{CustomerKey, Digest, Feature, FeatureKind, FeatureVector, Schema};
use holdfast_testkit::eventually;

use crate::support::model::model;
use crate::support::{SOON, Sandbox, Service, artifact, full_row};

const ROWS: u32 = 30;

fn rows() -> Vec<FeatureVector> {
    (0..ROWS).map(full_row).collect()
}

fn input(name: &str, datatype: &str, contents: wire::InferTensorContents) -> InferInputTensor {
    InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: vec![i64::from(ROWS)],
        contents: Some(contents),
        ..InferInputTensor::default()
    }
}

fn text(feature: Feature, row: &FeatureVector) -> Vec<u8> {
    let code = row.get(feature).unwrap() as usize;
    Schema::embedded()
        .category_name(feature, code)
        .unwrap()
        .as_bytes()
        .to_vec()
}

/// All nineteen features and the keys, in typed contents.
pub(crate) fn typed() -> wire::ModelInferRequest {
    let rows = rows();
    let mut inputs: Vec<InferInputTensor> = Feature::ALL
        .into_iter()
        .map(|feature| match feature.kind() {
            FeatureKind::Categorical => {
                let bytes_contents = rows.iter().map(|row| text(feature, row)).collect();
                input(
                    feature.name(),
                    "BYTES",
                    wire::InferTensorContents {
                        bytes_contents,
                        ..Default::default()
                    },
                )
            }
            FeatureKind::Numeric => {
                let fp64_contents = rows.iter().map(|row| row.get(feature).unwrap()).collect();
                input(
                    feature.name(),
                    "FP64",
                    wire::InferTensorContents {
                        fp64_contents,
                        ..Default::default()
                    },
                )
            }
        })
        .collect();
    let int64_contents = (0..i64::from(ROWS)).map(|row| 700_000_000 + row).collect();
    inputs.push(input(
        "CLIENTNUM",
        "INT64",
        wire::InferTensorContents {
            int64_contents,
            ..Default::default()
        },
    ));
    wire::ModelInferRequest {
        model_name: "churn".to_owned(),
        id: "oip-1".to_owned(),
        inputs,
        ..Default::default()
    }
}

/// The same request with raw contents.
fn raw() -> wire::ModelInferRequest {
    let mut request = typed();
    for tensor in &mut request.inputs {
        let contents = tensor.contents.take().unwrap();
        tensor.shape.push(1);
        let mut bytes = Vec::new();
        contents
            .fp64_contents
            .iter()
            .for_each(|value| bytes.extend(value.to_le_bytes()));
        contents
            .int64_contents
            .iter()
            .for_each(|value| bytes.extend(value.to_le_bytes()));
        for text in &contents.bytes_contents {
            bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            bytes.extend(text);
        }
        request.raw_input_contents.push(bytes);
    }
    request
}

pub(crate) async fn infer(
    service: &Service,
    request: wire::ModelInferRequest,
) -> Result<wire::ModelInferResponse, Fault> {
    let answer = service.open.clone().model_infer(request).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| Fault::from_status(&status))
}

fn own_bits() -> Vec<u64> {
    let own = model(1);
    rows().iter().map(|row| own.score(row).to_bits()).collect()
}

#[tokio::test]
async fn typed_and_raw_contents_give_the_bits_of_the_model() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let answer = infer(&service, typed()).await.unwrap();
    assert_eq!(
        (
            answer.model_name.as_str(),
            answer.model_version.as_str(),
            answer.id.as_str()
        ),
        ("churn", "1", "oip-1")
    );
    let names: Vec<(&str, &str)> = answer
        .outputs
        .iter()
        .map(|output| (output.name.as_str(), output.datatype.as_str()))
        .collect();
    assert_eq!(names, [("probability", "FP64"), ("label", "BOOL")]);
    assert_eq!(answer.outputs[0].shape, [i64::from(ROWS)]);
    let probabilities = &answer.outputs[0].contents.as_ref().unwrap().fp64_contents;
    assert_eq!(
        probabilities.iter().map(|value| value.to_bits()).collect::<Vec<_>>(),
        own_bits()
    );
    let labels = &answer.outputs[1].contents.as_ref().unwrap().bool_contents;
    assert_eq!(
        *labels,
        probabilities
            .iter()
            .map(|probability| *probability >= 0.5)
            .collect::<Vec<_>>()
    );

    let answer = infer(&service, raw()).await.unwrap();
    let bits: Vec<u64> = answer.raw_output_contents[0]
        .as_chunks::<8>()
        .0
        .iter()
        .map(|bytes| u64::from_le_bytes(*bytes))
        .collect();
    assert_eq!(bits, own_bits());
    assert_eq!(
        answer.raw_output_contents[1],
        labels.iter().map(|label| u8::from(*label)).collect::<Vec<_>>()
    );
    assert!(answer.outputs.iter().all(|output| output.contents.is_none()));

    // Logged like any other prediction.
    service.flush().await.unwrap();
    let records = sandbox.records().await;
    assert_eq!(records.len(), 2 * ROWS as usize);
    assert_eq!(records[4].customer_key, Some(CustomerKey(700_000_004)));
    assert_eq!(records[4].features, full_row(4));
    service.stop().await;
}

#[tokio::test]
async fn optional_features_may_be_absent_or_missing_and_integers_are_numbers() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let schema = Schema::embedded();
    let required: Vec<Feature> = schema.required().collect();
    let mut request = typed();
    request
        .inputs
        .retain(|tensor| required.iter().any(|feature| feature.name() == tensor.name) || tensor.name == "Gender");
    for tensor in &mut request.inputs {
        let contents = tensor.contents.as_mut().unwrap();
        if tensor.name == "Gender" {
            contents.bytes_contents.iter_mut().for_each(Vec::clear);
        }
        if tensor.name == "Total_Trans_Ct" {
            tensor.datatype = "INT32".to_owned();
            contents.int_contents = contents.fp64_contents.drain(..).map(|value| value as i32).collect();
        }
    }
    let age = wire::InferTensorContents {
        fp64_contents: vec![f64::NAN; ROWS as usize],
        ..Default::default()
    };
    request.inputs.push(input("Customer_Age", "FP64", age));
    request.outputs = vec![InferRequestedOutputTensor {
        name: "probability".to_owned(),
        ..Default::default()
    }];
    let answer = infer(&service, request).await.unwrap();
    assert_eq!(answer.outputs.len(), 1);
    let own = model(1);
    let expected: Vec<u64> = rows()
        .iter()
        .map(|row| own.score(&row.required_only(schema)).to_bits())
        .collect();
    let found = &answer.outputs[0].contents.as_ref().unwrap().fp64_contents;
    assert_eq!(found.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), expected);
    service.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_clearly() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let violations = async |change: fn(&mut wire::ModelInferRequest)| {
        let mut request = typed();
        change(&mut request);
        let fault = infer(&service, request).await.unwrap_err();
        assert_eq!(fault.code, Code::InvalidArgument, "{fault}");
        fault
            .violations
            .into_iter()
            .map(|violation| (violation.field, violation.rule))
            .collect::<Vec<_>>()
    };
    let one = |field: &str, rule: &str| vec![(field.to_owned(), rule.to_owned())];
    let found = violations(|request| request.inputs[0].name = "Customer_age".to_owned()).await;
    assert_eq!(found, one("inputs.Customer_age", "unknown_column"));
    let found = violations(|request| request.inputs[0].shape = vec![7]).await;
    assert_eq!(found, one("inputs.Customer_Age.contents", "shape"));
    let found = violations(|request| request.inputs[1].datatype = "FP64".to_owned()).await;
    assert_eq!(found, one("inputs.Gender.datatype", "datatype"));
    let found = violations(|request| request.raw_input_contents = vec![Vec::new()]).await;
    assert_eq!(found, one("raw_input_contents", "shape"));
    let found = violations(|request| {
        request.outputs = vec![InferRequestedOutputTensor {
            name: "score".to_owned(),
            ..Default::default()
        }];
    })
    .await;
    assert_eq!(found, one("outputs.score", "unknown_output"));
    let found = violations(|request| {
        request.inputs.retain(|tensor| tensor.name != "Credit_Limit");
        request.inputs[0].contents.as_mut().unwrap().fp64_contents[2] = 5.0;
    })
    .await;
    // As clients of the protocol see it.
    let mut request = typed();
    request.inputs.retain(|tensor| tensor.name != "Credit_Limit");
    let fault = infer(&service, request).await.unwrap_err();
    assert!(
        fault
            .message
            .starts_with("30 fields are wrong: records[0].Credit_Limit: "),
        "{fault}"
    );
    assert!(fault.message.ends_with("; and others"), "{fault}");
    assert_eq!(found.len(), ROWS as usize + 1);
    assert_eq!(found[0], ("records[0].Credit_Limit".to_owned(), "required".to_owned()));
    assert_eq!(
        found[2],
        ("records[2].Customer_Age".to_owned(), "below_minimum".to_owned())
    );
    let found = violations(|request| {
        let again = request.inputs[0].clone();
        request.inputs.push(again);
    })
    .await;
    assert_eq!(
        found[0],
        ("records[0].Customer_Age".to_owned(), "duplicate_column".to_owned())
    );
    let found = violations(|request| request.inputs.clear()).await;
    assert_eq!(found, one("records", "required"));

    let other = wire::ModelInferRequest {
        model_name: "fraud".to_owned(),
        ..typed()
    };
    assert_eq!(infer(&service, other).await.unwrap_err().code, Code::NotFound);
    let other = wire::ModelInferRequest {
        model_version: "9".to_owned(),
        ..typed()
    };
    let fault = infer(&service, other).await.unwrap_err();
    assert_eq!((fault.code, &*fault.reason), (Code::NotFound, "NOT_SERVED"));
    let same = wire::ModelInferRequest {
        model_version: "1".to_owned(),
        ..typed()
    };
    infer(&service, same).await.unwrap();
    service.stop().await;
}

/// Name, version, state and whether there is a reason, of every entry of the index.
async fn index(service: &Service, ready: bool) -> Vec<(String, String, String, bool)> {
    let request = wire::RepositoryIndexRequest {
        ready,
        ..Default::default()
    };
    let answer = service.open.clone().repository_index(request).await.unwrap();
    let models = answer.into_inner().models.into_iter();
    models
        .map(|model| (model.name, model.version, model.state, !model.reason.is_empty()))
        .collect()
}

#[tokio::test]
async fn the_index_lists_what_serves_and_what_could_not_be_loaded() {
    let entry =
        |version: &str, state: &str, reason: bool| ("churn".to_owned(), version.to_owned(), state.to_owned(), reason);
    let mut sandbox = Sandbox::new();
    let service = sandbox.start().await;
    assert_eq!(index(&service, false).await, [entry("", "UNAVAILABLE", true)]);
    assert_eq!(index(&service, true).await, []);

    let digest = sandbox.publish(1, &artifact(1)).await;
    sandbox.registry.start();
    sandbox.registry.announce(1, 1, digest);
    service.serves(1).await;
    assert_eq!(index(&service, false).await, [entry("1", "READY", false)]);

    // A champion that is not what the registry says, and that no disk has.
    sandbox.publish(2, &artifact(2)).await;
    sandbox.registry.announce(2, 2, Digest::of(b"another"));
    eventually("the second version to fail", SOON, async || {
        index(&service, false).await.len() == 2
    })
    .await;
    assert_eq!(
        index(&service, false).await,
        [entry("1", "READY", false), entry("2", "UNAVAILABLE", true)]
    );
    assert_eq!(index(&service, true).await, [entry("1", "READY", false)]);
    service.stop().await;
}

#[tokio::test]
async fn the_other_five_calls_tell_the_state() {
    let sandbox = Sandbox::new();
    let service = sandbox.start().await;
    let mut open = service.open.clone();
    assert!(
        open.server_live(wire::ServerLiveRequest {})
            .await
            .unwrap()
            .into_inner()
            .live
    );
    assert!(
        !open
            .server_ready(wire::ServerReadyRequest {})
            .await
            .unwrap()
            .into_inner()
            .ready
    );
    let ask = |version: &str| wire::ModelReadyRequest {
        name: "churn".to_owned(),
        version: version.to_owned(),
    };
    assert!(!open.model_ready(ask("")).await.unwrap().into_inner().ready);
    assert_eq!(infer(&service, typed()).await.unwrap_err().reason, "NO_CHAMPION");

    let digest = sandbox.publish(1, &artifact(1)).await;
    sandbox.promote(0, 1, digest).await;
    service.serves(1).await;
    assert!(
        open.server_ready(wire::ServerReadyRequest {})
            .await
            .unwrap()
            .into_inner()
            .ready
    );
    assert!(open.model_ready(ask("")).await.unwrap().into_inner().ready);
    assert!(open.model_ready(ask("1")).await.unwrap().into_inner().ready);
    assert!(!open.model_ready(ask("2")).await.unwrap().into_inner().ready);
    let server = open
        .server_metadata(wire::ServerMetadataRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(server.name, "holdfast");
    let request = wire::ModelMetadataRequest {
        name: "churn".to_owned(),
        version: String::new(),
    };
    let model = open.model_metadata(request).await.unwrap().into_inner();
    assert_eq!(
        (model.versions, model.inputs.len(), model.outputs.len()),
        (vec!["1".to_owned()], 20, 2)
    );
    assert_eq!(
        (model.inputs[0].name.as_str(), model.inputs[0].datatype.as_str()),
        ("Customer_Age", "FP64")
    );
    assert_eq!(model.inputs[1].datatype, "BYTES");
    service.stop().await;
}
