//! `runs/…`: opened, changed, read, searched, logged to. Whatever is logged goes through one batch, all of it or nothing.

use holdfast_api::registry::v1 as wire;
use holdfast_chassis::Fault;
use serde_json::{Map, Value, json};

use super::asked::{Asked, invalid};
use super::experiments::DEFAULT;
use super::failure::{of_experiment, of_run};
use super::inputs;
use super::metrics::measured;
use super::out::{Out, done, lifecycle, metric, param, tag, timestamp, wrapped};
use crate::peers::Peers;
use crate::service::convert::promised;

/// Largest body of `runs/log-batch`, in bytes: MLflow's.
const MAX_BATCH_BYTES: usize = 1_000_000;

/// The tag in which clients before MLflow 3 keep the models of a run.
const MODELS_TAG: &str = "mlflow.log-model.history";

/// What such a client says of a model, as far as that tag has it.
const MODEL_FIELDS: [&str; 4] = ["run_id", "artifact_path", "utc_time_created", "model_uuid"];

/// What such a client must say of a model.
const MODEL_FIELDS_NEEDED: [&str; 4] = ["artifact_path", "flavors", "utc_time_created", "run_id"];

const STATUSES: [(&str, wire::RunStatus); 5] = [
    ("RUNNING", wire::RunStatus::Running),
    ("SCHEDULED", wire::RunStatus::Scheduled),
    ("FINISHED", wire::RunStatus::Finished),
    ("FAILED", wire::RunStatus::Failed),
    ("KILLED", wire::RunStatus::Killed),
];

/// `runs/create`.
///
/// # Errors
/// As the registry's, or a wrong field; here and below.
pub async fn create(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let mut experiment_id = asked.text("experiment_id")?;
    if experiment_id.is_empty() {
        DEFAULT.clone_into(&mut experiment_id);
    }
    let message = wire::CreateRunRequest {
        experiment_id: experiment_id.clone(),
        name: asked.text("run_name")?,
        tags: asked.tags("tags")?,
        run_id: String::new(),
        user_id: asked.text("user_id")?,
        started_at: asked.whole("start_time")?.map(timestamp),
    };
    let created = peers.create_run(message).await;
    wrapped(created.map_err(of_experiment(&experiment_id))?.run, "run", run)
}

/// `runs/update`.
///
/// # Errors
/// See [`create`].
pub async fn update(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let run_id = asked.run_id()?;
    let statuses = STATUSES.map(|(name, status)| (name, status.into()));
    let message = wire::UpdateRunRequest {
        run_id: run_id.clone(),
        status: asked.choice("status", &statuses)?.unwrap_or_default(),
        name: Some(asked.text("run_name")?).filter(|name| !name.is_empty()),
        ended_at: asked.whole("end_time")?.map(timestamp),
    };
    let changed = peers.update_run(message).await.map_err(of_run(&run_id))?;
    wrapped(changed.run, "run_info", |run| info(&run))
}

/// `runs/get`.
///
/// # Errors
/// See [`create`].
pub async fn get(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let found = read(peers, asked.run_id()?).await?;
    Ok(json!({"run": run(found)}))
}

/// `runs/search`.
///
/// # Errors
/// See [`create`].
pub async fn search(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::SearchRunsRequest {
        experiment_ids: asked.texts("experiment_ids")?,
        filter: asked.text("filter")?,
        order_by: asked.texts("order_by")?,
        view: asked.view("run_view_type")?,
        page_size: asked.count("max_results")?,
        page_token: asked.text("page_token")?,
    };
    let found = peers.search_runs(message).await?;
    let out = Out::default().list("runs", found.runs, run);
    Ok(out.text("next_page_token", found.next_page_token).done())
}

/// `runs/delete`.
///
/// # Errors
/// See [`create`].
pub async fn delete(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let run_id = asked.run_id()?;
    let message = wire::DeleteRunRequest { run_id: run_id.clone() };
    peers.delete_run(message).await.map_err(of_run(&run_id))?;
    Ok(done())
}

/// `runs/restore`.
///
/// # Errors
/// See [`create`].
pub async fn restore(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let run_id = asked.run_id()?;
    let message = wire::RestoreRunRequest { run_id: run_id.clone() };
    peers.restore_run(message).await.map_err(of_run(&run_id))?;
    Ok(done())
}

/// `runs/log-parameter`.
///
/// # Errors
/// See [`create`].
pub async fn log_parameter(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let param = wire::Param {
        key: asked.needed("key")?,
        value: asked.text("value")?,
    };
    let batch = wire::LogBatchRequest {
        run_id: asked.run_id()?,
        params: vec![param],
        ..wire::LogBatchRequest::default()
    };
    log(peers, batch).await
}

/// `runs/log-metric`.
///
/// # Errors
/// See [`create`].
pub async fn log_metric(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let batch = wire::LogBatchRequest {
        run_id: asked.run_id()?,
        metrics: vec![measured(&asked)?],
        ..wire::LogBatchRequest::default()
    };
    log(peers, batch).await
}

/// `runs/set-tag`.
///
/// # Errors
/// See [`create`].
pub async fn set_tag(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let batch = wire::LogBatchRequest {
        run_id: asked.run_id()?,
        tags: vec![asked.tag()?],
        ..wire::LogBatchRequest::default()
    };
    log(peers, batch).await
}

/// `runs/log-batch`.
///
/// # Errors
/// See [`create`].
pub async fn log_batch(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    if asked.size_bytes() > MAX_BATCH_BYTES {
        return Err(invalid(format!(
            "Batched logging API requests must be at most {MAX_BATCH_BYTES} bytes, got a request of size {}.",
            asked.size_bytes()
        )));
    }
    let metrics = asked.parts("metrics")?;
    let batch = wire::LogBatchRequest {
        run_id: asked.run_id()?,
        metrics: metrics.iter().map(measured).collect::<Result<_, _>>()?,
        params: asked.params("params")?,
        tags: asked.tags("tags")?,
    };
    log(peers, batch).await
}

/// `runs/delete-tag`.
///
/// # Errors
/// See [`create`].
pub async fn delete_tag(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let run_id = asked.run_id()?;
    let message = wire::DeleteTagRequest {
        run_id: run_id.clone(),
        key: asked.needed("key")?,
    };
    peers.delete_tag(message).await.map_err(of_run(&run_id))?;
    Ok(done())
}

/// `runs/log-model`, of clients before MLflow 3: one more entry in a tag of the run.
///
/// Read, then written: of two such calls for one run at the same time, one entry may be lost, as with MLflow's own server.
///
/// # Errors
/// See [`create`].
pub async fn log_model(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let run_id = asked.run_id()?;
    let text = asked.needed("model_json")?;
    let model: Map<String, Value> = serde_json::from_str(&text).map_err(|error| {
        invalid(format!(
            "Malformed model info: model_json is not a JSON object: {error}"
        ))
    })?;
    let missing: Vec<&str> = MODEL_FIELDS_NEEDED
        .into_iter()
        .filter(|field| !model.contains_key(*field))
        .collect();
    if !missing.is_empty() {
        return Err(invalid(format!(
            "Model json is missing mandatory fields: {}",
            missing.join(", ")
        )));
    }
    let found = read(peers, run_id.clone()).await?;
    let before = found.tags.iter().find(|tag| tag.key == MODELS_TAG);
    let mut models: Vec<Value> = before
        .and_then(|tag| serde_json::from_str(&tag.value).ok())
        .unwrap_or_default();
    models.push(entry(model));
    let tag = wire::Tag {
        key: MODELS_TAG.to_owned(),
        value: Value::Array(models).to_string(),
    };
    let batch = wire::LogBatchRequest {
        run_id,
        tags: vec![tag],
        ..wire::LogBatchRequest::default()
    };
    log(peers, batch).await
}

/// What the tag keeps of a model: where it is and its flavours, without their configuration.
fn entry(mut model: Map<String, Value>) -> Value {
    let mut flavors = model.remove("flavors").unwrap_or_default();
    if let Value::Object(flavors) = &mut flavors {
        for flavor in flavors.values_mut().filter_map(Value::as_object_mut) {
            flavor.remove("config");
        }
    }
    model.retain(|field, _| MODEL_FIELDS.contains(&field.as_str()));
    model.insert("flavors".to_owned(), flavors);
    Value::Object(model)
}

async fn log(peers: &Peers, batch: wire::LogBatchRequest) -> Result<Value, Fault> {
    let run_id = batch.run_id.clone();
    peers.log_batch(batch).await.map_err(of_run(&run_id))?;
    Ok(done())
}

/// A run.
pub(super) async fn read(peers: &Peers, run_id: String) -> Result<wire::Run, Fault> {
    let message = wire::GetRunRequest { run_id: run_id.clone() };
    let found = peers.tracked_run(message).await.map_err(of_run(&run_id))?;
    promised(found.run, "run")
}

fn info(run: &wire::Run) -> Value {
    let status = run.status();
    let status = STATUSES.iter().find(|(_, known)| *known == status);
    Out::default()
        .set("run_id", &*run.run_id)
        .set("run_uuid", &*run.run_id)
        .set("run_name", &*run.name)
        .set("experiment_id", &*run.experiment_id)
        .set("user_id", &*run.user_id)
        .set("status", status.map_or("RUNNING", |(name, _)| *name))
        .time("start_time", run.started_at)
        .time("end_time", run.ended_at)
        .set("artifact_uri", &*run.artifact_uri)
        .set("lifecycle_stage", lifecycle(run.lifecycle_stage()))
        .done()
}

fn run(run: wire::Run) -> Value {
    let info = info(&run);
    let data = Out::default()
        .list("metrics", run.metrics, |value| metric(value, None))
        .list("params", run.params, param)
        .list("tags", run.tags, tag);
    let inputs = Out::default()
        .list("dataset_inputs", run.dataset_inputs, inputs::dataset_input)
        .list(
            "model_inputs",
            run.model_inputs,
            |model_id| json!({"model_id": model_id}),
        );
    let outputs = Out::default().list(
        "model_outputs",
        run.model_outputs,
        |output| json!({"model_id": output.model_id, "step": output.step}),
    );
    json!({"info": info, "data": data.done(), "inputs": inputs.done(), "outputs": outputs.done()})
}
