//! Learning from a drifted window: its labelled rows become a snapshot, and training is asked for a run with it, once per report.
//!
//! Two notes make that *once* hold over retries, restarts and replicas. `retraining/{report}/request.json` is written before training is
//! asked: it fixes which snapshot goes with the report, so a repeat asks for exactly the same run, and training knows the report's id as the
//! idempotency key. `retraining/{report}/run.json` is written after: later calls answer from it and ask nobody.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use holdfast_chassis::Fault;
use holdfast_chassis::clock::Clock;
use holdfast_domain::{Customer, Digest, Generation, ModelName, Schema, Strictness};
use holdfast_records::outcome::{self, LatestPredictions};
use holdfast_records::snapshot::{self, PredictionWindow, SnapshotSource};
use holdfast_storage::{BlobStore, Key};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::policy::RetrainingPolicy;
use super::report::DriftReport;
use super::reports::Reports;
use super::stored_json::{self, Versioned};
use super::window::PredictionLog;
use crate::error::{Error, LabelledCounts, Result};
use crate::metrics::{Metrics, RetrainingOutcome};

/// A run that training is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRequest {
    /// The model.
    pub model: ModelName,
    /// The labelled rows.
    pub window_snapshot: Digest,
    /// The report behind it, and the idempotency key.
    pub report_id: String,
    /// Who asks.
    pub requested_by: String,
}

/// The training service, as far as monitoring needs it.
#[async_trait]
pub trait TrainingClient: Send + Sync + Debug {
    /// Asks for a run and answers its id. The same report again is the same run.
    ///
    /// # Errors
    /// Training's answer, `UNAVAILABLE` when it is away, `DEADLINE_EXCEEDED` when it does not answer in time.
    async fn start_run(&self, request: &RunRequest) -> Result<String, Fault>;
}

/// A run that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retraining {
    /// The run.
    pub run_id: String,
    /// The labelled rows.
    pub window_snapshot: Digest,
    /// How many.
    pub labelled_rows: u64,
}

/// What training is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    format_version: u32,
    window_snapshot: Digest,
    labelled_rows: u64,
    requested_by: String,
    at: Timestamp,
}

impl Versioned for Asked {
    const KIND: &'static str = "retraining request";
    const VERSION: u32 = 1;
}

/// What training answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Started {
    format_version: u32,
    run_id: String,
    window_snapshot: Digest,
    labelled_rows: u64,
}

impl Versioned for Started {
    const KIND: &'static str = "retraining run";
    const VERSION: u32 = 1;
}

/// Asks for retraining.
#[derive(Clone, Debug)]
pub struct Retrainer {
    blobs: Arc<dyn BlobStore>,
    schema: &'static Schema,
    reports: Reports,
    log: PredictionLog,
    training: Arc<dyn TrainingClient>,
    policy: RetrainingPolicy,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// One at a time: two calls for one report would both read the window, to make the same rows of it.
    turn: Arc<Mutex<()>>,
}

/// What retraining works with.
#[derive(Debug)]
pub struct Collaborators {
    /// Snapshots, outcomes, notes.
    pub blobs: Arc<dyn BlobStore>,
    /// The prediction log.
    pub log: PredictionLog,
    /// The training service.
    pub training: Arc<dyn TrainingClient>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// This service's metrics.
    pub metrics: Metrics,
}

impl Retrainer {
    /// A retrainer that needs a window to be as `policy` says.
    pub fn new(with: Collaborators, schema: &'static Schema, policy: RetrainingPolicy) -> Self {
        Self {
            reports: Reports::new(Arc::clone(&with.blobs)),
            blobs: with.blobs,
            schema,
            log: with.log,
            training: with.training,
            policy,
            clock: with.clock,
            metrics: with.metrics,
            turn: Arc::default(),
        }
    }

    /// Asks for a run that learns from a report's window.
    ///
    /// # Errors
    /// [`Error::NoSuchReport`], [`Error::TooFewOutcomes`], [`Error::Training`]; the blob store's. Whatever it was, the call may be repeated.
    pub async fn trigger(&self, report_id: &str, requested_by: &str) -> Result<Retraining> {
        let _turn = self.turn.lock().await;
        let (outcome, answer) = match self.run_for(report_id, requested_by).await {
            Ok((outcome, retraining)) => (outcome, Ok(retraining)),
            Err(error @ Error::TooFewOutcomes { .. }) => (RetrainingOutcome::TooFewOutcomes, Err(error)),
            Err(error) => (RetrainingOutcome::Failed, Err(error)),
        };
        self.metrics.retraining_requested(outcome);
        answer
    }

    async fn run_for(&self, report_id: &str, requested_by: &str) -> Result<(RetrainingOutcome, Retraining)> {
        let report = self.reports.get(report_id).await?;
        let run_key = note_key(&report, "run")?;
        if let Some(started) = stored_json::read::<Started>(&*self.blobs, &run_key).await? {
            return Ok((RetrainingOutcome::Known, started.into()));
        }
        let asked = self.asked(&report, requested_by).await?;
        let request = RunRequest {
            model: report.model.clone(),
            window_snapshot: asked.window_snapshot,
            report_id: report.report_id.clone(),
            requested_by: asked.requested_by,
        };
        let run_id = self.training.start_run(&request).await.map_err(Error::Training)?;
        tracing::info!(
            model = %report.model, report_id, run_id, window_snapshot = %asked.window_snapshot,
            labelled_rows = asked.labelled_rows, "retraining started"
        );
        let started = Started {
            format_version: Started::VERSION,
            run_id,
            window_snapshot: asked.window_snapshot,
            labelled_rows: asked.labelled_rows,
        };
        let started = stored_json::settle(&*self.blobs, &run_key, started).await?;
        Ok((RetrainingOutcome::Started, started.into()))
    }

    /// What training is to be asked for: as an earlier attempt wrote it down, or from the outcomes known now.
    async fn asked(&self, report: &DriftReport, requested_by: &str) -> Result<Asked> {
        let key = note_key(report, "request")?;
        if let Some(asked) = stored_json::read(&*self.blobs, &key).await? {
            return Ok(asked);
        }
        let (rows, generations) = self.labelled_rows(report).await?;
        let window = PredictionWindow {
            model: report.model.clone(),
            from: report.window.from,
            to: report.window.to,
            report_id: report.report_id.clone(),
            generations: Some(generations),
        };
        let source = SnapshotSource {
            source: PredictionWindow::SOURCE.to_owned(),
            query_or_window: Some(window.in_words()),
            parents: Vec::new(),
            window: Some(window),
            created_at: self.clock.now(),
        };
        let manifest = snapshot::write(&*self.blobs, &rows, self.schema, source).await?;
        let asked = Asked {
            format_version: Asked::VERSION,
            window_snapshot: manifest.digest,
            labelled_rows: manifest.rows,
            requested_by: requested_by.to_owned(),
            at: self.clock.now(),
        };
        stored_json::settle(&*self.blobs, &key, asked).await
    }

    /// Each customer's latest prediction in the window with what became of the customer, where that is known. A row that the training schema
    /// refuses, for an unlisted category above all, is left out and counted: it must not cost the others.
    async fn labelled_rows(&self, report: &DriftReport) -> Result<(Vec<Customer>, BTreeSet<Generation>)> {
        let mut latest = LatestPredictions::default();
        let read = self
            .log
            .read(&report.model, report.window, self.schema, |records| {
                latest.extend(records);
            })
            .await?;
        // Recorded before the window began is not about these predictions. No end: what another replica's clock dates ahead is known, too.
        let known = outcome::read_window(&*self.blobs, report.window.from, Timestamp::MAX).await?;
        let joined = latest.join(&known.records);
        let all = joined.rows.len();
        let (mut rows, mut generations) = (Vec::with_capacity(all), BTreeSet::new());
        for labelled in &joined.rows {
            let customer = labelled.customer();
            if self.schema.check(&customer, Strictness::Training).is_empty() {
                rows.push(customer);
                generations.insert(labelled.prediction.generation);
            }
        }
        let found = LabelledCounts {
            rows: rows.len() as u64,
            attrited: rows.iter().filter(|row| row.label == Some(true)).count() as u64,
        };
        tracing::info!(
            model = %report.model,
            report_id = report.report_id,
            labelled_rows = found.rows,
            attrited_rows = found.attrited,
            refused_by_schema = all - rows.len(),
            without_outcome = joined.without_outcome,
            without_key = joined.without_key,
            predicted_after_event = joined.predicted_after_event,
            capped = read.counts.capped,
            "window joined with outcomes"
        );
        let RetrainingPolicy {
            minimum_labelled_rows,
            minimum_rows_per_class,
        } = self.policy;
        let smaller_class = found.attrited.min(found.stayed());
        if found.rows < minimum_labelled_rows || smaller_class < minimum_rows_per_class {
            return Err(Error::TooFewOutcomes {
                found,
                minimum_rows: minimum_labelled_rows,
                minimum_per_class: minimum_rows_per_class,
            });
        }
        Ok((rows, generations))
    }
}

fn note_key(report: &DriftReport, name: &str) -> Result<Key> {
    Key::parse(format!("retraining/{}/{name}.json", report.report_id))
        .map_err(|error| holdfast_records::Error::Key(error.to_string()).into())
}

impl From<Started> for Retraining {
    fn from(started: Started) -> Self {
        Self {
            run_id: started.run_id,
            window_snapshot: started.window_snapshot,
            labelled_rows: started.labelled_rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes of format 1, which are read for ever.
    const ASKED_V1: &str = r#"{"format_version":1,"window_snapshot":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","labelled_rows":300,"requested_by":"ada","at":"2026-11-23T12:00:00Z"}"#;
    const STARTED_V1: &str = r#"{"format_version":1,"run_id":"0198a000-0000-7000-8000-000000000000","window_snapshot":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","labelled_rows":300}"#;

    #[test]
    fn the_first_version_of_the_notes_reads_back_and_is_written_so() {
        let asked: Asked = stored_json::decode(ASKED_V1.as_bytes()).unwrap();
        assert_eq!((asked.window_snapshot, asked.labelled_rows), (Digest::of(b"abc"), 300));
        assert_eq!(stored_json::encode(&asked).unwrap(), ASKED_V1);
        let started: Started = stored_json::decode(STARTED_V1.as_bytes()).unwrap();
        assert_eq!(stored_json::encode(&started).unwrap(), STARTED_V1);
    }

    #[test]
    fn a_note_of_a_newer_build_is_refused_by_its_version() {
        let newer = ASKED_V1.replacen(":1,", ":2,", 1);
        let refused = stored_json::decode::<Asked>(newer.as_bytes()).unwrap_err();
        assert!(
            refused.to_string().contains("version 2 of retraining request"),
            "{refused}"
        );
    }
}
