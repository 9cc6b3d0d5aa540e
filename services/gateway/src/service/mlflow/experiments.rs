//! `experiments/…`.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::get_experiment_request::By;
use holdfast_chassis::Fault;
use serde_json::{Value, json};

use super::asked::Asked;
use super::failure::{of_experiment, of_experiment_named};
use super::out::{Out, done, lifecycle, tag, wrapped};
use crate::peers::Peers;
use crate::service::convert::promised;

/// The experiment of runs that name none.
pub(super) const DEFAULT: &str = "0";

/// `experiments/create`.
///
/// # Errors
/// As the registry's, or a wrong field; here and below.
pub async fn create(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let name = asked.needed("name")?;
    let message = wire::CreateExperimentRequest {
        name: name.clone(),
        tags: asked.tags("tags")?,
        artifact_location: asked.text("artifact_location")?,
    };
    let created = peers.create_experiment(message).await;
    let created = created.map_err(of_experiment_named(&name))?;
    let experiment = promised(created.experiment, "experiment")?;
    Ok(json!({"experiment_id": experiment.experiment_id}))
}

/// `experiments/get`.
///
/// # Errors
/// See [`create`].
pub async fn get(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let id = asked.needed("experiment_id")?;
    let by = Some(By::ExperimentId(id.clone()));
    let found = peers.get_experiment(wire::GetExperimentRequest { by }).await;
    wrapped(found.map_err(of_experiment(&id))?.experiment, "experiment", experiment)
}

/// `experiments/get-by-name`.
///
/// # Errors
/// See [`create`].
pub async fn get_by_name(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let name = asked.needed("experiment_name")?;
    let by = Some(By::Name(name.clone()));
    let found = peers.get_experiment(wire::GetExperimentRequest { by }).await;
    wrapped(
        found.map_err(of_experiment_named(&name))?.experiment,
        "experiment",
        experiment,
    )
}

/// `experiments/search`.
///
/// # Errors
/// See [`create`].
pub async fn search(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::SearchExperimentsRequest {
        filter: asked.text("filter")?,
        order_by: asked.texts("order_by")?,
        view: asked.view("view_type")?,
        page_size: asked.count("max_results")?,
        page_token: asked.text("page_token")?,
    };
    let found = peers.search_experiments(message).await?;
    let out = Out::default().list("experiments", found.experiments, experiment);
    Ok(out.text("next_page_token", found.next_page_token).done())
}

/// `experiments/update`. Without a new name nothing happens.
///
/// # Errors
/// See [`create`].
pub async fn update(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let experiment_id = asked.needed("experiment_id")?;
    let name = asked.text("new_name")?;
    if !name.is_empty() {
        let message = wire::UpdateExperimentRequest {
            experiment_id: experiment_id.clone(),
            name: name.clone(),
        };
        let changed = peers.update_experiment(message).await;
        changed
            .map_err(of_experiment(&experiment_id))
            .map_err(of_experiment_named(&name))?;
    }
    Ok(done())
}

/// `experiments/delete`.
///
/// # Errors
/// See [`create`].
pub async fn delete(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let experiment_id = asked.needed("experiment_id")?;
    let message = wire::DeleteExperimentRequest {
        experiment_id: experiment_id.clone(),
    };
    let deleted = peers.delete_experiment(message).await;
    deleted.map_err(of_experiment(&experiment_id))?;
    Ok(done())
}

/// `experiments/restore`.
///
/// # Errors
/// See [`create`].
pub async fn restore(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let experiment_id = asked.needed("experiment_id")?;
    let message = wire::RestoreExperimentRequest {
        experiment_id: experiment_id.clone(),
    };
    let restored = peers.restore_experiment(message).await;
    restored.map_err(of_experiment(&experiment_id))?;
    Ok(done())
}

/// `experiments/set-experiment-tag`.
///
/// # Errors
/// See [`create`].
pub async fn set_tag(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let experiment_id = asked.needed("experiment_id")?;
    let message = wire::SetExperimentTagRequest {
        experiment_id: experiment_id.clone(),
        tag: Some(asked.tag()?),
    };
    let set = peers.set_experiment_tag(message).await;
    set.map_err(of_experiment(&experiment_id))?;
    Ok(done())
}

/// `experiments/delete-experiment-tag`.
///
/// # Errors
/// See [`create`].
pub async fn delete_tag(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let experiment_id = asked.needed("experiment_id")?;
    let message = wire::DeleteExperimentTagRequest {
        experiment_id: experiment_id.clone(),
        key: asked.needed("key")?,
    };
    let deleted = peers.delete_experiment_tag(message).await;
    deleted.map_err(of_experiment(&experiment_id))?;
    Ok(done())
}

fn experiment(experiment: wire::Experiment) -> Value {
    let stage = lifecycle(experiment.lifecycle_stage());
    Out::default()
        .set("experiment_id", experiment.experiment_id)
        .set("name", experiment.name)
        .set("artifact_location", experiment.artifact_location)
        .set("lifecycle_stage", stage)
        .time("last_update_time", experiment.updated_at)
        .time("creation_time", experiment.created_at)
        .list("tags", experiment.tags, tag)
        .done()
}
