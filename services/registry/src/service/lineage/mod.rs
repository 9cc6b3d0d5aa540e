//! Lineage: from predictions back to the data they rest on, and from data to everything that came of it.
//!
//! The graph is made of what the blob store holds: manifests of snapshots and versions, the gate's decisions, champion logs
//! and the prediction log. So it outlives the database, which adds the names of runs and their states, and
//! which notebook's run a model was registered from.
//!
//! Not guaranteed: the same rows stored twice are one snapshot, and its manifest names where they came from first. A run that
//! made no version is known by its id alone, with the snapshots that it has logged.

mod facts;
mod graph;

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_domain::{Digest, ModelName, Schema};
use holdfast_records::Location;
use holdfast_records::prediction::{WindowReader, WindowRequest, read_object};
use holdfast_storage::{BlobStore, Key};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::store::VersionStore;
use super::tracking::Tracking;
use crate::error::{Error, Result, Violation};

pub use graph::{Builder, Edge, Facts, Graph, Kind, MOST_NODES, Node, generation_id, version_id};

/// Fewest digits that name a digest.
const SHORTEST_DIGEST: usize = 8;
/// How long after its id was made a request may have been answered, and how far clocks may be apart.
const LONGEST_REQUEST: SignedDuration = SignedDuration::from_mins(10);

/// What came from what.
#[derive(Clone, Debug)]
pub struct Lineage {
    blobs: Arc<dyn BlobStore>,
    tracking: Tracking,
    versions: Arc<dyn VersionStore>,
    facts: Arc<Mutex<Facts>>,
}

impl Lineage {
    /// Over the records in `blobs`, the runs in `tracking`, and what `versions` knows of notebooks' models.
    pub fn new(blobs: Arc<dyn BlobStore>, tracking: Tracking, versions: Arc<dyn VersionStore>) -> Self {
        Self {
            blobs,
            tracking,
            versions,
            facts: Arc::default(),
        }
    }

    /// The versions that runs have made, in words, by the run's id, as the manifests say.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn made_by_runs(&self) -> Result<HashMap<String, String>> {
        let mut facts = self.facts.lock().await;
        facts::gather(&self.blobs, &mut facts).await?;
        let made = facts
            .versions
            .iter()
            .map(|((model, version), manifest)| (manifest.run_id.to_string(), format!("version {version} of {model}")));
        Ok(made.collect())
    }

    /// Everything that a thing came from and everything that came from it. `model` completes a version or generation that is
    /// named in digits alone.
    ///
    /// # Errors
    /// [`Error::NoSuchThing`]; [`Error::Invalid`] for the beginning of several digests; the stores'.
    pub async fn of(&self, thing: &str, model: Option<&ModelName>) -> Result<Graph> {
        let thing = thing.trim();
        if thing.is_empty() {
            return Err(Violation::new("thing", "required", "must name something").into());
        }
        let registered = self.versions.registered_from_runs().await?;
        let mut graph = {
            let mut facts = self.facts.lock().await;
            facts::gather(&self.blobs, &mut facts).await?;
            let mut graph = Builder::of(&facts);
            let mut of_logged_model = Vec::new();
            for from in registered {
                let version = graph.refer(Kind::Version, version_id(&from.model, from.version));
                if !from.run_id.is_empty() {
                    let run = graph.refer(Kind::Run, from.run_id);
                    graph.link(run, version, "registered as");
                }
                if from.model_id == thing {
                    of_logged_model.push(version);
                }
            }
            let named = match resolve(&graph, &facts, thing, model)? {
                _ if !of_logged_model.is_empty() => of_logged_model,
                found if !found.is_empty() => found,
                _ => {
                    drop(facts);
                    self.look_up(&mut graph, thing).await?
                }
            };
            graph.around(&named)
        };
        self.name_runs(&mut graph).await?;
        Ok(graph)
    }

    /// What no record names: a run without a version, a segment of the prediction log, a prediction.
    async fn look_up(&self, graph: &mut Builder, thing: &str) -> Result<Vec<usize>> {
        let no_such = || Error::NoSuchThing(thing.to_owned());
        if thing.starts_with("predictions/") {
            let key = Key::parse(thing).map_err(|_| no_such())?;
            return self.segment(graph, key).await.map(|found| vec![found]);
        }
        match self.tracking.run(thing).await {
            Ok(run) => {
                let at = graph.refer(Kind::Run, run.id.clone());
                let snapshots = [
                    ("holdfast.training_snapshot", "trained on by"),
                    ("holdfast.test_snapshot", "tested on by"),
                ];
                for (key, relation) in snapshots {
                    if let Some(tag) = run.tags.iter().find(|tag| tag.key == key) {
                        let snapshot = graph.refer(Kind::Snapshot, tag.value.clone());
                        graph.link(snapshot, at, relation);
                    }
                }
                return Ok(vec![at]);
            }
            Err(Error::NoSuchRun(_) | Error::Invalid(_)) => {}
            Err(error) => return Err(error),
        }
        self.prediction(graph, thing)
            .await?
            .ok_or_else(no_such)
            .map(|found| vec![found])
    }

    /// A segment of the prediction log, and the generations whose predictions it holds.
    async fn segment(&self, graph: &mut Builder, key: Key) -> Result<usize> {
        let no_such = || Error::NoSuchThing(key.to_string());
        let Some(Location::Prediction(hour, replica, _)) = Location::parse(&key) else {
            return Err(no_such());
        };
        let schema = Arc::new(Schema::embedded().clone());
        let records = match read_object(&*self.blobs, &key, &schema).await {
            Err(error) if error.is_not_found() => return Err(no_such()),
            records => records?,
        };
        let label = format!("{} predictions of replica {replica}", records.len());
        let at = graph.describe(Kind::Segment, key.to_string(), label, Some(hour.start()));
        for record in &records {
            let predictions = graph.refer(Kind::Predictions, generation_id(&record.model, record.generation));
            graph.link(predictions, at, "logged in");
        }
        Ok(at)
    }

    /// A request that was answered. Its id must be a UUID of version 7, as the platform gives them: the time in it says which
    /// hours of the log to read.
    async fn prediction(&self, graph: &mut Builder, thing: &str) -> Result<Option<usize>> {
        let Some(asked_at) = time_of(thing) else {
            return Ok(None);
        };
        let window = WindowRequest {
            from: asked_at.saturating_sub(LONGEST_REQUEST).unwrap_or(Timestamp::MIN),
            to: asked_at.saturating_add(LONGEST_REQUEST).unwrap_or(Timestamp::MAX),
            filter: Default::default(),
            row_cap: usize::MAX,
        };
        let mut reader = WindowReader::new(self.blobs.clone(), Schema::embedded(), window);
        while let Some(records) = reader.next().await? {
            let mut answers = records.iter().filter(|record| record.request_id == thing);
            if let Some(first) = answers.next() {
                let label = format!(
                    "{} rows answered by version {} of {}",
                    1 + answers.count(),
                    first.version,
                    first.model
                );
                let at = graph.describe(Kind::Prediction, thing.to_owned(), label, Some(first.event_time));
                let all = graph.refer(Kind::Predictions, generation_id(&first.model, first.generation));
                graph.link(all, at, "one of them");
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// What the database knows of the runs.
    async fn name_runs(&self, graph: &mut Graph) -> Result<()> {
        for node in graph.nodes.iter_mut().filter(|node| node.kind == Kind::Run) {
            match self.tracking.run(&node.id).await {
                Ok(run) => {
                    node.label = run.name;
                    node.at = Some(run.started_at);
                    node.found = true;
                }
                Err(Error::NoSuchRun(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The time in a UUID of version 7.
fn time_of(id: &str) -> Option<Timestamp> {
    let id = uuid::Uuid::try_parse(id).ok()?;
    if id.get_version_num() != 7 {
        return None;
    }
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
}

/// What the records know under a name.
fn resolve(graph: &Builder, facts: &Facts, thing: &str, model: Option<&ModelName>) -> Result<Vec<usize>> {
    for (kind, id) in [
        (Kind::Generation, thing.to_owned()),
        (Kind::Version, thing.to_owned()),
        (Kind::Window, thing.to_owned()),
        (Kind::Run, thing.to_lowercase()),
    ] {
        if let Some(found) = graph.position(kind, &id) {
            return Ok(vec![found]);
        }
    }
    if let Some(model) = model {
        let version = graph.position(Kind::Version, &format!("{model}/{thing}"));
        let generation = thing.strip_prefix('@');
        let generation = generation.and_then(|place| graph.position(Kind::Generation, &format!("{model}@{place}")));
        if let Some(found) = version.or(generation) {
            return Ok(vec![found]);
        }
    }
    let log = thing
        .parse::<ModelName>()
        .ok()
        .and_then(|model| facts.champions.get(&model));
    if let Some(head) = log.and_then(|log| log.last()) {
        let id = generation_id(&head.entry.model, head.entry.generation);
        return Ok(graph.position(Kind::Generation, &id).into_iter().collect());
    }
    digest(graph, facts, &thing.to_lowercase())
}

/// What a digest names, or the beginning of one: a snapshot, an evaluation, or versions with that artefact.
fn digest(graph: &Builder, facts: &Facts, digits: &str) -> Result<Vec<usize>> {
    let digits = digits.strip_prefix("sha256:").unwrap_or(digits);
    if digits.len() < SHORTEST_DIGEST || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(Vec::new());
    }
    let mut digests: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();
    let mut found = graph.beginning_with(&[Kind::Snapshot, Kind::Evaluation], digits);
    digests.extend(
        found
            .iter()
            .filter_map(|at| graph.node(*at))
            .map(|node| node.id.clone()),
    );
    for ((model, version), manifest) in &facts.versions {
        let artefact: Digest = manifest.artifact_digest;
        if artefact.to_string().starts_with(digits) {
            digests.insert(artefact.to_string());
            found.extend(graph.position(Kind::Version, &version_id(model, *version)));
        }
    }
    if digests.len() > 1 {
        let why = format!("is the beginning of {} digests: add digits", digests.len());
        return Err(Violation::new("thing", "ambiguous", &why).into());
    }
    Ok(found)
}
