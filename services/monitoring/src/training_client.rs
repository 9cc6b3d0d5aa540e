//! The training service over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use holdfast_api::training::v1::training_service_client::TrainingServiceClient;
use holdfast_api::training::v1::{RunTrigger, StartRunRequest};
use holdfast_chassis::Fault;
use holdfast_chassis::client::retry::{self, RetryPolicy};
use holdfast_chassis::client::{Channel, ClientBuilder, ClientError};
use holdfast_chassis::settings::ClientSettings;

use crate::service::retraining::{RunRequest, TrainingClient};

/// `TrainingService` behind the chassis' client: connected when needed, with a deadline on every call.
#[derive(Clone, Debug)]
pub(crate) struct GrpcTrainingClient {
    client: TrainingServiceClient<Channel>,
    retries: RetryPolicy,
}

impl GrpcTrainingClient {
    /// A client of the service at `url`; each attempt may take `deadline`.
    pub(crate) fn new(url: &str, settings: &ClientSettings, deadline: Duration) -> Result<Self, ClientError> {
        let channel = ClientBuilder::new(url, settings).deadline(deadline).channel()?;
        Ok(Self {
            client: TrainingServiceClient::new(channel),
            retries: RetryPolicy::new(&settings.retry),
        })
    }
}

#[async_trait]
impl TrainingClient for GrpcTrainingClient {
    async fn start_run(&self, request: &RunRequest) -> Result<String, Fault> {
        let wire = StartRunRequest {
            model: request.model.to_string(),
            window_snapshot: request.window_snapshot.to_string(),
            trigger: RunTrigger::Drift.into(),
            requested_by: request.requested_by.clone(),
            report_id: request.report_id.clone(),
            idempotency_key: request.report_id.clone(),
            ..StartRunRequest::default()
        };
        // Safe to repeat: the report's id is the idempotency key.
        let answered = retry::idempotent(&self.retries, || {
            let (mut client, wire) = (self.client.clone(), wire.clone());
            async move {
                client
                    .start_run(wire)
                    .await
                    .map_err(|status| Fault::from_status(&status))
            }
        });
        Ok(answered.await?.into_inner().run_id)
    }
}
