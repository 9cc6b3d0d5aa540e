//! Imports of registered versions, as training and those who ask for them see them.

use std::path::Path;

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::import_service_client::ImportServiceClient;
use holdfast_api::training::v1::ImportModelHeader;
use holdfast_domain::RunId;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::artifacts::write;
use crate::support::{MODEL, Registry, reason, violated};

type Client = ImportServiceClient<Channel>;

fn mlmodel(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/mlmodels");
    std::fs::read(folder.join(format!("{name}.yaml"))).unwrap()
}

/// Registers the files of a run, with a description as MLflow writes it; the model file is not there unless it is given.
async fn register(registry: &mut Registry, description: &[u8], file: Option<&str>) -> wire::RegisteredVersion {
    let run = wire::CreateRunRequest {
        experiment_id: "0".to_owned(),
        user_id: "ada".to_owned(),
        ..Default::default()
    };
    let run = registry
        .tracking
        .create_run(run)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    let folder = format!("0/{}/artifacts/model", run.run_id);
    for (name, bytes) in [(Some("MLmodel"), description), (file, b"a model")] {
        if let Some(name) = name {
            write(&registry.artifacts, &format!("{folder}/{name}"), bytes)
                .await
                .unwrap();
        }
    }
    let model = wire::CreateRegisteredModelRequest {
        name: MODEL.to_owned(),
        ..Default::default()
    };
    if let Err(status) = registry.registered.create_registered_model(model).await {
        assert_eq!(status.code(), Code::AlreadyExists);
    }
    let version = wire::CreateVersionRequest {
        name: MODEL.to_owned(),
        source: format!("mlflow-artifacts:/{folder}"),
        run_id: run.run_id,
        ..Default::default()
    };
    let made = registry.registered.create_version(version).await.unwrap();
    made.into_inner().version.unwrap()
}

async fn ask(client: &mut Client, version: u32, wishes: ImportModelHeader) -> Result<wire::Import, Status> {
    let request = wire::RequestImportRequest {
        model: MODEL.to_owned(),
        version,
        wishes: Some(wishes),
    };
    Ok(client.request_import(request).await?.into_inner().import.unwrap())
}

async fn claim(client: &mut Client) -> Option<wire::ImportClaim> {
    client
        .claim_import(wire::ClaimImportRequest {})
        .await
        .unwrap()
        .into_inner()
        .claim
}

fn keep(number: u64, run_id: &str) -> wire::KeepImportRequest {
    wire::KeepImportRequest {
        model: MODEL.to_owned(),
        version: 1,
        number,
        run_id: run_id.to_owned(),
        plan: "a plan".to_owned(),
    }
}

#[tokio::test]
async fn a_claim_brings_what_is_known_of_the_model_and_who_made_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let mut client = registry.imports.clone();
    let made = register(&mut registry, &mlmodel("xgboost-booster"), Some("model.ubj")).await;
    assert_eq!(
        (made.import.as_str(), made.status_message.as_str()),
        ("requested", "import requested")
    );
    let claimed = claim(&mut client).await.unwrap();
    assert_eq!(claimed.signature_columns, ["Customer_Age", "Credit_Limit"]);
    let import = claimed.import.unwrap();
    assert!(import.file.ends_with("/artifacts/model/model.ubj"), "{}", import.file);
    assert_eq!(
        (import.library.as_str(), import.state()),
        ("xgboost", wire::ImportState::Running)
    );
    assert_eq!(
        claimed.wishes.unwrap().requested_by,
        "ada",
        "who started the notebook's run"
    );
    assert_eq!(claim(&mut client).await, None);

    // Nobody's wishes are forgotten: those who have none hear how it stands.
    let wishes = ImportModelHeader {
        snapshot: "aa11".to_owned(),
        ..Default::default()
    };
    let refused = ask(&mut client, 1, wishes).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Aborted, "IMPORT_AT_WORK")
    );
    let plain = ImportModelHeader {
        requested_by: "bob".to_owned(),
        promote: Some(false),
        ..Default::default()
    };
    assert_eq!(
        ask(&mut client, 1, plain).await.unwrap().state(),
        wire::ImportState::Running
    );

    let refused = client
        .keep_import(keep(claimed.number, "no run of training"))
        .await
        .unwrap_err();
    assert_eq!(violated(&refused)[0].0, "run_id");
    let run = RunId::generate();
    let kept = client
        .keep_import(keep(claimed.number, run.as_str()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(kept.plan, "a plan");
    let other = client.keep_import(keep(claimed.number + 1, "")).await.unwrap_err();
    assert_eq!(reason(&other), "IMPORT_CLAIM_ENDED");
    let end = |outcome: wire::ImportOutcome| wire::EndImportRequest {
        model: MODEL.to_owned(),
        version: 1,
        number: claimed.number,
        outcome: outcome.into(),
        why: "x".repeat(5_000),
    };
    let refused = client
        .end_import(end(wire::ImportOutcome::Unspecified))
        .await
        .unwrap_err();
    assert_eq!(violated(&refused)[0].0, "outcome");
    let ended = client
        .end_import(end(wire::ImportOutcome::Failed))
        .await
        .unwrap()
        .into_inner();
    let ended = ended.import.unwrap();
    assert_eq!(
        (ended.state(), ended.why.len(), ended.run_id),
        (wire::ImportState::Failed, 2_000, run.to_string())
    );
    registry.stop().await;
}

#[tokio::test]
async fn only_what_a_library_saved_itself_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let mut client = registry.imports.clone();
    for (description, file, problem) in [
        (mlmodel("lightgbm-classifier"), Some("model.skops"), "never opened"),
        (mlmodel("lightgbm-booster"), None, "there is none"),
        (b"flavors: [".to_vec(), None, "cannot be read"),
        (
            b"flavors:\n  xgboost:\n    data: ../../secret\n".to_vec(),
            None,
            "not below it",
        ),
    ] {
        let made = register(&mut registry, &description, file).await;
        assert_eq!(made.import, "", "{problem}");
        let refused = ask(&mut client, made.version, ImportModelHeader::default())
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::FailedPrecondition, "NOT_IMPORTABLE")
        );
        assert!(refused.message().contains(problem), "{problem}: {}", refused.message());
    }
    let trained = registry.ready_version(b"one").await.r#ref.unwrap().version;
    let refused = ask(&mut client, trained, ImportModelHeader::default())
        .await
        .unwrap_err();
    assert!(
        refused.message().contains("has an artefact already"),
        "{}",
        refused.message()
    );
    assert_eq!(claim(&mut client).await, None);
    let request = wire::GetImportRequest {
        model: MODEL.to_owned(),
        version: trained,
    };
    assert_eq!(reason(&client.get_import(request).await.unwrap_err()), "NO_IMPORT");
    // An artefact that nobody has asked for is not taken.
    let finish = wire::FinishModelVersionRequest {
        r#ref: Some(holdfast_api::common::v1::ModelRef {
            model: MODEL.to_owned(),
            version: 1,
            artifact_digest: holdfast_domain::Digest::of(b"model").to_string(),
        }),
        family: "boosted_trees".to_owned(),
        training_snapshot: String::new(),
        test_snapshot: String::new(),
    };
    let key = holdfast_records::layout::model_key(&MODEL.parse().unwrap(), holdfast_domain::ModelVersion(1));
    let _ = registry
        .blobs
        .create(&key, bytes::Bytes::from_static(b"model"))
        .await
        .unwrap();
    let refused = registry.models.finish_model_version(finish).await.unwrap_err();
    assert_eq!(reason(&refused), "NO_IMPORT_AT_WORK");
    registry.stop().await;
}
