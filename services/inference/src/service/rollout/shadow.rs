//! The same rows scored by the challenger, off the callers' path.
//!
//! Requests hand their rows over through a queue of fixed length and never wait for it; one task takes them out, one request
//! at a time, and scores them on a thread of its own. Both versions are timed there on the same rows, so that their times
//! compare; the champion's scores are those that the caller got.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_domain::{CustomerKey, FeatureVector};
use holdfast_records::shadow::ShadowRecord;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::recorder::Recorder;
use super::tally::Deltas;
use super::trial::Trial;
use crate::service::serving::ServingModel;

/// How long the end of the service waits for the rows it still holds. Below the chassis' deadline for tasks.
const LAST_RECORD: Duration = Duration::from_secs(3);

/// A row as the champion answered it.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The customer.
    pub customer_key: Option<CustomerKey>,
    /// Its features.
    pub features: FeatureVector,
    /// The champion's probability.
    pub score: f64,
    /// The champion's label.
    pub label: bool,
}

/// A request to be scored by the challenger. It keeps both versions alive until it is done.
#[derive(Debug)]
pub struct Comparison {
    /// The trial.
    pub trial: Arc<Trial>,
    /// Who answered.
    pub champion: Arc<ServingModel>,
    /// The request.
    pub request_id: String,
    /// When it was answered.
    pub event_time: Timestamp,
    /// Its rows.
    pub rows: Vec<Answered>,
}

/// Where comparisons wait.
#[derive(Clone, Debug)]
pub struct ShadowQueue(mpsc::Sender<Comparison>);

impl ShadowQueue {
    /// A queue of `length` requests, and its other end.
    pub fn new(length: usize) -> (Self, mpsc::Receiver<Comparison>) {
        let (sender, receiver) = mpsc::channel(length);
        (Self(sender), receiver)
    }

    /// Hands a request over; false when there is no place.
    pub fn offer(&self, comparison: Comparison) -> bool {
        self.0.try_send(comparison).is_ok()
    }
}

/// Compares what waits, and records it.
#[derive(Debug)]
pub struct Comparer {
    /// What waits.
    pub queue: mpsc::Receiver<Comparison>,
    /// Where the rows go.
    pub recorder: Recorder,
}

impl Comparer {
    /// Compares until `end`, then brings away what it holds. What still waits is given up.
    pub async fn run(mut self, end: impl Future<Output = ()>) {
        tokio::pin!(end);
        loop {
            let due = self.recorder.due();
            tokio::select! {
                () = &mut end => break,
                () = tokio::time::sleep_until(due) => self.recorder.flush().await,
                waiting = self.queue.recv() => match waiting {
                    Some(comparison) => self.compare(comparison).await,
                    None => break,
                },
            }
        }
        if tokio::time::timeout(LAST_RECORD, self.recorder.flush()).await.is_err() {
            tracing::warn!("compared scores were not stored in time and are lost");
        }
    }

    async fn compare(&mut self, comparison: Comparison) {
        if comparison.trial.tally.broken().is_some() {
            return;
        }
        // A panic of the challenger is contained and counted there; whatever else ends the thread leaves nothing to record.
        let scored = tokio::task::spawn_blocking(move || score(&comparison)).await;
        if let Ok(records) = scored {
            self.recorder.take(records).await;
        }
    }
}

/// Scores a request with both versions, counts, and answers the rows to record; none when the challenger failed.
fn score(comparison: &Comparison) -> Vec<ShadowRecord> {
    let Comparison { trial, champion, .. } = comparison;
    let vectors: Vec<FeatureVector> = comparison.rows.iter().map(|row| row.features).collect();
    let mut scores = vec![f64::NAN; vectors.len()];
    let began = Instant::now();
    champion.model.score_batch(&vectors, &mut scores);
    trial.champion_scored(began.elapsed());

    scores.fill(f64::NAN);
    let model = &trial.challenger.model;
    let began = Instant::now();
    let attempt = catch_unwind(AssertUnwindSafe(|| model.score_batch(&vectors, &mut scores)));
    let took = began.elapsed();
    if attempt.is_err() || !scores.iter().all(|score| (0.0..=1.0).contains(score)) {
        trial.failed();
        return Vec::new();
    }
    let mut deltas = Deltas::default();
    let mut records = Vec::with_capacity(scores.len());
    for (index, (row, score)) in comparison.rows.iter().zip(&scores).enumerate() {
        let label = model.label(*score);
        deltas.add(score - row.score, label != row.label);
        trial.metrics.delta.observe((score - row.score).abs());
        records.push(ShadowRecord {
            request_id: comparison.request_id.clone(),
            row_index: u32::try_from(index).unwrap_or(u32::MAX),
            event_time: comparison.event_time,
            customer_key: row.customer_key,
            model: champion.target.model.clone(),
            rollout_revision: trial.rollout.revision,
            champion_version: champion.target.version,
            challenger_version: trial.challenger.target.version,
            champion_score: row.score,
            challenger_score: *score,
            champion_label: row.label,
            challenger_label: label,
        });
    }
    trial.metrics.flips.inc_by(deltas.label_flips);
    trial.tally.compared(&deltas);
    trial.scored(took);
    records
}
