//! What went into runs and came out of them: data sets and logged models.

use holdfast_api::registry::v1 as wire;
use holdfast_chassis::Fault;
use serde_json::Value;

use super::asked::Asked;
use super::failure::of_run;
use super::out::{Out, done, tag};
use crate::peers::Peers;

/// `runs/log-inputs`.
///
/// # Errors
/// As the registry's, or a wrong field; here and below.
pub async fn log(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let run_id = asked.run_id()?;
    let datasets = asked.parts("datasets")?;
    let models = asked.parts("models")?;
    let message = wire::LogInputsRequest {
        run_id: run_id.clone(),
        datasets: datasets.iter().map(used).collect::<Result<_, _>>()?,
        model_ids: models
            .iter()
            .map(|model| model.needed("model_id"))
            .collect::<Result<_, _>>()?,
    };
    peers.log_inputs(message).await.map_err(of_run(&run_id))?;
    Ok(done())
}

/// `runs/outputs`.
///
/// # Errors
/// See [`log`].
pub async fn log_outputs(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let run_id = asked.run_id()?;
    let models = asked.parts("models")?;
    if models.is_empty() {
        return Err(asked.missing("models"));
    }
    let models = models.iter().map(|model| {
        Ok(wire::ModelOutput {
            model_id: model.needed("model_id")?,
            step: model.whole("step")?.unwrap_or_default(),
        })
    });
    let message = wire::LogOutputsRequest {
        run_id: run_id.clone(),
        models: models.collect::<Result<_, Fault>>()?,
    };
    peers.log_outputs(message).await.map_err(of_run(&run_id))?;
    Ok(done())
}

/// `experiments/search-datasets`.
///
/// # Errors
/// See [`log`].
pub async fn search(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let experiment_ids = asked.texts("experiment_ids")?;
    if experiment_ids.is_empty() {
        return Err(asked.missing("experiment_ids"));
    }
    let message = wire::SearchDatasetsRequest { experiment_ids };
    let found = peers.search_datasets(message).await?;
    let summary = |summary: wire::DatasetSummary| {
        Out::default()
            .set("experiment_id", summary.experiment_id)
            .set("name", summary.name)
            .set("digest", summary.digest)
            .text("context", summary.context)
            .done()
    };
    Ok(Out::default().list("dataset_summaries", found.datasets, summary).done())
}

fn used(asked: &Asked<'_>) -> Result<wire::DatasetInput, Fault> {
    let dataset = asked.part("dataset")?.ok_or_else(|| asked.missing("dataset"))?;
    Ok(wire::DatasetInput {
        tags: asked.tags("tags")?,
        dataset: Some(wire::Dataset {
            name: dataset.needed("name")?,
            digest: dataset.needed("digest")?,
            source_type: dataset.needed("source_type")?,
            source: dataset.needed("source")?,
            schema: dataset.text("schema")?,
            profile: dataset.text("profile")?,
        }),
    })
}

/// A data set and what for a run has read it.
pub(super) fn dataset_input(input: wire::DatasetInput) -> Value {
    let dataset = input.dataset.unwrap_or_default();
    let dataset = Out::default()
        .set("name", dataset.name)
        .set("digest", dataset.digest)
        .set("source_type", dataset.source_type)
        .set("source", dataset.source)
        .text("schema", dataset.schema)
        .text("profile", dataset.profile);
    let out = Out::default().list("tags", input.tags, tag);
    out.set("dataset", dataset.done()).done()
}
