//! The section `inference` of the settings. What each key means stands in `config.default.yaml`.

use std::time::Duration;

use holdfast_chassis::settings::{Common, Section, ServerSettings, SettingsViolation};
use holdfast_domain::ModelName;
use holdfast_records::Slug;
use serde::{Deserialize, Serialize};

/// Settings of the inference service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Addresses and limits of the server.
    #[serde(flatten)]
    pub server: ServerSettings,
    /// The model whose champion is served.
    pub model: ModelName,
    /// Name of this replica; made and kept when not set.
    pub replica: Option<String>,
    /// How predictions are made.
    pub predict: PredictSettings,
    /// How a new champion is found and loaded.
    pub champion: ChampionSettings,
    /// Versions on trial.
    pub rollout: RolloutSettings,
    /// The prediction log.
    pub prediction_log: PredictionLogSettings,
}

/// How predictions are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictSettings {
    /// Most customers in one batch.
    pub max_batch_rows: usize,
    /// Batches up to this size are scored where the request is handled.
    pub inline_rows: usize,
    /// Threads for larger batches; 0 for as many as the machine has.
    pub batch_threads: usize,
    /// Reasons given with a prediction that asks for them.
    pub reasons: usize,
    /// Requests of one stream that are worked on at once.
    pub stream_window: usize,
}

/// How a new champion is found and loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChampionSettings {
    /// Time between looks at the champion log while the registry is away, in milliseconds.
    pub poll_interval_ms: u64,
    /// First wait before a retry, in milliseconds.
    pub retry_initial_ms: u64,
    /// Longest wait before a retry, in milliseconds.
    pub retry_max_ms: u64,
    /// Time between reports to the registry, in milliseconds.
    pub report_interval_ms: u64,
    /// Artefacts kept on local disk.
    pub keep_artifacts: usize,
}

/// Versions on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutSettings {
    /// Time between reports to the registry while a version is on trial, in milliseconds.
    pub report_interval_ms: u64,
    /// Requests that wait for their comparison; one more is passed over.
    pub shadow_queue: usize,
    /// Compared rows of one object in the blob store.
    pub shadow_segment_rows: usize,
    /// Age at which fewer rows are stored, in milliseconds.
    pub shadow_segment_age_ms: u64,
}

/// The prediction log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictionLogSettings {
    /// What an acknowledged record survives.
    pub durability: Durability,
    /// Size at which a segment is closed, in bytes.
    pub segment_bytes: u64,
    /// Age at which a segment is closed, in milliseconds.
    pub segment_age_ms: u64,
    /// Most bytes on local disk.
    pub limit_bytes: u64,
    /// What happens at the limit.
    pub on_full: OnFull,
    /// First wait before a failed upload is tried again, in milliseconds.
    pub retry_initial_ms: u64,
    /// Longest such wait, in milliseconds.
    pub retry_max_ms: u64,
}

/// What an acknowledged record survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The death of the process.
    Os,
    /// The death of the machine.
    Fsync,
}

/// What happens to a prediction when the spool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFull {
    /// It is refused.
    Refuse,
    /// It is answered, and its record is dropped and counted.
    Drop,
}

impl Section for Settings {
    const NAME: &'static str = "inference";
    const DEFAULTS: &'static str = include_str!("../config.default.yaml");

    fn server(&self) -> Option<&ServerSettings> {
        Some(&self.server)
    }

    fn validate(&self, _common: &Common) -> Result<(), Vec<SettingsViolation>> {
        let mut found = Vec::new();
        let mut check = |key: &str, holds: bool, message: &str| {
            if !holds {
                found.push(SettingsViolation::new(format!("{}.{key}", Self::NAME), message));
            }
        };
        let replica = self
            .replica
            .as_deref()
            .map_or(Ok(()), |name| Slug::parse(name).map(drop));
        check(
            "replica",
            replica.is_ok(),
            "must be 1 to 64 letters, digits, '.', '_' and '-', the first a letter or digit",
        );
        check(
            "predict.max_batch_rows",
            self.predict.max_batch_rows > 0,
            "must be above 0",
        );
        check(
            "predict.stream_window",
            self.predict.stream_window > 0,
            "must be above 0",
        );
        let champion = &self.champion;
        check(
            "champion.poll_interval_ms",
            champion.poll_interval_ms > 0,
            "must be above 0",
        );
        check(
            "champion.retry_initial_ms",
            champion.retry_initial_ms > 0,
            "must be above 0",
        );
        let ordered = champion.retry_max_ms >= champion.retry_initial_ms;
        check("champion.retry_max_ms", ordered, "must not be below retry_initial_ms");
        check(
            "champion.report_interval_ms",
            champion.report_interval_ms > 0,
            "must be above 0",
        );
        check(
            "champion.keep_artifacts",
            champion.keep_artifacts > 0,
            "must be above 0",
        );
        for (key, holds) in self.rollout.rules() {
            check(key, holds, "must be above 0");
        }
        let log = &self.prediction_log;
        check("prediction_log.segment_bytes", log.segment_bytes > 0, "must be above 0");
        check(
            "prediction_log.segment_age_ms",
            log.segment_age_ms > 0,
            "must be above 0",
        );
        check("prediction_log.limit_bytes", log.limit_bytes > 0, "must be above 0");
        check(
            "prediction_log.retry_initial_ms",
            log.retry_initial_ms > 0,
            "must be above 0",
        );
        let ordered = log.retry_max_ms >= log.retry_initial_ms;
        check(
            "prediction_log.retry_max_ms",
            ordered,
            "must not be below retry_initial_ms",
        );
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

impl RolloutSettings {
    fn rules(&self) -> [(&'static str, bool); 4] {
        [
            ("rollout.report_interval_ms", self.report_interval_ms > 0),
            ("rollout.shadow_queue", self.shadow_queue > 0),
            ("rollout.shadow_segment_rows", self.shadow_segment_rows > 0),
            ("rollout.shadow_segment_age_ms", self.shadow_segment_age_ms > 0),
        ]
    }
}

impl PredictSettings {
    /// Threads for large batches, at least one.
    pub fn threads(&self) -> usize {
        match self.batch_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            chosen => chosen,
        }
    }
}

/// Waits that double from `initial_ms` to `max_ms`, with jitter, for ever.
pub(crate) fn waits(initial_ms: u64, max_ms: u64) -> impl Iterator<Item = Duration> + Send {
    use backon::BackoffBuilder as _;
    let longest = Duration::from_millis(max_ms);
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(initial_ms))
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
        .chain(std::iter::repeat(longest))
}
