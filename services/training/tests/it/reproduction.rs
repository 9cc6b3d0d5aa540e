//! Versions made again: to the byte, or with the parts that differ.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use holdfast_api::common::v1::ModelRef;
use holdfast_api::registry::v1 as registry_wire;
use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::reproduce_version_response::Part;
use holdfast_chassis::Code;
use holdfast_domain::{Digest, FeatureVector, RunId, Schema};
use holdfast_model::{Model, ModelDraft, Provenance};
use holdfast_records::layout;
use holdfast_storage::{Created, Key};
use holdfast_testkit::eventually;
use tokio_stream::StreamExt as _;
use tonic::{Status, Streaming};

use crate::support::{Bench, Registry, Setup, directory, endless_params, fault, of_snapshot, result, small_params};

const PATIENCE: Duration = Duration::from_secs(60);

async fn start(
    bench: &mut Bench,
    version: u32,
    threads: u32,
) -> Result<Streaming<wire::ReproduceVersionResponse>, Status> {
    let request = wire::ReproduceVersionRequest {
        model: "churn".into(),
        version,
        threads,
    };
    Ok(bench.training.reproduce_version(request).await?.into_inner())
}

/// Makes a version again; progress must grow, and the verdict come last.
pub(crate) async fn reproduce(bench: &mut Bench, version: u32, threads: u32) -> Result<wire::Reproduction, Status> {
    let mut stream = start(bench, version, threads).await?;
    let (mut last, mut verdict) = (0.0, None);
    while let Some(message) = stream.next().await {
        assert!(verdict.is_none(), "the verdict comes last");
        match message?.part.unwrap() {
            Part::Progress(progress) => {
                assert!(progress > last && progress <= 1.0, "{last} {progress}");
                last = progress;
            }
            Part::Reproduction(found) => verdict = Some(found),
        }
    }
    Ok(verdict.expect("a verdict"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_family_is_reproduced_to_the_byte_with_one_thread_and_with_two() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut setup = Setup::new(dir.path(), Some(&registry));
    setup.settings.params_path = Some(small_params(dir.path()));
    let mut bench = setup.start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(1_500, 8)).await;
    // The last two draw synthetic customers (SMOTE).
    let presets = [
        "fast",
        "forest",
        "logistic",
        "predecessor_xgboost",
        "predecessor_forest",
    ];
    for (version, preset) in (1..).zip(presets) {
        let request = wire::StartRunRequest {
            preset: preset.into(),
            seed: Some(7),
            ..of_snapshot(&snapshot)
        };
        let run = bench.train(request).await;
        assert_eq!(result(&run).version, version);
        for threads in [1, 2] {
            let found = reproduce(&mut bench, version, threads).await.unwrap();
            assert!(found.identical && found.differences.is_empty(), "{preset}: {found:?}");
            assert_eq!(found.rebuilt_digest, result(&run).artifact_digest, "{preset}");
            assert_eq!(found.registered_digest, found.rebuilt_digest);
            assert_eq!(found.code_version, found.registered_code_version);
        }
    }
    bench.stop().await;
    registry.stop().await;
}

/// A registry and a service with version 1, trained on few customers.
async fn with_a_version(dir: &Path) -> (Registry, Bench, wire::PipelineRun) {
    let registry = Registry::start(dir).await;
    let mut bench = Setup::new(dir, Some(&registry)).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(1_500, 8)).await;
    let request = wire::StartRunRequest {
        preset: "logistic".into(),
        ..of_snapshot(&snapshot)
    };
    let run = bench.train(request).await;
    (registry, bench, run)
}

/// Flips a bit of a stored object.
pub(crate) async fn damage(bench: &Bench, key: &Key) {
    let mut bytes = bench.blobs.get(key).await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bench.blobs.delete(key).await.unwrap();
    assert_eq!(bench.blobs.create(key, Bytes::from(bytes)).await.unwrap(), Created::Yes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_snapshot_and_a_changed_artefact_are_noticed() {
    let dir = directory();
    let (registry, mut bench, run) = with_a_version(dir.path()).await;
    let artifact = layout::model_key(&"churn".parse().unwrap(), holdfast_domain::ModelVersion(1));
    let test = layout::snapshot_key(&run.test_snapshot.parse().unwrap());
    let training = layout::snapshot_key(&run.training_snapshot.parse().unwrap());
    for key in [artifact, test, training] {
        let before = bench.blobs.get(&key).await.unwrap();
        damage(&bench, &key).await;
        let refused = fault(reproduce(&mut bench, 1, 1).await);
        assert_eq!(
            (refused.code, refused.reason.as_ref()),
            (Code::DataLoss, "STORED_VERSION_DAMAGED"),
            "{key}"
        );
        assert!(refused.message.contains(key.as_str()), "{}", refused.message);
        bench.blobs.put(&key, before).await.unwrap();
    }
    assert!(reproduce(&mut bench, 1, 1).await.unwrap().identical);

    // A snapshot that is gone is not damaged: what it was can still be put back.
    let training = layout::snapshot_key(&run.training_snapshot.parse().unwrap());
    bench.blobs.delete(&training).await.unwrap();
    let refused = fault(reproduce(&mut bench, 1, 1).await);
    assert_eq!(
        (refused.code, refused.reason.as_ref()),
        (Code::FailedPrecondition, "NOT_REPRODUCIBLE")
    );
    bench.stop().await;
    registry.stop().await;
}

/// Registers version 1's model with something changed as a version of its own.
async fn register(bench: &Bench, registry: &mut Registry, change: impl FnOnce(&mut ModelDraft)) -> u32 {
    let model = "churn".parse().unwrap();
    let key = layout::model_key(&model, holdfast_domain::ModelVersion(1));
    let original = Model::decode(&bench.blobs.get(&key).await.unwrap(), Schema::embedded()).unwrap();
    let mut draft = original.to_draft();
    change(&mut draft);
    let golden: Vec<FeatureVector> = original.golden_rows().iter().map(|row| row.features).collect();
    let bytes = draft.encode(&golden, Schema::embedded()).unwrap();
    let reserve = registry_wire::CreateModelVersionRequest {
        model: "churn".into(),
        run_id: RunId::generate().to_string(),
        created_by: "test".into(),
    };
    let reserved = registry
        .models
        .create_model_version(reserve)
        .await
        .unwrap()
        .into_inner();
    let reserved = reserved.version.unwrap();
    let key = Key::parse(&*reserved.artifact_key).unwrap();
    let digest = Digest::of(&bytes).to_string();
    assert_eq!(
        bench.blobs.create(&key, Bytes::from(bytes)).await.unwrap(),
        Created::Yes
    );
    let version = reserved.r#ref.unwrap().version;
    let finish = registry_wire::FinishModelVersionRequest {
        r#ref: Some(ModelRef {
            model: "churn".into(),
            version,
            artifact_digest: digest,
        }),
        family: "logistic_regression".into(),
        training_snapshot: String::new(),
        test_snapshot: String::new(),
    };
    registry.models.finish_model_version(finish).await.unwrap();
    version
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_that_differ_are_named() {
    let dir = directory();
    let (mut registry, mut bench, _) = with_a_version(dir.path()).await;
    let other_threshold = register(&bench, &mut registry, |draft| draft.threshold.value = 0.123).await;
    let found = reproduce(&mut bench, other_threshold, 1).await.unwrap();
    assert!(!found.identical && found.registered_digest != found.rebuilt_digest);
    assert_eq!(found.differences.len(), 1, "{:?}", found.differences);
    assert!(
        found.differences[0].starts_with("threshold: 0.123 registered, 0."),
        "{:?}",
        found.differences
    );

    let older = register(&bench, &mut registry, |draft| {
        draft.origin.code_version = "0.0.9".into();
    })
    .await;
    let found = reproduce(&mut bench, older, 1).await.unwrap();
    let here = &found.code_version;
    assert_eq!(
        found.differences,
        [format!("origin: code version 0.0.9 registered, {here} rebuilt")]
    );
    assert_eq!(found.registered_code_version, "0.0.9");

    let other_seed = register(&bench, &mut registry, |draft| draft.origin.seed += 1).await;
    let found = reproduce(&mut bench, other_seed, 1).await.unwrap();
    assert!(
        found.differences.iter().any(|part| part.starts_with("golden rows")),
        "{:?}",
        found.differences
    );
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_version_whose_file_is_not_known_is_refused_and_says_so() {
    let dir = directory();
    let (mut registry, mut bench, _) = with_a_version(dir.path()).await;
    let imported = register(&bench, &mut registry, |draft| {
        draft.origin.provenance = Provenance::ImportedXgboost;
    });
    let imported = imported.await;
    let refused = fault(reproduce(&mut bench, imported, 1).await);
    assert_eq!(
        (refused.code, refused.reason.as_ref()),
        (Code::FailedPrecondition, "NOT_REPRODUCIBLE")
    );
    assert!(
        refused.message.contains("wrote its import in another way"),
        "{}",
        refused.message
    );
    let refused = fault(reproduce(&mut bench, 9, 1).await);
    assert_eq!(refused.reason, "NO_SUCH_VERSION");
    let refused = fault(reproduce(&mut bench, 1, 65).await);
    assert_eq!(refused.violations[0].field, "threads");
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_version_at_a_time_is_made_again_and_given_up_with_its_caller() {
    let dir = directory();
    let (mut registry, mut bench, run) = with_a_version(dir.path()).await;
    // A recipe that trains until it is stopped.
    let endless = holdfast_training::service::params::Presets::load(Some(&endless_params(dir.path()))).unwrap();
    let parameters = endless.get("default").unwrap().recipe.to_parameters();
    let version = register(&bench, &mut registry, |draft| draft.origin.parameters = parameters).await;
    let stream = start(&mut bench, version, 1).await.unwrap();
    let refused = fault(start(&mut bench, 1, 1).await);
    assert_eq!(
        (refused.code, refused.reason.as_ref()),
        (Code::ResourceExhausted, "REPRODUCTION_AT_WORK")
    );
    drop(stream);
    let mut found = None;
    eventually("the work is given up", PATIENCE, async || {
        found = reproduce(&mut bench, 1, 1).await.ok();
        found.is_some()
    })
    .await;
    assert_eq!(found.unwrap().rebuilt_digest, result(&run).artifact_digest);
    bench.stop().await;
    registry.stop().await;
}
