//! What can be wrong with a prediction log, found segment by segment: a pure function of the segments' names and records.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use holdfast_domain::{Generation, ModelName, ModelVersion};
use holdfast_storage::Key;
use jiff::Timestamp;
use serde::Serialize;

use super::PredictionRecord;
use super::objects::{LogObject, SEQUENCE_BLOCK};
use super::window::{SLACK_HOURS, identity};
use crate::layout::{PartitionHour, Slug};

/// Faults that a report lists; the rest are counted.
pub const LISTED_FAULTS: usize = 1_000;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// An object under the log's folder whose name is none of the layout.
    ForeignName,
    /// An object that cannot be read: damaged, of another kind, or of a newer format.
    Unreadable,
    /// A segment without records: none is ever written.
    Empty,
    /// The first record is not of the hour in the segment's name.
    WrongHour,
    /// A record further than an hour away from the hour in the segment's name.
    FarFromHour,
    /// Two segments of a replica have the same number.
    SequenceRepeated,
    /// A number is missing among a replica's, and no restart explains it.
    SequenceGap,
    /// Two records of the same name differ.
    ConflictingRecord,
    /// The score is no probability.
    Score,
    /// The label is not what score and threshold say.
    Label,
    /// The champion log has no such generation.
    UnknownGeneration,
    /// Another version answered under that generation.
    OtherVersion,
    /// The version has no manifest or no artefact, or they are damaged.
    UnknownVersion,
    /// The artefact is not the one that was made champion.
    OtherArtifact,
    /// The champion log itself cannot be relied on.
    ChampionLog,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogFault {
    /// The object.
    pub object: String,
    /// The record's place in it, counted from 1; `None` for the object as a whole.
    pub row: Option<u64>,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong, in words.
    pub detail: String,
}

/// A replica's segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplicaSummary {
    /// Its name.
    pub replica: String,
    /// Its segments.
    pub objects: u64,
    /// The lowest number among them.
    pub first_sequence: u64,
    /// The highest.
    pub last_sequence: u64,
    /// Numbers left out by restarts, which is no fault.
    pub restart_gaps: u64,
}

/// Records of one version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionSummary {
    /// The model.
    pub model: String,
    /// The version.
    pub version: u32,
    /// Records that name it.
    pub rows: u64,
}

/// The verdict on a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Segments read.
    pub objects: u64,
    /// Their size.
    pub bytes: u64,
    /// Records in them.
    pub rows: u64,
    /// Of these, the same record again: a segment that was uploaded twice, which readers drop.
    pub repeats: u64,
    /// The earliest record.
    pub first_event: Option<Timestamp>,
    /// The latest.
    pub last_event: Option<Timestamp>,
    /// By replica.
    pub replicas: Vec<ReplicaSummary>,
    /// By version.
    pub versions: Vec<VersionSummary>,
    /// The first [`LISTED_FAULTS`] things that are wrong.
    pub faults: Vec<LogFault>,
    /// Faults beyond the list.
    pub more_faults: u64,
}

/// Goes through a log's segments in the order of their keys.
///
/// Memory: the identities of about three hours of records, and a number for each segment.
#[derive(Debug, Default)]
pub struct LogAudit {
    report: AuditReport,
    answering: BTreeMap<ModelName, BTreeMap<Generation, BTreeSet<ModelVersion>>>,
    versions: BTreeMap<(ModelName, ModelVersion), u64>,
    sequences: BTreeMap<Slug, BTreeMap<u64, Key>>,
    /// By hour, what each record of a name held.
    seen: BTreeMap<PartitionHour, HashMap<[u8; 16], u64>>,
}

impl LogAudit {
    /// Tells it which versions may have answered under which generation of a model. Without it, a model's generations are not checked.
    pub fn answering(&mut self, model: ModelName, versions: impl IntoIterator<Item = (Generation, ModelVersion)>) {
        let known = self.answering.entry(model).or_default();
        for (generation, version) in versions {
            known.entry(generation).or_default().insert(version);
        }
    }

    /// A fault that was found elsewhere.
    pub fn fault(&mut self, object: &Key, row: Option<u64>, kind: FaultKind, detail: impl Into<String>) {
        if self.report.faults.len() >= LISTED_FAULTS {
            self.report.more_faults += 1;
            return;
        }
        self.report.faults.push(LogFault {
            object: object.to_string(),
            row,
            kind,
            detail: detail.into(),
        });
    }

    /// Notes a segment, readable or not.
    pub fn object(&mut self, object: &LogObject) {
        self.report.objects += 1;
        self.report.bytes += object.size_bytes;
        let numbers = self.sequences.entry(object.replica.clone()).or_default();
        if let Some(other) = numbers.insert(object.sequence, object.key.clone()) {
            let detail = format!("{} has the number {} of this replica, too", other, object.sequence);
            self.fault(&object.key, None, FaultKind::SequenceRepeated, detail);
        }
    }

    /// Checks the records of a segment.
    pub fn records(&mut self, object: &LogObject, records: &[PredictionRecord]) {
        self.report.rows += records.len() as u64;
        let Some(first) = records.first() else {
            self.fault(&object.key, None, FaultKind::Empty, "it holds no record");
            return;
        };
        if PartitionHour::of(first.event_time) != object.hour {
            let detail = format!(
                "its first record is of {}, another hour than its name says",
                first.event_time
            );
            self.fault(&object.key, Some(1), FaultKind::WrongHour, detail);
        }
        // A record of hour h lies in the partitions h-1 to h+1, and partitions come in their order.
        let oldest = object.hour.plus(-SLACK_HOURS);
        self.seen.retain(|hour, _| *hour >= oldest);
        for (row, record) in (1_u64..).zip(records) {
            self.record(object, row, record);
        }
    }

    fn record(&mut self, object: &LogObject, row: u64, record: &PredictionRecord) {
        let time = record.event_time;
        let hour = PartitionHour::of(time);
        if hour < object.hour.plus(-SLACK_HOURS) || hour > object.hour.plus(SLACK_HOURS) {
            let detail = format!("it is of {time}, further than an hour from the hour of its object");
            self.fault(&object.key, Some(row), FaultKind::FarFromHour, detail);
        }
        self.report.first_event = Some(self.report.first_event.map_or(time, |first| first.min(time)));
        self.report.last_event = Some(self.report.last_event.map_or(time, |last| last.max(time)));
        self.repeats(object, row, record, hour);
        if !(0.0..=1.0).contains(&record.score) {
            let detail = format!("its score {} is no probability", record.score);
            self.fault(&object.key, Some(row), FaultKind::Score, detail);
        }
        if record.label != (record.score >= record.threshold) {
            let detail = format!(
                "its label is {}, its score {} and its threshold {}",
                record.label, record.score, record.threshold
            );
            self.fault(&object.key, Some(row), FaultKind::Label, detail);
        }
        self.generation(object, row, record);
        *self.versions.entry((record.model.clone(), record.version)).or_default() += 1;
    }

    fn repeats(&mut self, object: &LogObject, row: u64, record: &PredictionRecord, hour: PartitionHour) {
        let (name, content) = (identity(record), content(record));
        let before = self.seen.values().find_map(|names| names.get(&name).copied());
        match before {
            None => {
                self.seen.entry(hour).or_default().insert(name, content);
            }
            Some(same) if same == content => self.report.repeats += 1,
            Some(_) => {
                let detail = format!(
                    "another record is named {} row {} as well, and says something else",
                    record.request_id, record.row_index
                );
                self.fault(&object.key, Some(row), FaultKind::ConflictingRecord, detail);
            }
        }
    }

    fn generation(&mut self, object: &LogObject, row: u64, record: &PredictionRecord) {
        let Some(known) = self.answering.get(&record.model) else {
            return;
        };
        let (generation, version) = (record.generation, record.version);
        let (kind, detail) = match known.get(&generation) {
            Some(versions) if versions.contains(&version) => return,
            Some(versions) => {
                let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
                let versions = versions.join(" or ");
                let detail = format!(
                    "it names version {version}, and under generation {generation} version {versions} answered"
                );
                (FaultKind::OtherVersion, detail)
            }
            None => {
                let detail = format!("it names generation {generation}, which the champion log does not have");
                (FaultKind::UnknownGeneration, detail)
            }
        };
        self.fault(&object.key, Some(row), kind, detail);
    }

    /// The versions that records named so far.
    pub fn versions(&self) -> impl Iterator<Item = &(ModelName, ModelVersion)> {
        self.versions.keys()
    }

    /// The verdict.
    pub fn finish(mut self) -> AuditReport {
        for (replica, numbers) in std::mem::take(&mut self.sequences) {
            let summary = self.replica(&replica, &numbers);
            self.report.replicas.push(summary);
        }
        let versions = std::mem::take(&mut self.versions).into_iter();
        self.report.versions = versions
            .map(|((model, version), rows)| VersionSummary {
                model: model.to_string(),
                version: version.0,
                rows,
            })
            .collect();
        self.report
    }

    /// Looks for numbers that are missing between the first and the last.
    fn replica(&mut self, replica: &Slug, numbers: &BTreeMap<u64, Key>) -> ReplicaSummary {
        let mut summary = ReplicaSummary {
            replica: replica.to_string(),
            objects: numbers.len() as u64,
            first_sequence: numbers.keys().next().copied().unwrap_or(0),
            last_sequence: numbers.keys().next_back().copied().unwrap_or(0),
            restart_gaps: 0,
        };
        let pairs = numbers.keys().zip(numbers.iter().skip(1));
        for (before, (number, key)) in pairs.filter(|(before, (number, _))| **before + 1 < **number) {
            let restarted = number % SEQUENCE_BLOCK == 1;
            if restarted {
                summary.restart_gaps += number - before - 1;
            } else {
                let detail = format!(
                    "replica {replica} has no segment between {before} and {number}: they are lost, or still in its spool"
                );
                self.fault(key, None, FaultKind::SequenceGap, detail);
            }
        }
        summary
    }
}

/// What a record says, as a number: two records of one name with the same content are one.
fn content(record: &PredictionRecord) -> u64 {
    let mut hash = DefaultHasher::new();
    (record.event_time.as_microsecond(), record.customer_key, &record.model).hash(&mut hash);
    (record.version, record.generation, record.label).hash(&mut hash);
    for value in record.features.0.iter().chain([&record.score, &record.threshold]) {
        // Every NaN means the same: not sent.
        (if value.is_nan() { f64::NAN } else { *value })
            .to_bits()
            .hash(&mut hash);
    }
    hash.finish()
}
