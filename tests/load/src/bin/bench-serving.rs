//! The Rust side of `make bench-grpc` and `make bench-rest`: a model to serve, requests, and load.
//!
//! `bench-serving BANK_CSV DATA_DIR` learns a model of 400 trees from the bank's customers, makes it champion in `DATA_DIR`, and writes beside it what
//! is asked of the servers: `predict.grpc` and `batch.grpc` (framed messages), `full.json` and `required.json` (a record a line), `batch.json`, and
//! what the model scores offline, `scores.json`: `{"full": [...], "required": [...]}`. Then it answers requests: `{"ask": "describe"}`, and
//! `{"ask": "grpc" | "rest", "address": ..., "path": ..., "file": ..., "connections": n, "streams": n, "threads": n, "warm_up": s, "seconds": s}`
//! with the figures of that load; a gRPC connection has a thread of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use holdfast_api::customer::to_wire;
use holdfast_api::inference::v1::{PredictBatchRequest, PredictRequest};
use holdfast_domain::{Customer, FieldValue, Schema};
use holdfast_load::load::{self, Plan, grpc, rest};
use holdfast_load::{bank, served, worker};
use holdfast_model::{Estimator, Model};
use prost::Message;
use serde_json::{Map, Value, json};

/// Customers that single requests ask about, in turn.
const SINGLE: usize = 500;
/// Customers in a batch.
const BATCH: usize = 10_000;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [bank_csv, data_dir] = arguments.as_slice() else {
        bail!("usage: bench-serving BANK_CSV DATA_DIR");
    };
    let customers = bank::read(bank_csv)?;
    let (artifact, model) = served::learn(&customers)?;
    let artifact_bytes = artifact.len();
    write_requests(&customers, &model, data_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(served::crown(data_dir, artifact))?;
    worker::serve(|request| match worker::text(request, "ask")? {
        "describe" => Ok(json!({ "artifact_bytes": artifact_bytes, "trees": trees(&model) })),
        "grpc" => grpc_load(request, data_dir),
        "rest" => rest_load(request, data_dir),
        other => bail!("nothing is known of {other:?}"),
    })
}

fn trees(model: &Model) -> usize {
    let count = |estimator: &Estimator| match estimator {
        Estimator::Trees(trees) => trees.tree_count(),
        Estimator::Logistic(_) => 0,
    };
    let members = &model.ensemble().members;
    members.iter().map(|member| count(&member.estimator)).sum()
}

fn write_requests(customers: &[Customer], model: &Model, to: &Path) -> Result<()> {
    let schema = Schema::embedded();
    let unlabelled = customers.iter().map(|customer| Customer {
        label: None,
        ..*customer
    });
    let full: Vec<Customer> = unlabelled.cycle().take(BATCH).collect();
    let narrowed = full.iter().map(|customer| Customer {
        features: customer.features.required_only(schema),
        ..*customer
    });
    let required: Vec<Customer> = narrowed.collect();

    let framed = full[..SINGLE].iter().flat_map(|customer| {
        framed(&PredictRequest {
            customer: Some(to_wire(customer, schema)),
            ..Default::default()
        })
    });
    fs::write(to.join("predict.grpc"), framed.collect::<Vec<u8>>())?;
    let batch = PredictBatchRequest {
        customers: required.iter().map(|customer| to_wire(customer, schema)).collect(),
        ..Default::default()
    };
    fs::write(to.join("batch.grpc"), self::framed(&batch))?;

    for (name, customers) in [("full.json", &full), ("required.json", &required)] {
        let lines = customers[..SINGLE]
            .iter()
            .map(|customer| format!("{}\n", record(customer)));
        fs::write(to.join(name), lines.collect::<String>())?;
    }
    let records: Vec<Value> = required.iter().map(record).collect();
    fs::write(to.join("batch.json"), format!("{}\n", json!({ "records": records })))?;
    let scores = |customers: &[Customer]| -> Vec<f64> {
        customers[..SINGLE]
            .iter()
            .map(|customer| model.score(&customer.features))
            .collect()
    };
    let scores = json!({ "full": scores(&full), "required": scores(&required) });
    fs::write(to.join("scores.json"), scores.to_string())?;
    Ok(())
}

/// A message with gRPC's framing: not compressed, and its length.
fn framed(message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), &bytes].concat()
}

/// A customer without a number, as a REST caller sends it: the predecessor's callers know of none.
fn record(customer: &Customer) -> Value {
    let unnumbered = Customer { key: None, ..*customer };
    let fields = Schema::embedded().fields(&unnumbered).filter_map(|(name, value)| {
        let value = match value {
            FieldValue::Missing => return None,
            FieldValue::Number(number) => Value::from(number),
            FieldValue::Integer(number) => Value::from(number),
            FieldValue::Text(text) => Value::from(text),
        };
        Some((name.to_owned(), value))
    });
    Value::Object(fields.collect::<Map<_, _>>())
}

fn grpc_load(request: &Value, data_dir: &Path) -> Result<Value> {
    let plan = Plan::asked(request)?;
    let messages = grpc::messages(&fs::read(data_dir.join(worker::text(request, "file")?))?)?;
    let call = grpc::Call {
        address: plan.address,
        path: worker::text(request, "path")?,
        messages: &messages,
        streams: worker::count(request, "streams")?,
    };
    load::drive(&plan, plan.connections, |place, window| {
        grpc::connection(&call, place, window)
    })
}

fn rest_load(request: &Value, data_dir: &Path) -> Result<Value> {
    let plan = Plan::asked(request)?;
    let path = worker::text(request, "path")?;
    let lines = fs::read_to_string(data_dir.join(worker::text(request, "file")?))?;
    let requests: Vec<Vec<u8>> = lines
        .lines()
        .map(|json| rest::request(plan.address, path, json.as_bytes()))
        .collect();
    load::drive(&plan, plan.threads, |thread, window| {
        let places = (thread..plan.connections).step_by(plan.threads);
        let asked = places.map(|place| requests.iter().cycle().skip(place % requests.len().max(1)));
        rest::connections(plan.address, asked, window)
    })
}
