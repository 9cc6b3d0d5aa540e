//! `holdfast log replay`: what was answered, answered again by the artefact that answered it, and compared to the last bit.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use futures::StreamExt as _;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion, Schema};
use holdfast_model::Model;
use holdfast_records::champion::ChampionLog;
use holdfast_records::model_manifest;
use holdfast_records::prediction::{LogObject, PredictionRecord, list_objects, read_object};
use holdfast_storage::BlobStore;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::LogArgs;
use super::sample::{shares, spread};
use crate::commands::Context;
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Work;

pub(super) const EXAMPLES: &str = "\
The artefact of the version that each record names is read from the blob store and checked against the champion log; no running
stack is needed. Score and threshold must be the same to the last bit, and the label the same.

Examples:
  holdfast log replay --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z
  holdfast log replay --sample 10000                   records spread evenly over the log
  holdfast log replay --request-id 0193a-1 --json      what one customer was told
  holdfast log replay --blob-store s3://bank/holdfast";

/// Segments read ahead.
const READ_AHEAD: usize = 3;

/// A segment may hold records of the hours beside the one in its name.
const SLACK: SignedDuration = SignedDuration::from_hours(1);

/// Differences listed; the rest are counted.
const LISTED: usize = 1_000;

/// Differences shown to people.
const SHOWN: usize = 20;

/// What `log replay` takes.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    log: LogArgs,
    /// Only the records of this request
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only so many records, spread evenly over the log
    #[arg(long, value_name = "N", conflicts_with = "request_id", value_parser = clap::value_parser!(u64).range(1..))]
    sample: Option<u64>,
}

/// Records of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct VersionCount {
    model: String,
    version: u32,
    /// SHA-256 of the artefact that scored them; none when there is no such artefact.
    artifact_digest: Option<String>,
    /// Records scored again.
    rows: u64,
    /// Records that came out otherwise, or could not be scored.
    differences: u64,
}

/// What was logged and what came out, where they differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Difference {
    object: String,
    /// The record's place in the object, counted from 1.
    row: u64,
    request_id: String,
    row_index: u32,
    version: u32,
    /// `score`, `threshold`, `label` or `artifact`.
    what: &'static str,
    detail: String,
}

/// The result.
#[derive(Debug, Default, Serialize)]
struct Replay {
    objects: u64,
    rows: u64,
    identical: u64,
    versions: Vec<VersionCount>,
    differences: Vec<Difference>,
    more_differences: u64,
}

/// Runs the command.
pub(super) async fn run(args: ReplayArgs, context: &Context) -> Result<()> {
    let store = args.log.store.open().await?;
    let replay = replay(&args, &store).await?;
    context.output.emit(&replay, || people(&replay))?;
    let differing = replay.rows - replay.identical;
    if differing > 0 {
        return Err(Failure::new(format!(
            "{differing} of {} records do not come out as logged",
            replay.rows
        ))
        .hint("`holdfast log verify` tells whether the log or the artefacts were changed"));
    }
    match (&args.request_id, replay.rows) {
        (Some(request), 0) => Err(
            Failure::new(format!("the log has no record of the request {request:?}"))
                .hint("the newest records reach the blob store some time after the answer"),
        ),
        _ => Ok(()),
    }
}

async fn replay(args: &ReplayArgs, store: &Arc<dyn BlobStore>) -> Result<Replay> {
    // A bound without its slack hour: as early, or as late, as time goes.
    let from = args
        .log
        .from
        .map(|from| from.checked_sub(SLACK).unwrap_or(Timestamp::MIN));
    let to = args.log.to.map(|to| to.checked_add(SLACK).unwrap_or(Timestamp::MAX));
    let mut objects = list_objects(&**store, from, to).await?.objects;
    let mut wanted = vec![usize::MAX; objects.len()];
    if let Some(sample) = args.sample {
        let sample = usize::try_from(sample).unwrap_or(usize::MAX / 2);
        let chosen = spread(objects.len(), sample);
        wanted = shares(chosen.len(), sample.min(u32::MAX as usize));
        objects = chosen.into_iter().map(|place| objects[place].clone()).collect();
    }
    let work = Work::bar(objects.len() as u64, "objects", "replaying the prediction log");
    let schema = Arc::new(Schema::embedded().clone());
    let reads = futures::stream::iter(objects.iter().zip(wanted)).map(|(object, wanted)| {
        let schema = Arc::clone(&schema);
        async move {
            let records = read_object(&**store, &object.key, &schema).await?;
            Ok::<_, Failure>((object, wanted, records))
        }
    });
    let mut reads = std::pin::pin!(reads.buffered(READ_AHEAD));
    let mut replayer = Replayer::new(store);
    while let Some(read) = reads.next().await {
        let (object, wanted, records) = read?;
        let places: Vec<usize> = (0..records.len())
            .filter(|place| takes(args, &records[*place]))
            .collect();
        let places = spread(places.len(), wanted).into_iter().map(|place| places[place]);
        replayer.object(object, &records, places.collect()).await?;
        work.advance(1);
    }
    Ok(replayer.finish())
}

fn takes(args: &ReplayArgs, record: &PredictionRecord) -> bool {
    let time = record.event_time;
    args.log.from.is_none_or(|from| time >= from)
        && args.log.to.is_none_or(|to| time < to)
        && args
            .request_id
            .as_ref()
            .is_none_or(|request| *request == record.request_id)
}

/// A version, ready to score, or why there is none.
struct Version {
    artifact: std::result::Result<(Digest, Arc<Model>), String>,
    count: VersionCount,
}

/// Scores records again.
struct Replayer<'a> {
    store: &'a Arc<dyn BlobStore>,
    versions: BTreeMap<(ModelName, ModelVersion), Version>,
    /// The artefact that each generation made champion.
    champions: BTreeMap<(ModelName, Generation), (ModelVersion, Digest)>,
    replay: Replay,
}

impl<'a> Replayer<'a> {
    fn new(store: &'a Arc<dyn BlobStore>) -> Self {
        Self {
            store,
            versions: BTreeMap::new(),
            champions: BTreeMap::new(),
            replay: Replay::default(),
        }
    }

    async fn object(&mut self, object: &LogObject, records: &[PredictionRecord], places: Vec<usize>) -> Result<()> {
        self.replay.objects += 1;
        let mut by_version: BTreeMap<(ModelName, ModelVersion), Vec<usize>> = BTreeMap::new();
        for place in places {
            let record = &records[place];
            by_version
                .entry((record.model.clone(), record.version))
                .or_default()
                .push(place);
        }
        for (version, places) in by_version {
            self.learn(&version).await?;
            self.rows(object, records, &version, &places);
        }
        Ok(())
    }

    /// Reads a version's artefact, once.
    async fn learn(&mut self, version: &(ModelName, ModelVersion)) -> Result<()> {
        if self.versions.contains_key(version) {
            return Ok(());
        }
        let (model, number) = version;
        let known = self.versions.keys().any(|(known, _)| known == model);
        if !known {
            let log = ChampionLog::new(Arc::clone(self.store), model.clone());
            for stored in log.history().await? {
                let entry = stored.entry;
                self.champions.insert(
                    (model.clone(), entry.generation),
                    (entry.version, entry.artifact_digest),
                );
            }
        }
        let artifact = artifact(self.store, model, *number).await?;
        let count = VersionCount {
            model: model.to_string(),
            version: number.0,
            artifact_digest: artifact.as_ref().ok().map(|(digest, _)| digest.to_string()),
            ..VersionCount::default()
        };
        self.versions.insert(version.clone(), Version { artifact, count });
        Ok(())
    }

    fn rows(
        &mut self,
        object: &LogObject,
        records: &[PredictionRecord],
        version: &(ModelName, ModelVersion),
        places: &[usize],
    ) {
        let Some(known) = self.versions.get_mut(version) else {
            return;
        };
        let features: Vec<_> = places.iter().map(|place| records[*place].features).collect();
        let mut scores = vec![f64::NAN; places.len()];
        if let Ok((_, model)) = &known.artifact {
            model.score_batch(&features, &mut scores);
        }
        for (place, score) in places.iter().zip(scores) {
            let record = &records[*place];
            let champion = self.champions.get(&(record.model.clone(), record.generation));
            let found = match &known.artifact {
                Err(why) => Some(("artifact", why.clone())),
                Ok((digest, model)) => of_another(champion, record, digest).or_else(|| compared(record, model, score)),
            };
            known.count.rows += 1;
            self.replay.rows += 1;
            match found {
                None => self.replay.identical += 1,
                Some(found) => {
                    known.count.differences += 1;
                    note(&mut self.replay, object, *place, record, found);
                }
            }
        }
    }

    fn finish(mut self) -> Replay {
        self.replay.versions = self.versions.into_values().map(|version| version.count).collect();
        self.replay
    }
}

async fn artifact(
    store: &Arc<dyn BlobStore>,
    model: &ModelName,
    version: ModelVersion,
) -> Result<std::result::Result<(Digest, Arc<Model>), String>> {
    let read = async {
        let manifest = model_manifest::read(&**store, model, version).await?;
        let bytes = model_manifest::read_artifact(&**store, &manifest).await?;
        Ok::<_, holdfast_records::Error>((manifest.artifact_digest, bytes))
    };
    match read.await {
        Ok((digest, bytes)) => Ok(match Model::decode(&bytes, Schema::embedded()) {
            Ok(model) => Ok((digest, Arc::new(model))),
            Err(error) => Err(error.to_string()),
        }),
        Err(error) if error.is_not_found() || error.format().is_some() => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Whether the generation that answered had this very artefact.
fn of_another(
    champion: Option<&(ModelVersion, Digest)>,
    record: &PredictionRecord,
    digest: &Digest,
) -> Option<(&'static str, String)> {
    let (version, made_champion) = champion?;
    (*version == record.version && made_champion != digest).then(|| {
        let generation = record.generation;
        (
            "artifact",
            format!("generation {generation} made {made_champion} champion, and {digest} is there"),
        )
    })
}

fn compared(record: &PredictionRecord, model: &Model, score: f64) -> Option<(&'static str, String)> {
    if score.to_bits() != record.score.to_bits() {
        return Some(("score", format!("{} was logged, {score} comes out", record.score)));
    }
    let threshold = model.threshold();
    if threshold.to_bits() != record.threshold.to_bits() {
        return Some((
            "threshold",
            format!("{} was logged, it is {threshold}", record.threshold),
        ));
    }
    (model.label(score) != record.label).then(|| ("label", format!("{} was logged", record.label)))
}

fn note(
    replay: &mut Replay,
    object: &LogObject,
    place: usize,
    record: &PredictionRecord,
    (what, detail): (&'static str, String),
) {
    if replay.differences.len() >= LISTED {
        replay.more_differences += 1;
        return;
    }
    replay.differences.push(Difference {
        object: object.key.to_string(),
        row: place as u64 + 1,
        request_id: record.request_id.clone(),
        row_index: record.row_index,
        version: record.version.0,
        what,
        detail,
    });
}

fn people(replay: &Replay) -> String {
    let mut versions = output::table(["model", "version", "artefact", "records", "differences"]);
    for count in &replay.versions {
        versions.add_row([
            count.model.clone(),
            count.version.to_string(),
            output::short(count.artifact_digest.as_deref().unwrap_or("-")).to_owned(),
            count.rows.to_string(),
            count.differences.to_string(),
        ]);
    }
    let mut text = format!(
        "{} records of {} objects scored again, {} the same to the last bit\n{versions}",
        replay.rows, replay.objects, replay.identical
    );
    if !replay.differences.is_empty() {
        let mut table = output::table(["object", "row", "request", "version", "what", "detail"]);
        for difference in replay.differences.iter().take(SHOWN) {
            table.add_row([
                difference.object.clone(),
                difference.row.to_string(),
                format!("{} row {}", difference.request_id, difference.row_index),
                difference.version.to_string(),
                difference.what.to_owned(),
                difference.detail.clone(),
            ]);
        }
        text.push_str(&format!("\n{table}"));
        let hidden = replay.more_differences + replay.differences.len().saturating_sub(SHOWN) as u64;
        if hidden > 0 {
            text.push_str(&format!("\nand {hidden} more"));
        }
    }
    text
}
