//! `ModelService`.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::model_service_server::ModelService;
use holdfast_domain::ModelVersion;
use tonic::{Request, Response, Status};

use super::{convert, model_name, page_request, page_token, status, violation};
use crate::service::models::Models;

/// `ModelService` over [`Models`].
#[derive(Clone, Debug)]
pub(crate) struct ModelAdapter {
    models: Models,
}

impl ModelAdapter {
    /// The adapter.
    pub(crate) fn new(models: Models) -> Self {
        Self { models }
    }
}

#[tonic::async_trait]
impl ModelService for ModelAdapter {
    async fn create_model_version(
        &self,
        request: Request<wire::CreateModelVersionRequest>,
    ) -> Result<Response<wire::CreateModelVersionResponse>, Status> {
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let record = self
            .models
            .reserve(&model, &request.run_id, &request.created_by)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::CreateModelVersionResponse {
            version: Some(convert::version_out(record)),
        }))
    }

    async fn finish_model_version(
        &self,
        request: Request<wire::FinishModelVersionRequest>,
    ) -> Result<Response<wire::FinishModelVersionResponse>, Status> {
        let request = request.into_inner();
        let named = request
            .r#ref
            .ok_or_else(|| violation("ref", "required", "must name model, version and digest"))?;
        let id = convert::model_in("ref", &named)?;
        let snapshots = (request.training_snapshot.as_str(), request.test_snapshot.as_str());
        let record = self
            .models
            .finish(&id.model, id.version, id.artifact_digest, &request.family, snapshots)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::FinishModelVersionResponse {
            version: Some(convert::version_out(record)),
        }))
    }

    async fn get_model_version(
        &self,
        request: Request<wire::GetModelVersionRequest>,
    ) -> Result<Response<wire::GetModelVersionResponse>, Status> {
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let record = self
            .models
            .version(&model, ModelVersion(request.version))
            .await
            .map_err(status)?;
        Ok(Response::new(wire::GetModelVersionResponse {
            version: Some(convert::version_out(record)),
        }))
    }

    async fn list_models(
        &self,
        _request: Request<wire::ListModelsRequest>,
    ) -> Result<Response<wire::ListModelsResponse>, Status> {
        let models = self.models.models().await.map_err(status)?;
        let models = models.into_iter().map(|summary| wire::ModelSummary {
            model: summary.model.to_string(),
            versions: summary.versions,
            latest_version: summary.latest.0,
            champion_version: summary.champion.map_or(0, |version| version.0),
        });
        Ok(Response::new(wire::ListModelsResponse {
            models: models.collect(),
        }))
    }

    async fn list_model_versions(
        &self,
        request: Request<wire::ListModelVersionsRequest>,
    ) -> Result<Response<wire::ListModelVersionsResponse>, Status> {
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let page = page_request(request.page_size, &request.page_token)?;
        let page = self.models.versions(&model, &page).await.map_err(status)?;
        Ok(Response::new(wire::ListModelVersionsResponse {
            versions: page.items.into_iter().map(convert::version_out).collect(),
            next_page_token: page_token(page.next),
        }))
    }

    async fn evaluate_gate(
        &self,
        request: Request<wire::EvaluateGateRequest>,
    ) -> Result<Response<wire::EvaluateGateResponse>, Status> {
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let evaluation = request
            .evaluation
            .ok_or_else(|| violation("evaluation", "required", "must hold the evidence"))?;
        let evaluation = convert::evaluation_in(evaluation)?;
        let decision = self
            .models
            .evaluate(&model, ModelVersion(request.version), evaluation)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::EvaluateGateResponse {
            decision: Some(convert::decision_out(decision)),
        }))
    }
}
