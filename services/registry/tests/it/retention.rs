//! Collections over a database and a blob store: what goes, what stays, and what a crash or an upload beside them may do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use holdfast_api::registry::v1 as wire;
use holdfast_chassis::Shutdown;
use holdfast_chassis::clock::FakeClock;
use holdfast_domain::{Digest, ModelName, ModelVersion, RunId};
use holdfast_records::{layout, model_manifest};
use holdfast_registry::service::artifacts::{ArtifactPath, Artifacts};
use holdfast_registry::service::lineage::Lineage;
use holdfast_registry::service::logged_models::{LoggedModels, NewLoggedModel};
use holdfast_registry::service::registered::NewVersion;
use holdfast_registry::service::retention::{Collection, GarbageKind, Retention};
use holdfast_registry::service::store::{ArtifactStore as _, RegisteredModelStore as _, SqlStore};
use holdfast_registry::service::tracking::{KeyValue, NewExperiment, NewRun, Tracking};
use holdfast_registry::{ArtifactSettings, Error};
use holdfast_storage::testing::{Fault, FaultyStore, Trigger};
use holdfast_storage::{BlobStore, BlobStoreKind, BlobStoreSettings, Operation, S3Settings, Secret};
use holdfast_testkit::{Postgres, SeaweedS3, eventually};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::artifacts::write;
use crate::support::{MODEL, Registry};

const DAY: Duration = Duration::from_hours(24);

/// The services that a collection has to do with, and a clock that stands still.
struct Bench {
    store: Arc<SqlStore>,
    blobs: Arc<dyn BlobStore>,
    faults: FaultyStore,
    artifacts: Artifacts,
    tracking: Tracking,
    models: LoggedModels,
    retention: Retention,
    clock: FakeClock,
    _kept: (TempDir, Option<Postgres>),
}

impl Bench {
    /// On SQLite and a directory.
    async fn embedded() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqlStore::open_sqlite(&dir.path().join("registry.db")).await.unwrap();
        let blobs = BlobStoreSettings::default().open(dir.path()).await.unwrap();
        Self::over(store, blobs, (dir, None))
    }

    /// On Postgres and a real S3 server.
    async fn shared(prefix: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let postgres = Postgres::start().await;
        let url = Secret::new(postgres.database().await);
        let store = SqlStore::open_postgres(&url).await.unwrap();
        let seaweed = SeaweedS3::shared().await;
        let settings = BlobStoreSettings {
            kind: BlobStoreKind::S3,
            s3: S3Settings {
                bucket: seaweed.bucket().to_owned(),
                prefix: format!("retention/{prefix}"),
                endpoint: Some(seaweed.endpoint().to_owned()),
                path_style: true,
                access_key_id: Some(seaweed.access_key_id().to_owned()),
                secret_access_key: Some(Secret::new(seaweed.secret_access_key())),
                ..S3Settings::default()
            },
            ..BlobStoreSettings::default()
        };
        let blobs = settings.open(dir.path()).await.unwrap();
        Self::over(store, blobs, (dir, Some(postgres)))
    }

    fn over(store: SqlStore, blobs: Arc<dyn BlobStore>, kept: (TempDir, Option<Postgres>)) -> Self {
        let store = Arc::new(store);
        let faults = FaultyStore::new(blobs);
        let blobs: Arc<dyn BlobStore> = Arc::new(faults.clone());
        let clock = FakeClock::at(Timestamp::from_second(1_790_000_000).unwrap());
        let shown = Arc::new(clock.clone());
        let spool = kept.0.path().join("spool");
        let settings = ArtifactSettings::default();
        let artifacts = Artifacts::open(store.clone(), blobs.clone(), shown.clone(), &spool, &settings).unwrap();
        let tracking = Tracking::new(store.clone(), shown.clone());
        let models = LoggedModels::new(store.clone(), shown.clone());
        let lineage = Lineage::new(blobs.clone(), tracking.clone(), store.clone());
        let retention = Retention::new(store.clone(), blobs.clone(), lineage, shown, Shutdown::new("test"));
        Self {
            store,
            blobs,
            faults,
            artifacts,
            tracking,
            models,
            retention,
            clock,
            _kept: kept,
        }
    }

    async fn experiment(&self, name: &str) -> i64 {
        let new = NewExperiment {
            name: name.to_owned(),
            ..NewExperiment::default()
        };
        self.tracking.create_experiment(&new).await.unwrap().id
    }

    /// A run with a file of these bytes; answers its id and the path.
    async fn run(&self, experiment_id: i64, bytes: &str, parent: Option<&str>) -> (String, String) {
        let parent = parent.map(|run| KeyValue {
            key: "mlflow.parentRunId".to_owned(),
            value: run.to_owned(),
        });
        let new = NewRun {
            experiment_id,
            tags: parent.into_iter().collect(),
            ..NewRun::default()
        };
        let run = self.tracking.create_run(new).await.unwrap().id;
        let path = format!("{experiment_id}/{run}/artifacts/model/file");
        self.upload(&path, bytes).await.unwrap();
        (run, path)
    }

    /// A logged model with a file that has its id; answers the id and the path.
    async fn model(&self, experiment_id: i64, source_run_id: &str) -> (String, String) {
        let new = NewLoggedModel {
            experiment_id,
            source_run_id: source_run_id.to_owned(),
            ..NewLoggedModel::default()
        };
        let model = self.models.create(new).await.unwrap().id;
        let path = format!("{experiment_id}/models/{model}/artifacts/MLmodel");
        self.upload(&path, &model).await.unwrap();
        (model, path)
    }

    async fn upload(&self, path: &str, bytes: &str) -> Result<(), Error> {
        let mut upload = self.artifacts.upload(ArtifactPath::parse(path).unwrap())?;
        upload.write(bytes.as_bytes()).await?;
        upload.finish(None).await.map(drop)
    }

    /// The bytes of a path, checked by their digest.
    async fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let reading = self.artifacts.read(&ArtifactPath::parse(path).unwrap()).await?;
        let pieces: Vec<Bytes> = reading.pieces.try_collect().await?;
        Ok(pieces.concat())
    }

    async fn register(&self, run: &str, path: &str) {
        let _ = self.store.create_registered_model("other", "", &[], self.now()).await;
        let location = format!("mlflow-artifacts:/{}", path.strip_suffix("/file").unwrap());
        let new = NewVersion {
            source: location.clone(),
            run_id: run.to_owned(),
            ..NewVersion::default()
        };
        self.store
            .add_version("other", &new, &location, self.now())
            .await
            .unwrap();
    }

    fn now(&self) -> Timestamp {
        holdfast_chassis::clock::Clock::now(&self.clock)
    }

    async fn collect(&self, remove: bool) -> Collection {
        self.retention.collect(remove, None).await.unwrap()
    }

    async fn lies(&self, bytes: &str, edition: u32) -> bool {
        let key = layout::artifact_key(&Digest::of(bytes.as_bytes()), edition);
        self.blobs.head(&key).await.unwrap().is_some()
    }
}

/// A version that nothing but its manifest tells of: its row is lost, and it may be champion.
async fn manifest(blobs: &dyn BlobStore, run: &str) {
    let (model, version): (ModelName, _) = (MODEL.parse().unwrap(), ModelVersion(1));
    let digest = model_manifest::write_artifact(blobs, &model, version, Bytes::from_static(b"model"));
    let manifest = model_manifest::ModelManifest {
        format_version: model_manifest::FORMAT_VERSION,
        artifact_digest: digest.await.unwrap(),
        model,
        version,
        size_bytes: 5,
        run_id: run.parse().unwrap(),
        snapshots: Default::default(),
        family: "boosted_trees".to_owned(),
        created_at: Timestamp::UNIX_EPOCH,
        created_by: "ada".to_owned(),
        metrics: Default::default(),
    };
    let _ = model_manifest::write(blobs, &manifest).await.unwrap();
}

fn of(collection: &Collection, kind: GarbageKind) -> BTreeSet<String> {
    let garbage = collection.garbage.iter().filter(|garbage| garbage.kind == kind);
    garbage.map(|garbage| garbage.id.clone()).collect()
}

fn set<const N: usize>(ids: [&str; N]) -> BTreeSet<String> {
    ids.map(str::to_owned).into()
}

fn sha256(bytes: &str) -> String {
    Digest::of(bytes.as_bytes()).to_string()
}

/// Things of every kind, by the name of their kind.
#[derive(Default)]
struct Filled {
    /// Experiments, runs and logged models that go.
    experiments: BTreeSet<String>,
    runs: BTreeSet<String>,
    models: BTreeSet<String>,
    /// Files that go, those of runs and models among them, and those whose owner is gone.
    files: Vec<String>,
    strays: BTreeSet<String>,
    /// Bytes that go.
    bytes: Vec<String>,
    /// Ids of what is deleted and stays, and files that stay.
    kept: BTreeSet<String>,
    staying: Vec<String>,
}

/// What is deleted and stays, because something needs it.
async fn fill_with_needed(bench: &Bench, active: i64, filled: &mut Filled) {
    let needed = bench.experiment("needed").await;
    let (with_version, file) = bench.run(active, "of a version", None).await;
    bench.register(&with_version, &file).await;
    filled.staying.push(file);
    let (holding, file) = bench.run(needed, "of a needed one", None).await;
    bench.register(&holding, &file).await;
    filled.staying.push(file);
    let (parent, _) = bench.run(active, "of a parent", None).await;
    bench.run(active, "of a child", Some(&parent)).await;
    let (trained, _) = bench.run(active, "of a trainer", None).await;
    filled.staying.push(bench.model(active, &trained).await.1);
    let made = RunId::from_parts(1_790_000_000_000, &[3; 10]).to_string();
    let new = NewRun {
        id: Some(made.clone()),
        experiment_id: active,
        ..NewRun::default()
    };
    bench.tracking.create_run(new).await.unwrap();
    manifest(&*bench.blobs, &made).await;
    for run in [&with_version, &parent, &made, &trained] {
        bench.tracking.delete_run(run).await.unwrap();
    }
    bench.tracking.delete_experiment(needed).await.unwrap();
    filled.kept = [with_version, holding, parent, made, trained, needed.to_string()].into();
}

/// What goes, beside what nobody has deleted.
async fn fill(bench: &Bench) -> Filled {
    let mut filled = Filled::default();
    let (active, ending) = (bench.experiment("active").await, bench.experiment("ending").await);
    fill_with_needed(bench, active, &mut filled).await;
    filled.staying.push(bench.run(active, "live", None).await.1);
    let (gone, gone_file) = bench.run(active, "gone", None).await;
    let copy = format!("{active}/{gone}/artifacts/copy");
    bench.upload(&copy, "live").await.unwrap();
    bench.tracking.delete_run(&gone).await.unwrap();
    let (ended, ended_file) = bench.run(ending, "of an experiment", None).await;
    bench.tracking.delete_experiment(ending).await.unwrap();
    let (model, model_file) = bench.model(active, "").await;
    bench.models.delete(&model).await.unwrap();
    let stray = format!("{active}/{}/artifacts/stray", "9".repeat(32));
    bench.upload(&stray, "stray").await.unwrap();
    bench.upload("team/old.txt", "replaced").await.unwrap();
    for (path, bytes) in [
        ("team/old.txt", "replacement"),
        ("team/notes.txt", "of nobody that is known"),
    ] {
        bench.upload(path, bytes).await.unwrap();
        filled.staying.push(path.to_owned());
    }
    filled.bytes = ["gone", "of an experiment", "stray", "replaced", &model]
        .map(str::to_owned)
        .into();
    filled.files = vec![gone_file, copy, ended_file, model_file, stray.clone()];
    filled.strays = [stray].into();
    filled.experiments = [ending.to_string()].into();
    filled.runs = [gone, ended].into();
    filled.models = [model].into();
    filled
}

async fn a_dry_run_says_what_a_removal_removes(bench: Bench) {
    let filled = fill(&bench).await;
    assert_eq!(bench.collect(true).await.total, 0, "all of it is young");
    bench.clock.advance(31 * DAY);
    let late = bench.experiment("late").await;
    let (run, late_file) = bench.run(late, "late", None).await;
    bench.tracking.delete_run(&run).await.unwrap();

    let dry = bench.collect(false).await;
    assert_eq!(of(&dry, GarbageKind::Run), filled.runs);
    assert_eq!(of(&dry, GarbageKind::Experiment), filled.experiments);
    assert_eq!(of(&dry, GarbageKind::LoggedModel), filled.models);
    assert_eq!(of(&dry, GarbageKind::Artifact), filled.strays);
    let digests: BTreeSet<String> = filled.bytes.iter().map(|bytes| sha256(bytes)).collect();
    assert_eq!(of(&dry, GarbageKind::Blob), digests);
    let sizes = filled.bytes.iter().map(|bytes| bytes.len() as u64);
    assert_eq!((dry.total_bytes, dry.removed), (sizes.sum(), false));
    let kept: BTreeSet<String> = dry.kept.iter().map(|kept| kept.id.clone()).collect();
    assert_eq!(kept, filled.kept);
    let reasons: Vec<&str> = dry.kept.iter().map(|kept| kept.reason.as_str()).collect();
    assert!(reasons.contains(&"version 1 of churn was made of it"), "{reasons:?}");
    assert_eq!(bench.collect(false).await, dry, "looking changes nothing");

    let removed = bench.collect(true).await;
    assert_eq!((&removed.garbage, &removed.kept), (&dry.garbage, &dry.kept));
    assert_eq!((removed.total_bytes, removed.removed), (dry.total_bytes, true));
    for path in filled.staying.iter().chain([&late_file]) {
        bench.read(path).await.unwrap();
    }
    for path in &filled.files {
        let gone = bench.read(path).await;
        assert!(matches!(gone, Err(Error::NoSuchArtifact(_))), "{path}");
    }
    for bytes in &filled.bytes {
        assert!(!bench.lies(bytes, 0).await, "{bytes}");
    }
    for run in &filled.runs {
        assert!(matches!(bench.tracking.run(run).await, Err(Error::NoSuchRun(_))));
    }
    assert_eq!(bench.collect(true).await.total, 0, "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_a_removal_removes_on_a_directory() {
    a_dry_run_says_what_a_removal_removes(Bench::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_a_removal_removes_on_s3() {
    a_dry_run_says_what_a_removal_removes(Bench::shared("dry").await).await;
}

/// The same bytes come again while a collection removes them: each waits where the other can do the most harm.
async fn an_upload_beside_a_collection_is_whole(bench: Bench) {
    let bench = Arc::new(bench);
    let path = |text: &str| ArtifactPath::parse(text).unwrap();
    // The collection has condemned them, and is about to remove them.
    bench.upload("team/old", "the same bytes").await.unwrap();
    bench.artifacts.delete(&path("team/old")).await.unwrap();
    bench.clock.advance(31 * DAY);
    let held = bench.faults.hold(Trigger::on(Operation::Delete).nth(1));
    let collecting = {
        let bench = bench.clone();
        tokio::spawn(async move { bench.collect(true).await })
    };
    held.reached_by(1).await;
    bench.upload("team/new", "the same bytes").await.unwrap();
    held.release();
    assert_eq!(
        of(&collecting.await.unwrap(), GarbageKind::Blob),
        set([&sha256("the same bytes")])
    );
    assert_eq!(bench.read("team/new").await.unwrap(), b"the same bytes");
    assert!(!bench.lies("the same bytes", 0).await);

    // The upload has announced them, and is about to store them; or has stored them, and is about to say so.
    for (round, operation) in [Operation::Create, Operation::Head].into_iter().enumerate() {
        let bytes = format!("bytes {round}");
        if operation == Operation::Head {
            // Equal bytes lie there, so that only their length is looked at.
            bench.upload("team/equal", &bytes).await.unwrap();
            bench.artifacts.delete(&path("team/equal")).await.unwrap();
        }
        let held = bench.faults.hold(Trigger::on(operation).below("artifacts").nth(1));
        let (to, uploading) = (format!("team/file{round}"), bench.clone());
        let uploading = {
            let (to, bytes) = (to.clone(), bytes.clone());
            tokio::spawn(async move { uploading.upload(&to, &bytes).await })
        };
        held.reached_by(1).await;
        bench.clock.advance(31 * DAY);
        assert_eq!(
            of(&bench.collect(true).await, GarbageKind::Blob),
            set([&sha256(&bytes)])
        );
        held.release();
        uploading.await.unwrap().unwrap();
        assert_eq!(bench.read(&to).await.unwrap(), bytes.as_bytes());
        assert!(!bench.lies(&bytes, 0).await, "what came late is not left behind");
        bench.clock.advance(31 * DAY);
        assert_eq!(bench.collect(true).await.total, 0);
        assert_eq!(bench.read(&to).await.unwrap(), bytes.as_bytes());
    }
}

/// The same bytes, written and deleted by many while collections run.
async fn uploads_beside_collections_are_whole(bench: Bench) {
    let bench = Arc::new(bench);
    let writing = (0..4).map(|writer| {
        let bench = bench.clone();
        tokio::spawn(async move {
            for round in 0..15 {
                let to = format!("team/{writer}/{round}");
                bench.upload(&to, "the same bytes").await.unwrap();
                assert_eq!(bench.read(&to).await.unwrap(), b"the same bytes", "{to}");
                bench
                    .artifacts
                    .delete(&ArtifactPath::parse(&to).unwrap())
                    .await
                    .unwrap();
                bench.clock.advance(31 * DAY);
            }
        })
    });
    let writers = futures::future::try_join_all(writing);
    let collecting = async {
        loop {
            bench.collect(true).await;
        }
    };
    tokio::select! {
        written = writers => drop(written.unwrap()),
        () = collecting => {}
    }
    // All that is left of them is there once more, or was collected.
    bench.clock.advance(31 * DAY);
    bench.collect(true).await;
    bench.clock.advance(31 * DAY);
    assert_eq!(bench.collect(true).await.total, 0);
    let left = bench.blobs.list("artifacts", None, 10).await.unwrap();
    assert_eq!(left, [], "bytes that no path has are left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_beside_a_collection_is_whole_on_a_directory() {
    an_upload_beside_a_collection_is_whole(Bench::embedded().await).await;
    uploads_beside_collections_are_whole(Bench::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_beside_a_collection_is_whole_on_s3() {
    an_upload_beside_a_collection_is_whole(Bench::shared("held").await).await;
    uploads_beside_collections_are_whole(Bench::shared("race").await).await;
}

#[tokio::test]
async fn what_a_collection_left_half_done_the_next_one_ends() {
    let bench = Bench::embedded().await;
    for (round, fault) in [Fault::Refuse, Fault::LoseReply, Fault::LoseRequest]
        .into_iter()
        .enumerate()
    {
        let bytes = format!("bytes {round}");
        bench.upload("team/file", &bytes).await.unwrap();
        bench
            .artifacts
            .delete(&ArtifactPath::parse("team/file").unwrap())
            .await
            .unwrap();
        bench.clock.advance(31 * DAY);
        bench.faults.inject(Trigger::on(Operation::Delete).nth(1), fault);
        bench.retention.collect(true, None).await.unwrap_err();
        // They are condemned: whoever brings them again stores them anew, beside what is being removed.
        bench.upload("team/again", &bytes).await.unwrap();
        assert!(bench.lies(&bytes, 1).await);
        bench.collect(true).await;
        assert_eq!(bench.read("team/again").await.unwrap(), bytes.as_bytes());
        bench
            .artifacts
            .delete(&ArtifactPath::parse("team/again").unwrap())
            .await
            .unwrap();

        let other = format!("others {round}");
        bench.upload("team/file", &other).await.unwrap();
        bench
            .artifacts
            .delete(&ArtifactPath::parse("team/file").unwrap())
            .await
            .unwrap();
        bench.clock.advance(31 * DAY);
        let condemned = bench
            .store
            .artifact(&ArtifactPath::parse("team/file").unwrap())
            .await
            .unwrap();
        assert_eq!(condemned, None);
        let removed = bench.collect(true).await;
        assert!(of(&removed, GarbageKind::Blob).contains(&sha256(&other)));
        assert!(!bench.lies(&other, 0).await && !bench.lies(&bytes, 1).await);
    }
}

#[tokio::test]
async fn a_collection_goes_on_when_its_caller_leaves() {
    let bench = Arc::new(Bench::embedded().await);
    bench.upload("team/file", "bytes").await.unwrap();
    bench
        .artifacts
        .delete(&ArtifactPath::parse("team/file").unwrap())
        .await
        .unwrap();
    bench.clock.advance(31 * DAY);
    let held = bench.faults.hold(Trigger::on(Operation::Delete).nth(1));
    let collecting = {
        let bench = bench.clone();
        tokio::spawn(async move { bench.collect(true).await })
    };
    held.reached_by(1).await;
    let beside = bench.retention.collect(false, None).await;
    assert!(matches!(beside, Err(Error::CollectionAtWork)), "one at a time");
    collecting.abort();
    assert!(collecting.await.is_err());
    held.release();
    // The clock stands still: no lease runs out.
    eventually("the end of the collection", Duration::from_secs(30), async || {
        bench.retention.collect(false, None).await.is_ok()
    })
    .await;
    assert!(!bench.lies("bytes", 0).await);
}

#[tokio::test]
async fn bytes_of_an_upload_that_broke_off_wait_an_hour_even_when_no_day_is_asked_for() {
    let bench = Bench::embedded().await;
    bench.upload("team/file", "bytes").await.unwrap();
    bench
        .artifacts
        .delete(&ArtifactPath::parse("team/file").unwrap())
        .await
        .unwrap();
    let now = async || bench.retention.collect(true, Some(0)).await.unwrap().total;
    assert_eq!(now().await, 0);
    bench.clock.advance(Duration::from_mins(61));
    assert_eq!(now().await, 1);
    let refused = bench.retention.collect(false, Some(36_501)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn the_run_of_a_champion_stays_with_its_files_however_often_it_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let version = registry.ready_version(b"one").await;
    registry.crown(1).await;
    registry.ready_version(b"two").await;
    registry.crown(2).await;
    let experiment = wire::CreateExperimentRequest {
        name: "of the champion".to_owned(),
        ..Default::default()
    };
    let experiment = registry.tracking.create_experiment(experiment).await.unwrap();
    let experiment_id = experiment.into_inner().experiment.unwrap().experiment_id;
    let run = wire::CreateRunRequest {
        experiment_id: experiment_id.clone(),
        run_id: version.run_id.clone(),
        ..Default::default()
    };
    registry.tracking.create_run(run).await.unwrap();
    let path = format!("{experiment_id}/{}/artifacts/plot.png", version.run_id);
    write(&registry.artifacts, &path, b"a plot").await.unwrap();
    let experiment = wire::DeleteExperimentRequest {
        experiment_id: experiment_id.clone(),
    };
    registry.tracking.delete_experiment(experiment).await.unwrap();

    let request = wire::CollectRequest {
        remove: true,
        older_than_days: Some(0),
    };
    let answer = registry.retention.collect(request).await.unwrap().into_inner();
    assert_eq!((answer.total, answer.removed), (0, true), "{answer:?}");
    let kept: Vec<_> = answer.kept.iter().map(|kept| (kept.kind(), kept.id.as_str())).collect();
    let expected = [
        (wire::GarbageKind::Run, version.run_id.as_str()),
        (wire::GarbageKind::Experiment, experiment_id.as_str()),
    ];
    assert_eq!(kept, expected);
    let listed = wire::ListArtifactsRequest {
        path: format!("{experiment_id}/{}/artifacts", version.run_id),
        ..Default::default()
    };
    assert_eq!(
        registry
            .artifacts
            .list_artifacts(listed)
            .await
            .unwrap()
            .into_inner()
            .artifacts
            .len(),
        1
    );
    registry.stop().await;
}
