//! A check: read the window, compare it with the champion's reference, store the report.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use holdfast_chassis::clock::Clock;
use holdfast_domain::{CustomerKey, ModelName, Schema};
use holdfast_records::outcome;
use holdfast_storage::BlobStore;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use super::drift::{self, Circumstances};
use super::policy::DriftPolicy;
use super::reference::Champions;
use super::report::{self, DriftReport, Window};
use super::reports::{self, Reports};
use super::sample::WindowSample;
use super::window::PredictionLog;
use crate::error::{Error, Result};
use crate::metrics::{CheckOutcome, Metrics};

/// Checks at work at once; others wait. Each holds a window in memory and a core while it compares.
const PARALLEL_CHECKS: usize = 2;

/// Checks windows for drift.
#[derive(Clone, Debug)]
pub struct DriftChecks {
    blobs: Arc<dyn BlobStore>,
    schema: &'static Schema,
    champions: Champions,
    reports: Reports,
    log: PredictionLog,
    policy: DriftPolicy,
    window_length: SignedDuration,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    turns: Arc<Semaphore>,
}

/// The rules of checks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckRules {
    /// When a window has drifted.
    pub policy: DriftPolicy,
    /// Length of the window when none is named.
    pub window_length: SignedDuration,
}

impl DriftChecks {
    /// Checks of the predictions in `log`, with everything else in `blobs`.
    pub fn new(
        blobs: Arc<dyn BlobStore>,
        log: PredictionLog,
        rules: CheckRules,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let schema = Schema::embedded();
        Self {
            champions: Champions::new(Arc::clone(&blobs), schema),
            reports: Reports::new(Arc::clone(&blobs)),
            blobs,
            schema,
            log,
            policy: rules.policy,
            window_length: rules.window_length,
            clock,
            metrics,
            turns: Arc::new(Semaphore::new(PARALLEL_CHECKS)),
        }
    }

    /// Compares a window (`None`: the last one, of the length in the settings) with the champion's reference and stores the report.
    ///
    /// # Errors
    /// [`Error::NoChampion`], [`Error::WindowTooSmall`], the champion's artefact missing or damaged; the blob store's.
    pub async fn check(&self, model: &ModelName, window: Option<Window>) -> Result<DriftReport> {
        let begun = Instant::now();
        let checked = self.report_on(model, window).await;
        self.metrics.check_duration.observe(begun.elapsed());
        match &checked {
            Ok(report) => {
                self.metrics.checked(report);
                tracing::info!(
                    %model, report_id = report.report_id, version = %report.version, from = %report.window.from, to = %report.window.to,
                    rows = report.rows, verdict = ?report.verdict, drift_share = report.drift_share, summary = report.summary, "drift checked"
                );
            }
            Err(Error::WindowTooSmall { .. } | Error::NoChampion(_)) => {
                self.metrics.count_check(CheckOutcome::Refused);
            }
            Err(_) => self.metrics.count_check(CheckOutcome::Failed),
        }
        checked
    }

    async fn report_on(&self, model: &ModelName, window: Option<Window>) -> Result<DriftReport> {
        // The semaphore is never closed; a closed one would only let more checks in.
        let _turn = self.turns.acquire().await.ok();
        let champion = self.champions.current(model).await?;
        let now = self.clock.now();
        let window = window.unwrap_or_else(|| self.last_window(now));

        let mut sample = WindowSample::new(champion.model.profile(), self.schema);
        let mut customers: BTreeSet<CustomerKey> = BTreeSet::new();
        let version = champion.entry.version;
        let read = self
            .log
            .read(model, window, self.schema, |records| {
                for record in &records {
                    sample.push(&record.features, (record.version == version).then_some(record.score));
                    customers.extend(record.customer_key);
                }
            })
            .await?;
        if sample.rows() < self.policy.minimum_rows {
            return Err(Error::WindowTooSmall {
                model: model.clone(),
                rows: sample.rows(),
                minimum: self.policy.minimum_rows,
            });
        }
        let labelled_rows = self.labelled(&customers, window).await?;

        let rows = sample.rows();
        let (reference, policy, schema) = (Arc::clone(&champion.model), self.policy, self.schema);
        let compared =
            tokio::task::spawn_blocking(move || drift::compare(reference.profile(), &sample, &policy, schema));
        let comparison = compared.await??;
        let circumstances = Circumstances {
            rows,
            capped: read.counts.capped,
            objects_damaged: read.damaged,
        };
        let report = DriftReport {
            format_version: report::FORMAT_VERSION,
            report_id: reports::new_id(now),
            model: model.clone(),
            version,
            artifact_digest: champion.entry.artifact_digest,
            generation: champion.entry.generation,
            window,
            rows,
            capped: read.counts.capped,
            objects_read: read.counts.objects,
            objects_damaged: read.damaged,
            verdict: comparison.verdict,
            drift_share: comparison.drift_share,
            score_drifted: comparison.score_drifted,
            summary: drift::summary(&comparison, &self.policy, circumstances),
            features: comparison.features,
            skipped: comparison.skipped,
            policy: self.policy,
            labelled_rows,
            created_at: now,
        };
        self.reports.create(&report).await?;
        Ok(report)
    }

    fn last_window(&self, now: Timestamp) -> Window {
        // The end is exclusive, and a prediction of this very moment belongs in.
        let to = now.saturating_add(SignedDuration::from_micros(1)).unwrap_or(now);
        Window {
            from: to.saturating_sub(self.window_length).unwrap_or(Timestamp::MIN),
            to,
        }
    }

    /// Customers of the window whose outcome is known.
    async fn labelled(&self, customers: &BTreeSet<CustomerKey>, window: Window) -> Result<u64> {
        let known = outcome::read_window(&*self.blobs, window.from, Timestamp::MAX).await?;
        let labelled: BTreeSet<CustomerKey> = known.records.iter().map(|record| record.customer_key).collect();
        Ok(labelled.intersection(customers).count() as u64)
    }
}
