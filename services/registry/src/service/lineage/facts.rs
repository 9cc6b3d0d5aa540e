//! Gathering what is on record from the blob store. Records never change, so each is read once and kept.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_domain::{Digest, ModelName, ModelVersion};
use holdfast_records::champion::ChampionLog;
use holdfast_records::{Location, model_manifest, snapshot};
use holdfast_storage::{BlobMeta, BlobStore, list_all};

use super::graph::Facts;
use crate::error::Result;
use crate::service::gate::GateDecision;

/// Records read at once.
const PARALLEL_READS: usize = 16;

enum Record {
    Snapshot(Digest, snapshot::SnapshotManifest),
    Version(ModelName, ModelVersion, model_manifest::ModelManifest),
    Decision(ModelName, ModelVersion, Digest, Box<GateDecision>),
}

/// Brings `facts` up to date: reads what is new, forgets what was removed. Three listings, and one read for each new record.
/// A damaged record is as good as none: what refers to it says that it is missing.
pub(super) async fn gather(blobs: &Arc<dyn BlobStore>, facts: &mut Facts) -> Result<()> {
    let mut listed = located(&list_all(&**blobs, "datasets").await?);
    listed.extend(located(&list_all(&**blobs, "models").await?));
    let has = |location: &Location| listed.contains(location);
    facts
        .snapshots
        .retain(|digest, _| has(&Location::SnapshotManifest(*digest)));
    facts
        .versions
        .retain(|(model, version), _| has(&Location::ModelManifest(model.clone(), *version)));
    facts
        .decisions
        .retain(|(model, version, digest), _| has(&Location::Decision(model.clone(), *version, *digest)));
    let new = listed.into_iter().filter(|location| !known(facts, location));
    let new: Vec<Location> = new.collect();
    let mut records = stream::iter(new)
        .map(|location| read(blobs, location))
        .buffer_unordered(PARALLEL_READS);
    while let Some(record) = records.try_next().await? {
        match record {
            Some(Record::Snapshot(digest, manifest)) => {
                facts.snapshots.insert(digest, manifest);
            }
            Some(Record::Version(model, version, manifest)) => {
                facts.versions.insert((model, version), manifest);
            }
            Some(Record::Decision(model, version, digest, decision)) => {
                facts.decisions.insert((model, version, digest), *decision);
            }
            None => {}
        }
    }
    champions(blobs, facts).await
}

fn located(objects: &[BlobMeta]) -> std::collections::HashSet<Location> {
    let locations = objects.iter().filter_map(|object| Location::parse(&object.key));
    let wanted = |location: &Location| {
        matches!(
            location,
            Location::SnapshotManifest(_) | Location::ModelManifest(..) | Location::Decision(..)
        )
    };
    locations.filter(wanted).collect()
}

fn known(facts: &Facts, location: &Location) -> bool {
    match location {
        Location::SnapshotManifest(digest) => facts.snapshots.contains_key(digest),
        Location::ModelManifest(model, version) => facts.versions.contains_key(&(model.clone(), *version)),
        Location::Decision(model, version, digest) => facts.decisions.contains_key(&(model.clone(), *version, *digest)),
        _ => true,
    }
}

async fn read(blobs: &Arc<dyn BlobStore>, location: Location) -> Result<Option<Record>> {
    let read = match location.clone() {
        Location::SnapshotManifest(digest) => snapshot::read_manifest(&**blobs, &digest)
            .await
            .map(|manifest| Record::Snapshot(digest, manifest)),
        Location::ModelManifest(model, version) => model_manifest::read(&**blobs, &model, version)
            .await
            .map(|manifest| Record::Version(model, version, manifest)),
        Location::Decision(model, version, digest) => {
            let key = holdfast_records::layout::decision_key(&model, version, &digest);
            let bytes = match blobs.get(&key).await {
                Ok(bytes) => bytes,
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let decision = serde_json::from_slice(&bytes).ok();
            return Ok(decision.map(|decision| Record::Decision(model, version, digest, Box::new(decision))));
        }
        _ => return Ok(None),
    };
    match read {
        Ok(record) => Ok(Some(record)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) if error.format().is_some() => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "record left out of the lineage"
            );
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The champion logs that have grown, up to what is broken in them.
async fn champions(blobs: &Arc<dyn BlobStore>, facts: &mut Facts) -> Result<()> {
    let mut lengths = std::collections::BTreeMap::<ModelName, usize>::new();
    for object in list_all(&**blobs, "champion").await? {
        if let Some(Location::Champion(model, _)) = Location::parse(&object.key) {
            *lengths.entry(model).or_default() += 1;
        }
    }
    facts.champions.retain(|model, _| lengths.contains_key(model));
    for (model, length) in lengths {
        if facts.champions.get(&model).is_none_or(|known| known.len() != length) {
            let (entries, _) = ChampionLog::new(blobs.clone(), model.clone()).audit().await?;
            facts.champions.insert(model, entries);
        }
    }
    Ok(())
}
