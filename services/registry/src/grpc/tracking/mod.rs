//! `TrackingService`.

pub(super) mod convert;

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::tracking_service_server::TrackingService;
use tonic::{Request, Response, Status};

use super::convert::tag_in;
use super::{fitting, page_request, page_size, page_token, status, token_in, unknown_token, violation};
use crate::service::tracking::{
    Batch, ExperimentBy, Links, MAX_HISTORY, ModelOutput, NewExperiment, NewRun, Place, RunChange, SearchText, Tracking,
};
use convert::{
    dataset_input_in, experiment_id, experiment_out, metric_in, metric_out, optional_time, param_in, run_out,
    status_in, view_in,
};

/// The size of a page of a search, when nothing is said and at most: MLflow's.
const SEARCH_PAGE: (u32, u32) = (1_000, 50_000);
const SEARCH_PAGE_RULE: &str = "must be 0 (the default, 1,000) to 50,000";
/// Experiments of one search.
const MOST_EXPERIMENTS: usize = 10_000;
/// Runs whose histories are sampled by one call.
const MOST_SAMPLED_RUNS: usize = 100;
/// Sampled values of a run, when nothing is said and at most: MLflow's.
const SAMPLE: (u32, u32) = (320, 2_500);

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
        let new = NewExperiment {
            name: request.name,
            artifact_location: request.artifact_location,
            tags: request.tags.into_iter().map(tag_in).collect(),
        };
        let experiment = self.tracking.create_experiment(&new).await.map_err(status)?;
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
            user_id: request.user_id,
            started_at: optional_time("started_at", request.started_at.as_ref())?,
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
            ended_at: optional_time("ended_at", request.ended_at.as_ref())?,
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
        let metrics = request.metrics.into_iter().enumerate();
        let metrics = metrics.map(|(index, metric)| metric_in(index, metric));
        let batch = Batch {
            metrics: metrics.collect::<Result<_, _>>()?,
            params: request.params.into_iter().map(param_in).collect(),
            tags: request.tags.into_iter().map(tag_in).collect(),
        };
        self.tracking.log_batch(&request.run_id, batch).await.map_err(status)?;
        Ok(Response::new(wire::LogBatchResponse {}))
    }

    async fn get_metric_history(
        &self,
        request: Request<wire::GetMetricHistoryRequest>,
    ) -> Result<Response<wire::GetMetricHistoryResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(
            request.page_size,
            (MAX_HISTORY, MAX_HISTORY),
            "must be 0 (the default, 25,000) to 25,000",
        )?;
        let offset: u64 = token_in(&request.page_token)?.unwrap_or_default();
        let found = self
            .tracking
            .metric_history(&request.run_id, &request.key, limit, offset)
            .await
            .map_err(status)?;
        let more = found.len() > limit as usize;
        let metrics: Vec<_> = found.into_iter().take(limit as usize).map(metric_out).collect();
        let next = offset.saturating_add(metrics.len() as u64);
        Ok(Response::new(wire::GetMetricHistoryResponse {
            metrics,
            next_page_token: if more { next.to_string() } else { String::new() },
        }))
    }

    async fn sample_metric_history(
        &self,
        request: Request<wire::SampleMetricHistoryRequest>,
    ) -> Result<Response<wire::SampleMetricHistoryResponse>, Status> {
        let request = request.into_inner();
        if request.run_ids.is_empty() || request.run_ids.len() > MOST_SAMPLED_RUNS {
            return Err(violation("run_ids", "count", "must name 1 to 100 runs"));
        }
        let most = match request.max_results {
            0 => SAMPLE.0,
            most if most <= SAMPLE.1 => most,
            _ => {
                return Err(violation(
                    "max_results",
                    "above_maximum",
                    "must be 0 (the default, 320) to 2,500",
                ));
            }
        };
        let steps = match (request.start_step, request.end_step) {
            (None, None) => None,
            (start, end) => Some((start.unwrap_or(i64::MIN), end.unwrap_or(i64::MAX))),
        };
        let mut metrics = Vec::new();
        for run_id in request.run_ids {
            let sample = self.tracking.sample_metric_history(&run_id, &request.key, steps, most);
            metrics.extend(sample.await.map_err(status)?.into_iter().map(|metric| wire::RunMetric {
                run_id: run_id.clone(),
                metric: Some(metric_out(metric)),
            }));
        }
        Ok(Response::new(wire::SampleMetricHistoryResponse { metrics }))
    }

    async fn search_experiments(
        &self,
        request: Request<wire::SearchExperimentsRequest>,
    ) -> Result<Response<wire::SearchExperimentsResponse>, Status> {
        let request = request.into_inner();
        let asked = SearchText {
            view: view_in(request.view()),
            filter: request.filter,
            order_by: request.order_by,
            limit: page_size(request.page_size, SEARCH_PAGE, SEARCH_PAGE_RULE)?,
        };
        let offset = token_in(&request.page_token)?.unwrap_or_default();
        let found = self.tracking.search_experiments(&asked, offset).await.map_err(status)?;
        let (experiments, next) = fitting(found, experiment_out);
        Ok(Response::new(wire::SearchExperimentsResponse {
            experiments,
            next_page_token: next.map(|place| place.offset.to_string()).unwrap_or_default(),
        }))
    }

    async fn search_runs(
        &self,
        request: Request<wire::SearchRunsRequest>,
    ) -> Result<Response<wire::SearchRunsResponse>, Status> {
        let request = request.into_inner();
        if request.experiment_ids.len() > MOST_EXPERIMENTS {
            return Err(violation("experiment_ids", "count", "must be at most 10,000"));
        }
        let experiments = request.experiment_ids.iter().map(|id| experiment_id(id));
        let experiments = experiments.collect::<Result<Vec<_>, _>>()?;
        let asked = SearchText {
            view: view_in(request.view()),
            filter: request.filter,
            order_by: request.order_by,
            limit: page_size(request.page_size, SEARCH_PAGE, SEARCH_PAGE_RULE)?,
        };
        let from = match request.page_token.as_str() {
            "" => Place::default(),
            token => token.parse().map_err(|()| unknown_token())?,
        };
        let found = self
            .tracking
            .search_runs(experiments, &asked, from)
            .await
            .map_err(status)?;
        let (runs, next) = fitting(found, run_out);
        Ok(Response::new(wire::SearchRunsResponse {
            runs,
            next_page_token: next.map(|place| place.to_string()).unwrap_or_default(),
        }))
    }

    async fn update_experiment(
        &self,
        request: Request<wire::UpdateExperimentRequest>,
    ) -> Result<Response<wire::UpdateExperimentResponse>, Status> {
        let request = request.into_inner();
        let id = experiment_id(&request.experiment_id)?;
        let changed = self.tracking.rename_experiment(id, &request.name).await;
        Ok(Response::new(wire::UpdateExperimentResponse {
            experiment: Some(experiment_out(changed.map_err(status)?)),
        }))
    }

    async fn delete_experiment(
        &self,
        request: Request<wire::DeleteExperimentRequest>,
    ) -> Result<Response<wire::DeleteExperimentResponse>, Status> {
        let id = experiment_id(&request.into_inner().experiment_id)?;
        self.tracking.delete_experiment(id).await.map_err(status)?;
        Ok(Response::new(wire::DeleteExperimentResponse {}))
    }

    async fn restore_experiment(
        &self,
        request: Request<wire::RestoreExperimentRequest>,
    ) -> Result<Response<wire::RestoreExperimentResponse>, Status> {
        let id = experiment_id(&request.into_inner().experiment_id)?;
        self.tracking.restore_experiment(id).await.map_err(status)?;
        Ok(Response::new(wire::RestoreExperimentResponse {}))
    }

    async fn set_experiment_tag(
        &self,
        request: Request<wire::SetExperimentTagRequest>,
    ) -> Result<Response<wire::SetExperimentTagResponse>, Status> {
        let request = request.into_inner();
        let id = experiment_id(&request.experiment_id)?;
        let tag = request.tag.ok_or_else(|| violation("tag", "required", "must be set"))?;
        self.tracking
            .set_experiment_tag(id, &tag_in(tag))
            .await
            .map_err(status)?;
        Ok(Response::new(wire::SetExperimentTagResponse {}))
    }

    async fn delete_experiment_tag(
        &self,
        request: Request<wire::DeleteExperimentTagRequest>,
    ) -> Result<Response<wire::DeleteExperimentTagResponse>, Status> {
        let request = request.into_inner();
        let id = experiment_id(&request.experiment_id)?;
        self.tracking
            .delete_experiment_tag(id, &request.key)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::DeleteExperimentTagResponse {}))
    }

    async fn delete_run(
        &self,
        request: Request<wire::DeleteRunRequest>,
    ) -> Result<Response<wire::DeleteRunResponse>, Status> {
        self.tracking
            .delete_run(&request.into_inner().run_id)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::DeleteRunResponse {}))
    }

    async fn restore_run(
        &self,
        request: Request<wire::RestoreRunRequest>,
    ) -> Result<Response<wire::RestoreRunResponse>, Status> {
        self.tracking
            .restore_run(&request.into_inner().run_id)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::RestoreRunResponse {}))
    }

    async fn delete_tag(
        &self,
        request: Request<wire::DeleteTagRequest>,
    ) -> Result<Response<wire::DeleteTagResponse>, Status> {
        let request = request.into_inner();
        self.tracking
            .delete_tag(&request.run_id, &request.key)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::DeleteTagResponse {}))
    }

    async fn log_inputs(
        &self,
        request: Request<wire::LogInputsRequest>,
    ) -> Result<Response<wire::LogInputsResponse>, Status> {
        let request = request.into_inner();
        let datasets = request.datasets.into_iter().enumerate();
        let datasets = datasets.map(|(index, input)| dataset_input_in(index, input));
        let links = Links {
            datasets: datasets.collect::<Result<_, _>>()?,
            model_inputs: request.model_ids,
            ..Links::default()
        };
        self.tracking.link(&request.run_id, links).await.map_err(status)?;
        Ok(Response::new(wire::LogInputsResponse {}))
    }

    async fn log_outputs(
        &self,
        request: Request<wire::LogOutputsRequest>,
    ) -> Result<Response<wire::LogOutputsResponse>, Status> {
        let request = request.into_inner();
        let model_outputs = request.models.into_iter().map(|output| ModelOutput {
            model_id: output.model_id,
            step: output.step,
        });
        let links = Links {
            model_outputs: model_outputs.collect(),
            ..Links::default()
        };
        self.tracking.link(&request.run_id, links).await.map_err(status)?;
        Ok(Response::new(wire::LogOutputsResponse {}))
    }

    async fn search_datasets(
        &self,
        request: Request<wire::SearchDatasetsRequest>,
    ) -> Result<Response<wire::SearchDatasetsResponse>, Status> {
        let request = request.into_inner();
        let experiments = request.experiment_ids.iter().map(|id| experiment_id(id));
        let experiments = experiments.collect::<Result<Vec<_>, _>>()?;
        let found = self.tracking.datasets(&experiments).await.map_err(status)?;
        let datasets = found.into_iter().map(|summary| wire::DatasetSummary {
            experiment_id: summary.experiment_id.to_string(),
            name: summary.name,
            digest: summary.digest,
            context: summary.context,
        });
        Ok(Response::new(wire::SearchDatasetsResponse {
            datasets: datasets.collect(),
        }))
    }
}
