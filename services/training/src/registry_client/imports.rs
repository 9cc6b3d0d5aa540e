//! The registry's imports and artefacts over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::read_artifact_response::Part;
use holdfast_domain::{ModelVersion, RunId};
use tonic::Status;

use super::{GrpcRegistry, failed, odd};
use crate::grpc::wishes_in;
use crate::service::imports::{Claim, ClaimEnd, ClaimId, ImportQueue, Kept, Wanted};
use crate::service::registry::RegistryError;
use crate::settings::Settings;

/// How long the next piece of a file may take.
const READ_SILENCE: Duration = Duration::from_secs(30);
/// Leases that are believed: one that is shorter would be kept all the time.
const SHORTEST_LEASE: Duration = Duration::from_millis(300);

/// Imports of a registry. Wishes are completed by the settings, as those of every run are.
#[derive(Clone, Debug)]
pub(crate) struct GrpcImports {
    registry: GrpcRegistry,
    settings: Settings,
}

impl GrpcImports {
    /// The imports of `registry`.
    pub(crate) fn new(registry: GrpcRegistry, settings: Settings) -> Self {
        Self { registry, settings }
    }

    fn claim_in(&self, claim: wire::ImportClaim, lease_ms: u64) -> Result<Claim, RegistryError> {
        const DOING: &str = "hand out an import";
        let import = claim.import.ok_or_else(|| odd(DOING, "no import"))?;
        let id = ClaimId {
            model: import.model.parse().map_err(|error| odd(DOING, error))?,
            version: ModelVersion(import.version),
            number: claim.number,
        };
        let mut wishes = claim.wishes.unwrap_or_default();
        let names_rows = !wishes.snapshot.is_empty();
        wishes.model = import.model;
        wishes.source = format!("models:/{}/{}", id.model, id.version);
        wishes.format = holdfast_api::training::v1::ModelFormat::Unspecified.into();
        wishes.promote = Some(wishes.promote.unwrap_or(false));
        let wanted = wishes_in(wishes, &self.settings).map(|(request, sent)| Wanted {
            request,
            sent,
            names_rows,
        });
        Ok(Claim {
            id,
            lease: Duration::from_millis(lease_ms).max(SHORTEST_LEASE),
            file: import.file,
            signature: claim.signature_columns,
            plan: claim.plan,
            wanted,
        })
    }
}

#[async_trait]
impl ImportQueue for GrpcImports {
    async fn claim(&self) -> Result<Option<Claim>, RegistryError> {
        // Once only: a claim whose answer is lost is one more that runs out.
        let mut client = self.registry.imports.clone();
        let answer = client.claim_import(wire::ClaimImportRequest {}).await;
        let answer = answer.map_err(failed("hand out an import"))?.into_inner();
        let claim = answer.claim.map(|claim| self.claim_in(claim, answer.lease_ms));
        claim.transpose()
    }

    async fn keep(&self, claim: &ClaimId, run: Option<&RunId>, plan: &str) -> Result<Kept, RegistryError> {
        let request = wire::KeepImportRequest {
            model: claim.model.to_string(),
            version: claim.version.0,
            number: claim.number,
            run_id: run.map(RunId::to_string).unwrap_or_default(),
            plan: plan.to_owned(),
        };
        let kept = self.registry.call(|| {
            let (mut client, request) = (self.registry.imports.clone(), request.clone());
            async move { client.keep_import(request).await }
        });
        match kept.await {
            Ok(answer) => Ok(Kept::Yes(answer.plan)),
            Err(status) if status.code() == tonic::Code::Aborted => Ok(Kept::No),
            Err(status) => Err(failed("keep an import")(status)),
        }
    }

    async fn end(&self, claim: &ClaimId, end: &ClaimEnd) -> Result<(), RegistryError> {
        let (outcome, why) = match end {
            ClaimEnd::Failed(why) => (wire::ImportOutcome::Failed, why.clone()),
            ClaimEnd::PutBack => (wire::ImportOutcome::PutBack, String::new()),
        };
        let request = wire::EndImportRequest {
            model: claim.model.to_string(),
            version: claim.version.0,
            number: claim.number,
            outcome: outcome.into(),
            why,
        };
        let ended = self.registry.call(|| {
            let (mut client, request) = (self.registry.imports.clone(), request.clone());
            async move { client.end_import(request).await }
        });
        match ended.await {
            // Ended by the same call before its answer was lost, or by time.
            Err(status) if status.code() == tonic::Code::Aborted => Ok(()),
            ended => ended.map(drop).map_err(failed("end an import")),
        }
    }

    async fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, RegistryError> {
        const DOING: &str = "read a model file";
        let read = pieces(&self.registry, path, limit).await.map_err(failed(DOING))?;
        read.ok_or_else(|| RegistryError::Refused {
            doing: DOING,
            why: format!("{path} has more than the {limit} bytes that are taken in (setting training.max_model_bytes)"),
        })
    }
}

/// The bytes of a file; `None` when there are more than `limit`.
async fn pieces(registry: &GrpcRegistry, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Status> {
    let request = wire::ReadArtifactRequest { path: path.to_owned() };
    let mut stream = registry.artifacts.clone().read_artifact(request).await?.into_inner();
    let mut bytes = Vec::new();
    loop {
        let next = tokio::time::timeout(READ_SILENCE, stream.message()).await;
        let next = next.map_err(|_| Status::deadline_exceeded("no piece of the file came for 30 s"))??;
        match next.map(|message| message.part) {
            None => return Ok(Some(bytes)),
            Some(Some(Part::Artifact(info))) if info.size_bytes > limit => return Ok(None),
            Some(Some(Part::Chunk(chunk))) => {
                bytes.extend_from_slice(&chunk);
                if bytes.len() as u64 > limit {
                    return Ok(None);
                }
            }
            Some(_) => {}
        }
    }
}
