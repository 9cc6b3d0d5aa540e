//! Models that notebooks have logged with MLflow's client: registered as files, imported without anybody's doing. The model files are written by the
//! real libraries (`tests/fixtures/interchange`), the descriptions beside them are as MLflow 3.17.2 writes them.

use std::path::Path;
use std::time::Duration;

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::artifact_service_client::ArtifactServiceClient;
use holdfast_api::registry::v1::import_service_client::ImportServiceClient;
use holdfast_api::registry::v1::lineage_service_client::LineageServiceClient;
use holdfast_api::registry::v1::logged_model_service_client::LoggedModelServiceClient;
use holdfast_api::registry::v1::registered_model_service_client::RegisteredModelServiceClient;
use holdfast_api::registry::v1::write_artifact_request::Part;
use holdfast_api::training::v1::ImportModelHeader;
use holdfast_domain::{ModelVersion, Schema};
use holdfast_model::{Model, Provenance};
use holdfast_records::layout;
use holdfast_testkit::eventually_some;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::interchange::{assert_answers_as, fixture};
use crate::support::{Bench, Registry, Setup, directory, fault, small_params};

const PATIENCE: Duration = Duration::from_secs(60);

/// What a notebook talks to, and what it does.
struct Notebook {
    registered: RegisteredModelServiceClient<Channel>,
    artifacts: ArtifactServiceClient<Channel>,
    imports: ImportServiceClient<Channel>,
    logged: LoggedModelServiceClient<Channel>,
    lineage: LineageServiceClient<Channel>,
}

impl Notebook {
    async fn of(registry: &Registry) -> Self {
        let channel = Channel::from_shared(registry.url.clone())
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self {
            registered: RegisteredModelServiceClient::new(channel.clone()),
            artifacts: ArtifactServiceClient::new(channel.clone()),
            imports: ImportServiceClient::new(channel.clone()),
            logged: LoggedModelServiceClient::new(channel.clone()),
            lineage: LineageServiceClient::new(channel),
        }
    }

    /// What came of a thing, a sentence a line.
    async fn lineage(&mut self, thing: &str) -> String {
        let request = wire::GetLineageRequest {
            thing: thing.to_owned(),
            model: String::new(),
        };
        let found = self.lineage.get_lineage(request).await.unwrap().into_inner();
        let named = |at: u32| found.nodes[at as usize].id.as_str();
        let edges = found.edges.iter();
        let sentences = edges.map(|edge| format!("{} {} {}\n", named(edge.from), edge.relation, named(edge.to)));
        sentences.collect()
    }

    async fn write(&mut self, path: &str, bytes: &[u8]) {
        let part = |part| wire::WriteArtifactRequest { part: Some(part) };
        let header = Part::Header(wire::ArtifactHeader { path: path.to_owned() });
        let chunks = bytes.chunks(100_000).map(|chunk| Part::Chunk(chunk.to_vec()));
        let end = Part::End(wire::ArtifactEnd::default());
        let parts: Vec<_> = std::iter::once(header).chain(chunks).chain([end]).map(part).collect();
        self.artifacts.write_artifact(tokio_stream::iter(parts)).await.unwrap();
    }

    /// A run of ada's with a model among its files, registered as the next version of `churn`: what `log_model(registered_model_name="churn")` does.
    async fn log(
        &mut self,
        registry: &mut Registry,
        mlmodel: &str,
        file: &str,
        bytes: &[u8],
    ) -> wire::RegisteredVersion {
        let tag = |key: &str, value: &str| wire::Tag {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let made = registry.tracking.create_experiment(wire::CreateExperimentRequest {
            name: format!("notebook {}", holdfast_domain::RunId::generate()),
            ..Default::default()
        });
        let experiment_id = made.await.unwrap().into_inner().experiment.unwrap().experiment_id;
        let run = wire::CreateRunRequest {
            experiment_id: experiment_id.clone(),
            tags: vec![tag("mlflow.user", "ada")],
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
        let folder = format!("{experiment_id}/{}/artifacts/model", run.run_id);
        self.write(&format!("{folder}/{file}"), bytes).await;
        self.write(&format!("{folder}/MLmodel"), mlmodel.as_bytes()).await;
        let model = wire::CreateRegisteredModelRequest {
            name: "churn".to_owned(),
            ..Default::default()
        };
        if let Err(status) = self.registered.create_registered_model(model).await {
            assert_eq!(status.code(), Code::AlreadyExists);
        }
        let version = wire::CreateVersionRequest {
            name: "churn".to_owned(),
            source: format!("mlflow-artifacts:/{folder}"),
            run_id: run.run_id,
            ..Default::default()
        };
        let made = self.registered.create_version(version).await.unwrap();
        made.into_inner().version.unwrap()
    }

    /// The same as MLflow 3 does it: a logged model beside its run, registered by its id.
    async fn log_model(&mut self, registry: &mut Registry, mlmodel: &str, file: &str, bytes: &[u8]) -> u32 {
        let made = registry.tracking.create_experiment(wire::CreateExperimentRequest {
            name: "of logged models".to_owned(),
            ..Default::default()
        });
        let experiment_id = made.await.unwrap().into_inner().experiment.unwrap().experiment_id;
        let new = wire::CreateLoggedModelRequest {
            experiment_id,
            user_id: "ada".to_owned(),
            ..Default::default()
        };
        let made = self.logged.create_logged_model(new).await.unwrap();
        let model = made.into_inner().model.unwrap();
        let folder = model
            .artifact_uri
            .strip_prefix("mlflow-artifacts:/")
            .unwrap()
            .to_owned();
        self.write(&format!("{folder}/{file}"), bytes).await;
        self.write(&format!("{folder}/MLmodel"), mlmodel.as_bytes()).await;
        let finalize = wire::FinalizeLoggedModelRequest {
            model_id: model.model_id.clone(),
            status: wire::LoggedModelStatus::Ready.into(),
        };
        self.logged.finalize_logged_model(finalize).await.unwrap();
        let version = wire::CreateVersionRequest {
            name: "churn".to_owned(),
            source: format!("models:/{}", model.model_id),
            model_id: model.model_id,
            ..Default::default()
        };
        let made = self.registered.create_version(version).await.unwrap();
        made.into_inner().version.unwrap().version
    }

    async fn version(&mut self, version: u32) -> wire::RegisteredVersion {
        let request = wire::GetVersionRequest {
            name: "churn".to_owned(),
            version,
        };
        let got = self.registered.get_version(request).await.unwrap();
        got.into_inner().version.unwrap()
    }

    /// The version once its import has come to an end.
    async fn imported(&mut self, version: u32) -> wire::RegisteredVersion {
        eventually_some("the end of an import", PATIENCE, async || {
            let found = self.version(version).await;
            (found.import == "done" || found.import.starts_with("failed")).then_some(found)
        })
        .await
    }

    /// Asks once the import that came with the registration has ended, for want of rows.
    async fn ask_again(&mut self, version: u32, wishes: ImportModelHeader) -> wire::Import {
        let first = self.imported(version).await;
        assert!(first.import.starts_with("failed"), "{}", first.import);
        self.ask(version, wishes).await.unwrap()
    }

    async fn ask(&mut self, version: u32, wishes: ImportModelHeader) -> Result<wire::Import, Status> {
        let request = wire::RequestImportRequest {
            model: "churn".to_owned(),
            version,
            wishes: Some(wishes),
        };
        Ok(self.imports.request_import(request).await?.into_inner().import.unwrap())
    }
}

fn mlmodel(flavor: &str, file: &str, class: &str) -> String {
    format!(
        "artifact_path: model\nflavors:\n  python_function:\n    data: {file}\n    env:\n      conda: conda.yaml\n      virtualenv: \
         python_env.yaml\n    loader_module: mlflow.{flavor}\n    python_version: 3.11.7\n  {flavor}:\n    code: null\n    data: {file}\n    \
         model_class: {class}\nmlflow_version: 3.17.2\nmodel_size_bytes: 10690\nprompts: null\nutc_time_created: '2026-11-23 17:55:38.330489'\n"
    )
}

fn xgboost() -> (String, &'static str, Vec<u8>) {
    let file = fixture("models/customers-xgboost.ubj");
    (
        mlmodel("xgboost", "model.ubj", "xgboost.core.Booster"),
        "model.ubj",
        file,
    )
}

fn lightgbm() -> (String, &'static str, Vec<u8>) {
    let file = fixture("models/customers-lightgbm.txt");
    (
        mlmodel("lightgbm", "model.lgb", "lightgbm.basic.Booster"),
        "model.lgb",
        file,
    )
}

/// A training service that asks for imports all the time, and learns little.
async fn training(dir: &Path, registry: &Registry) -> Bench {
    let mut setup = Setup::new(dir, Some(registry));
    setup.settings.imports_interval_ms = 20;
    setup.settings.params_path = Some(small_params(dir));
    setup.start().await
}

fn rows(snapshot: &str) -> ImportModelHeader {
    ImportModelHeader {
        snapshot: snapshot.to_owned(),
        requested_by: "bob".to_owned(),
        ..ImportModelHeader::default()
    }
}

async fn artifact(bench: &Bench, version: u32) -> Model {
    let key = layout::model_key(&"churn".parse().unwrap(), ModelVersion(version));
    Model::decode(&bench.blobs.get(&key).await.unwrap(), Schema::embedded()).unwrap()
}

async fn judged(registry: &mut Registry, version: u32) -> wire::ModelVersion {
    let request = wire::GetModelVersionRequest {
        model: "churn".to_owned(),
        version,
    };
    let got = registry.models.get_model_version(request).await.unwrap();
    got.into_inner().version.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_notebooks_are_imported_and_promoted_like_any_other() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let mut notebook = Notebook::of(&registry).await;
    let mut bench = training(dir.path(), &registry).await;

    // There are no rows yet that it could be tested on.
    let (description, file, bytes) = lightgbm();
    let registered = notebook.log(&mut registry, &description, file, &bytes).await;
    assert!(!registered.promotable);
    let failed = notebook.imported(1).await;
    assert!(failed.import.contains("must name labelled rows"), "{}", failed.import);
    assert_eq!(failed.status_message, format!("import {}", failed.import));

    let snapshot = bench.import(&holdfast_simulator::customers(2_500, 8)).await;
    let asked = notebook.ask_again(1, rows(&snapshot)).await;
    assert_eq!(
        (asked.state(), asked.requested_by.as_str()),
        (wire::ImportState::Requested, "bob")
    );
    let done = notebook.imported(1).await;
    assert_eq!(
        (done.import.as_str(), done.promotable, done.status_message.as_str()),
        ("done", true, "")
    );
    assert_eq!(done.run_id, registered.run_id, "MLflow still sees the notebook's run");
    let model = artifact(&bench, 1).await;
    assert_eq!(model.origin().provenance, Provenance::ImportedLightgbm);
    assert_answers_as(&model, "expected/customers-lightgbm.json");
    let version = judged(&mut registry, 1).await;
    assert_eq!(version.decisions.len(), 1);
    assert!(version.decisions[0].accepted, "{:?}", version.decisions[0].checks);
    let asked_again = notebook.ask(1, rows(&snapshot)).await.unwrap();
    assert_eq!(
        (asked_again.state(), asked_again.run_id),
        (wire::ImportState::Done, version.run_id.clone())
    );

    // The author is ada, who started the notebook's run, whoever asked for the import.
    let run = wire::GetRunRequest { run_id: version.run_id };
    let run = registry.tracking.get_run(run).await.unwrap().into_inner().run.unwrap();
    let tag = |key: &str| run.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.clone());
    assert_eq!(tag("holdfast.requested_by").unwrap(), "ada");
    assert_eq!(tag("holdfast.imported_from").unwrap(), "models:/churn/1");

    let promote = wire::PromoteRequest {
        model: "churn".to_owned(),
        version: 1,
        expected_generation: Some(0),
        actor: "bob".to_owned(),
        ..Default::default()
    };
    registry.champions.promote(promote).await.unwrap();
    assert_eq!(registry.champion().await.model.unwrap().version, 1);
    let came_of_it = notebook.lineage(&registered.run_id).await;
    for sentence in [
        "registered as churn/1",
        "churn/1 judged by",
        "churn/1 promoted to churn@1",
    ] {
        assert!(came_of_it.contains(sentence), "{sentence} in\n{came_of_it}");
    }
    assert!(notebook.version(1).await.aliases.contains(&"champion".to_owned()));

    // From now on a notebook does nothing but log: the rows are the champion's.
    let (description, file, bytes) = xgboost();
    notebook.log(&mut registry, &description, file, &bytes).await;
    let done = notebook.imported(2).await;
    assert_eq!((done.import.as_str(), done.promotable), ("done", true));
    assert_answers_as(&artifact(&bench, 2).await, "expected/customers-xgboost.json");
    let (first, second) = (judged(&mut registry, 1).await, judged(&mut registry, 2).await);
    assert_eq!(
        (first.training_snapshot, first.test_snapshot),
        (second.training_snapshot, second.test_snapshot)
    );
    assert_eq!(second.decisions[0].champion_generation, 1);
    assert_eq!(
        registry.champion().await.model.unwrap().version,
        1,
        "nobody has promoted it"
    );
    let version = notebook.log_model(&mut registry, &description, file, &bytes).await;
    assert_eq!(notebook.imported(version).await.import, "done");
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pickles_and_models_that_do_not_fit_are_refused_with_what_to_do() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let mut notebook = Notebook::of(&registry).await;
    let mut bench = training(dir.path(), &registry).await;
    let snapshot = bench.import(&holdfast_simulator::customers(300, 8)).await;

    // What is no booster is registered, and nothing more.
    let pickled = mlmodel("lightgbm", "model.pkl", "lightgbm.sklearn.LGBMClassifier");
    let sklearn =
        "flavors:\n  python_function:\n    model_path: model.skops\n  sklearn:\n    pickled_model: model.skops\n"
            .to_owned();
    for (version, description, file, hint) in [
        (1, &pickled, "model.pkl", "mlflow.lightgbm.log_model(model.booster_"),
        (2, &sklearn, "model.skops", "mlflow.xgboost.log_model"),
    ] {
        let registered = notebook
            .log(&mut registry, description, file, b"\x80\x04\x95 a pickle")
            .await;
        assert_eq!((registered.version, registered.import.as_str()), (version, ""));
        let refused = fault(notebook.ask(version, rows(&snapshot)).await);
        assert_eq!(refused.reason, "NOT_IMPORTABLE");
        for part in ["never opened", hint] {
            assert!(refused.message.contains(part), "{part}: {}", refused.message);
        }
    }

    // A file that is not what its description says is not opened either, and a column that the bank does not have is named.
    let (description, file, _) = xgboost();
    let text = String::from_utf8(fixture("models/xgboost-numeric.json")).unwrap();
    let foreign = text.replacen("\"Customer_Age\"", "\"age\"", 1).into_bytes();
    let cases: [(&[u8], &str); 2] = [
        (b"\x80\x04\x95 a pickle", "looks like a Python pickle"),
        (&foreign, "the schema has no \"age\""),
    ];
    for (version, (bytes, problem)) in (3..).zip(cases) {
        notebook.log(&mut registry, &description, file, bytes).await;
        notebook.ask_again(version, rows(&snapshot)).await;
        let failed = notebook.imported(version).await;
        assert!(failed.import.contains(problem), "{problem}: {}", failed.import);
        assert!(!failed.promotable);
    }
    // A column may be called otherwise, and a file without names has those of the signature.
    let renamed = ImportModelHeader {
        renamed: vec![holdfast_api::training::v1::RenamedColumn {
            from: "age".to_owned(),
            to: "Customer_Age".to_owned(),
        }],
        ..rows(&snapshot)
    };
    notebook.ask_again(4, renamed).await;
    assert_eq!(notebook.imported(4).await.import, "done");
    let signature = signature_of(&text);
    let description = format!("{description}signature:\n  inputs: '{signature}'\n  outputs: null\n  params: null\n");
    notebook
        .log(
            &mut registry,
            &description,
            file,
            &fixture("models/xgboost-unnamed.ubj"),
        )
        .await;
    // The rows are by now those of the run before.
    for version in [4, 5] {
        let done = notebook.imported(version).await;
        assert_eq!((done.import.as_str(), done.promotable), ("done", true), "{version}");
    }
    bench.stop().await;
    registry.stop().await;
}

/// The signature that MLflow infers from a data frame of a model's columns.
fn signature_of(model: &str) -> String {
    let model: serde_json::Value = serde_json::from_str(model).unwrap();
    let names = model["learner"]["feature_names"].as_array().unwrap();
    let inputs = names
        .iter()
        .map(|name| serde_json::json!({"type": "double", "name": name, "required": true}));
    serde_json::Value::from_iter(inputs).to_string()
}

/// What a kill may leave, each with the statements that make it of an import that is done, and whether the artefact and the manifest are there.
const LEFT: [(&str, &[&str], bool, bool); 5] = [
    (
        "taken up",
        &[PENDING, "UPDATE imports SET plan = '', run_id = ''"],
        false,
        false,
    ),
    ("resolved", &[PENDING, "UPDATE imports SET run_id = ''"], false, false),
    ("the artefact is written", &[PENDING], true, false),
    ("the manifest is written", &[PENDING], true, true),
    ("the version is ready", &[], true, true),
];
const PENDING: &str = "UPDATE model_versions SET status = 'pending', artifact_digest = NULL, made_by_run = ''";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_kill_has_left_an_import_is_brought_to_its_end() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let mut bench = training(dir.path(), &registry).await;
    let mut notebook = Notebook::of(&registry).await;
    let snapshot = bench.import(&holdfast_simulator::customers(1_000, 8)).await;
    let (description, file, bytes) = lightgbm();
    notebook.log(&mut registry, &description, file, &bytes).await;
    notebook.ask_again(1, rows(&snapshot)).await;
    assert_eq!(notebook.imported(1).await.import, "done");
    let mut before = judged(&mut registry, 1).await;
    for (left, statements, artefact, manifest) in LEFT {
        bench.stop().await;
        registry.stop().await;
        undo(dir.path(), statements, artefact, manifest).await;

        registry = Registry::start(dir.path()).await;
        notebook = Notebook::of(&registry).await;
        assert_eq!(notebook.version(1).await.import, "running");
        bench = training(dir.path(), &registry).await;
        let done = notebook.imported(1).await;
        assert_eq!((done.import.as_str(), done.promotable), ("done", true), "{left}");
        let again = judged(&mut registry, 1).await;
        assert_eq!(again.r#ref, before.r#ref, "{left}: the same bytes");
        assert_eq!(again.decisions.len(), 1, "{left}");
        if manifest {
            assert_eq!(again.run_id, before.run_id, "{left}: a manifest is written once");
        }
        before = again;
    }
    bench.stop().await;
    registry.stop().await;
}

/// Takes the registry back to what it was before an import was done.
async fn undo(dir: &Path, statements: &[&'static str], artefact: bool, manifest: bool) {
    let options = SqliteConnectOptions::new().filename(dir.join("registry.db"));
    let mut database: SqliteConnection = options.connect().await.unwrap();
    let all = [
        "DELETE FROM gate_decisions",
        "UPDATE imports SET state = 'running', lease_until_us = 0, tries = 1",
    ];
    for statement in statements.iter().chain(&all) {
        sqlx::query(*statement).execute(&mut database).await.unwrap();
    }
    database.close().await.unwrap();
    let model = "churn".parse().unwrap();
    let blobs = Setup::new(dir, None).common.blob_store.open(dir).await.unwrap();
    if !artefact {
        blobs.delete(&layout::model_key(&model, ModelVersion(1))).await.unwrap();
    }
    if !manifest {
        blobs
            .delete(&layout::model_manifest_key(&model, ModelVersion(1)))
            .await
            .unwrap();
    }
}
