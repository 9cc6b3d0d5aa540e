//! One row has one score: the bits that training recorded come back by every way a caller can ask.

use std::collections::HashMap;

use futures::{StreamExt as _, stream};
use holdfast_api::customer::to_wire;
use holdfast_api::inference::v1 as typed;
use holdfast_api::inference::v1::inference_service_client::InferenceServiceClient;
use holdfast_api::open_inference::v2 as open;
use holdfast_api::open_inference::v2::grpc_inference_service_client::GrpcInferenceServiceClient;
use holdfast_api::open_inference::v2::model_infer_request::InferInputTensor;
use holdfast_chassis::client::{Channel, ClientBuilder};
use holdfast_chassis::settings::ClientSettings;
use holdfast_domain::{Customer, CustomerKey, Feature, FeatureKind, FieldValue, Schema};
use holdfast_model::UnverifiedArtifact;
use holdfast_storage::{BlobStoreSettings, Key};
use serde_json::{Value, json};

use crate::command_line::{Up, text};
use crate::support::record;

/// Rows of the artefact with the probabilities that training recorded for them.
struct Recorded {
    customers: Vec<Customer>,
    bits: Vec<u64>,
}

impl Recorded {
    /// The rows that training scored and stored with version 1.
    async fn by_training(up: &Up) -> Self {
        let blobs = BlobStoreSettings::default().open(&up.file("data")).await.unwrap();
        let key = Key::parse("models/churn/1/model.hfm").unwrap();
        let artifact = UnverifiedArtifact::open(&blobs.get(&key).await.unwrap()).unwrap();
        let model = artifact.verify(Schema::embedded()).unwrap();
        let customer = |(key, features)| Customer {
            key: Some(CustomerKey(key)),
            features,
            label: None,
        };
        let features = model.golden_rows().iter().map(|row| row.features);
        Self {
            customers: (700_000_000..).zip(features).map(customer).collect(),
            bits: model
                .golden_rows()
                .iter()
                .map(|row| row.probability.to_bits())
                .collect(),
        }
    }

    fn on_wire(&self) -> impl Iterator<Item = holdfast_api::common::v1::Customer> {
        self.customers
            .iter()
            .map(|customer| to_wire(customer, Schema::embedded()))
    }

    /// One feature of all rows; `None` unless a row has it.
    fn column(&self, feature: Feature) -> Option<Vec<FieldValue<'_>>> {
        let values: Vec<_> = self.customers.iter().map(|customer| value(customer, feature)).collect();
        values
            .iter()
            .any(|value| *value != FieldValue::Missing)
            .then_some(values)
    }
}

fn value(customer: &Customer, feature: Feature) -> FieldValue<'_> {
    let mut fields = Schema::embedded().fields(customer);
    let field = fields.find(|(name, _)| *name == feature.name());
    field.map_or(FieldValue::Missing, |(_, value)| value)
}

fn number(value: &FieldValue<'_>) -> f64 {
    match value {
        FieldValue::Number(number) => *number,
        FieldValue::Integer(number) => *number as f64,
        _ => f64::NAN,
    }
}

fn category<'a>(value: &FieldValue<'a>) -> &'a str {
    match value {
        FieldValue::Text(text) => text,
        _ => "",
    }
}

#[tokio::test]
async fn a_row_scores_to_the_bits_of_training_by_every_way() {
    let up = Up::start().await;
    let bank = up.simulate("bank.csv", "2000").await;
    up.json(&["train", "--source", text(&bank), "--seed", "7", "--preset", "fast"])
        .await;
    let recorded = Recorded::by_training(&up).await;
    let missing = recorded
        .customers
        .iter()
        .any(|customer| customer.features.get(Feature::Gender).is_none());
    let complete = recorded
        .customers
        .iter()
        .any(|customer| customer.features.get(Feature::Gender).is_some());
    assert!(
        recorded.bits.len() > 1 && missing && complete,
        "{} rows",
        recorded.bits.len()
    );

    for (way, bits) in [
        ("gRPC Predict", grpc(&up, &recorded).await),
        ("gRPC PredictEach", grpc_each(&up, &recorded).await),
        ("gRPC PredictBatch", grpc_batch(&up, &recorded).await),
        ("gRPC PredictStream", grpc_stream(&up, &recorded).await),
        ("gRPC Explain", grpc_explain(&up, &recorded).await),
        (
            "Open Inference by gRPC, typed",
            open_grpc(&up, &recorded, Contents::Typed).await,
        ),
        (
            "Open Inference by gRPC, raw",
            open_grpc(&up, &recorded, Contents::Raw).await,
        ),
        ("Open Inference by REST", open_rest(&up, &recorded).await),
        ("/predict", classic(&up, &recorded).await),
        ("/predict_batch", classic_batch(&up, &recorded).await),
        ("/api/v1/predictions", rest(&up, &recorded).await),
        ("holdfast score", scored_table(&up, &recorded).await),
    ] {
        assert_eq!(bits, recorded.bits, "by {way}");
    }
    up.end().await;
}

fn channel(up: &Up) -> Channel {
    let url = format!("http://{}", up.ready["grpc"]["inference"].as_str().unwrap());
    ClientBuilder::new(url, &ClientSettings::default()).channel().unwrap()
}

fn bits_of(prediction: Option<typed::Prediction>) -> u64 {
    prediction.unwrap().probability.to_bits()
}

async fn grpc(up: &Up, recorded: &Recorded) -> Vec<u64> {
    let mut client = InferenceServiceClient::new(channel(up));
    let mut bits = Vec::new();
    for customer in recorded.on_wire() {
        let request = typed::PredictRequest {
            customer: Some(customer),
            ..Default::default()
        };
        bits.push(bits_of(client.predict(request).await.unwrap().into_inner().prediction));
    }
    bits
}

async fn grpc_each(up: &Up, recorded: &Recorded) -> Vec<u64> {
    use typed::predict_each_response::item::Outcome;
    let items: Vec<_> = recorded
        .on_wire()
        .map(|customer| typed::predict_each_request::Item {
            predict: Some(typed::PredictRequest {
                customer: Some(customer),
                ..Default::default()
            }),
            ..Default::default()
        })
        .collect();
    let mut client = InferenceServiceClient::new(channel(up));
    let mut bits = Vec::new();
    for items in items.chunks(256) {
        let request = typed::PredictEachRequest { items: items.to_vec() };
        for item in client.predict_each(request).await.unwrap().into_inner().items {
            let Some(Outcome::Answer(answer)) = item.outcome else {
                panic!("{item:?}")
            };
            bits.push(bits_of(answer.prediction));
        }
    }
    bits
}

async fn grpc_batch(up: &Up, recorded: &Recorded) -> Vec<u64> {
    let request = typed::PredictBatchRequest {
        customers: recorded.on_wire().collect(),
        explain: true,
        ..Default::default()
    };
    let answer = InferenceServiceClient::new(channel(up))
        .predict_batch(request)
        .await
        .unwrap();
    let predictions = answer.into_inner().predictions.into_iter();
    predictions.map(|prediction| bits_of(Some(prediction))).collect()
}

async fn grpc_stream(up: &Up, recorded: &Recorded) -> Vec<u64> {
    let requests: Vec<_> = recorded
        .on_wire()
        .map(|customer| typed::PredictStreamRequest {
            predict: Some(typed::PredictRequest {
                customer: Some(customer),
                ..Default::default()
            }),
        })
        .collect();
    let mut client = InferenceServiceClient::new(channel(up));
    let answers = client
        .predict_stream(stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    answers
        .map(|answer| bits_of(answer.unwrap().predict.unwrap().prediction))
        .collect()
        .await
}

async fn grpc_explain(up: &Up, recorded: &Recorded) -> Vec<u64> {
    let mut client = InferenceServiceClient::new(channel(up));
    let mut bits = Vec::new();
    for customer in recorded.on_wire() {
        let request = typed::ExplainRequest {
            customer: Some(customer),
        };
        bits.push(bits_of(client.explain(request).await.unwrap().into_inner().prediction));
    }
    bits
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Contents {
    Typed,
    Raw,
}

async fn open_grpc(up: &Up, recorded: &Recorded, contents: Contents) -> Vec<u64> {
    let mut request = open::ModelInferRequest {
        model_name: "churn".to_owned(),
        ..Default::default()
    };
    for feature in Feature::ALL {
        let Some(values) = recorded.column(feature) else {
            continue;
        };
        let mut typed = open::InferTensorContents::default();
        let mut raw = Vec::new();
        for value in &values {
            if feature.kind() == FeatureKind::Numeric {
                typed.fp64_contents.push(number(value));
                raw.extend(number(value).to_le_bytes());
            } else {
                let text = category(value).as_bytes();
                typed.bytes_contents.push(text.to_vec());
                raw.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
                raw.extend(text);
            }
        }
        let numeric = feature.kind() == FeatureKind::Numeric;
        request.inputs.push(InferInputTensor {
            name: feature.name().to_owned(),
            datatype: if numeric { "FP64" } else { "BYTES" }.to_owned(),
            shape: vec![i64::try_from(values.len()).unwrap()],
            contents: (contents == Contents::Typed).then_some(typed),
            parameters: HashMap::new(),
        });
        if contents == Contents::Raw {
            request.raw_input_contents.push(raw);
        }
    }
    let answer = GrpcInferenceServiceClient::new(channel(up))
        .model_infer(request)
        .await
        .unwrap();
    let answer = answer.into_inner();
    match contents {
        Contents::Typed => {
            let probabilities = &answer.outputs[0].contents.as_ref().unwrap().fp64_contents;
            probabilities.iter().map(|value| value.to_bits()).collect()
        }
        Contents::Raw => {
            let words = answer.raw_output_contents[0].as_chunks::<8>().0;
            words.iter().map(|word| u64::from_le_bytes(*word)).collect()
        }
    }
}

async fn post(up: &Up, path: &str, body: &Value) -> Value {
    let answer = reqwest::Client::new()
        .post(format!("{}{path}", up.url()))
        .json(body)
        .send();
    let answer = answer.await.unwrap();
    let (status, body) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{path}: {status}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn numbers(list: &Value) -> Vec<u64> {
    let list = list.as_array().unwrap().iter();
    list.map(|value| value.as_f64().unwrap().to_bits()).collect()
}

async fn open_rest(up: &Up, recorded: &Recorded) -> Vec<u64> {
    let columns = Feature::ALL
        .into_iter()
        .filter_map(|feature| Some((feature, recorded.column(feature)?)));
    let inputs: Vec<Value> = columns
        .map(|(feature, values)| {
            let numeric = feature.kind() == FeatureKind::Numeric;
            let data: Vec<Value> = values
                .iter()
                .map(|value| match value {
                    FieldValue::Missing => Value::Null,
                    _ if numeric => number(value).into(),
                    _ => category(value).into(),
                })
                .collect();
            let datatype = if numeric { "FP64" } else { "BYTES" };
            json!({"name": feature.name(), "shape": [values.len()], "datatype": datatype, "data": data})
        })
        .collect();
    let answer = post(up, "/v2/models/churn/infer", &json!({"inputs": inputs})).await;
    numbers(&answer["outputs"][0]["data"])
}

async fn classic(up: &Up, recorded: &Recorded) -> Vec<u64> {
    let mut bits = Vec::new();
    for customer in &recorded.customers {
        let answer = post(up, "/predict", &record(customer)).await;
        bits.extend(numbers(&answer["probabilities"]));
    }
    bits
}

fn records(recorded: &Recorded) -> Value {
    let records: Vec<Value> = recorded.customers.iter().map(record).collect();
    json!({ "records": records })
}

async fn classic_batch(up: &Up, recorded: &Recorded) -> Vec<u64> {
    numbers(&post(up, "/predict_batch", &records(recorded)).await["probabilities"])
}

async fn rest(up: &Up, recorded: &Recorded) -> Vec<u64> {
    let answer = post(up, "/api/v1/predictions", &records(recorded)).await;
    let predictions = answer["predictions"].as_array().unwrap().iter();
    predictions
        .map(|prediction| prediction["probability"].as_f64().unwrap().to_bits())
        .collect()
}

/// The rows as a table that the command line scores.
async fn scored_table(up: &Up, recorded: &Recorded) -> Vec<u64> {
    let (table, scores) = (up.file("golden.csv"), up.file("scores.csv"));
    let key = &Schema::embedded().key().name;
    let columns: Vec<&str> = std::iter::once(key.as_str())
        .chain(Feature::ALL.into_iter().map(Feature::name))
        .collect();
    let mut writer = csv::Writer::from_path(&table).unwrap();
    writer.write_record(&columns).unwrap();
    for customer in &recorded.customers {
        let record = record(customer);
        let cell = |column: &&str| match &record[*column] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        writer.write_record(columns.iter().map(cell)).unwrap();
    }
    writer.flush().unwrap();
    drop(writer);
    up.json(&["score", "--source", text(&table), "--out", text(&scores)])
        .await;
    let mut reader = csv::Reader::from_path(&scores).unwrap();
    let rows = reader.records().map(Result::unwrap);
    rows.map(|row| row[1].parse::<f64>().unwrap().to_bits()).collect()
}
