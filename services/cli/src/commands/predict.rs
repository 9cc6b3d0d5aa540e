//! `holdfast predict`: single customers, through the gateway or straight from inference.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use holdfast_api::common::v1 as common;
use holdfast_api::inference::v1 as wire;
use holdfast_api::inference::v1::inference_service_client::InferenceServiceClient;
use holdfast_chassis::client::ClientBuilder;
use holdfast_chassis::settings::ClientSettings;
use holdfast_domain::{Feature, FeatureKind, FieldValue, Schema, Strictness};
use serde_json::{Map, Value, json};

use super::Context;
use crate::failure::{BadCell, Failure, Result};
use crate::output::{self, real};
use crate::record;
use crate::rest::{Prediction, Predictions, Reason};

const EXAMPLES: &str = "\
Examples:
  holdfast predict --field Total_Relationship_Count=3 --field Credit_Limit=3200 --field Total_Revolving_Bal=0 \\
    --field Total_Amt_Chng_Q4_Q1=0.62 --field Total_Trans_Amt=2100 --field Total_Trans_Ct=38 \\
    --field Total_Ct_Chng_Q4_Q1=0.45 --field Avg_Utilization_Ratio=0
  holdfast predict --json-file customers.json --json
  cat customer.json | holdfast predict --json-file - --grpc 127.0.0.1:50051";

/// What `predict` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PredictArgs {
    /// One feature of the customer, by column name; may be given many times
    #[arg(
        long = "field",
        value_name = "NAME=VALUE",
        required_unless_present = "json_file",
        conflicts_with = "json_file"
    )]
    fields: Vec<String>,
    /// A JSON object by column name, or a list of them; - for stdin
    #[arg(long, value_name = "FILE")]
    json_file: Option<PathBuf>,
    /// Ask inference itself over gRPC, at HOST:PORT
    #[arg(long, value_name = "ADDR")]
    grpc: Option<String>,
    /// Leave out the reasons
    #[arg(long)]
    no_reasons: bool,
}

/// Runs the command.
pub(crate) async fn run(args: PredictArgs, context: &Context) -> Result<()> {
    let records = match &args.json_file {
        Some(path) => read_records(path)?,
        None => vec![record::from_pairs(&args.fields)?],
    };
    let explain = !args.no_reasons;
    let answer = match &args.grpc {
        Some(address) => over_grpc(address, &records, explain).await?,
        None => {
            let body = json!({"records": records, "explain": explain});
            let answer: Predictions = context.rest.post_as("api/v1/predictions", &body).await?;
            answer
        }
    };
    context.output.emit(&answer, || people(&answer))
}

fn read_records(path: &std::path::Path) -> Result<Vec<Map<String, Value>>> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(path).map(|content| text = content)
    };
    read.map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
    let wrong = |why: String| {
        Failure::new(format!("{}: {why}", path.display())).hint("give a JSON object by column name, or a list of them")
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(record)) => Ok(vec![record]),
        Ok(Value::Array(items)) if !items.is_empty() => {
            let records = items.into_iter().map(|item| match item {
                Value::Object(record) => Ok(record),
                other => Err(wrong(format!("{other} is no object"))),
            });
            records.collect()
        }
        Ok(_) => Err(wrong("this is neither an object nor a list of them".to_owned())),
        Err(error) => Err(wrong(format!("this is not JSON: {error}"))),
    }
}

async fn over_grpc(address: &str, records: &[Map<String, Value>], explain: bool) -> Result<Predictions> {
    let schema = Schema::embedded();
    let customers = records
        .iter()
        .enumerate()
        .map(|(index, record)| customer(record, index, schema))
        .collect::<Result<Vec<_>>>()?;
    let url = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let channel = ClientBuilder::new(&url, &ClientSettings::default())
        .channel()
        .map_err(|error| Failure::usage(error.to_string()))?;
    let mut inference = InferenceServiceClient::new(channel);
    let request = wire::PredictBatchRequest {
        customers: customers.into(),
        request_id: String::new(),
        explain,
    };
    let answer = inference
        .predict_batch(request)
        .await
        .map_err(|status| match status.code() {
            tonic::Code::Unavailable => {
                Failure::new(format!("inference does not answer at {address}")).hint("`holdfast up` prints its address")
            }
            _ => Failure::from(status),
        })?;
    from_wire(answer.into_inner())
}

/// The wire form of a record. Names and types are checked here, because the wire has no place for what is wrong with them; values are
/// checked by the service.
fn customer(record: &Map<String, Value>, index: usize, schema: &Schema) -> Result<common::Customer> {
    let fields = record.iter().map(|(name, value)| {
        let field = match value {
            Value::Null => FieldValue::Missing,
            Value::Number(number) => number.as_i64().map_or_else(
                || FieldValue::Number(number.as_f64().unwrap_or(f64::NAN)),
                FieldValue::Integer,
            ),
            Value::String(text) => FieldValue::Text(text),
            _ => FieldValue::Text("(neither number nor text)"),
        };
        (name.as_str(), field)
    });
    let customer = schema.customer(fields, Strictness::Serving).map_err(|violations| {
        let cells = violations.iter().map(|violation| BadCell {
            row: (index + 1).to_string(),
            ..BadCell::from(violation)
        });
        let failure = Failure::new(format!("the record has {} bad fields", violations.len()));
        Failure {
            violations: cells.collect(),
            ..failure
        }
    })?;
    let mut message = holdfast_api::customer::to_wire(&customer, schema);
    // A category that the schema does not list must arrive as it is, to be flagged and not to pass for missing.
    for feature in Feature::ALL
        .into_iter()
        .filter(|feature| feature.kind() == FeatureKind::Categorical)
    {
        let text = record.get(feature.name()).and_then(Value::as_str).map(str::to_owned);
        match feature {
            Feature::Gender => message.gender = text,
            Feature::EducationLevel => message.education_level = text,
            Feature::MaritalStatus => message.marital_status = text,
            Feature::IncomeCategory => message.income_category = text,
            Feature::CardCategory => message.card_category = text,
            _ => {}
        }
    }
    Ok(message)
}

fn from_wire(answer: wire::PredictBatchResponse) -> Result<Predictions> {
    let served = answer.served_by.unwrap_or_default();
    let model = served
        .model
        .ok_or_else(|| Failure::new("inference answered without naming its model"))?;
    let predictions = answer.predictions.into_iter().map(|prediction| Prediction {
        probability: prediction.probability,
        label: prediction.label,
        threshold: prediction.threshold,
        out_of_domain: prediction
            .out_of_domain
            .iter()
            .map(|outside| json!({"feature": outside.feature, "kind": kind(outside)}))
            .collect(),
        reasons: prediction
            .reasons
            .into_iter()
            .map(|reason| Reason {
                feature: reason.feature,
                contribution: reason.contribution,
                text: reason.text,
                code: reason.code,
            })
            .collect(),
    });
    Ok(Predictions {
        predictions: predictions.collect(),
        model: model.model,
        version: model.version,
        artifact_digest: model.artifact_digest,
        generation: served.generation,
        request_id: answer.request_id,
    })
}

fn kind(outside: &wire::OutOfDomain) -> String {
    outside
        .kind()
        .as_str_name()
        .trim_start_matches("KIND_")
        .to_ascii_lowercase()
}

fn people(answer: &Predictions) -> String {
    let mut table = output::table(["customer", "probability", "expected to leave", "reasons"]);
    for (index, prediction) in answer.predictions.iter().enumerate() {
        let reasons: Vec<&str> = prediction.reasons.iter().map(|reason| reason.text.as_str()).collect();
        let label = if prediction.label { "yes" } else { "no" };
        table.add_row([
            &(index + 1).to_string(),
            &real(prediction.probability),
            label,
            &reasons.join("\n"),
        ]);
    }
    let threshold = answer
        .predictions
        .first()
        .map_or(0.0, |prediction| prediction.threshold);
    format!(
        "{table}\nanswered by {} version {}, generation {}, threshold {}, request {}",
        answer.model,
        answer.version,
        answer.generation,
        real(threshold),
        answer.request_id
    )
}
