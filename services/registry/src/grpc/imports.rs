//! `ImportService`.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::import_service_server::ImportService;
use holdfast_api::time;
use holdfast_api::training::v1::{ImportModelHeader, ModelRounds};
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::{status, violation};
use crate::service::imports::{ClaimId, ImportClaim, ImportEnd, ImportRecord, ImportState, Imports};

/// `ImportService` over [`Imports`].
#[derive(Clone, Debug)]
pub(crate) struct ImportAdapter {
    imports: Imports,
}

impl ImportAdapter {
    /// The adapter.
    pub(crate) fn new(imports: Imports) -> Self {
        Self { imports }
    }
}

#[tonic::async_trait]
impl ImportService for ImportAdapter {
    async fn request_import(
        &self,
        request: Request<wire::RequestImportRequest>,
    ) -> Result<Response<wire::RequestImportResponse>, Status> {
        let request = request.into_inner();
        let wishes = request.wishes.unwrap_or_default();
        let asker = wishes.requested_by.clone();
        let wishes = (wishes.encode_to_vec(), is_insistent(&wishes));
        let asked = self.imports.request(&request.model, request.version, wishes, &asker);
        let import = Some(record_out(asked.await.map_err(status)?));
        Ok(Response::new(wire::RequestImportResponse { import }))
    }

    async fn get_import(
        &self,
        request: Request<wire::GetImportRequest>,
    ) -> Result<Response<wire::GetImportResponse>, Status> {
        let request = request.into_inner();
        let got = self.imports.get(&request.model, request.version).await;
        let import = Some(record_out(got.map_err(status)?));
        Ok(Response::new(wire::GetImportResponse { import }))
    }

    async fn claim_import(
        &self,
        _request: Request<wire::ClaimImportRequest>,
    ) -> Result<Response<wire::ClaimImportResponse>, Status> {
        let claimed = self.imports.claim().await.map_err(status)?;
        let claim = claimed.map(|(claim, maker)| claim_out(claim, maker)).transpose()?;
        Ok(Response::new(wire::ClaimImportResponse {
            claim,
            lease_ms: u64::try_from(self.imports.lease().as_millis()).unwrap_or(u64::MAX),
        }))
    }

    async fn keep_import(
        &self,
        request: Request<wire::KeepImportRequest>,
    ) -> Result<Response<wire::KeepImportResponse>, Status> {
        let wire::KeepImportRequest {
            model,
            version,
            number,
            run_id,
            plan,
        } = request.into_inner();
        let claim = ClaimId { model, version, number };
        let plan = self.imports.keep(&claim, &run_id, &plan).await.map_err(status)?;
        Ok(Response::new(wire::KeepImportResponse { plan }))
    }

    async fn end_import(
        &self,
        request: Request<wire::EndImportRequest>,
    ) -> Result<Response<wire::EndImportResponse>, Status> {
        let request = request.into_inner();
        let end = match request.outcome() {
            wire::ImportOutcome::Failed => ImportEnd::Failed(request.why),
            wire::ImportOutcome::PutBack => ImportEnd::PutBack,
            wire::ImportOutcome::Unspecified => {
                return Err(violation("outcome", "required", "must say how the claim ends"));
            }
        };
        let claim = ClaimId {
            model: request.model,
            version: request.version,
            number: request.number,
        };
        let import = Some(record_out(self.imports.end(&claim, end).await.map_err(status)?));
        Ok(Response::new(wire::EndImportResponse { import }))
    }
}

/// Whether something is wished for that an import without wishes would not do.
fn is_insistent(wishes: &ImportModelHeader) -> bool {
    let plain = ImportModelHeader {
        requested_by: wishes.requested_by.clone(),
        promote: wishes.promote.filter(|promote| !promote),
        rounds: match wishes.rounds() {
            ModelRounds::Best => ModelRounds::Best.into(),
            _ => ModelRounds::Unspecified.into(),
        },
        ..ImportModelHeader::default()
    };
    *wishes != plain
}

fn record_out(record: ImportRecord) -> wire::Import {
    let state = match record.state {
        ImportState::Requested => wire::ImportState::Requested,
        ImportState::Running => wire::ImportState::Running,
        ImportState::Done => wire::ImportState::Done,
        ImportState::Failed => wire::ImportState::Failed,
    };
    wire::Import {
        model: record.model,
        version: record.version,
        state: state.into(),
        why: record.why,
        run_id: record.run_id,
        library: record.library,
        file: record.file,
        requested_by: record.requested_by,
        requested_at: Some(time::to_wire(record.requested_at)),
        claimed_at: record.claimed_at.map(time::to_wire),
    }
}

fn claim_out(claim: ImportClaim, maker: String) -> Result<wire::ImportClaim, Status> {
    let wishes = ImportModelHeader::decode(claim.wishes.as_slice());
    let mut wishes = wishes.map_err(|error| Status::internal(format!("wishes of an import: {error}")))?;
    wishes.requested_by = maker;
    Ok(wire::ImportClaim {
        import: Some(record_out(claim.record)),
        number: claim.number,
        wishes: Some(wishes),
        signature_columns: claim.columns,
        plan: claim.plan,
    })
}
