//! Checking the prediction log in a blob store: its segments, and whether the versions they name are the ones that were champion.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use holdfast_domain::{ModelName, ModelVersion, Schema};
use holdfast_storage::{BlobStore, Key};
use jiff::Timestamp;

use super::audit::{AuditReport, FaultKind, LogAudit};
use super::objects::{list_objects, read_object};
use crate::champion::{ChampionLog, StoredEntry, Verification};
use crate::error::Error;
use crate::layout::{champion_key, model_key};
use crate::model_manifest;

/// Segments read ahead.
const READ_AHEAD: usize = 3;

/// Checks the segments whose hours lie between those of `from` and `to`, and every version that their records name. `progress` is told
/// how many segments there are and how many are checked.
///
/// # Errors
/// The store's. What is wrong with the log is in the report.
pub async fn verify_log(
    store: &Arc<dyn BlobStore>,
    schema: &Schema,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    mut progress: impl FnMut(usize, usize),
) -> Result<AuditReport, Error> {
    let listing = list_objects(&**store, from, to).await?;
    let schema = Arc::new(schema.clone());
    let mut audit = LogAudit::default();
    for key in &listing.foreign {
        audit.fault(
            key,
            None,
            FaultKind::ForeignName,
            "its name is none of the prediction log's",
        );
    }
    let mut logs = Champions {
        store,
        entries: Vec::new(),
        known: BTreeSet::new(),
    };
    let reads = futures::stream::iter(&listing.objects).map(|object| {
        let schema = Arc::clone(&schema);
        async move { (object, read_object(&**store, &object.key, &schema).await) }
    });
    let mut reads = std::pin::pin!(reads.buffered(READ_AHEAD));
    let mut done = 0;
    progress(listing.objects.len(), done);
    while let Some((object, read)) = reads.next().await {
        audit.object(object);
        match read {
            Ok(records) => {
                let models: BTreeSet<&ModelName> = records.iter().map(|record| &record.model).collect();
                for model in models {
                    logs.learn(model, &mut audit).await?;
                }
                audit.records(object, &records);
            }
            Err(error) => {
                let Some(why) = error.format() else { return Err(error) };
                audit.fault(&object.key, None, FaultKind::Unreadable, why.to_string());
            }
        }
        done += 1;
        progress(listing.objects.len(), done);
    }
    let versions: Vec<(ModelName, ModelVersion)> = audit.versions().cloned().collect();
    for (model, version) in versions {
        logs.check_version(&model, version, &mut audit).await?;
    }
    Ok(audit.finish())
}

/// The champion logs of the models met.
struct Champions<'a> {
    store: &'a Arc<dyn BlobStore>,
    entries: Vec<StoredEntry>,
    known: BTreeSet<ModelName>,
}

impl Champions<'_> {
    /// Reads a model's champion log, once.
    async fn learn(&mut self, model: &ModelName, audit: &mut LogAudit) -> Result<(), Error> {
        if !self.known.insert(model.clone()) {
            return Ok(());
        }
        let log = ChampionLog::new(Arc::clone(self.store), model.clone());
        if let Verification::Broken(broken) = log.verify().await? {
            let key = champion_key(model, broken.generation);
            audit.fault(&key, None, FaultKind::ChampionLog, broken.to_string());
        }
        match log.history().await {
            Ok(entries) => {
                audit.answering(
                    model.clone(),
                    entries
                        .iter()
                        .map(|stored| (stored.entry.generation, stored.entry.version)),
                );
                self.entries.extend(entries);
            }
            // Said already: without it the generations of its records are not checked.
            Err(Error::BrokenChain(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether a version is there, and is what was made champion.
    async fn check_version(&self, model: &ModelName, version: ModelVersion, audit: &mut LogAudit) -> Result<(), Error> {
        let key = model_key(model, version);
        let manifest = match model_manifest::read(&**self.store, model, version).await {
            Ok(manifest) => manifest,
            Err(error) => return version_fault(error, &key, audit),
        };
        if let Err(error) = model_manifest::read_artifact(&**self.store, &manifest).await {
            version_fault(error, &key, audit)?;
        }
        let of_version = self.entries.iter().map(|stored| &stored.entry);
        let of_version = of_version.filter(|entry| entry.model == *model && entry.version == version);
        for entry in of_version.filter(|entry| entry.artifact_digest != manifest.artifact_digest) {
            let detail = format!(
                "its digest is {}, and generation {} made {} champion",
                manifest.artifact_digest, entry.generation, entry.artifact_digest
            );
            audit.fault(&key, None, FaultKind::OtherArtifact, detail);
        }
        Ok(())
    }
}

/// What is wrong with a version is a fault of the log; a store that does not answer is not.
fn version_fault(error: Error, key: &Key, audit: &mut LogAudit) -> Result<(), Error> {
    if !error.is_not_found() && error.format().is_none() {
        return Err(error);
    }
    audit.fault(key, None, FaultKind::UnknownVersion, error.to_string());
    Ok(())
}
