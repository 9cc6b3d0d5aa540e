//! `logged-models/…`: what MLflow 3 logs a model as, before anybody registers it.

use holdfast_api::registry::v1 as wire;
use holdfast_chassis::Fault;
use serde_json::{Value, json};

use super::artifacts;
use super::asked::{Asked, invalid};
use super::failure::of_experiment;
use super::out::{Out, done, metric, param, tag, wrapped};
use crate::peers::Peers;
use crate::service::convert::promised;

/// Models of a page when nothing is said: MLflow's.
const PAGE: u32 = 50;

const STATUSES: [(&str, wire::LoggedModelStatus); 3] = [
    ("LOGGED_MODEL_PENDING", wire::LoggedModelStatus::Pending),
    ("LOGGED_MODEL_READY", wire::LoggedModelStatus::Ready),
    ("LOGGED_MODEL_UPLOAD_FAILED", wire::LoggedModelStatus::Failed),
];

/// `POST logged-models`.
///
/// # Errors
/// As the registry's, or a wrong field; here and below.
pub async fn create(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let experiment_id = asked.needed("experiment_id")?;
    let message = wire::CreateLoggedModelRequest {
        experiment_id: experiment_id.clone(),
        name: asked.text("name")?,
        model_type: asked.text("model_type")?,
        source_run_id: asked.text("source_run_id")?,
        params: asked.params("params")?,
        tags: asked.tags("tags")?,
        user_id: String::new(),
    };
    let created = peers.create_logged_model(message).await;
    let created = created.map_err(|fault| match &*fault.reason {
        "NO_SUCH_EXPERIMENT" => of_experiment(&experiment_id)(fault),
        _ => fault,
    });
    wrapped(created?.model, "model", model)
}

/// `GET logged-models/{model_id}`.
///
/// # Errors
/// See [`create`].
pub async fn get(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let found = read(peers, &asked).await?;
    Ok(json!({"model": model(found)}))
}

/// `PATCH logged-models/{model_id}`.
///
/// # Errors
/// See [`create`].
pub async fn finalize(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let statuses = STATUSES.map(|(name, status)| (name, status.into()));
    let status = asked.choice("status", &statuses)?;
    let message = wire::FinalizeLoggedModelRequest {
        model_id: asked.needed("model_id")?,
        status: status.ok_or_else(|| asked.missing("status"))?,
    };
    wrapped(peers.finalize_logged_model(message).await?.model, "model", model)
}

/// `DELETE logged-models/{model_id}`.
///
/// # Errors
/// See [`create`].
pub async fn delete(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let model_id = asked.needed("model_id")?;
    peers
        .delete_logged_model(wire::DeleteLoggedModelRequest { model_id })
        .await?;
    Ok(done())
}

/// `logged-models/search`.
///
/// # Errors
/// See [`create`].
pub async fn search(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let experiment_ids = asked.texts("experiment_ids")?;
    if experiment_ids.is_empty() {
        return Err(asked.missing("experiment_ids"));
    }
    let datasets = asked.parts("datasets")?;
    let order_by = asked.parts("order_by")?;
    let message = wire::SearchLoggedModelsRequest {
        experiment_ids,
        filter: asked.text("filter")?,
        datasets: datasets
            .iter()
            .map(|asked| {
                dataset(asked)?.ok_or_else(|| invalid("`dataset_name` in the `datasets` clause must be specified."))
            })
            .collect::<Result<_, _>>()?,
        order_by: order_by.iter().map(order).collect::<Result<_, _>>()?,
        page_size: match asked.count("max_results")? {
            0 => PAGE,
            count => count,
        },
        page_token: asked.text("page_token")?,
    };
    let found = peers.search_logged_models(message).await?;
    let out = Out::default().list("models", found.models, model);
    Ok(out.text("next_page_token", found.next_page_token).done())
}

/// `PATCH logged-models/{model_id}/tags`.
///
/// # Errors
/// See [`create`].
pub async fn set_tags(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::SetLoggedModelTagsRequest {
        model_id: asked.needed("model_id")?,
        tags: asked.tags("tags")?,
    };
    peers.set_logged_model_tags(message).await?;
    Ok(done())
}

/// `DELETE logged-models/{model_id}/tags/{tag_key}`.
///
/// # Errors
/// See [`create`].
pub async fn delete_tag(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::DeleteLoggedModelTagRequest {
        model_id: asked.needed("model_id")?,
        key: asked.needed("tag_key")?,
    };
    peers.delete_logged_model_tag(message).await?;
    Ok(done())
}

/// `POST logged-models/{model_id}/params`.
///
/// # Errors
/// See [`create`].
pub async fn log_params(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::LogLoggedModelParamsRequest {
        model_id: asked.needed("model_id")?,
        params: asked.params("params")?,
    };
    peers.log_logged_model_params(message).await?;
    Ok(done())
}

/// `GET logged-models/{model_id}/artifacts/directories`.
///
/// # Errors
/// See [`create`].
pub async fn list_artifacts(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let folder = asked.text("artifact_directory_path")?;
    let found = read(peers, &asked).await?;
    artifacts::list_below(peers, found.artifact_uri, &folder).await
}

async fn read(peers: &Peers, asked: &Asked<'_>) -> Result<wire::LoggedModel, Fault> {
    let model_id = asked.needed("model_id")?;
    let found = peers.get_logged_model(wire::GetLoggedModelRequest { model_id }).await?;
    promised(found.model, "model")
}

fn dataset(asked: &Asked<'_>) -> Result<Option<wire::DatasetRef>, Fault> {
    let (name, digest) = (asked.text("dataset_name")?, asked.text("dataset_digest")?);
    Ok((!name.is_empty()).then_some(wire::DatasetRef { name, digest }))
}

fn order(asked: &Asked<'_>) -> Result<wire::LoggedModelOrder, Fault> {
    Ok(wire::LoggedModelOrder {
        field: asked.needed("field_name")?,
        descending: asked.said("ascending")? == Some(false),
        dataset: dataset(asked)?,
    })
}

fn model(model: wire::LoggedModel) -> Value {
    let status = model.status();
    let status = STATUSES.iter().find(|(_, known)| *known == status);
    let info = Out::default()
        .set("model_id", model.model_id)
        .set("experiment_id", model.experiment_id)
        .set("name", model.name)
        .time("creation_timestamp_ms", model.created_at)
        .time("last_updated_timestamp_ms", model.updated_at)
        .set("artifact_uri", model.artifact_uri)
        .set(
            "status",
            status.map_or("LOGGED_MODEL_STATUS_UNSPECIFIED", |(name, _)| *name),
        )
        .set("model_type", model.model_type)
        .set("source_run_id", model.source_run_id)
        .list("tags", model.tags, tag)
        .list(
            "registrations",
            model.registrations,
            |made| json!({"name": made.name, "version": made.version.to_string()}),
        );
    let data = Out::default()
        .list("params", model.params, param)
        .list("metrics", model.metrics, |measured| {
            metric(measured.metric.unwrap_or_default(), Some(measured.run_id))
        });
    json!({"info": info.done(), "data": data.done()})
}
