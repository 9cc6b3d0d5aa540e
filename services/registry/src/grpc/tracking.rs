//! `TrackingService`.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::tracking_service_server::TrackingService;
use holdfast_api::time;
use tonic::{Request, Response, Status};

use super::convert::{tag_in, tag_out};
use super::{page_request, page_token, status, violation};
use crate::service::tracking::{
    Batch, Experiment, ExperimentBy, KeyValue, Lifecycle, Metric, NewRun, Run, RunChange, RunStatus, Tracking,
};

/// `TrackingService` over [`Tracking`].
#[derive(Clone, Debug)]
pub(crate) struct TrackingAdapter {
    tracking: Tracking,
}

impl TrackingAdapter {
    /// The adapter.
    pub(crate) fn new(tracking: Tracking) -> Self {
        Self { tracking }
    }
}

#[tonic::async_trait]
impl TrackingService for TrackingAdapter {
    async fn create_experiment(
        &self,
        request: Request<wire::CreateExperimentRequest>,
    ) -> Result<Response<wire::CreateExperimentResponse>, Status> {
        let request = request.into_inner();
        let tags = request.tags.into_iter().map(tag_in).collect();
        let experiment = self
            .tracking
            .create_experiment(&request.name, tags)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::CreateExperimentResponse {
            experiment: Some(experiment_out(experiment)),
        }))
    }

    async fn get_experiment(
        &self,
        request: Request<wire::GetExperimentRequest>,
    ) -> Result<Response<wire::GetExperimentResponse>, Status> {
        use wire::get_experiment_request::By;
        let by = match request.into_inner().by {
            Some(By::ExperimentId(id)) => ExperimentBy::Id(experiment_id(&id)?),
            Some(By::Name(name)) => ExperimentBy::Name(name),
            None => return Err(violation("by", "required", "needs experiment_id or name")),
        };
        let experiment = self.tracking.experiment(&by).await.map_err(status)?;
        Ok(Response::new(wire::GetExperimentResponse {
            experiment: Some(experiment_out(experiment)),
        }))
    }

    async fn list_experiments(
        &self,
        request: Request<wire::ListExperimentsRequest>,
    ) -> Result<Response<wire::ListExperimentsResponse>, Status> {
        let request = request.into_inner();
        let page = page_request(request.page_size, &request.page_token)?;
        let page = self.tracking.experiments(&page).await.map_err(status)?;
        Ok(Response::new(wire::ListExperimentsResponse {
            experiments: page.items.into_iter().map(experiment_out).collect(),
            next_page_token: page_token(page.next),
        }))
    }

    async fn create_run(
        &self,
        request: Request<wire::CreateRunRequest>,
    ) -> Result<Response<wire::CreateRunResponse>, Status> {
        let request = request.into_inner();
        let new = NewRun {
            id: (!request.run_id.is_empty()).then_some(request.run_id),
            experiment_id: experiment_id(&request.experiment_id)?,
            name: request.name,
            tags: request.tags.into_iter().map(tag_in).collect(),
        };
        let run = self.tracking.create_run(new).await.map_err(status)?;
        Ok(Response::new(wire::CreateRunResponse {
            run: Some(run_out(run)),
        }))
    }

    async fn update_run(
        &self,
        request: Request<wire::UpdateRunRequest>,
    ) -> Result<Response<wire::UpdateRunResponse>, Status> {
        let request = request.into_inner();
        let change = RunChange {
            status: status_in(request.status()),
            ended_at: request
                .ended_at
                .as_ref()
                .map(|at| time_in("ended_at", at))
                .transpose()?,
            name: request.name,
        };
        let run = self
            .tracking
            .update_run(&request.run_id, change)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::UpdateRunResponse {
            run: Some(run_out(run)),
        }))
    }

    async fn get_run(&self, request: Request<wire::GetRunRequest>) -> Result<Response<wire::GetRunResponse>, Status> {
        let run = self.tracking.run(&request.into_inner().run_id).await.map_err(status)?;
        Ok(Response::new(wire::GetRunResponse {
            run: Some(run_out(run)),
        }))
    }

    async fn list_runs(
        &self,
        request: Request<wire::ListRunsRequest>,
    ) -> Result<Response<wire::ListRunsResponse>, Status> {
        let request = request.into_inner();
        let page = page_request(request.page_size, &request.page_token)?;
        let experiment = match request.experiment_id.as_str() {
            "" => None,
            id => Some(experiment_id(id)?),
        };
        let page = self.tracking.runs(experiment, &page).await.map_err(status)?;
        Ok(Response::new(wire::ListRunsResponse {
            runs: page.items.into_iter().map(run_out).collect(),
            next_page_token: page_token(page.next),
        }))
    }

    async fn log_batch(
        &self,
        request: Request<wire::LogBatchRequest>,
    ) -> Result<Response<wire::LogBatchResponse>, Status> {
        let request = request.into_inner();
        let mut metrics = Vec::with_capacity(request.metrics.len());
        for (index, metric) in request.metrics.into_iter().enumerate() {
            let field = format!("metrics[{index}].measured_at");
            let at = metric
                .measured_at
                .ok_or_else(|| violation(&field, "required", "must be set"))?;
            metrics.push(Metric {
                measured_at: time_in(&field, &at)?,
                key: metric.key,
                value: metric.value,
                step: metric.step,
            });
        }
        let batch = Batch {
            metrics,
            params: request.params.into_iter().map(param_in).collect(),
            tags: request.tags.into_iter().map(tag_in).collect(),
        };
        self.tracking.log_batch(&request.run_id, &batch).await.map_err(status)?;
        Ok(Response::new(wire::LogBatchResponse {}))
    }

    async fn get_metric_history(
        &self,
        request: Request<wire::GetMetricHistoryRequest>,
    ) -> Result<Response<wire::GetMetricHistoryResponse>, Status> {
        let request = request.into_inner();
        let metrics = self
            .tracking
            .metric_history(&request.run_id, &request.key)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::GetMetricHistoryResponse {
            metrics: metrics.into_iter().map(metric_out).collect(),
            ..wire::GetMetricHistoryResponse::default()
        }))
    }

    async fn search_experiments(
        &self,
        _request: Request<wire::SearchExperimentsRequest>,
    ) -> Result<Response<wire::SearchExperimentsResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn update_experiment(
        &self,
        _request: Request<wire::UpdateExperimentRequest>,
    ) -> Result<Response<wire::UpdateExperimentResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn delete_experiment(
        &self,
        _request: Request<wire::DeleteExperimentRequest>,
    ) -> Result<Response<wire::DeleteExperimentResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn restore_experiment(
        &self,
        _request: Request<wire::RestoreExperimentRequest>,
    ) -> Result<Response<wire::RestoreExperimentResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn set_experiment_tag(
        &self,
        _request: Request<wire::SetExperimentTagRequest>,
    ) -> Result<Response<wire::SetExperimentTagResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn delete_experiment_tag(
        &self,
        _request: Request<wire::DeleteExperimentTagRequest>,
    ) -> Result<Response<wire::DeleteExperimentTagResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn search_runs(
        &self,
        _request: Request<wire::SearchRunsRequest>,
    ) -> Result<Response<wire::SearchRunsResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn delete_run(
        &self,
        _request: Request<wire::DeleteRunRequest>,
    ) -> Result<Response<wire::DeleteRunResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn restore_run(
        &self,
        _request: Request<wire::RestoreRunRequest>,
    ) -> Result<Response<wire::RestoreRunResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn delete_tag(
        &self,
        _request: Request<wire::DeleteTagRequest>,
    ) -> Result<Response<wire::DeleteTagResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn sample_metric_history(
        &self,
        _request: Request<wire::SampleMetricHistoryRequest>,
    ) -> Result<Response<wire::SampleMetricHistoryResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn log_inputs(
        &self,
        _request: Request<wire::LogInputsRequest>,
    ) -> Result<Response<wire::LogInputsResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn log_outputs(
        &self,
        _request: Request<wire::LogOutputsRequest>,
    ) -> Result<Response<wire::LogOutputsResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }

    async fn search_datasets(
        &self,
        _request: Request<wire::SearchDatasetsRequest>,
    ) -> Result<Response<wire::SearchDatasetsResponse>, Status> {
        Err(Status::unimplemented("on its way"))
    }
}

fn experiment_id(text: &str) -> Result<i64, Status> {
    text.parse()
        .map_err(|_| violation("experiment_id", "number", "must be a decimal number"))
}

fn time_in(field: &str, at: &prost_types::Timestamp) -> Result<jiff::Timestamp, Status> {
    time::from_wire(at).ok_or_else(|| violation(field, "timestamp", "is outside the years -9999 to 9999"))
}

fn param_in(param: wire::Param) -> KeyValue {
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

fn experiment_out(experiment: Experiment) -> wire::Experiment {
    wire::Experiment {
        experiment_id: experiment.id.to_string(),
        name: experiment.name,
        lifecycle_stage: lifecycle_out(experiment.lifecycle),
        created_at: Some(time::to_wire(experiment.created_at)),
        tags: experiment.tags.into_iter().map(tag_out).collect(),
        ..wire::Experiment::default()
    }
}

fn metric_out(metric: Metric) -> wire::Metric {
    wire::Metric {
        key: metric.key,
        value: metric.value,
        measured_at: Some(time::to_wire(metric.measured_at)),
        step: metric.step,
        ..wire::Metric::default()
    }
}

fn run_out(run: Run) -> wire::Run {
    let params = run.params.into_iter().map(|pair| wire::Param {
        key: pair.key,
        value: pair.value,
    });
    wire::Run {
        run_id: run.id,
        experiment_id: run.experiment_id.to_string(),
        name: run.name,
        status: status_out(run.status).into(),
        started_at: Some(time::to_wire(run.started_at)),
        ended_at: run.ended_at.map(time::to_wire),
        lifecycle_stage: lifecycle_out(run.lifecycle),
        params: params.collect(),
        metrics: run.metrics.into_iter().map(metric_out).collect(),
        tags: run.tags.into_iter().map(tag_out).collect(),
        ..wire::Run::default()
    }
}

fn status_in(status: wire::RunStatus) -> Option<RunStatus> {
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
