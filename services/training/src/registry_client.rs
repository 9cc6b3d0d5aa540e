//! The registry over gRPC: domain types in, wire types out, and back. While the registry is away a call is tried again until the run's patience
//! is over; all of these calls may be repeated.

mod facts;
mod imports;

use std::future::Future;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use holdfast_api::common::v1::ModelRef;
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::artifact_service_client::ArtifactServiceClient;
use holdfast_api::registry::v1::champion_service_client::ChampionServiceClient;
use holdfast_api::registry::v1::import_service_client::ImportServiceClient;
use holdfast_api::registry::v1::model_service_client::ModelServiceClient;
use holdfast_api::registry::v1::tracking_service_client::TrackingServiceClient;
use holdfast_api::time;
use holdfast_chassis::Common;
use holdfast_chassis::client::retry::{self, RetryPolicy, Retryable as _};
use holdfast_chassis::client::{Channel, ClientBuilder, ClientError};
use holdfast_chassis::error::{Code, Fault};
use holdfast_domain::{Generation, ModelName, ModelVersion, RunId};
use holdfast_storage::Key;
use tonic::{Response, Status};

use crate::service::evaluation::{Quality, Slice};
use crate::service::registry::{
    Batch, Champion, Comparison, Decision, Evidence, FinishedVersion, Promotion, Registry, RegistryError,
    ReservedVersion, RunFacts, TrackedEnd, TrackedRun, VersionFacts, VersionId, VersionSnapshots,
};
use crate::service::runs::ImportTarget;

/// Who acts, as the registry records it.
const ACTOR: &str = "training";

pub(crate) use imports::GrpcImports;

/// The registry behind its gRPC address.
#[derive(Clone, Debug)]
pub(crate) struct GrpcRegistry {
    tracking: TrackingServiceClient<Channel>,
    models: ModelServiceClient<Channel>,
    champions: ChampionServiceClient<Channel>,
    imports: ImportServiceClient<Channel>,
    artifacts: ArtifactServiceClient<Channel>,
    policy: RetryPolicy,
    patience: Duration,
}

impl GrpcRegistry {
    /// The registry among the peers; it need not be there yet.
    pub(crate) fn new(common: &Common, patience: Duration) -> Result<Self, ClientError> {
        let channel = ClientBuilder::new(&common.peers.registry, &common.client).channel()?;
        Ok(Self {
            tracking: TrackingServiceClient::new(channel.clone()),
            models: ModelServiceClient::new(channel.clone()),
            champions: ChampionServiceClient::new(channel.clone()),
            imports: ImportServiceClient::new(channel.clone()),
            artifacts: ArtifactServiceClient::new(channel),
            policy: RetryPolicy::new(&common.client.retry),
            patience,
        })
    }

    /// Calls until there is an answer, a refusal, or no patience left.
    async fn call<T, F, Fut>(&self, call: F) -> Result<T, Status>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<Response<T>, Status>> + Send,
    {
        let begun = Instant::now();
        let mut waits = self.policy.waits();
        loop {
            let error = match retry::idempotent(&self.policy, &call).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(error) => error,
            };
            // A deadline that passed says as little about the call as a connection that broke.
            let away = error.is_retryable() || error.code() == tonic::Code::DeadlineExceeded;
            if !away || begun.elapsed() >= self.patience {
                return Err(error);
            }
            tokio::time::sleep(waits.next().unwrap_or_default()).await;
        }
    }

    async fn model_version(
        &self,
        model: &ModelName,
        version: ModelVersion,
    ) -> Result<Option<wire::ModelVersion>, Status> {
        let request = wire::GetModelVersionRequest {
            model: model.to_string(),
            version: version.0,
        };
        let answer = self.call(|| {
            let (mut client, request) = (self.models.clone(), request.clone());
            async move { client.get_model_version(request).await }
        });
        Ok(answer.await?.version)
    }

    async fn experiment(&self, name: &str) -> Result<String, Status> {
        let by = wire::get_experiment_request::By::Name(name.to_owned());
        let get = wire::GetExperimentRequest { by: Some(by) };
        let found = self.call(|| {
            let (mut client, request) = (self.tracking.clone(), get.clone());
            async move { client.get_experiment(request).await }
        });
        match found.await {
            Err(status) if status.code() == tonic::Code::NotFound => {}
            found => return Ok(found?.experiment.unwrap_or_default().experiment_id),
        }
        let create = wire::CreateExperimentRequest {
            name: name.to_owned(),
            ..wire::CreateExperimentRequest::default()
        };
        let created = self.call(|| {
            let (mut client, request) = (self.tracking.clone(), create.clone());
            async move { client.create_experiment(request).await }
        });
        match created.await {
            Ok(created) => Ok(created.experiment.unwrap_or_default().experiment_id),
            // Somebody was first, perhaps this call itself with its answer lost.
            Err(status) if status.code() == tonic::Code::AlreadyExists => {
                let found = self.call(|| {
                    let (mut client, request) = (self.tracking.clone(), get.clone());
                    async move { client.get_experiment(request).await }
                });
                Ok(found.await?.experiment.unwrap_or_default().experiment_id)
            }
            Err(status) => Err(status),
        }
    }
}

fn failed(doing: &'static str) -> impl Fn(Status) -> RegistryError {
    move |status| {
        let fault = Fault::from_status(&status);
        if fault.code.is_retryable() || fault.code == Code::DeadlineExceeded {
            return RegistryError::Away(fault.message);
        }
        let fields = fault
            .violations
            .iter()
            .map(|bad| format!("{}: {}", bad.field, bad.description));
        let why = std::iter::once(fault.message.clone())
            .chain(fields)
            .collect::<Vec<_>>()
            .join("; ");
        RegistryError::Refused { doing, why }
    }
}

/// An answer that cannot be.
fn odd(doing: &'static str, why: impl std::fmt::Display) -> RegistryError {
    RegistryError::Refused {
        doing,
        why: format!("it answered what cannot be: {why}"),
    }
}

#[async_trait]
impl Registry for GrpcRegistry {
    async fn champion(&self, model: &ModelName) -> Result<Option<Champion>, RegistryError> {
        const DOING: &str = "name the champion";
        let request = wire::GetChampionRequest {
            model: model.to_string(),
            at: None,
        };
        let answer = self.call(|| {
            let (mut client, request) = (self.champions.clone(), request.clone());
            async move { client.get_champion(request).await }
        });
        let answer = match answer.await {
            Err(status) if status.code() == tonic::Code::NotFound => return Ok(None),
            answer => answer.map_err(failed(DOING))?,
        };
        let entry = answer.entry.ok_or_else(|| odd(DOING, "no entry"))?;
        let named = entry.model.ok_or_else(|| odd(DOING, "an entry without a model"))?;
        Ok(Some(Champion {
            id: version_id_in(&named).map_err(|error| odd(DOING, error))?,
            generation: Generation(entry.generation),
            artifact_key: Key::parse(answer.artifact_key).map_err(|error| odd(DOING, error))?,
        }))
    }

    async fn snapshots(&self, model: &ModelName, version: ModelVersion) -> Result<VersionSnapshots, RegistryError> {
        const DOING: &str = "name a version's snapshots";
        let found = self.model_version(model, version).await.map_err(failed(DOING))?;
        facts::snapshots_in(&found.ok_or_else(|| odd(DOING, "no version"))?).map_err(|error| odd(DOING, error))
    }

    async fn version(&self, model: &ModelName, version: ModelVersion) -> Result<Option<VersionFacts>, RegistryError> {
        const DOING: &str = "show a version";
        match self.model_version(model, version).await {
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            found => {
                let found = found.map_err(failed(DOING))?.ok_or_else(|| odd(DOING, "no version"))?;
                facts::version_in(found).map(Some).map_err(|error| odd(DOING, error))
            }
        }
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunFacts>, RegistryError> {
        const DOING: &str = "show a run";
        let request = wire::GetRunRequest {
            run_id: run.to_string(),
        };
        let answer = self.call(|| {
            let (mut client, request) = (self.tracking.clone(), request.clone());
            async move { client.get_run(request).await }
        });
        match answer.await {
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            answer => {
                let run = answer.map_err(failed(DOING))?.run;
                Ok(Some(facts::run_in(run.ok_or_else(|| odd(DOING, "no run"))?)))
            }
        }
    }

    async fn open_run(&self, run: &TrackedRun) -> Result<(), RegistryError> {
        let experiment_id = self
            .experiment(&run.experiment)
            .await
            .map_err(failed("open an experiment"))?;
        let tags = run.tags.iter().map(|(key, value)| wire::Tag {
            key: key.clone(),
            value: value.clone(),
        });
        let request = wire::CreateRunRequest {
            experiment_id,
            name: run.name.clone(),
            tags: tags.collect(),
            run_id: run.id.to_string(),
            user_id: run.user.clone(),
            ..wire::CreateRunRequest::default()
        };
        let opened = self.call(|| {
            let (mut client, request) = (self.tracking.clone(), request.clone());
            async move { client.create_run(request).await }
        });
        opened.await.map(drop).map_err(failed("open a run"))
    }

    async fn log(&self, run: &RunId, batch: &Batch) -> Result<(), RegistryError> {
        let request = wire::LogBatchRequest {
            run_id: run.to_string(),
            metrics: metrics_out(batch),
            params: batch
                .params
                .iter()
                .map(|(key, value)| wire::Param {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
            tags: batch
                .tags
                .iter()
                .map(|(key, value)| wire::Tag {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
        };
        let logged = self.call(|| {
            let (mut client, request) = (self.tracking.clone(), request.clone());
            async move { client.log_batch(request).await }
        });
        logged.await.map(drop).map_err(failed("log to a run"))
    }

    async fn close_run(&self, run: &RunId, end: TrackedEnd) -> Result<(), RegistryError> {
        let status = match end {
            TrackedEnd::Finished => wire::RunStatus::Finished,
            TrackedEnd::Failed => wire::RunStatus::Failed,
            TrackedEnd::Killed => wire::RunStatus::Killed,
        };
        let request = wire::UpdateRunRequest {
            run_id: run.to_string(),
            status: status.into(),
            name: None,
            ended_at: None,
        };
        let closed = self.call(|| {
            let (mut client, request) = (self.tracking.clone(), request.clone());
            async move { client.update_run(request).await }
        });
        closed.await.map(drop).map_err(failed("end a run"))
    }

    async fn reserve(&self, model: &ModelName, run: &RunId, by: &str) -> Result<ReservedVersion, RegistryError> {
        const DOING: &str = "reserve a version";
        let request = wire::CreateModelVersionRequest {
            model: model.to_string(),
            run_id: run.to_string(),
            created_by: by.to_owned(),
        };
        let answer = self.call(|| {
            let (mut client, request) = (self.models.clone(), request.clone());
            async move { client.create_model_version(request).await }
        });
        let version = answer
            .await
            .map_err(failed(DOING))?
            .version
            .ok_or_else(|| odd(DOING, "no version"))?;
        Ok(ReservedVersion {
            version: ModelVersion(version.r#ref.unwrap_or_default().version),
            artifact_key: Key::parse(version.artifact_key).map_err(|error| odd(DOING, error))?,
        })
    }

    async fn adopt(&self, model: &ModelName, target: ImportTarget, run: &RunId) -> Result<(), RegistryError> {
        let request = wire::KeepImportRequest {
            model: model.to_string(),
            version: target.version.0,
            number: target.claim,
            run_id: run.to_string(),
            plan: String::new(),
        };
        let adopted = self.call(|| {
            let (mut client, request) = (self.imports.clone(), request.clone());
            async move { client.keep_import(request).await }
        });
        adopted.await.map(drop).map_err(failed("name the run of an import"))
    }

    async fn finish(&self, version: &FinishedVersion) -> Result<(), RegistryError> {
        let request = wire::FinishModelVersionRequest {
            r#ref: Some(version_id_out(&version.id)),
            family: version.family.to_owned(),
            training_snapshot: version.training.to_string(),
            test_snapshot: version.test.to_string(),
        };
        let finished = self.call(|| {
            let (mut client, request) = (self.models.clone(), request.clone());
            async move { client.finish_model_version(request).await }
        });
        finished.await.map(drop).map_err(failed("finish a version"))
    }

    async fn evaluate(&self, id: &VersionId, evidence: &Evidence) -> Result<Decision, RegistryError> {
        const DOING: &str = "judge a version";
        let request = wire::EvaluateGateRequest {
            model: id.model.to_string(),
            version: id.version.0,
            evaluation: Some(evidence_out(evidence)),
        };
        let answer = self.call(|| {
            let (mut client, request) = (self.models.clone(), request.clone());
            async move { client.evaluate_gate(request).await }
        });
        let decision = answer
            .await
            .map_err(failed(DOING))?
            .decision
            .ok_or_else(|| odd(DOING, "no decision"))?;
        let failed_checks = decision.checks.into_iter().filter(|check| !check.passed);
        Ok(Decision {
            accepted: decision.accepted,
            failed_checks: failed_checks
                .map(|check| format!("{}: {}", check.name, check.message))
                .collect(),
            champion_generation: Generation(decision.champion_generation),
            test_snapshot_uses: (decision.test_snapshot_uses > 0).then_some(decision.test_snapshot_uses),
        })
    }

    async fn promote(&self, id: &VersionId, expected: Generation, note: &str) -> Result<Promotion, RegistryError> {
        const DOING: &str = "promote a version";
        let request = wire::PromoteRequest {
            model: id.model.to_string(),
            version: id.version.0,
            expected_generation: Some(expected.0),
            actor: ACTOR.to_owned(),
            note: note.to_owned(),
            override_gate: false,
        };
        let answer = self.call(|| {
            let (mut client, request) = (self.champions.clone(), request.clone());
            async move { client.promote(request).await }
        });
        match answer.await {
            Ok(wire::PromoteResponse {
                waiting: Some(waiting), ..
            }) => Ok(Promotion::Waiting {
                promotion: waiting.promotion,
                approvers: waiting.needed,
            }),
            Ok(answer) => Ok(Promotion::Won(Generation(answer.entry.unwrap_or_default().generation))),
            Err(status) if status.code() == tonic::Code::Aborted => {
                // A call whose answer was lost has perhaps won: then the champion that is in the way is this very version.
                let winner = self.champion(&id.model).await?;
                Ok(match winner {
                    Some(champion) if champion.id == *id => Promotion::Won(champion.generation),
                    _ => Promotion::LostRace,
                })
            }
            Err(status) => Err(failed(DOING)(status)),
        }
    }
}

fn metrics_out(batch: &Batch) -> Vec<wire::Metric> {
    let at = Some(time::to_wire(batch.at));
    let metric = |key: &String, value, step| wire::Metric {
        key: key.clone(),
        value,
        measured_at: at,
        step,
        ..wire::Metric::default()
    };
    let plain = batch.metrics.iter().map(|(key, value)| metric(key, *value, 0));
    let steps = batch
        .series
        .iter()
        .flat_map(|(key, values)| (0..).zip(values).map(move |(step, value)| (key, *value, step)));
    plain
        .chain(steps.map(|(key, value, step)| metric(key, value, step)))
        .collect()
}

fn version_id_in(named: &ModelRef) -> Result<VersionId, holdfast_domain::InvalidId> {
    Ok(VersionId {
        model: named.model.parse()?,
        version: ModelVersion(named.version),
        artifact_digest: named.artifact_digest.parse()?,
    })
}

fn version_id_out(id: &VersionId) -> ModelRef {
    ModelRef {
        model: id.model.to_string(),
        version: id.version.0,
        artifact_digest: id.artifact_digest.to_string(),
    }
}

fn evidence_out(evidence: &Evidence) -> wire::Evaluation {
    wire::Evaluation {
        test_snapshot: evidence.test_snapshot.to_string(),
        full: Some(quality_out(&evidence.full)),
        required_only: Some(quality_out(&evidence.required_only)),
        baseline: Some(quality_out(&evidence.baseline)),
        baseline_p_value: evidence.baseline_p_value,
        champion: evidence.champion.as_ref().map(comparison_out),
        newest_window: evidence.newest_window.as_ref().map(comparison_out),
        slices: evidence.slices.iter().map(slice_out).collect(),
    }
}

fn comparison_out(comparison: &Comparison) -> wire::PairedComparison {
    let paired = &comparison.paired;
    wire::PairedComparison {
        snapshot: comparison.snapshot.to_string(),
        champion: Some(version_id_out(&comparison.champion)),
        candidate_quality: Some(quality_out(&paired.candidate)),
        champion_quality: Some(quality_out(&paired.champion)),
        auc_delta: paired.delta,
        auc_delta_standard_error: paired.standard_error,
        p_value: paired.p_value,
    }
}

fn slice_out(slice: &Slice) -> wire::SliceQuality {
    wire::SliceQuality {
        column: slice.column.clone(),
        group: slice.group.clone(),
        quality: Some(quality_out(&slice.quality)),
        too_small: slice.too_small,
    }
}

fn quality_out(quality: &Quality) -> wire::Quality {
    wire::Quality {
        rows: quality.rows,
        positives: quality.positives,
        roc_auc: quality.roc_auc,
        roc_auc_lower: quality.roc_auc_lower,
        roc_auc_upper: quality.roc_auc_upper,
        pr_auc: quality.pr_auc,
        log_loss: quality.log_loss,
        brier: quality.brier,
        calibration_error: quality.calibration_error,
        f1: quality.f1,
        accuracy: quality.accuracy,
        precision: quality.precision,
        recall: quality.recall,
    }
}
