//! Imports of registered versions: the model file of a version that was registered from files becomes an artefact.
//!
//! The registry asks and keeps the record; training does the work under a lease. What is done twice is harmless: the first plan
//! stays, so that a second try makes the same bytes, artefact and manifest are written once only, and the import is done in the
//! transaction that keeps the gate's decision.
//!
//! Not guaranteed: a version that the gate has accepted is promoted, where that was wished for, by the training that was at it;
//! one that dies between the two leaves it accepted and not promoted.

mod inspect;
mod refusal;

use std::sync::Arc;
use std::time::Duration;

use holdfast_chassis::clock::Clock;
use holdfast_domain::{ModelName, RunId};
use holdfast_storage::BlobStore;
use jiff::Timestamp;

use super::registered::{Readiness, RegisteredVersion};
use super::store::{ArtifactStore, ImportStore, RegisteredModelStore, TrackingStore};
use crate::error::{Error, Result, Violation};

pub(super) use inspect::{Inspected, inspect};
pub use refusal::ImportRefusal;

/// Largest wishes and largest plan, in bytes.
pub const MAX_TEXT_BYTES: usize = 64 << 10;
/// Longest reason, in characters.
pub const MAX_WHY_CHARS: usize = 2_000;
/// How often an import may end without a word before it is given up: what kills whoever does it must not do so for ever.
const MOST_TRIES: u32 = 5;

/// How an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportState {
    /// It waits for a training service.
    Requested,
    /// A training service is at it.
    Running,
    /// The version has an artefact and a decision of the gate.
    Done,
    /// It ended without.
    Failed,
}

impl ImportState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Requested, Self::Running, Self::Done, Self::Failed];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// The import of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRecord {
    /// The model.
    pub model: String,
    /// The version.
    pub version: u32,
    /// How it stands.
    pub state: ImportState,
    /// Why it failed; empty otherwise.
    pub why: String,
    /// The run that does or did it; empty before.
    pub run_id: String,
    /// `xgboost` or `lightgbm`.
    pub library: String,
    /// Path of the model file among the artefacts.
    pub file: String,
    /// Who asked for it; empty when the registry did.
    pub requested_by: String,
    /// When it was asked for last.
    pub requested_at: Timestamp,
    /// When it was taken up last.
    pub claimed_at: Option<Timestamp>,
}

/// What an import is asked for with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewImport {
    /// `xgboost` or `lightgbm`.
    pub library: String,
    /// Path of the model file among the artefacts.
    pub file: String,
    /// Names of the columns by the model's signature; may be empty.
    pub columns: Vec<String>,
    /// Who asks; empty for the registry.
    pub requested_by: String,
    /// Wishes, in the adapter's words.
    pub wishes: Vec<u8>,
}

/// An import that was taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportClaim {
    /// The import.
    pub record: ImportRecord,
    /// Number of the claim; a later one ends it.
    pub number: u64,
    /// Names of the columns by the model's signature; may be empty.
    pub columns: Vec<String>,
    /// Wishes, in the adapter's words.
    pub wishes: Vec<u8>,
    /// What an earlier claim has resolved to do; may be empty.
    pub plan: String,
}

/// Names a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimId {
    /// The model.
    pub model: String,
    /// The version.
    pub version: u32,
    /// Number of the claim.
    pub number: u64,
}

/// How a claim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportEnd {
    /// Nothing came of it, and nothing would come of another try; why, and what to do.
    Failed(String),
    /// It can be taken up again.
    PutBack,
}

/// Imports over a metadata store; model files are read from the artefacts.
#[derive(Clone, Debug)]
pub struct Imports {
    store: Arc<dyn ImportStore>,
    versions: Arc<dyn RegisteredModelStore>,
    runs: Arc<dyn TrackingStore>,
    files: Arc<dyn ArtifactStore>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    lease: Duration,
}

impl Imports {
    /// Imports in `store`, of files in `blobs`. A claim holds for `lease` unless it is kept.
    pub fn new<S>(store: Arc<S>, blobs: Arc<dyn BlobStore>, clock: Arc<dyn Clock>, lease: Duration) -> Self
    where
        S: ImportStore + RegisteredModelStore + TrackingStore + ArtifactStore + 'static,
    {
        Self {
            store: store.clone(),
            versions: store.clone(),
            runs: store.clone(),
            files: store,
            blobs,
            clock,
            lease,
        }
    }

    /// How long a claim holds.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Asks for the import of a version. One at work or done stays as it is; where it has `insistent` wishes, it is refused rather than
    /// forgotten.
    ///
    /// # Errors
    /// [`ImportRefusal::NotImportable`] says why not and what to do; [`ImportRefusal::AtWork`]; [`Error::Invalid`]; no such version; the
    /// stores'.
    pub async fn request(
        &self,
        model: &str,
        version: u32,
        (wishes, insistent): (Vec<u8>, bool),
        asker: &str,
    ) -> Result<ImportRecord> {
        if wishes.len() > MAX_TEXT_BYTES {
            return Err(Violation::new("wishes", "too_large", "must have at most 64 KiB").into());
        }
        let found = self.versions.registered_version(model, version).await?;
        let not_importable = |why: &str| {
            let (model, why) = (model.to_owned(), why.to_owned());
            Error::from(ImportRefusal::NotImportable { model, version, why })
        };
        match found.readiness {
            Readiness::Files => {}
            Readiness::Reserved => return Err(not_importable("training makes its artefact itself")),
            Readiness::Artifact => {
                let before = self.store.import(model, version).await?;
                return before.ok_or_else(|| not_importable("it has an artefact already"));
            }
        }
        let new = match inspect(&*self.files, &*self.blobs, model, &found.location).await? {
            Inspected::Model(new) => NewImport {
                requested_by: asker.to_owned(),
                wishes,
                ..new
            },
            Inspected::Nothing(why) => return Err(not_importable(&why)),
        };
        let record = self
            .store
            .request_import(model, version, &new, self.clock.now())
            .await?;
        if insistent && record.state == ImportState::Running {
            let model = model.to_owned();
            return Err(ImportRefusal::AtWork { model, version }.into());
        }
        tracing::info!(model, version, asker, state = record.state.name(), "import asked for");
        Ok(record)
    }

    /// How the import of a version stands.
    ///
    /// # Errors
    /// [`ImportRefusal::NoImport`]; the database's.
    pub async fn get(&self, model: &str, version: u32) -> Result<ImportRecord> {
        let found = self.store.import(model, version).await?;
        let missing = || ImportRefusal::NoImport {
            model: model.to_owned(),
            version,
        };
        Ok(found.ok_or_else(missing)?)
    }

    /// Takes up the import that waits longest, with the person who made the model, as far as that is known.
    ///
    /// # Errors
    /// The stores'.
    pub async fn claim(&self) -> Result<Option<(ImportClaim, String)>> {
        let claimed = self
            .store
            .claim_import(self.clock.now(), self.lease, MOST_TRIES)
            .await?;
        let Some(claim) = claimed else { return Ok(None) };
        let (model, version) = (&claim.record.model, claim.record.version);
        let of = self.versions.registered_version(model, version).await?;
        let maker = self.maker(&of, &claim.record.requested_by).await?;
        tracing::info!(model, version, claim = claim.number, "import taken up");
        Ok(Some((claim, maker)))
    }

    /// Who made a model: who started its run, else who registered it, else who asks for its import. Nobody of that name may
    /// approve it.
    async fn maker(&self, version: &RegisteredVersion, asker: &str) -> Result<String> {
        let started_by = match self.runs.run(&version.run_id).await {
            Ok(run) => run.started_by().map(str::to_owned),
            Err(Error::NoSuchRun(_)) => None,
            Err(error) => return Err(error),
        };
        let known = [started_by, Some(version.user_id.clone()), Some(asker.to_owned())];
        let named = known.into_iter().flatten().find(|name| !name.trim().is_empty());
        Ok(named.unwrap_or_default())
    }

    /// Prolongs a claim; answers the plan that holds, which is the first that was brought. `run_id` and `plan` may be empty.
    ///
    /// # Errors
    /// [`ImportRefusal::ClaimEnded`]; [`Error::Invalid`]; the database's.
    pub async fn keep(&self, claim: &ClaimId, run_id: &str, plan: &str) -> Result<String> {
        if plan.len() > MAX_TEXT_BYTES {
            return Err(Violation::new("plan", "too_large", "must have at most 64 KiB").into());
        }
        if !run_id.is_empty() && RunId::parse(run_id).is_err() {
            return Err(Violation::new("run_id", "uuid", "must be the id of a run of training").into());
        }
        let until = self.clock.now() + self.lease;
        self.store.keep_import(claim, run_id, plan, until).await
    }

    /// Ends a claim. An import that the gate has decided about stays done.
    ///
    /// # Errors
    /// [`ImportRefusal::ClaimEnded`]; the database's.
    pub async fn end(&self, claim: &ClaimId, end: ImportEnd) -> Result<ImportRecord> {
        let end = match end {
            ImportEnd::Failed(why) => ImportEnd::Failed(why.chars().take(MAX_WHY_CHARS).collect()),
            ImportEnd::PutBack => ImportEnd::PutBack,
        };
        let record = self.store.end_import(claim, &end).await?;
        let (model, version) = (&claim.model, claim.version);
        tracing::info!(
            model,
            version,
            state = record.state.name(),
            why = record.why,
            "import ended"
        );
        Ok(record)
    }
}

/// Whether a name is one that versions with artefacts can have.
fn can_have_artifacts(name: &str) -> bool {
    ModelName::is_valid(name)
}
