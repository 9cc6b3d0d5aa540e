//! Another champion appears between the gate's decision and the promotion.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use holdfast_chassis::Shutdown;
use holdfast_chassis::clock::SystemClock;
use holdfast_chassis::metrics::{Exposition, MetricsRegistry};
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion, RunId, Schema};
use holdfast_records::layout;
use holdfast_storage::MemoryStore;
use holdfast_training::metrics::Metrics;
use holdfast_training::service::params::Presets;
use holdfast_training::service::pipeline::{Parts, Pipelines, RunSettings};
use holdfast_training::service::registry::{
    Batch, Champion, Decision, Evidence, FinishedVersion, Promotion, Registry, RegistryError, ReservedVersion,
    RunFacts, TrackedEnd, TrackedRun, VersionFacts, VersionId, VersionSnapshots,
};
use holdfast_training::service::runs::{ImportTarget, Input, RunRequest, State, Trigger};
use holdfast_training::service::snapshots::Snapshots;
use holdfast_training::service::store::RunStore;

use crate::support::directory;

/// A registry in which somebody else promotes the candidate's own bytes first, as version 7.
#[derive(Debug, Default)]
struct Contested {
    promotions: Mutex<Vec<Generation>>,
    judged_against: Mutex<Vec<Option<ModelVersion>>>,
    rival: Mutex<Option<Champion>>,
}

#[async_trait]
impl Registry for Contested {
    async fn champion(&self, _: &ModelName) -> Result<Option<Champion>, RegistryError> {
        Ok(self.rival.lock().unwrap().clone())
    }

    async fn snapshots(&self, _: &ModelName, _: ModelVersion) -> Result<VersionSnapshots, RegistryError> {
        unreachable!("no run on a window")
    }

    async fn version(&self, _: &ModelName, _: ModelVersion) -> Result<Option<VersionFacts>, RegistryError> {
        Ok(None)
    }

    async fn run(&self, _: &RunId) -> Result<Option<RunFacts>, RegistryError> {
        Ok(None)
    }

    async fn open_run(&self, _: &TrackedRun) -> Result<(), RegistryError> {
        Ok(())
    }

    async fn log(&self, _: &RunId, _: &Batch) -> Result<(), RegistryError> {
        Ok(())
    }

    async fn close_run(&self, _: &RunId, end: TrackedEnd) -> Result<(), RegistryError> {
        assert_eq!(end, TrackedEnd::Finished);
        Ok(())
    }

    async fn reserve(&self, model: &ModelName, _: &RunId, _: &str) -> Result<ReservedVersion, RegistryError> {
        Ok(ReservedVersion {
            version: ModelVersion(1),
            artifact_key: layout::model_key(model, ModelVersion(1)),
        })
    }

    async fn adopt(&self, _: &ModelName, _: ImportTarget, _: &RunId) -> Result<(), RegistryError> {
        unreachable!("no import of a version")
    }

    async fn finish(&self, _: &FinishedVersion) -> Result<(), RegistryError> {
        Ok(())
    }

    async fn evaluate(&self, _: &VersionId, evidence: &Evidence) -> Result<Decision, RegistryError> {
        let against = evidence.champion.as_ref().map(|comparison| comparison.champion.version);
        self.judged_against.lock().unwrap().push(against);
        Ok(Decision {
            accepted: true,
            failed_checks: Vec::new(),
            champion_generation: Generation(u64::from(against.is_some())),
            test_snapshot_uses: None,
        })
    }

    async fn promote(&self, id: &VersionId, expected: Generation, _: &str) -> Result<Promotion, RegistryError> {
        self.promotions.lock().unwrap().push(expected);
        if expected == Generation(1) {
            return Ok(Promotion::Won(Generation(2)));
        }
        *self.rival.lock().unwrap() = Some(Champion {
            id: VersionId {
                version: ModelVersion(7),
                ..id.clone()
            },
            generation: Generation(1),
            artifact_key: layout::model_key(&id.model, id.version),
        });
        Ok(Promotion::LostRace)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_race_is_measured_again_against_the_new_champion_once() {
    let dir = directory();
    let registry = Arc::new(Contested::default());
    let shutdown = Shutdown::new("test");
    let metrics_registry = MetricsRegistry::new("training");
    let metrics = Metrics::new(&metrics_registry);
    let blobs = Arc::new(MemoryStore::new());
    let clock = Arc::new(SystemClock);
    let incoming = dir.path().join("incoming");
    let parts = Parts {
        store: RunStore::open(&dir.path().join("training.db")).await.unwrap(),
        snapshots: Snapshots::open(blobs.clone(), clock.clone(), metrics.clone(), incoming, 1 << 20).unwrap(),
        blobs,
        registry: registry.clone(),
        presets: Presets::load(None).unwrap(),
        database: None,
        schema: Schema::embedded(),
        runs: RunSettings {
            threads: 1,
            progress_interval: Duration::from_millis(10),
        },
        max_model_bytes: 1 << 20,
        clock,
        metrics,
    };
    let pipelines = Pipelines::open(parts, shutdown.clone()).await.unwrap();
    let table: Digest = pipelines
        .snapshots()
        .store("bank", holdfast_simulator::customers(1_000, 4))
        .await
        .unwrap()
        .digest;
    let request = RunRequest {
        model: ModelName::parse("churn").unwrap(),
        input: Input::Snapshot { table, test: None },
        preset: "fast".into(),
        seed: 42,
        test_share: 0.2,
        trigger: Trigger::Manual,
        requested_by: "test".into(),
        report_id: String::new(),
        promote: true,
        idempotency_key: String::new(),
        threshold: None,
        tuning: None,
        import: None,
        target: None,
    };
    let id = pipelines.start(request).await.unwrap();
    let mut follower = pipelines.follow(&id, 0).await.unwrap();
    while !follower.next().await.unwrap().is_empty() {}

    let run = pipelines.run(&id).await.unwrap();
    let result = run.result.unwrap();
    assert_eq!(
        (run.state, result.promoted, result.generation),
        (State::Done, true, 2),
        "{:?}",
        run.error
    );
    assert_eq!(*registry.promotions.lock().unwrap(), [Generation(0), Generation(1)]);
    assert_eq!(*registry.judged_against.lock().unwrap(), [None, Some(ModelVersion(7))]);
    assert_eq!(result.metrics["auc_delta"], 0.0);

    shutdown.trigger("the test is over");
    shutdown.finish().await;
    let text = metrics_registry.encode(Exposition::Text);
    for series in [
        "holdfast_training_runs_total{trigger=\"manual\",outcome=\"accepted\"} 1",
        "holdfast_training_runs_total{trigger=\"drift\",outcome=\"failed\"} 0",
        "holdfast_training_step_duration_seconds_count{step=\"gate\"} 1",
        "holdfast_training_snapshot_imports_total{outcome=\"refused\"} 0",
        "holdfast_training_active_runs 0",
    ] {
        assert!(text.contains(series), "{series} is not in\n{text}");
    }
}
