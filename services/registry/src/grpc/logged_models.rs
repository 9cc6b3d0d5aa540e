//! `LoggedModelService`.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::logged_model_service_server::LoggedModelService;
use holdfast_api::time;
use tonic::{Request, Response, Status};

use super::convert::{tag_in, tag_out};
use super::tracking::convert::{experiment_id, metric_out, param_in, param_out};
use super::{fitting, page_size, status, token_in, violation};
use crate::service::logged_models::{
    DatasetRef, LoggedModel, LoggedModelSearchText, LoggedModelStatus, LoggedModels, NewLoggedModel,
};
use crate::service::search::{Direction, LoggedModelOrderField};

/// The size of a page, when nothing is said and at most.
const PAGE: (u32, u32) = (100, 1_000);
const PAGE_RULE: &str = "must be 0 (the default, 100) to 1,000";

type Answer<T> = Result<Response<T>, Status>;

/// `LoggedModelService` over [`LoggedModels`].
#[derive(Clone, Debug)]
pub(crate) struct LoggedModelAdapter {
    models: LoggedModels,
}

impl LoggedModelAdapter {
    /// The adapter.
    pub(crate) fn new(models: LoggedModels) -> Self {
        Self { models }
    }
}

#[tonic::async_trait]
impl LoggedModelService for LoggedModelAdapter {
    async fn create_logged_model(
        &self,
        request: Request<wire::CreateLoggedModelRequest>,
    ) -> Answer<wire::CreateLoggedModelResponse> {
        let request = request.into_inner();
        let new = NewLoggedModel {
            experiment_id: experiment_id(&request.experiment_id)?,
            name: request.name,
            model_type: request.model_type,
            source_run_id: request.source_run_id,
            user_id: request.user_id,
            params: request.params.into_iter().map(param_in).collect(),
            tags: request.tags.into_iter().map(tag_in).collect(),
        };
        let model = self.models.create(new).await.map_err(status)?;
        Ok(Response::new(wire::CreateLoggedModelResponse {
            model: Some(model_out(model)),
        }))
    }

    async fn get_logged_model(
        &self,
        request: Request<wire::GetLoggedModelRequest>,
    ) -> Answer<wire::GetLoggedModelResponse> {
        let model = self.models.get(&request.into_inner().model_id).await.map_err(status)?;
        Ok(Response::new(wire::GetLoggedModelResponse {
            model: Some(model_out(model)),
        }))
    }

    async fn finalize_logged_model(
        &self,
        request: Request<wire::FinalizeLoggedModelRequest>,
    ) -> Answer<wire::FinalizeLoggedModelResponse> {
        let request = request.into_inner();
        let end = match request.status() {
            wire::LoggedModelStatus::Unspecified => {
                return Err(violation("status", "required", "must be READY or FAILED"));
            }
            wire::LoggedModelStatus::Pending => LoggedModelStatus::Pending,
            wire::LoggedModelStatus::Ready => LoggedModelStatus::Ready,
            wire::LoggedModelStatus::Failed => LoggedModelStatus::Failed,
        };
        let model = self.models.finalize(&request.model_id, end).await.map_err(status)?;
        Ok(Response::new(wire::FinalizeLoggedModelResponse {
            model: Some(model_out(model)),
        }))
    }

    async fn delete_logged_model(
        &self,
        request: Request<wire::DeleteLoggedModelRequest>,
    ) -> Answer<wire::DeleteLoggedModelResponse> {
        self.models
            .delete(&request.into_inner().model_id)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::DeleteLoggedModelResponse {}))
    }

    async fn search_logged_models(
        &self,
        request: Request<wire::SearchLoggedModelsRequest>,
    ) -> Answer<wire::SearchLoggedModelsResponse> {
        let request = request.into_inner();
        let experiments = request.experiment_ids.iter().map(|id| experiment_id(id));
        let order_by = request.order_by.iter().map(|key| LoggedModelOrderField {
            field: &key.field,
            direction: if key.descending {
                Direction::Descending
            } else {
                Direction::Ascending
            },
            dataset_name: key.dataset.as_ref().map_or("", |dataset| &dataset.name),
            dataset_digest: key.dataset.as_ref().map_or("", |dataset| &dataset.digest),
        });
        let datasets = request.datasets.iter().map(|dataset| DatasetRef {
            name: dataset.name.clone(),
            digest: dataset.digest.clone(),
        });
        let asked = LoggedModelSearchText {
            experiments: experiments.collect::<Result<_, _>>()?,
            filter: request.filter.clone(),
            datasets: datasets.collect(),
            order_by: order_by.collect(),
            limit: page_size(request.page_size, PAGE, PAGE_RULE)?,
            offset: token_in(&request.page_token)?.unwrap_or_default(),
        };
        let found = self.models.search(asked).await.map_err(status)?;
        let (models, next) = fitting(found, model_out);
        Ok(Response::new(wire::SearchLoggedModelsResponse {
            models,
            next_page_token: next.map(|place| place.offset.to_string()).unwrap_or_default(),
        }))
    }

    async fn set_logged_model_tags(
        &self,
        request: Request<wire::SetLoggedModelTagsRequest>,
    ) -> Answer<wire::SetLoggedModelTagsResponse> {
        let request = request.into_inner();
        let tags = request.tags.into_iter().map(tag_in).collect();
        let model = self.models.set_tags(&request.model_id, tags).await.map_err(status)?;
        Ok(Response::new(wire::SetLoggedModelTagsResponse {
            model: Some(model_out(model)),
        }))
    }

    async fn delete_logged_model_tag(
        &self,
        request: Request<wire::DeleteLoggedModelTagRequest>,
    ) -> Answer<wire::DeleteLoggedModelTagResponse> {
        let request = request.into_inner();
        self.models
            .delete_tag(&request.model_id, &request.key)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::DeleteLoggedModelTagResponse {}))
    }

    async fn log_logged_model_params(
        &self,
        request: Request<wire::LogLoggedModelParamsRequest>,
    ) -> Answer<wire::LogLoggedModelParamsResponse> {
        let request = request.into_inner();
        let params = request.params.into_iter().map(param_in).collect();
        self.models
            .log_params(&request.model_id, params)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::LogLoggedModelParamsResponse {}))
    }
}

fn model_out(model: LoggedModel) -> wire::LoggedModel {
    let status = match model.status {
        LoggedModelStatus::Pending => wire::LoggedModelStatus::Pending,
        LoggedModelStatus::Ready => wire::LoggedModelStatus::Ready,
        LoggedModelStatus::Failed => wire::LoggedModelStatus::Failed,
    };
    let metrics = model
        .metrics
        .into_iter()
        .map(|(run_id, metric)| wire::LoggedModelMetric {
            run_id,
            metric: Some(metric_out(metric)),
        });
    let registrations = model.registrations.into_iter();
    wire::LoggedModel {
        model_id: model.id,
        experiment_id: model.experiment_id.to_string(),
        name: model.name,
        artifact_uri: model.artifact_uri,
        created_at: Some(time::to_wire(model.created_at)),
        updated_at: Some(time::to_wire(model.updated_at)),
        status: status.into(),
        model_type: model.model_type,
        source_run_id: model.source_run_id,
        user_id: model.user_id,
        params: model.params.into_iter().map(param_out).collect(),
        tags: model.tags.into_iter().map(tag_out).collect(),
        metrics: metrics.collect(),
        registrations: registrations
            .map(|(name, version)| wire::Registration { name, version })
            .collect(),
    }
}
