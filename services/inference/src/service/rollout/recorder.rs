//! Brings compared rows into the blob store, best effort: the prediction log is the promise, this is not.

use std::sync::Arc;
use std::time::Duration;

use holdfast_records::shadow::{self, ShadowRecord};
use holdfast_records::{PartitionHour, Slug, layout};
use holdfast_storage::{BlobStore, Created};
use tokio::time::Instant;

use crate::metrics::RolloutMetrics;
use crate::settings::RolloutSettings;

/// How long one object may take; then its rows are given up, so that comparing goes on.
const PATIENCE: Duration = Duration::from_secs(10);
/// Numbers tried for one object: another process of this name may have taken some.
const NUMBERS: u64 = 64;
/// With nothing to record there is nothing due; the wait only has to end some day.
const IDLE: Duration = Duration::from_hours(1);

/// Rows on their way to the blob store.
#[derive(Debug)]
pub struct Recorder {
    /// Where they go.
    store: Arc<dyn BlobStore>,
    /// Who writes them.
    replica: Slug,
    /// Sizes.
    settings: RolloutSettings,
    /// Counts.
    metrics: RolloutMetrics,
    /// Rows that wait, all of one hour and one model.
    waiting: Vec<ShadowRecord>,
    /// When the first of them came.
    since: Instant,
}

impl Recorder {
    /// A recorder of this replica's rows.
    pub fn new(store: Arc<dyn BlobStore>, replica: Slug, settings: RolloutSettings, metrics: RolloutMetrics) -> Self {
        Self {
            store,
            replica,
            settings,
            metrics,
            waiting: Vec::new(),
            since: Instant::now(),
        }
    }

    /// When what waits is to be stored.
    pub fn due(&self) -> Instant {
        let age = if self.waiting.is_empty() {
            return Instant::now() + IDLE;
        } else {
            Duration::from_millis(self.settings.shadow_segment_age_ms)
        };
        self.since + age
    }

    /// Takes the rows of one request, and stores what waits when it is enough, or of another hour.
    pub async fn take(&mut self, records: Vec<ShadowRecord>) {
        let Some(first) = records.first() else {
            return;
        };
        let belongs = |waiting: &ShadowRecord| {
            waiting.model == first.model && PartitionHour::of(waiting.event_time) == PartitionHour::of(first.event_time)
        };
        if self.waiting.first().is_some_and(|waiting| !belongs(waiting)) {
            self.flush().await;
        }
        if self.waiting.is_empty() {
            self.since = Instant::now();
        }
        self.waiting.extend(records);
        if self.waiting.len() >= self.settings.shadow_segment_rows {
            self.flush().await;
        }
    }

    /// Stores what waits, once. Rows that cannot be stored are dropped and counted.
    pub async fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.waiting);
        let rows = records.len() as u64;
        match tokio::time::timeout(PATIENCE, self.store(records)).await {
            Ok(Ok(())) => {
                self.metrics.recorded.inc_by(rows);
            }
            failed => {
                let why = match failed {
                    Ok(Err(why)) => why,
                    _ => format!("the blob store took longer than {} s", PATIENCE.as_secs()),
                };
                tracing::warn!(rows, why, "compared scores cannot be stored and are dropped");
                self.metrics.dropped.inc_by(rows);
            }
        }
    }

    async fn store(&self, records: Vec<ShadowRecord>) -> Result<(), String> {
        let Some(first) = records.first() else {
            return Ok(());
        };
        let (model, at) = (first.model.clone(), first.event_time);
        let encoding = tokio::task::spawn_blocking(move || shadow::encode(&records));
        let body = encoding
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        // The time of the first row, in microseconds: a number that no object of this replica has, without any state.
        let number = u64::try_from(at.as_microsecond()).unwrap_or_default();
        for number in (0..NUMBERS).map(|more| number.saturating_add(more)) {
            let key = layout::shadow_key(&model, at, &self.replica, number);
            match self.store.create(&key, body.clone()).await {
                Ok(Created::Yes) => return Ok(()),
                Ok(Created::AlreadyExists) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(format!("{NUMBERS} numbers behind {number} are taken"))
    }
}
