//! Every metric of the inference service.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_chassis::metrics::{Counter, EncodeLabelSet, Family, Gauge, Histogram, MetricsRegistry, Unit};
use holdfast_domain::Feature;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::Histogram as ValueHistogram;

use crate::service::rollout::tally::{Broken, DELTA_BOUNDS};

/// How a customer that was to be scored was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a score.
    Ok,
    /// With the rules it breaks.
    Invalid,
    /// There was no champion.
    NoChampion,
    /// The prediction log could not take it, or the replica was too busy.
    Refused,
}

/// Where a load failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the artefact.
    Download,
    /// Comparing its digest with the champion log's.
    Digest,
    /// Decoding it.
    Decode,
    /// Scoring its golden rows.
    Golden,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FeatureLabels {
    feature: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabels {
    role: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
    version: String,
    digest: String,
}

const OUTCOMES: [Outcome; 4] = [Outcome::Ok, Outcome::Invalid, Outcome::NoChampion, Outcome::Refused];
const STAGES: [Stage; 4] = [Stage::Download, Stage::Digest, Stage::Decode, Stage::Golden];

impl Outcome {
    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Invalid => "invalid",
            Self::NoChampion => "no_champion",
            Self::Refused => "refused",
        }
    }
}

impl Stage {
    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Digest => "digest",
            Self::Decode => "decode",
            Self::Golden => "golden",
        }
    }
}

/// The metrics; clones are the same ones.
#[derive(Clone, Debug)]
pub struct Metrics {
    outcomes: [Counter; OUTCOMES.len()],
    failures: [Counter; STAGES.len()],
    out_of_domain: Arc<Vec<Counter>>,
    model_info: Family<ModelLabels, Gauge>,
    /// Time to answer a request, validation and log included.
    pub duration: Histogram,
    /// Scores given.
    pub score: Scores,
    /// 1 while a model serves.
    pub model_loaded: Gauge,
    /// Generation of the model in service.
    pub model_generation: Gauge,
    /// From the notice of a champion to its service.
    pub reload: Histogram,
    /// 1 while the subscription stands.
    pub registry_connected: Gauge,
    /// Versions on trial.
    pub rollout: RolloutMetrics,
    /// The prediction log.
    pub log: LogMetrics,
}

/// Metrics of versions on trial.
#[derive(Clone, Debug)]
pub struct RolloutMetrics {
    /// 1 while a version is on trial here.
    pub active: Gauge,
    /// Requests that the champion scored beside a challenger.
    pub champion_requests: Counter,
    /// Requests that a challenger scored, or failed to.
    pub challenger_requests: Counter,
    /// Requests that a challenger failed to score.
    pub errors: Counter,
    error_returns: Counter,
    latency_returns: Counter,
    /// Challengers that could not be prepared.
    pub load_failures: Counter,
    /// Requests that were not compared because too many waited.
    pub skipped: Counter,
    /// Absolute differences of the two scores.
    pub delta: ValueHistogram,
    /// Rows that the two versions label differently.
    pub flips: Counter,
    /// Compared rows in the blob store.
    pub recorded: Counter,
    /// Compared rows that could not be stored.
    pub dropped: Counter,
}

/// Metrics of the prediction log.
#[derive(Clone, Debug)]
pub struct LogMetrics {
    /// Records acknowledged.
    pub acknowledged: Counter,
    /// Records in the blob store.
    pub uploaded: Counter,
    /// Records dropped at the limit.
    pub dropped: Counter,
    /// Records whose predictions were refused.
    pub refused: Counter,
    /// Records that a damaged spool lost.
    pub damaged: Counter,
    /// Uploads that failed and are tried again.
    pub upload_failures: Counter,
    /// Bytes on local disk.
    pub spool_bytes: Gauge,
    /// Records on local disk.
    pub spooled: Gauge,
    /// Since when the oldest segment is on local disk.
    pub oldest: Age,
}

impl Metrics {
    /// Registers all of them; every series exists from now on.
    pub fn register(registry: &MetricsRegistry) -> Self {
        let name = |what: &str| format!("holdfast_inference_{what}");
        let outcomes = registry.counters(
            &name("predictions"),
            "Customers that were to be scored, by how they were answered",
            Unit::None,
            OUTCOMES.map(|outcome| OutcomeLabels {
                outcome: outcome.name(),
            }),
        );
        let failures = registry.counters(
            &name("model_load_failures"),
            "Champions that could not be loaded, by where it failed; the champion before serves on",
            Unit::None,
            STAGES.map(|stage| StageLabels { stage: stage.name() }),
        );
        let labels = Feature::ALL.map(|feature| FeatureLabels {
            feature: feature.name(),
        });
        let help = "Scored values that training did not see, by feature";
        let out_of_domain = registry.counters(&name("out_of_domain"), help, Unit::None, labels.clone());
        Self {
            outcomes: OUTCOMES.map(|outcome| {
                outcomes.get_or_create_owned(&OutcomeLabels {
                    outcome: outcome.name(),
                })
            }),
            failures: STAGES.map(|stage| failures.get_or_create_owned(&StageLabels { stage: stage.name() })),
            out_of_domain: Arc::new(
                labels
                    .iter()
                    .map(|labels| out_of_domain.get_or_create_owned(labels))
                    .collect(),
            ),
            model_info: registry.gauges(
                &name("model_info"),
                "Always 1; the labels name the model in service",
                Unit::None,
                [],
            ),
            duration: registry.histogram(
                &name("prediction_duration"),
                "Time to answer a request for predictions, its log included",
            ),
            score: registry.register(
                &name("prediction_score"),
                "Probabilities of attrition given",
                Unit::None,
                Scores::default(),
            ),
            model_loaded: registry.gauge(&name("model_loaded"), "1 while a model serves, else 0", Unit::None),
            model_generation: registry.gauge(
                &name("model_generation"),
                "Generation of the champion log under which the model serves; 0 without one",
                Unit::None,
            ),
            reload: registry.histogram(
                &name("model_reload_duration"),
                "From the notice of a new champion to its service",
            ),
            registry_connected: registry.gauge(
                &name("registry_connected"),
                "1 while the subscription to the registry stands, else 0",
                Unit::None,
            ),
            rollout: RolloutMetrics::register(registry),
            log: LogMetrics::register(registry),
        }
    }

    /// Counts `rows` customers by how they were answered.
    pub fn answered(&self, outcome: Outcome, rows: usize) {
        let place = OUTCOMES.iter().position(|known| *known == outcome).unwrap_or_default();
        self.outcomes[place].inc_by(rows as u64);
    }

    /// Counts a failed load.
    pub fn load_failed(&self, stage: Stage) {
        let place = STAGES.iter().position(|known| *known == stage).unwrap_or_default();
        self.failures[place].inc();
    }

    /// Counts a value that training did not see.
    pub fn out_of_domain(&self, feature: Feature) {
        if let Some(counter) = self.out_of_domain.get(feature.index()) {
            counter.inc();
        }
    }

    /// Names the model in service.
    pub fn serves(&self, model: &str, version: u32, digest: &str, generation: u64) {
        self.model_info.clear();
        let labels = ModelLabels {
            model: model.to_owned(),
            version: version.to_string(),
            digest: digest.to_owned(),
        };
        self.model_info.get_or_create(&labels).set(1);
        self.model_generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.model_loaded.set(1);
    }
}

impl RolloutMetrics {
    fn register(registry: &MetricsRegistry) -> Self {
        let counter =
            |what: &str, help: &str| registry.counter(&format!("holdfast_inference_{what}"), help, Unit::None);
        let roles = ["champion", "challenger"].map(|role| RoleLabels { role });
        let requests = registry.counters(
            "holdfast_inference_rollout_requests",
            "Requests scored while a version is on trial, by which of the two scored them; failures included",
            Unit::None,
            roles.clone(),
        );
        let limits = ["errors", "latency"].map(|limit| LimitLabels { limit });
        let returns = registry.counters(
            "holdfast_inference_rollout_returns",
            "Times that all traffic went back to the champion because a version on trial broke a limit, by which",
            Unit::None,
            limits.clone(),
        );
        let [champion, challenger] = roles;
        let [errors, latency] = limits;
        Self {
            active: registry.gauge(
                "holdfast_inference_rollout_active",
                "1 while a version is on trial beside the champion, else 0",
                Unit::None,
            ),
            champion_requests: requests.get_or_create_owned(&champion),
            challenger_requests: requests.get_or_create_owned(&challenger),
            errors: counter(
                "rollout_errors",
                "Requests that a version on trial failed to score; the champion answered them",
            ),
            error_returns: returns.get_or_create_owned(&errors),
            latency_returns: returns.get_or_create_owned(&latency),
            load_failures: counter(
                "rollout_load_failures",
                "Attempts to prepare a version for trial that failed; the champion answers everything",
            ),
            skipped: counter(
                "shadow_skipped_requests",
                "Requests that a shadow did not compare because too many waited",
            ),
            delta: registry.register(
                "holdfast_inference_shadow_delta",
                "Absolute difference of the probabilities that champion and challenger give the same row",
                Unit::None,
                ValueHistogram::new(DELTA_BOUNDS),
            ),
            flips: counter(
                "shadow_label_flips",
                "Rows that champion and challenger label differently",
            ),
            recorded: counter("shadow_recorded_rows", "Compared rows brought into the blob store"),
            dropped: counter("shadow_dropped_rows", "Compared rows that could not be stored"),
        }
    }

    /// Counts a broken limit.
    pub fn returned(&self, broken: Broken) {
        match broken {
            Broken::Errors => self.error_returns.inc(),
            Broken::Latency => self.latency_returns.inc(),
        };
    }
}

impl LogMetrics {
    fn register(registry: &MetricsRegistry) -> Self {
        let name = |what: &str| format!("holdfast_inference_prediction_log_{what}");
        let counter = |what: &str, help: &str| registry.counter(&name(what), help, Unit::None);
        Self {
            acknowledged: counter(
                "acknowledged_records",
                "Records in the spool when their predictions were answered",
            ),
            uploaded: counter("uploaded_records", "Records brought into the blob store"),
            dropped: counter(
                "dropped_records",
                "Records dropped because the spool was full and set to drop",
            ),
            refused: counter(
                "refused_records",
                "Records whose predictions were refused because they could not be logged",
            ),
            damaged: counter("damaged_records", "Records in the spool that could not be read back"),
            upload_failures: counter(
                "upload_failures",
                "Uploads of a segment that failed and are tried again",
            ),
            spool_bytes: registry.gauge(
                "holdfast_inference_spool",
                "Bytes of the prediction log on local disk",
                Unit::Bytes,
            ),
            spooled: registry.gauge(
                "holdfast_inference_spool_records",
                "Records of the prediction log on local disk",
                Unit::None,
            ),
            oldest: registry.register(
                &name("oldest_segment_age"),
                "Age of the oldest segment of the prediction log that is on local disk only; 0 without one",
                Unit::Seconds,
                Age::default(),
            ),
        }
    }
}

/// A histogram of probabilities without a lock: those of a request are counted together. Clones are the same histogram.
#[derive(Clone, Debug, Default)]
pub struct Scores(Arc<ScoreCounts>);

#[derive(Debug, Default)]
struct ScoreCounts {
    buckets: [AtomicU64; SCORE_BUCKETS],
    /// In units of [`SCORE_UNIT`].
    sum: AtomicU64,
}

/// Buckets of equal width.
const SCORE_BUCKETS: usize = 20;
/// Fine enough that a million scores are summed to a thousandth, coarse enough that millions of millions fit.
const SCORE_UNIT: f64 = 1e-6;

impl Scores {
    /// Counts probabilities, 0 to 1.
    pub fn observe(&self, scores: impl Iterator<Item = f64>) {
        let (mut counts, mut sum) = ([0_u64; SCORE_BUCKETS], 0.0);
        for score in scores {
            let bucket = (1..SCORE_BUCKETS).take_while(|step| score > score_bound(*step)).count();
            counts[bucket] += 1;
            sum += score;
        }
        for (bucket, count) in self.0.buckets.iter().zip(counts).filter(|(_, count)| *count > 0) {
            bucket.fetch_add(count, Ordering::Relaxed);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a sum of probabilities"
        )]
        self.0
            .sum
            .fetch_add((sum / SCORE_UNIT).round() as u64, Ordering::Relaxed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 20")]
fn score_bound(step: usize) -> f64 {
    step as f64 / SCORE_BUCKETS as f64
}

impl EncodeMetric for Scores {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        // Nothing lies above 1; the format wants a bucket for it.
        let bounds = (1..=SCORE_BUCKETS).map(score_bound).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.chain([0])).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        #[expect(clippy::cast_precision_loss, reason = "a sum to be looked at")]
        let sum = self.0.sum.load(Ordering::Relaxed) as f64 * SCORE_UNIT;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// A gauge that shows the seconds since a moment, computed when it is scraped. Clones are the same gauge.
#[derive(Clone, Default)]
pub struct Age(Arc<Mutex<Option<Instant>>>);

impl Age {
    /// Counts from `moment`; `None` shows 0.
    pub fn since(&self, moment: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }

    /// The age now.
    pub fn elapsed(&self) -> Duration {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .map_or(Duration::ZERO, |moment| moment.elapsed())
    }
}

impl fmt::Debug for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Age").field(&self.elapsed()).finish()
    }
}

impl EncodeMetric for Age {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.encode_gauge(&self.elapsed().as_secs_f64())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}
