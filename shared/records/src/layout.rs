//! Where everything lies in the blob store: one builder and one parser for every key.
//!
//! ```text
//! datasets/{sha256}.parquet  .json
//! imports/{sha256}
//! artifacts/sha256/{first two digits}/{sha256}  {sha256}-{edition}
//! models/{model}/{version}/model.hfm  manifest.json
//! champion/{model}/{generation:020}.json
//! rollouts/{model}/{revision:020}.json
//! approvals/{model}/{revision:020}.json
//! runs/{run_id}/artifacts/…
//! predictions/date=YYYY-MM-DD/hour=HH/{replica}-{sequence:020}.parquet
//! shadows/{model}/date=YYYY-MM-DD/hour=HH/{replica}-{sequence:020}.parquet
//! outcomes/date=YYYY-MM-DD/{sha256}.parquet
//! reports/{model}/{date}/{id}.{json,html}
//! scores/{run_id}/part-{number:05}.parquet
//! ```
//!
//! [`Location::parse`] is the inverse of [`Location::key`]: a key that it would spell otherwise is not of this layout, and
//! parses to `None`.

use std::fmt;
use std::str::FromStr;

use holdfast_domain::{Digest, Generation, ModelName, ModelVersion, RunId};
use holdfast_storage::Key;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::error::Error;

const SEQUENCE_DIGITS: usize = 20;

/// One part of a key that somebody chose: the name of a replica, the id of a report. 1 to 64 of `A-Z a-z 0-9 . _ -`, the
/// first a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(String);

impl Slug {
    /// Checks a text.
    ///
    /// # Errors
    /// [`Error::Key`] for other characters or another length.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let first_is_fine = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let all_are_fine = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if first_is_fine && all_are_fine && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            let shown: String = text.chars().take(100).collect();
            Err(Error::Key(format!(
                "{shown:?} must be 1 to 64 of letters, digits, '.', '_' and '-', the first a letter or digit"
            )))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Slug {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// An hour of UTC, by which the prediction log is partitioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionHour(Timestamp);

impl PartitionHour {
    /// The hour that `time` lies in.
    pub fn of(time: Timestamp) -> Self {
        let seconds = time.as_second();
        // A time before 1970 with a fraction counts as the second it is in, not the one it is rounded to.
        let floor = if time.subsec_nanosecond() < 0 {
            seconds - 1
        } else {
            seconds
        };
        let start = floor - floor.rem_euclid(3_600);
        Self(Timestamp::from_second(start).unwrap_or(Timestamp::MIN))
    }

    /// The hour of a date.
    pub fn at(date: Date, hour: i8) -> Option<Self> {
        let time = jiff::civil::Time::new(hour, 0, 0, 0).ok()?;
        TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok().map(Self)
    }

    /// Its first instant.
    pub fn start(self) -> Timestamp {
        self.0
    }

    /// The UTC date it belongs to.
    pub fn date(self) -> Date {
        TimeZone::UTC.to_datetime(self.0).date()
    }

    /// The hour of that date, 0 to 23.
    pub fn hour(self) -> i8 {
        TimeZone::UTC.to_datetime(self.0).time().hour()
    }

    /// The hour that lies `hours` later (earlier when negative); the last or first hour there is when time ends before.
    pub fn plus(self, hours: i64) -> Self {
        Self::of(
            self.0
                .saturating_add(SignedDuration::from_hours(hours))
                .unwrap_or(self.0),
        )
    }
}

/// The two forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReportFormat {
    /// For programs.
    Json,
    /// For people: one self-contained page.
    Html,
}

impl ReportFormat {
    const fn extension(self) -> &'static str {
        match self {
            ReportFormat::Json => "json",
            ReportFormat::Html => "html",
        }
    }
}

/// A place in the blob store: what a key means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// The rows of a snapshot.
    Snapshot(Digest),
    /// What is known about a snapshot; written after the rows.
    SnapshotManifest(Digest),
    /// A model file of another library, as it was sent.
    ModelFile(Digest),
    /// Bytes of files of runs and logged models. Edition 0 is the first; a later one stands for bytes that came again while
    /// those of the edition before were being removed.
    Artifact(Digest, u32),
    /// A model artefact.
    Model(ModelName, ModelVersion),
    /// What is known about a version; written after the artefact.
    ModelManifest(ModelName, ModelVersion),
    /// A decision of the gate about a version, by the digest of its evidence.
    Decision(ModelName, ModelVersion, Digest),
    /// An entry of a champion log.
    Champion(ModelName, Generation),
    /// An entry of a model's record of rollouts, by its revision.
    Rollout(ModelName, u64),
    /// An entry of a model's record of approvals, by its revision.
    Approval(ModelName, u64),
    /// A file of a run, by its path within the run.
    RunArtifact(RunId, Key),
    /// A segment of the prediction log: hour of its first record, replica, the replica's number of it.
    Prediction(PartitionHour, Slug, u64),
    /// Rows that champion and challenger of a model both scored: hour of the first, replica, the replica's number of the object.
    Shadow(ModelName, PartitionHour, Slug, u64),
    /// A batch of outcomes: the day it was recorded on, the digest of its bytes.
    Outcome(Date, Digest),
    /// A report about a model, by its day.
    Report(ModelName, Date, Slug, ReportFormat),
    /// A part of a table scored by a run.
    Score(RunId, u32),
}

impl Location {
    /// The key of this place.
    ///
    /// # Errors
    /// [`Error::Key`] for a run artefact whose path is too long; every other place has a key.
    pub fn key(&self) -> Result<Key, Error> {
        Key::parse(self.text()).map_err(|error| Error::Key(error.to_string()))
    }

    /// The key of a place that always has one.
    #[expect(
        clippy::expect_used,
        reason = "names, numbers and digests are short and hold no character that a key refuses"
    )]
    fn certain_key(&self) -> Key {
        Key::parse(self.text()).expect("a key of this layout")
    }

    /// What a key means, or `None` when it is not of this layout.
    pub fn parse(key: &Key) -> Option<Location> {
        let parts: Vec<&str> = key.as_str().split('/').collect();
        let location = match *parts.as_slice() {
            ["datasets", file] => match file.split_once('.')? {
                (digest, "parquet") => Location::Snapshot(digest.parse().ok()?),
                (digest, "json") => Location::SnapshotManifest(digest.parse().ok()?),
                _ => return None,
            },
            ["imports", digest] => Location::ModelFile(digest.parse().ok()?),
            ["artifacts", "sha256", _, name] => match name.split_once('-') {
                None => Location::Artifact(name.parse().ok()?, 0),
                Some((digest, edition)) => Location::Artifact(
                    digest.parse().ok()?,
                    edition.parse().ok().filter(|edition| *edition > 0)?,
                ),
            },
            ["models", model, version, "model.hfm"] => Location::Model(model.parse().ok()?, version.parse().ok()?),
            ["models", model, version, "manifest.json"] => {
                Location::ModelManifest(model.parse().ok()?, version.parse().ok()?)
            }
            ["models", model, version, "decisions", file] => {
                let digest = file.strip_suffix(".json")?.parse().ok()?;
                Location::Decision(model.parse().ok()?, version.parse().ok()?, digest)
            }
            ["champion", model, file] => {
                let generation = number(file.strip_suffix(".json")?, SEQUENCE_DIGITS)?;
                Location::Champion(model.parse().ok()?, Generation(generation))
            }
            ["rollouts", model, file] => {
                let revision = number(file.strip_suffix(".json")?, SEQUENCE_DIGITS)?;
                Location::Rollout(model.parse().ok()?, revision)
            }
            ["approvals", model, file] => {
                let revision = number(file.strip_suffix(".json")?, SEQUENCE_DIGITS)?;
                Location::Approval(model.parse().ok()?, revision)
            }
            ["runs", run, "artifacts", _, ..] => {
                let path = key.as_str().splitn(4, '/').nth(3)?;
                Location::RunArtifact(run.parse().ok()?, Key::parse(path).ok()?)
            }
            ["predictions", date, hour, file] => {
                let (replica, sequence) = segment_name(file)?;
                Location::Prediction(partition_hour(date, hour)?, replica, sequence)
            }
            ["shadows", model, date, hour, file] => {
                let (replica, sequence) = segment_name(file)?;
                Location::Shadow(model.parse().ok()?, partition_hour(date, hour)?, replica, sequence)
            }
            ["outcomes", date, file] => {
                Location::Outcome(partition_date(date)?, file.strip_suffix(".parquet")?.parse().ok()?)
            }
            ["reports", model, date, file] => {
                let (id, format) = match file.rsplit_once('.')? {
                    (id, "json") => (id, ReportFormat::Json),
                    (id, "html") => (id, ReportFormat::Html),
                    _ => return None,
                };
                Location::Report(model.parse().ok()?, date.parse().ok()?, Slug::parse(id).ok()?, format)
            }
            ["scores", run, file] => {
                let part = number(file.strip_prefix("part-")?.strip_suffix(".parquet")?, 5)?;
                Location::Score(run.parse().ok()?, u32::try_from(part).ok()?)
            }
            _ => return None,
        };
        if matches!(
            &location,
            Location::Champion(_, Generation(0)) | Location::Rollout(_, 0) | Location::Approval(_, 0)
        ) {
            return None;
        }
        // One place, one spelling: what this layout would write otherwise is not its own.
        location
            .key()
            .is_ok_and(|canonical| canonical == *key)
            .then_some(location)
    }

    fn text(&self) -> String {
        match self {
            Location::Snapshot(digest) => format!("datasets/{digest}.parquet"),
            Location::SnapshotManifest(digest) => format!("datasets/{digest}.json"),
            Location::ModelFile(digest) => format!("imports/{digest}"),
            Location::Artifact(digest, edition) => {
                let name = digest.to_string();
                let folder: String = name.chars().take(2).collect();
                match edition {
                    0 => format!("artifacts/sha256/{folder}/{name}"),
                    edition => format!("artifacts/sha256/{folder}/{name}-{edition}"),
                }
            }
            Location::Model(model, version) => format!("models/{model}/{version}/model.hfm"),
            Location::ModelManifest(model, version) => format!("models/{model}/{version}/manifest.json"),
            Location::Decision(model, version, digest) => format!("models/{model}/{version}/decisions/{digest}.json"),
            Location::Champion(model, generation) => format!("champion/{model}/{:020}.json", generation.0),
            Location::Rollout(model, revision) => format!("rollouts/{model}/{revision:020}.json"),
            Location::Approval(model, revision) => format!("approvals/{model}/{revision:020}.json"),
            Location::RunArtifact(run, path) => format!("runs/{run}/artifacts/{}", path.as_str()),
            Location::Prediction(hour, replica, sequence) => {
                format!("predictions/{}/{replica}-{sequence:020}.parquet", partition_text(*hour))
            }
            Location::Shadow(model, hour, replica, sequence) => {
                format!(
                    "shadows/{model}/{}/{replica}-{sequence:020}.parquet",
                    partition_text(*hour)
                )
            }
            Location::Outcome(date, digest) => format!("outcomes/date={date}/{digest}.parquet"),
            Location::Report(model, date, id, format) => format!("reports/{model}/{date}/{id}.{}", format.extension()),
            Location::Score(run, part) => format!("scores/{run}/part-{part:05}.parquet"),
        }
    }
}

fn partition_text(hour: PartitionHour) -> String {
    format!("date={}/hour={:02}", hour.date(), hour.hour())
}

fn partition_hour(date: &str, hour: &str) -> Option<PartitionHour> {
    let hour = hour
        .strip_prefix("hour=")
        .filter(|hour| hour.len() == 2)?
        .parse()
        .ok()?;
    PartitionHour::at(partition_date(date)?, hour)
}

/// Replica and number in the name of an object that a replica wrote.
fn segment_name(file: &str) -> Option<(Slug, u64)> {
    let (replica, sequence) = file.strip_suffix(".parquet")?.rsplit_once('-')?;
    Some((Slug::parse(replica).ok()?, number(sequence, SEQUENCE_DIGITS)?))
}

fn partition_date(segment: &str) -> Option<Date> {
    segment.strip_prefix("date=")?.parse().ok()
}

/// A number written with at least `digits` digits; `None` for signs and anything else.
fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() >= digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Key of a snapshot's rows.
pub fn snapshot_key(digest: &Digest) -> Key {
    Location::Snapshot(*digest).certain_key()
}

/// Key of a snapshot's manifest.
pub fn snapshot_manifest_key(digest: &Digest) -> Key {
    Location::SnapshotManifest(*digest).certain_key()
}

/// Key of a model file of another library.
pub fn model_file_key(digest: &Digest) -> Key {
    Location::ModelFile(*digest).certain_key()
}

/// Key of bytes that files of runs and logged models have, and of their edition (see [`Location::Artifact`]).
pub fn artifact_key(digest: &Digest, edition: u32) -> Key {
    Location::Artifact(*digest, edition).certain_key()
}

/// Key of a model artefact. Versions count from 1: the key of version 0 is never in use.
pub fn model_key(model: &ModelName, version: ModelVersion) -> Key {
    Location::Model(model.clone(), version).certain_key()
}

/// Key of a version's manifest.
pub fn model_manifest_key(model: &ModelName, version: ModelVersion) -> Key {
    Location::ModelManifest(model.clone(), version).certain_key()
}

/// Key of a decision of the gate about a version.
pub fn decision_key(model: &ModelName, version: ModelVersion, evidence: &Digest) -> Key {
    Location::Decision(model.clone(), version, *evidence).certain_key()
}

/// Key of an entry of a champion log. Generation 0 stands for "no champion" and has no entry.
pub fn champion_key(model: &ModelName, generation: Generation) -> Key {
    Location::Champion(model.clone(), generation).certain_key()
}

/// Key of an entry of a model's record of rollouts. Revision 0 stands for "none yet" and has no entry.
pub fn rollout_key(model: &ModelName, revision: u64) -> Key {
    Location::Rollout(model.clone(), revision).certain_key()
}

/// Key of an entry of a model's record of approvals. Revision 0 stands for "none yet" and has no entry.
pub fn approval_key(model: &ModelName, revision: u64) -> Key {
    Location::Approval(model.clone(), revision).certain_key()
}

/// Key of an object of compared scores. `first_record` is the event time of its first row: the hour partition it lies in.
pub fn shadow_key(model: &ModelName, first_record: Timestamp, replica: &Slug, sequence: u64) -> Key {
    Location::Shadow(
        model.clone(),
        PartitionHour::of(first_record),
        replica.clone(),
        sequence,
    )
    .certain_key()
}

/// Key of a run's file. `path` may have several segments.
///
/// # Errors
/// [`Error::Key`] when the path is too long.
pub fn run_artifact_key(run: &RunId, path: &Key) -> Result<Key, Error> {
    Location::RunArtifact(run.clone(), path.clone()).key()
}

/// Key of a segment of the prediction log. `first_record` is the event time of its first record: the hour partition it lies in.
pub fn prediction_key(first_record: Timestamp, replica: &Slug, sequence: u64) -> Key {
    Location::Prediction(PartitionHour::of(first_record), replica.clone(), sequence).certain_key()
}

/// Key of a batch of outcomes.
pub fn outcome_key(recorded_on: Date, digest: &Digest) -> Key {
    Location::Outcome(recorded_on, *digest).certain_key()
}

/// Key of a report.
pub fn report_key(model: &ModelName, date: Date, id: &Slug, format: ReportFormat) -> Key {
    Location::Report(model.clone(), date, id.clone(), format).certain_key()
}

/// Key of a part of a scored table.
pub fn score_key(run: &RunId, part: u32) -> Key {
    Location::Score(run.clone(), part).certain_key()
}

/// The UTC date of a time, by which outcomes and reports are filed.
pub fn date_of(time: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(time).date()
}

/// The folder of that hour's segments. It sorts before all of them and behind those of earlier hours.
#[expect(
    clippy::expect_used,
    reason = "a date and an hour hold no character that a key refuses"
)]
pub(crate) fn prediction_partition(hour: PartitionHour) -> Key {
    Key::parse(format!("predictions/{}", partition_text(hour))).expect("a key of this layout")
}
