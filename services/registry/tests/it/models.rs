//! Versions: whole or not there.

use bytes::Bytes;
use holdfast_api::common::v1::ModelRef;
use holdfast_api::registry::v1 as wire;
use holdfast_domain::{Digest, RunId};
use holdfast_storage::Key;
use tonic::Code;

use crate::support::{MODEL, Registry, reason};

fn reserve(run_id: &RunId) -> wire::CreateModelVersionRequest {
    wire::CreateModelVersionRequest {
        model: MODEL.to_owned(),
        run_id: run_id.to_string(),
        created_by: "test".to_owned(),
    }
}

fn finish(version: u32, digest: Digest) -> wire::FinishModelVersionRequest {
    wire::FinishModelVersionRequest {
        r#ref: Some(ModelRef {
            model: MODEL.to_owned(),
            version,
            artifact_digest: digest.to_string(),
        }),
        family: "boosted_trees".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_run_gets_one_version_however_often_it_asks() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let (one, two) = (RunId::generate(), RunId::generate());
    for (run, expected) in [(&one, 1), (&two, 2), (&one, 1)] {
        let reserved = registry
            .models
            .create_model_version(reserve(run))
            .await
            .unwrap()
            .into_inner()
            .version
            .unwrap();
        assert_eq!(reserved.r#ref.as_ref().unwrap().version, expected);
        assert_eq!(reserved.status(), wire::ModelVersionStatus::Pending);
    }
    registry.stop().await;
}

#[tokio::test]
async fn a_version_is_finished_only_with_the_bytes_it_claims() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let reserved = registry
        .models
        .create_model_version(reserve(&RunId::generate()))
        .await
        .unwrap()
        .into_inner()
        .version
        .unwrap();
    let absent = registry
        .models
        .finish_model_version(finish(1, Digest::of(b"model")))
        .await
        .unwrap_err();
    assert_eq!(
        (absent.code(), reason(&absent).as_str()),
        (Code::FailedPrecondition, "ARTIFACT_MISSING")
    );

    let key = Key::parse(&*reserved.artifact_key).unwrap();
    let _ = registry.blobs.create(&key, Bytes::from_static(b"model")).await.unwrap();
    let other = registry
        .models
        .finish_model_version(finish(1, Digest::of(b"other")))
        .await
        .unwrap_err();
    assert_eq!(reason(&other), "ARTIFACT_DIGEST");

    for _ in 0..2 {
        let ready = registry
            .models
            .finish_model_version(finish(1, Digest::of(b"model")))
            .await
            .unwrap();
        let ready = ready.into_inner().version.unwrap();
        assert_eq!(ready.status(), wire::ModelVersionStatus::Ready);
        assert_eq!(ready.artifact_size_bytes, 5);
    }
    registry.stop().await;
}

#[tokio::test]
async fn models_and_versions_are_listed_with_the_champion() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    registry.ready_version(b"two").await;
    registry.crown(1).await;
    let models = registry
        .models
        .list_models(wire::ListModelsRequest {})
        .await
        .unwrap()
        .into_inner()
        .models;
    let expected = wire::ModelSummary {
        model: MODEL.to_owned(),
        versions: 2,
        latest_version: 2,
        champion_version: 1,
    };
    assert_eq!(models, [expected]);
    let request = wire::ListModelVersionsRequest {
        model: MODEL.to_owned(),
        ..Default::default()
    };
    let versions = registry
        .models
        .list_model_versions(request)
        .await
        .unwrap()
        .into_inner()
        .versions;
    let numbers: Vec<u32> = versions
        .iter()
        .map(|version| version.r#ref.as_ref().unwrap().version)
        .collect();
    assert_eq!(numbers, [2, 1]);
    let unknown = wire::GetModelVersionRequest {
        model: MODEL.to_owned(),
        version: 9,
    };
    assert_eq!(
        registry.models.get_model_version(unknown).await.unwrap_err().code(),
        Code::NotFound
    );
    registry.stop().await;
}
