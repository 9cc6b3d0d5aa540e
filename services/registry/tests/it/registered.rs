//! Registered models as MLflow's clients see them, beside a gate that they cannot go around.

use holdfast_api::common::v1::RolloutMode;
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::registered_model_service_client::RegisteredModelServiceClient;
use holdfast_domain::RunId;
use holdfast_registry::{ApprovalSettings, Settings};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::support::{MODEL, Registry, evaluation, promotion, reason, violated};

type Client = RegisteredModelServiceClient<Channel>;

async fn create(client: &mut Client, name: &str) -> wire::RegisteredModel {
    let request = wire::CreateRegisteredModelRequest {
        name: name.to_owned(),
        ..Default::default()
    };
    let made = client.create_registered_model(request).await.unwrap();
    made.into_inner().model.unwrap()
}

async fn model(client: &mut Client, name: &str) -> wire::RegisteredModel {
    let request = wire::GetRegisteredModelRequest { name: name.to_owned() };
    let got = client.get_registered_model(request).await.unwrap();
    got.into_inner().model.unwrap()
}

async fn register(client: &mut Client, new: wire::CreateVersionRequest) -> Result<wire::RegisteredVersion, Status> {
    let made = client.create_version(new).await?;
    Ok(made.into_inner().version.unwrap())
}

fn from_source(name: &str, source: &str) -> wire::CreateVersionRequest {
    wire::CreateVersionRequest {
        name: name.to_owned(),
        source: source.to_owned(),
        ..Default::default()
    }
}

async fn version(client: &mut Client, name: &str, version: u32) -> Result<wire::RegisteredVersion, Status> {
    let request = wire::GetVersionRequest {
        name: name.to_owned(),
        version,
    };
    Ok(client.get_version(request).await?.into_inner().version.unwrap())
}

async fn by_alias(client: &mut Client, name: &str, alias: &str) -> Result<u32, Status> {
    let request = wire::GetVersionByAliasRequest {
        name: name.to_owned(),
        alias: alias.to_owned(),
    };
    let got = client.get_version_by_alias(request).await?;
    Ok(got.into_inner().version.unwrap().version)
}

async fn set_alias(client: &mut Client, name: &str, alias: &str, version: u32) -> Result<(), Status> {
    let request = wire::SetAliasRequest {
        name: name.to_owned(),
        alias: alias.to_owned(),
        version,
    };
    client.set_alias(request).await.map(drop)
}

async fn delete_version(client: &mut Client, name: &str, version: u32) -> Result<(), Status> {
    let request = wire::DeleteVersionRequest {
        name: name.to_owned(),
        version,
    };
    client.delete_version(request).await.map(drop)
}

async fn found(client: &mut Client, filter: &str) -> Vec<wire::RegisteredVersion> {
    let request = wire::SearchVersionsRequest {
        filter: filter.to_owned(),
        ..Default::default()
    };
    client.search_versions(request).await.unwrap().into_inner().versions
}

fn refusal(status: &Status) -> (Code, String) {
    (status.code(), reason(status))
}

fn not_now(reason: &str) -> (Code, String) {
    (Code::FailedPrecondition, reason.to_owned())
}

#[tokio::test]
async fn the_champion_alias_shows_the_log_wherever_aliases_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    registry.ready_version(b"two").await;
    let mut client = registry.registered.clone();
    let missing = by_alias(&mut client, MODEL, "champion").await.unwrap_err();
    assert_eq!(refusal(&missing), (Code::NotFound, "NO_SUCH_ALIAS".to_owned()));
    assert_eq!(missing.message(), "Registered model alias champion not found.");
    assert_eq!(model(&mut client, MODEL).await.aliases, []);

    set_alias(&mut client, MODEL, "prod", 2).await.unwrap();
    registry.crown(1).await;
    registry.crown(2).await;
    for (rolled_back, champion) in [(false, 2), (true, 1)] {
        if rolled_back {
            let request = wire::RollbackRequest {
                model: MODEL.to_owned(),
                actor: "ada".to_owned(),
                note: "a test".to_owned(),
                override_load: true,
                ..Default::default()
            };
            registry.champions.rollback(request).await.unwrap();
        }
        assert_eq!(by_alias(&mut client, MODEL, "champion").await.unwrap(), champion);
        assert_eq!(by_alias(&mut client, MODEL, "Champion").await.unwrap(), champion);
        let shown = model(&mut client, MODEL).await;
        let aliases: Vec<_> = shown
            .aliases
            .iter()
            .map(|alias| (&*alias.name, alias.version))
            .collect();
        assert_eq!(aliases, [("champion", champion), ("prod", 2)]);
        let of_champion = found(&mut client, "name = 'churn'").await;
        let crowned: Vec<u32> = of_champion
            .iter()
            .filter(|version| version.aliases.iter().any(|alias| alias == "champion"))
            .map(|version| version.version)
            .collect();
        assert_eq!(crowned, [champion]);
        let request = wire::SearchRegisteredModelsRequest::default();
        let listed = client.search_registered_models(request).await.unwrap().into_inner();
        assert_eq!(listed.models, [shown]);
    }
    registry.stop().await;
}

#[tokio::test]
async fn nobody_goes_around_the_gate() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    for bytes in [&b"one"[..], b"two", b"three"] {
        registry.ready_version(bytes).await;
    }
    registry.crown(1).await;
    registry.crown(2).await;
    let mut client = registry.registered.clone();
    create(&mut client, "Not a model of the gate").await;
    register(&mut client, from_source("Not a model of the gate", "s3://a"))
        .await
        .unwrap();

    for name in [MODEL, "Not a model of the gate"] {
        for alias in ["champion", "CHAMPION"] {
            let set = set_alias(&mut client, name, alias, 1).await.unwrap_err();
            assert_eq!(refusal(&set), not_now("CHAMPION_ALIAS"));
            let request = wire::DeleteAliasRequest {
                name: name.to_owned(),
                alias: alias.to_owned(),
            };
            let deleted = client.delete_alias(request).await.unwrap_err();
            assert_eq!(refusal(&deleted), not_now("CHAMPION_ALIAS"));
        }
    }
    for was_champion in [1, 2] {
        let deleted = delete_version(&mut client, MODEL, was_champion).await.unwrap_err();
        assert_eq!(refusal(&deleted), not_now("WAS_CHAMPION"));
    }
    delete_version(&mut client, MODEL, 3).await.unwrap();
    let promoted = registry.champions.promote(promotion(3, true)).await.unwrap_err();
    assert_eq!(promoted.code(), Code::NotFound);
    let request = wire::DeleteRegisteredModelRequest { name: MODEL.to_owned() };
    let deleted = client.delete_registered_model(request).await.unwrap_err();
    assert_eq!(refusal(&deleted), not_now("HAS_CHAMPION_LOG"));
    let request = wire::RenameRegisteredModelRequest {
        name: MODEL.to_owned(),
        new_name: "other".to_owned(),
    };
    let renamed = client.rename_registered_model(request).await.unwrap_err();
    assert_eq!(refusal(&renamed), not_now("HAS_CHAMPION_LOG"));

    // A stage moves no champion.
    let request = wire::TransitionStageRequest {
        name: MODEL.to_owned(),
        version: 1,
        stage: "production".to_owned(),
        archive_existing_versions: true,
    };
    let moved = client.transition_stage(request).await.unwrap().into_inner();
    assert_eq!(moved.version.unwrap().stage, "Production");
    assert_eq!(by_alias(&mut client, MODEL, "champion").await.unwrap(), 2);
    registry.stop().await;
}

#[tokio::test]
async fn a_version_that_may_become_champion_is_not_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        approval: ApprovalSettings {
            models: [(MODEL.parse().unwrap(), 1)].into(),
            ..ApprovalSettings::default()
        },
        ..Settings::on_free_ports()
    };
    let mut registry = Registry::start_with(dir.path(), settings).await;
    registry.ready_version(b"one").await;
    assert!(registry.decide(1, evaluation(0.99)).await.accepted);
    let asked = registry.champions.promote(promotion(1, false)).await.unwrap();
    let waiting = asked.into_inner().waiting.unwrap();
    let mut client = registry.registered.clone();
    let deleted = delete_version(&mut client, MODEL, 1).await.unwrap_err();
    assert_eq!(refusal(&deleted), not_now("PROMOTION_WAITS"));
    let request = wire::DeleteRegisteredModelRequest { name: MODEL.to_owned() };
    let deleted = client.delete_registered_model(request).await.unwrap_err();
    assert_eq!(refusal(&deleted), not_now("PROMOTION_WAITS"));

    let request = wire::DecidePromotionRequest {
        model: MODEL.to_owned(),
        promotion: waiting.promotion,
        approve: false,
        actor: "bob".to_owned(),
        note: "the slices".to_owned(),
    };
    registry.promotions.decide_promotion(request).await.unwrap();
    delete_version(&mut client, MODEL, 1).await.unwrap();
    registry.stop().await;
}

#[tokio::test]
async fn a_version_on_trial_is_not_deleted_until_its_rollout_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    registry.ready_version(b"two").await;
    registry.crown(1).await;
    let request = wire::StartRolloutRequest {
        model: MODEL.to_owned(),
        version: 2,
        mode: RolloutMode::Shadow.into(),
        actor: "ada".to_owned(),
        ..Default::default()
    };
    registry.rollouts.start_rollout(request).await.unwrap();
    let mut client = registry.registered.clone();
    let deleted = delete_version(&mut client, MODEL, 2).await.unwrap_err();
    assert_eq!(refusal(&deleted), not_now("VERSION_ON_TRIAL"));
    let request = wire::EndRolloutRequest {
        model: MODEL.to_owned(),
        revision: None,
        actor: "ada".to_owned(),
        note: String::new(),
    };
    registry.rollouts.end_rollout(request).await.unwrap();
    delete_version(&mut client, MODEL, 2).await.unwrap();
    registry.stop().await;
}

#[tokio::test]
async fn versions_of_training_are_there_with_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    let request = wire::CreateModelVersionRequest {
        model: MODEL.to_owned(),
        run_id: RunId::generate().to_string(),
        created_by: "ada".to_owned(),
    };
    registry.models.create_model_version(request).await.unwrap();
    let mut client = registry.registered.clone();

    let ready = version(&mut client, MODEL, 1).await.unwrap();
    assert!(ready.ready && ready.promotable);
    assert_eq!(ready.source, "mlflow-artifacts:/models/churn/1");
    assert_eq!(ready.artifact_uri, ready.source);
    let folder = ready.artifact_uri.strip_prefix("mlflow-artifacts:/").unwrap();
    let request = wire::ListArtifactsRequest {
        path: folder.to_owned(),
        ..Default::default()
    };
    let files = registry.artifacts.list_artifacts(request).await.unwrap().into_inner();
    let files: Vec<_> = files.artifacts.into_iter().map(|file| file.path).collect();
    assert_eq!(files, ["manifest.json", "model.hfm"]);

    let reserved = version(&mut client, MODEL, 2).await.unwrap();
    assert!(!reserved.ready && !reserved.promotable);
    assert_eq!(reserved.user_id, "ada");
    let copied = register(&mut client, from_source(MODEL, "models:/churn/2"))
        .await
        .unwrap_err();
    assert_eq!(violated(&copied), [("source".to_owned(), "not_ready".to_owned())]);
    registry.stop().await;
}

#[tokio::test]
async fn a_version_is_copied_from_any_name_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let trained = registry.ready_version(b"one").await;
    registry.ready_version(b"two").await;
    registry.crown(1).await;
    let mut client = registry.registered.clone();
    set_alias(&mut client, MODEL, "prod", 1).await.unwrap();
    create(&mut client, "Copy").await;
    let sources = [
        ("models:/churn/1", 1),
        ("models:/churn@champion", 1),
        ("models:/churn@prod", 1),
        ("models:/churn/latest", 2),
        ("models:/churn/None", 2),
    ];
    for (number, (source, of)) in (1..).zip(sources) {
        let copy = register(&mut client, from_source("Copy", source)).await.unwrap();
        assert_eq!(copy.version, number);
        assert_eq!(copy.source, format!("models:/churn/{of}"), "{source}");
        assert_eq!(copy.artifact_uri, format!("mlflow-artifacts:/models/churn/{of}"));
        assert_eq!(copy.run_id == trained.run_id, of == 1);
        // A copy has the files and no artefact of its own.
        assert!(copy.ready && !copy.promotable);
    }
    for (source, run_id, rule) in [
        ("models:/churn/9", "", "not_there"),
        ("models:/none/1", "", "not_there"),
        ("models:/churn@none", "", "not_there"),
        ("models:/churn/Staging", "", "not_there"),
        ("models:/churn/1", "another", "mismatch"),
        ("models:/m-0a", "", "not_there"),
    ] {
        let request = wire::CreateVersionRequest {
            run_id: run_id.to_owned(),
            ..from_source("Copy", source)
        };
        let refused = register(&mut client, request).await.unwrap_err();
        assert_eq!(violated(&refused), [("source".to_owned(), rule.to_owned())], "{source}");
    }
    registry.stop().await;
}

#[tokio::test]
async fn a_source_is_found_in_the_registry_or_kept_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let request = wire::CreateExperimentRequest {
        name: "churn".to_owned(),
        ..Default::default()
    };
    let experiment = registry.tracking.create_experiment(request).await.unwrap();
    let request = wire::CreateRunRequest {
        experiment_id: experiment.into_inner().experiment.unwrap().experiment_id,
        ..Default::default()
    };
    let run = registry
        .tracking
        .create_run(request)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    let root = format!("{}/{}/artifacts", run.experiment_id, run.run_id);
    crate::artifacts::write(&registry.artifacts, &format!("{root}/model/MLmodel"), b"x")
        .await
        .unwrap();
    let mut client = registry.registered.clone();
    create(&mut client, "m").await;

    let within = format!("mlflow-artifacts:/{root}/model");
    for (source, expected) in [
        (format!("runs:/{}/model", run.run_id), within.clone()),
        // Nothing is there; MLflow's clients look on.
        (
            format!("runs:/{}/none", run.run_id),
            format!("runs:/{}/none", run.run_id),
        ),
        (format!("{within}/"), within.clone()),
        ("s3://bucket/model".to_owned(), "s3://bucket/model".to_owned()),
        ("https://example.com/m".to_owned(), "https://example.com/m".to_owned()),
    ] {
        let request = wire::CreateVersionRequest {
            run_id: run.run_id.clone(),
            ..from_source("m", &source)
        };
        let made = register(&mut client, request).await.unwrap();
        assert_eq!((made.source, made.artifact_uri), (source, expected));
        assert_eq!(made.run_id, run.run_id);
    }
    for (source, run_id, rule) in [
        ("/etc/passwd", "", "local"),
        ("file:///etc/passwd", &*run.run_id, "local"),
        ("mlflow-artifacts:/1/..%2f..%2fetc", &run.run_id, "relative"),
        ("mlflow-artifacts:/9/other/artifacts", &run.run_id, "not_contained"),
        (&within, "", "not_contained"),
        ("runs:/another/model", &run.run_id, "not_contained"),
    ] {
        let request = wire::CreateVersionRequest {
            run_id: run_id.to_owned(),
            ..from_source("m", source)
        };
        let refused = register(&mut client, request).await.unwrap_err();
        assert_eq!(violated(&refused), [("source".to_owned(), rule.to_owned())], "{source}");
        assert!(refused.message().starts_with("Invalid model version source: '"));
    }
    registry.stop().await;
}

#[tokio::test]
async fn pages_go_on_where_the_last_ended() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(dir.path()).await;
    let mut client = registry.registered.clone();
    for name in ["a", "b", "c"] {
        create(&mut client, name).await;
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = wire::SearchRegisteredModelsRequest {
            order_by: vec!["name DESC".to_owned()],
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = client.search_registered_models(request).await.unwrap().into_inner();
        names.extend(page.models.into_iter().map(|model| model.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["c", "b", "a"]);

    // A page ends before it is too large for a message: each of these has four megabytes of tags.
    let value = "x".repeat(100_000);
    for _ in 0..3 {
        let tags = (0..40).map(|key| wire::Tag {
            key: key.to_string(),
            value: value.clone(),
        });
        let request = wire::CreateVersionRequest {
            tags: tags.collect(),
            ..from_source("a", "s3://a")
        };
        let _ = client
            .clone()
            .max_decoding_message_size(64 << 20)
            .create_version(request)
            .await
            .unwrap();
    }
    let mut client = client.max_decoding_message_size(64 << 20);
    let mut numbers = Vec::new();
    let mut request = wire::SearchVersionsRequest::default();
    loop {
        let page = client.search_versions(request.clone()).await.unwrap().into_inner();
        assert!(page.versions.len() < 3);
        numbers.extend(page.versions.into_iter().map(|version| version.version));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(numbers, [3, 2, 1]);
    for (size, token, field) in [(1_001, "", "page_size"), (0, "x", "page_token")] {
        let request = wire::SearchRegisteredModelsRequest {
            page_size: size,
            page_token: token.to_owned(),
            ..Default::default()
        };
        let refused = client.search_registered_models(request).await.unwrap_err();
        assert_eq!(violated(&refused)[0].0, field);
    }
    registry.stop().await;
}

#[tokio::test]
async fn refusals_have_the_words_of_mlflows_server() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(dir.path()).await;
    let mut client = registry.registered.clone();
    create(&mut client, "churn").await;
    let request = wire::CreateRegisteredModelRequest {
        name: "churn".to_owned(),
        ..Default::default()
    };
    let taken = client.create_registered_model(request).await.unwrap_err();
    assert_eq!(refusal(&taken), (Code::AlreadyExists, "MODEL_EXISTS".to_owned()));
    assert_eq!(taken.message(), "Registered Model (name=churn) already exists.");
    let missing = version(&mut client, "churn", 3).await.unwrap_err();
    assert_eq!(refusal(&missing), (Code::NotFound, "NO_SUCH_VERSION".to_owned()));
    assert_eq!(missing.message(), "Model Version (name=churn, version=3) not found");
    let missing = by_alias(&mut client, "none", "a").await.unwrap_err();
    assert_eq!(refusal(&missing), (Code::NotFound, "NO_SUCH_MODEL".to_owned()));
    assert_eq!(missing.message(), "Registered Model with name=none not found");
    let latest = by_alias(&mut client, "churn", "latest").await.unwrap_err();
    assert_eq!(latest.message(), "Latest version not found for model churn.");
    let reserved = set_alias(&mut client, "churn", "v1", 1).await.unwrap_err();
    assert_eq!(reserved.message(), "Version alias name 'v1' is reserved.");
    assert_eq!(reserved.code(), Code::InvalidArgument);
    let request = wire::TransitionStageRequest {
        name: "churn".to_owned(),
        version: 1,
        stage: "None".to_owned(),
        archive_existing_versions: true,
    };
    let stage = client.transition_stage(request).await.unwrap_err();
    assert_eq!(
        stage.message(),
        "Model version transition cannot archive existing model versions because 'None' is not an Active stage. Valid stages are ['Staging', 'Production']"
    );
    let request = wire::SearchVersionsRequest {
        filter: "stage = 'None'".to_owned(),
        ..Default::default()
    };
    let filter = client.search_versions(request).await.unwrap_err();
    assert_eq!(violated(&filter)[0].0, "filter");
    registry.stop().await;
}
