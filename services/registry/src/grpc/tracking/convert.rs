//! Experiments, runs and what is logged to them, between the wire and the domain.

use holdfast_api::registry::v1 as wire;
use holdfast_api::time;
use tonic::Status;

use super::super::convert::{tag_in, tag_out};
use super::super::violation;
use crate::service::tracking::{
    Dataset, DatasetInput, Experiment, KeyValue, Lifecycle, LifecycleView, Links, MeasuredOn, Metric, Run, RunStatus,
};

pub(in crate::grpc) fn experiment_id(text: &str) -> Result<i64, Status> {
    text.parse()
        .map_err(|_| violation("experiment_id", "number", "must be a decimal number"))
}

pub(super) fn optional_time(
    field: &str,
    at: Option<&prost_types::Timestamp>,
) -> Result<Option<jiff::Timestamp>, Status> {
    at.map(|at| time::from_wire(at).ok_or_else(|| out_of_range(field)))
        .transpose()
}

fn out_of_range(field: &str) -> Status {
    violation(field, "timestamp", "is outside the years -9999 to 9999")
}

pub(super) fn view_in(view: wire::LifecycleView) -> LifecycleView {
    match view {
        wire::LifecycleView::Unspecified | wire::LifecycleView::ActiveOnly => LifecycleView::Active,
        wire::LifecycleView::DeletedOnly => LifecycleView::Deleted,
        wire::LifecycleView::All => LifecycleView::All,
    }
}

pub(in crate::grpc) fn param_in(param: wire::Param) -> KeyValue {
    KeyValue {
        key: param.key,
        value: param.value,
    }
}

fn lifecycle_out(lifecycle: Lifecycle) -> i32 {
    match lifecycle {
        Lifecycle::Active => wire::LifecycleStage::Active.into(),
        Lifecycle::Deleted => wire::LifecycleStage::Deleted.into(),
    }
}

pub(super) fn experiment_out(experiment: Experiment) -> wire::Experiment {
    wire::Experiment {
        experiment_id: experiment.id.to_string(),
        name: experiment.name,
        lifecycle_stage: lifecycle_out(experiment.lifecycle),
        created_at: Some(time::to_wire(experiment.created_at)),
        tags: experiment.tags.into_iter().map(tag_out).collect(),
        artifact_location: experiment.artifact_location,
        updated_at: Some(time::to_wire(experiment.updated_at)),
    }
}

pub(super) fn metric_in(index: usize, metric: wire::Metric) -> Result<Metric, Status> {
    let at = metric
        .measured_at
        .ok_or_else(|| violation(&format!("metrics[{index}].measured_at"), "required", "must be set"))?;
    let measured_at = time::from_wire(&at).ok_or_else(|| out_of_range(&format!("metrics[{index}].measured_at")))?;
    let on = MeasuredOn {
        model_id: metric.model_id,
        dataset_name: metric.dataset_name,
        dataset_digest: metric.dataset_digest,
    };
    Ok(Metric {
        measured_at,
        key: metric.key,
        value: metric.value,
        step: metric.step,
        on: (on != MeasuredOn::default()).then(|| Box::new(on)),
    })
}

pub(in crate::grpc) fn metric_out(metric: Metric) -> wire::Metric {
    let on = metric.on.map(|on| *on).unwrap_or_default();
    wire::Metric {
        key: metric.key,
        value: metric.value,
        measured_at: Some(time::to_wire(metric.measured_at)),
        step: metric.step,
        model_id: on.model_id,
        dataset_name: on.dataset_name,
        dataset_digest: on.dataset_digest,
    }
}

pub(in crate::grpc) fn param_out(param: KeyValue) -> wire::Param {
    wire::Param {
        key: param.key,
        value: param.value,
    }
}

pub(super) fn dataset_input_in(index: usize, input: wire::DatasetInput) -> Result<DatasetInput, Status> {
    let field = || format!("datasets[{index}].dataset");
    let dataset = input
        .dataset
        .ok_or_else(|| violation(&field(), "required", "must be set"))?;
    Ok(DatasetInput {
        dataset: Dataset {
            name: dataset.name,
            digest: dataset.digest,
            source_type: dataset.source_type,
            source: dataset.source,
            schema: dataset.schema,
            profile: dataset.profile,
        },
        tags: input.tags.into_iter().map(tag_in).collect(),
    })
}

fn dataset_input_out(input: DatasetInput) -> wire::DatasetInput {
    let dataset = input.dataset;
    wire::DatasetInput {
        tags: input.tags.into_iter().map(tag_out).collect(),
        dataset: Some(wire::Dataset {
            name: dataset.name,
            digest: dataset.digest,
            source_type: dataset.source_type,
            source: dataset.source,
            schema: dataset.schema,
            profile: dataset.profile,
        }),
    }
}

pub(super) fn run_out(run: Run) -> wire::Run {
    let Links {
        datasets,
        model_inputs,
        model_outputs,
    } = run.links;
    let model_outputs = model_outputs.into_iter().map(|output| wire::ModelOutput {
        model_id: output.model_id,
        step: output.step,
    });
    wire::Run {
        run_id: run.id,
        experiment_id: run.experiment_id.to_string(),
        name: run.name,
        status: status_out(run.status).into(),
        started_at: Some(time::to_wire(run.started_at)),
        ended_at: run.ended_at.map(time::to_wire),
        lifecycle_stage: lifecycle_out(run.lifecycle),
        params: run.params.into_iter().map(param_out).collect(),
        metrics: run.metrics.into_iter().map(metric_out).collect(),
        tags: run.tags.into_iter().map(tag_out).collect(),
        user_id: run.user_id,
        artifact_uri: run.artifact_uri,
        dataset_inputs: datasets.into_iter().map(dataset_input_out).collect(),
        model_inputs,
        model_outputs: model_outputs.collect(),
    }
}

pub(super) fn status_in(status: wire::RunStatus) -> Option<RunStatus> {
    match status {
        wire::RunStatus::Unspecified => None,
        wire::RunStatus::Running => Some(RunStatus::Running),
        wire::RunStatus::Scheduled => Some(RunStatus::Scheduled),
        wire::RunStatus::Finished => Some(RunStatus::Finished),
        wire::RunStatus::Failed => Some(RunStatus::Failed),
        wire::RunStatus::Killed => Some(RunStatus::Killed),
    }
}

fn status_out(status: RunStatus) -> wire::RunStatus {
    match status {
        RunStatus::Running => wire::RunStatus::Running,
        RunStatus::Scheduled => wire::RunStatus::Scheduled,
        RunStatus::Finished => wire::RunStatus::Finished,
        RunStatus::Failed => wire::RunStatus::Failed,
        RunStatus::Killed => wire::RunStatus::Killed,
    }
}
