//! Models, their versions and the gate's decisions about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use holdfast_chassis::clock::Clock;
use holdfast_domain::{Digest, ModelName, ModelVersion, RunId};
use holdfast_records::champion::ChampionLog;
use holdfast_records::{layout, model_manifest};
use holdfast_storage::{BlobStore, Created};
use jiff::Timestamp;

use super::gate::{self, CurrentChampion, Evaluation, GateDecision, GatePolicy, ModelId};
use super::imports::ImportRefusal;
use super::store::{ImportStore, Page, PageRequest, TrackingStore, VersionStore};
use crate::error::{Error, Result, Violation};
use crate::metrics::{GateLabels, Metrics, Verdict};

/// State of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionStatus {
    /// Number reserved, artefact not there yet.
    Pending,
    /// Artefact and manifest in the blob store.
    Ready,
}

/// How a version came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A run of Holdfast has reserved it.
    Training,
    /// It was registered from files; an import makes its artefact.
    Registered,
}

/// What becomes known of a version when its artefact is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedVersion {
    /// The run that made the artefact.
    pub run_id: RunId,
    /// SHA-256 of the artefact.
    pub artifact_digest: Digest,
    /// Its size in bytes.
    pub artifact_size_bytes: u64,
    /// Family of the estimator.
    pub family: String,
    /// Digest of the training snapshot; may be empty for an imported model.
    pub training_snapshot: String,
    /// Digest of the test snapshot; may be empty for an imported model.
    pub test_snapshot: String,
}

/// One version of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionRecord {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
    /// State.
    pub status: VersionStatus,
    /// The run that made its artefact; while it has none, the run that it comes from.
    pub run_id: String,
    /// SHA-256 of the artefact, once ready.
    pub artifact_digest: Option<Digest>,
    /// Size of the artefact in bytes.
    pub artifact_size_bytes: u64,
    /// Family of the estimator.
    pub family: String,
    /// Digest of the training snapshot.
    pub training_snapshot: String,
    /// Digest of the test snapshot.
    pub test_snapshot: String,
    /// When the number was reserved.
    pub created_at: Timestamp,
    /// Who asked for it.
    pub created_by: String,
    /// How it came to be.
    pub origin: Origin,
    /// The gate's decisions about it, oldest first.
    pub decisions: Vec<GateDecision>,
}

impl VersionRecord {
    /// Its name, number and digest.
    ///
    /// # Errors
    /// [`Error::VersionNotReady`] while it has no artefact.
    pub fn id(&self) -> Result<ModelId> {
        match (self.status, self.artifact_digest) {
            (VersionStatus::Ready, Some(artifact_digest)) => Ok(ModelId {
                model: self.model.clone(),
                version: self.version,
                artifact_digest,
            }),
            _ => Err(Error::VersionNotReady {
                model: self.model.clone(),
                version: self.version,
            }),
        }
    }
}

/// One model in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSummary {
    /// Its name.
    pub model: ModelName,
    /// Number of versions.
    pub versions: u32,
    /// The newest.
    pub latest: ModelVersion,
    /// The champion.
    pub champion: Option<ModelVersion>,
}

/// Versions over a metadata store and a blob store.
#[derive(Clone, Debug)]
pub struct Models {
    store: Arc<dyn VersionStore>,
    runs: Arc<dyn TrackingStore>,
    imports: Arc<dyn ImportStore>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    policy: GatePolicy,
    metrics: Metrics,
}

impl Models {
    /// Versions in `store`, whose runs it knows too, artefacts in `blobs`, judged by `policy`.
    pub fn new<S: VersionStore + TrackingStore + ImportStore + 'static>(
        store: Arc<S>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        policy: GatePolicy,
        metrics: Metrics,
    ) -> Self {
        Self {
            store: store.clone(),
            runs: store.clone(),
            imports: store,
            blobs,
            clock,
            policy,
            metrics,
        }
    }

    /// Reserves the next version; the same run again gets the same version.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a run id that is no UUID; the database's.
    pub async fn reserve(&self, model: &ModelName, run_id: &str, by: &str) -> Result<VersionRecord> {
        if run_id.parse::<RunId>().is_err() {
            return Err(Violation::new("run_id", "uuid", "must be a UUID").into());
        }
        self.store.reserve_version(model, run_id, by, self.clock.now()).await
    }

    /// Makes a version ready: the artefact must be in the blob store with the digest claimed. The manifest is written
    /// last and only once, so a version that a reader can see is whole.
    ///
    /// # Errors
    /// [`Error::ArtifactMissing`], [`Error::ArtifactDigest`], [`Error::VersionIsOther`], [`ImportRefusal::NotAtWork`]; the stores'.
    pub async fn finish(
        &self,
        model: &ModelName,
        version: ModelVersion,
        claimed: Digest,
        family: &str,
        snapshots: (&str, &str),
    ) -> Result<VersionRecord> {
        let reserved = self.store.version(model, version).await?;
        let (training, test) = snapshots;
        let mut named = BTreeMap::new();
        for (field, role, text) in [
            ("training_snapshot", "training", training),
            ("test_snapshot", "test", test),
        ] {
            if !text.is_empty() {
                let digest = text
                    .parse::<Digest>()
                    .map_err(|_| Violation::new(field, "digest", "must be 64 hexadecimal digits"))?;
                named.insert(role.to_owned(), digest);
            }
        }
        let artifact_size_bytes = self.check_artifact(model, version, claimed).await?;
        let run_id = self.made_by(&reserved, claimed).await?;
        let facts = FinishedVersion {
            run_id: run_id.clone(),
            artifact_digest: claimed,
            artifact_size_bytes,
            family: family.to_owned(),
            training_snapshot: training.to_owned(),
            test_snapshot: test.to_owned(),
        };
        let manifest = model_manifest::ModelManifest {
            format_version: model_manifest::FORMAT_VERSION,
            model: model.clone(),
            version,
            artifact_digest: claimed,
            size_bytes: artifact_size_bytes,
            run_id,
            snapshots: named,
            family: family.to_owned(),
            created_at: reserved.created_at,
            created_by: reserved.created_by,
            metrics: BTreeMap::new(),
        };
        // Written now, or by the same call before its answer was lost.
        let (Created::Yes | Created::AlreadyExists) = model_manifest::write(&*self.blobs, &manifest).await?;
        self.store.finish_version(model, version, &facts).await
    }

    /// The run that makes an artefact. Of a registered version it is that of its import; where an earlier try has written the
    /// manifest already, it is the one named there, since a manifest is written once.
    async fn made_by(&self, version: &VersionRecord, claimed: Digest) -> Result<RunId> {
        let parsed = |id: &str| RunId::parse(id).map_err(|_| Error::Corrupt(format!("run id {id:?}")));
        if version.origin == Origin::Training {
            return parsed(&version.run_id);
        }
        let (model, number) = (version.model.clone(), version.version);
        match model_manifest::read(&*self.blobs, &model, number).await {
            Ok(manifest) if manifest.artifact_digest == claimed => return Ok(manifest.run_id),
            Ok(_) => return Err(Error::VersionIsOther { model, version: number }),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        match self.imports.import(model.as_str(), number.0).await? {
            Some(import) if !import.run_id.is_empty() => parsed(&import.run_id),
            _ => Err(ImportRefusal::NotAtWork {
                model: model.to_string(),
                version: number.0,
            }
            .into()),
        }
    }

    /// Who started the run that made a version: the run's own word, or who asked for the version.
    ///
    /// # Errors
    /// [`Error::StarterUnknown`] when neither is on record; the database's.
    pub async fn run_started_by(&self, record: &VersionRecord) -> Result<String> {
        let started_by = match self.runs.run(&record.run_id).await {
            Ok(run) => run.started_by().map(str::to_owned),
            Err(Error::NoSuchRun(_)) => None,
            Err(error) => return Err(error),
        };
        let known = started_by.or_else(|| Some(record.created_by.clone()).filter(|name| !name.trim().is_empty()));
        known.ok_or_else(|| Error::StarterUnknown {
            model: record.model.clone(),
            version: record.version,
        })
    }

    /// Size in bytes of an artefact that has the digest claimed.
    pub(crate) async fn check_artifact(
        &self,
        model: &ModelName,
        version: ModelVersion,
        claimed: Digest,
    ) -> Result<u64> {
        let artifact = self.artifact(model, version, claimed).await?;
        Ok(artifact.len() as u64)
    }

    /// An artefact that has the digest claimed.
    pub(crate) async fn artifact(&self, model: &ModelName, version: ModelVersion, claimed: Digest) -> Result<Bytes> {
        let key = layout::model_key(model, version);
        let bytes = match self.blobs.get(&key).await {
            Ok(bytes) => bytes,
            Err(holdfast_storage::Error::NotFound { .. }) => return Err(Error::ArtifactMissing(key.to_string())),
            Err(other) => return Err(other.into()),
        };
        let found = Digest::of(&bytes);
        if found == claimed {
            return Ok(bytes);
        }
        Err(Error::ArtifactDigest {
            key: key.to_string(),
            claimed,
            found,
        })
    }

    /// One version.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]; the database's.
    pub async fn version(&self, model: &ModelName, version: ModelVersion) -> Result<VersionRecord> {
        self.store.version(model, version).await
    }

    /// A model's versions, newest first.
    ///
    /// # Errors
    /// [`Error::NoSuchModel`]; the database's.
    pub async fn versions(&self, model: &ModelName, page: &PageRequest) -> Result<Page<VersionRecord>> {
        self.store.versions(model, page).await
    }

    /// All models by name.
    ///
    /// # Errors
    /// The stores'.
    pub async fn models(&self) -> Result<Vec<ModelSummary>> {
        let mut summaries = Vec::new();
        for (model, versions, latest) in self.store.models().await? {
            let champion = ChampionLog::new(self.blobs.clone(), model.clone()).head().await?;
            summaries.push(ModelSummary {
                model,
                versions,
                latest,
                champion: champion.map(|stored| stored.entry.version),
            });
        }
        Ok(summaries)
    }

    /// Judges a version and keeps the decision in the database and beside the artefact, where it outlives the database. The same
    /// evidence against the same champion again is answered with the decision that was made first.
    ///
    /// Not guaranteed: of two versions judged at the same moment, both may be counted as the same use of their test snapshot.
    ///
    /// # Errors
    /// [`Error::VersionNotReady`]; the stores'.
    pub async fn evaluate(
        &self,
        model: &ModelName,
        version: ModelVersion,
        evaluation: Evaluation,
    ) -> Result<GateDecision> {
        self.store.version(model, version).await?.id()?;
        let head = ChampionLog::new(self.blobs.clone(), model.clone()).head().await?;
        let champion = head.map(|stored| CurrentChampion {
            generation: stored.entry.generation,
            model: ModelId {
                model: stored.entry.model,
                version: stored.entry.version,
                artifact_digest: stored.entry.artifact_digest,
            },
        });
        let others = self
            .store
            .others_judged_on(model, version, &evaluation.test_snapshot)
            .await?;
        let made = GateDecision {
            test_snapshot_uses: Some(others.saturating_add(1)),
            ..gate::decide(evaluation, &self.policy, champion.as_ref(), self.clock.now())
        };
        let decision = self.keep_first(model, version, made).await?;
        self.store
            .record_decision(model, version, &decision.evaluation_digest, &decision)
            .await?;
        let verdict = if decision.accepted {
            Verdict::Accepted
        } else {
            Verdict::Rejected
        };
        self.metrics.gate_decisions.get_or_create(&GateLabels { verdict }).inc();
        tracing::info!(
            %model, %version, accepted = decision.accepted, generation = decision.champion_generation.0,
            test_snapshot_uses = decision.test_snapshot_uses,
            failed = ?decision.checks.iter().filter(|check| !check.passed).map(|check| &check.name).collect::<Vec<_>>(),
            "gate decided"
        );
        Ok(decision)
    }

    /// Stores a decision, unless there is one from the same evidence: then that one stands.
    async fn keep_first(
        &self,
        model: &ModelName,
        version: ModelVersion,
        decision: GateDecision,
    ) -> Result<GateDecision> {
        let corrupt = |source: serde_json::Error| Error::Corrupt(format!("gate decision: {source}"));
        let json = serde_json::to_vec_pretty(&decision).map_err(corrupt)?;
        let key = layout::decision_key(model, version, &decision.evaluation_digest);
        match holdfast_storage::create_resolving(&*self.blobs, &key, Bytes::from(json)).await? {
            Created::Yes => Ok(decision),
            Created::AlreadyExists => serde_json::from_slice(&self.blobs.get(&key).await?).map_err(corrupt),
        }
    }
}
