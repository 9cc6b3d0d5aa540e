//! Models of other libraries, in and out. Files and expectations are those of `tests/fixtures/interchange`, written by the real libraries.

use std::path::PathBuf;

use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::import_model_request::Part;
use holdfast_chassis::{Code, Fault};
use holdfast_domain::{Digest, Feature, FeatureKind, FeatureVector, ModelVersion, Schema, UNKNOWN_CATEGORY};
use holdfast_interchange::{BindOptions, Rounds, bind, import};
use holdfast_model::{BareModel, Calibration, Family, Model, Provenance};
use holdfast_records::layout;
use holdfast_storage::Key;
use tokio_stream::StreamExt as _;
use tonic::Status;

use crate::reproduction::{damage, reproduce};
use crate::support::{Bench, Registry, Setup, directory, endless_params, fault, metric, of_snapshot, result, step};

pub(crate) fn fixture(path: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/interchange");
    std::fs::read(folder.join(path)).unwrap()
}

fn json(path: &str) -> serde_json::Value {
    serde_json::from_slice(&fixture(path)).unwrap()
}

/// The rows that the libraries scored.
fn rows() -> Vec<FeatureVector> {
    let stored = json("rows.json");
    let columns = stored["columns"].as_array().unwrap();
    let row = |values: &serde_json::Value| {
        let mut features = FeatureVector::MISSING;
        for (name, value) in columns.iter().zip(values.as_array().unwrap()) {
            let feature = Feature::from_name(name.as_str().unwrap()).unwrap();
            let value = match (feature.kind(), value.as_str()) {
                (FeatureKind::Categorical, Some(name)) => Schema::embedded()
                    .category_code(feature, name)
                    .map_or(UNKNOWN_CATEGORY, |code| code as f64),
                _ => value.as_f64().unwrap_or(f64::NAN),
            };
            features.set(feature, value);
        }
        features
    };
    stored["rows"].as_array().unwrap().iter().map(row).collect()
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

/// The model answers the library's probabilities within 1e-6, before calibration if it has one, and explains with its contributions within 1e-5.
pub(crate) fn assert_answers_as(model: &Model, expected: &str) {
    let expected = json(expected);
    let names: Vec<&str> = expected["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(model.columns(), names);
    let (margins, probabilities) = (numbers(&expected["margin"]), numbers(&expected["probability"]));
    for (place, features) in rows().iter().enumerate() {
        let margin = model.margin(features);
        assert!(
            (margin - margins[place]).abs() < 1e-5,
            "row {place}: {margin} {}",
            margins[place]
        );
        let raw = model.raw_probability(margin);
        let theirs = probabilities[place];
        assert!((raw - theirs).abs() < 1e-6, "row {place}: {raw} {theirs}");
        let score = model.score(features);
        let is_theirs = (score - theirs).abs() < 1e-6;
        assert!(
            is_theirs || *model.calibration() != Calibration::None,
            "row {place}: {score} {theirs}"
        );
        let explanation = model.explain(features);
        let theirs = numbers(&expected["contributions"][place]);
        for (column, theirs) in names.iter().zip(&theirs) {
            let feature = Feature::from_name(column).unwrap();
            let ours = explanation.contributions[feature.index()];
            assert!((ours - theirs).abs() < 1e-5, "row {place}, {column}: {ours} {theirs}");
        }
    }
}

fn header(snapshot: &str) -> wire::ImportModelHeader {
    wire::ImportModelHeader {
        snapshot: snapshot.to_owned(),
        source: "their-model".to_owned(),
        requested_by: "test".to_owned(),
        seed: Some(7),
        ..wire::ImportModelHeader::default()
    }
}

async fn send(bench: &mut Bench, header: wire::ImportModelHeader, bytes: &[u8]) -> Result<String, Status> {
    let message = |part| wire::ImportModelRequest { part: Some(part) };
    let mut messages = vec![message(Part::Header(header))];
    messages.extend(bytes.chunks(10_000).map(|chunk| message(Part::Chunk(chunk.to_vec()))));
    messages.push(message(Part::End(wire::ImportModelEnd {
        size_bytes: bytes.len() as u64,
    })));
    let answer = bench.training.import_model(tokio_stream::iter(messages)).await?;
    Ok(answer.into_inner().run_id)
}

async fn artifact(bench: &Bench, version: u32) -> Model {
    let key = layout::model_key(&"churn".parse().unwrap(), ModelVersion(version));
    Model::decode(&bench.blobs.get(&key).await.unwrap(), Schema::embedded()).unwrap()
}

async fn export(bench: &mut Bench, version: u32) -> Result<Vec<u8>, Status> {
    export_as(bench, version, wire::ModelFormat::XgboostJson).await
}

async fn export_as(bench: &mut Bench, version: u32, format: wire::ModelFormat) -> Result<Vec<u8>, Status> {
    let request = wire::ExportModelRequest {
        model: "churn".into(),
        version,
        format: format.into(),
    };
    let mut stream = bench.training.export_model(request).await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(message) = stream.next().await {
        bytes.extend(message?.chunk);
    }
    Ok(bytes)
}

/// Keys of the model files that are kept.
async fn kept(bench: &Bench) -> Vec<Key> {
    let prefix = "imports/";
    let listed = bench.blobs.list(prefix, None, 100).await.unwrap();
    listed.into_iter().map(|object| object.key).collect()
}

/// A fixture and what the artefact has to say of it.
struct Case {
    name: &'static str,
    ending: &'static str,
    provenance: Provenance,
    library: [&'static str; 2],
    /// Whether it is so right about its probabilities that they are served as they are.
    is_calibrated: bool,
}

impl Case {
    fn file(&self) -> Vec<u8> {
        fixture(&format!("models/{}.{}", self.name, self.ending))
    }
}

const CASES: [Case; 2] = [
    Case {
        name: "customers-lightgbm",
        ending: "txt",
        provenance: Provenance::ImportedLightgbm,
        library: ["lightgbm", "v4"],
        is_calibrated: true,
    },
    Case {
        name: "customers-xgboost",
        ending: "ubj",
        provenance: Provenance::ImportedXgboost,
        library: ["xgboost", "3.2.0"],
        is_calibrated: false,
    },
];

/// The artefact and its card say where the model is from.
async fn assert_named(bench: &mut Bench, version: u32, case: &Case) {
    let model = artifact(bench, version).await;
    let origin = model.origin();
    assert_eq!(
        (origin.provenance, origin.family),
        (case.provenance, Family::BoostedTrees)
    );
    let parameter = |name: &str| {
        let found = origin.parameters.iter().find(|(found, _)| found == name);
        found.unwrap_or_else(|| panic!("{name}")).1.as_str()
    };
    assert_eq!([parameter("library"), parameter("library_version")], case.library);
    assert_eq!(parameter("file"), Digest::of(&case.file()).to_string());
    let request = wire::GetModelCardRequest {
        model: "churn".into(),
        version,
        ..wire::GetModelCardRequest::default()
    };
    let card = bench
        .training
        .get_model_card(request)
        .await
        .unwrap()
        .into_inner()
        .content;
    for part in ["imported from", "The same file, snapshots", parameter("file")] {
        assert!(card.contains(part), "{part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_both_libraries_become_versions_that_answer_as_there_and_are_reproduced() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(2_500, 8)).await;
    for (version, case) in (1..).zip(&CASES) {
        let wanted = wire::ImportModelHeader {
            promote: Some(version == 1),
            ..header(&snapshot)
        };
        let run_id = send(&mut bench, wanted, &case.file()).await.unwrap();
        let (_, run) = bench.follow(&run_id).await;
        let found = result(&run);
        assert_eq!(
            (found.version, found.promoted),
            (version, version == 1),
            "{:?}",
            found.failed_checks
        );
        assert_eq!(step(&run, "tune").state(), wire::StepState::Skipped);
        assert!(metric(&run, "test_roc_auc") > metric(&run, "baseline_roc_auc"));
        let model = artifact(&bench, version).await;
        assert_eq!(*model.calibration() == Calibration::None, case.is_calibrated);
        assert_answers_as(&model, &format!("expected/{}.json", case.name));
        assert_named(&mut bench, version, case).await;
        for threads in [1, 2] {
            let again = reproduce(&mut bench, version, threads).await.unwrap();
            assert!(again.identical, "{again:?}");
            assert_eq!(again.rebuilt_digest, found.artifact_digest);
        }
    }
    assert_eq!(registry.champion().await.model.unwrap().version, 1);

    // Without the file, or with another in its place, there is nothing to make it of.
    let key = layout::model_file_key(&Digest::of(&fixture("models/customers-lightgbm.txt")));
    damage(&bench, &key).await;
    let refused = fault(reproduce(&mut bench, 1, 1).await);
    assert_eq!(
        (refused.code, refused.reason.as_ref()),
        (Code::DataLoss, "STORED_VERSION_DAMAGED")
    );
    bench.blobs.delete(&key).await.unwrap();
    let refused = fault(reproduce(&mut bench, 1, 1).await);
    assert_eq!(refused.reason, "NOT_REPRODUCIBLE");
    assert!(
        refused.message.contains("is not in the blob store"),
        "{}",
        refused.message
    );
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test]
async fn what_is_no_model_that_fits_is_refused_at_once_and_leaves_nothing() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(200, 8)).await;
    let good = fixture("models/customers-xgboost.ubj");
    let text = String::from_utf8(fixture("models/xgboost-numeric.json")).unwrap();
    let other_objective = text.replacen("binary:logistic", "reg:squarederror", 1).into_bytes();
    let other_column = text.replacen("\"Customer_Age\"", "\"age\"", 1).into_bytes();
    let cases: [(&[u8], &str, &str); 6] = [
        (b"", "UNREADABLE_MODEL", "the file is empty"),
        (b"\x80\x04\x95 a pickle", "UNREADABLE_MODEL", "pickle"),
        (
            &good[..good.len() / 2],
            "UNREADABLE_MODEL",
            "not an XGBoost UBJSON model",
        ),
        (&other_objective, "UNREADABLE_MODEL", "reg:squarederror"),
        (&other_column, "MODEL_DOES_NOT_FIT", "has no \"age\""),
        (
            &fixture("models/xgboost-unnamed.ubj"),
            "MODEL_DOES_NOT_FIT",
            "does not name its 9 columns",
        ),
    ];
    for (bytes, reason, problem) in cases {
        let refused: Fault = fault(send(&mut bench, header(&snapshot), bytes).await);
        assert_eq!((refused.code, refused.reason.as_ref()), (Code::InvalidArgument, reason));
        assert!(refused.message.contains(problem), "{}", refused.message);
    }
    let wrong_format = wire::ImportModelHeader {
        format: wire::ModelFormat::LightgbmText.into(),
        ..header(&snapshot)
    };
    let refused = fault(send(&mut bench, wrong_format, &good).await);
    assert_eq!(refused.violations[0].field, "format");

    // The header's own rules, all at once, and before any byte of the file.
    let bad = wire::ImportModelHeader {
        test_share: Some(0.9),
        columns: vec!["f".to_owned(); 65],
        ..header("")
    };
    let refused = fault(send(&mut bench, bad, &good).await);
    let fields: Vec<&str> = refused.violations.iter().map(|bad| bad.field.as_str()).collect();
    assert_eq!(fields, ["snapshot", "columns", "test_share"]);
    let unknown = header(&Digest::of(b"nothing").to_string());
    assert_eq!(fault(send(&mut bench, unknown, &good).await).reason, "NO_SUCH_SNAPSHOT");

    // Half a file, whether its sender goes away or counts wrongly.
    let message = |part| wire::ImportModelRequest { part: Some(part) };
    let end = wire::ImportModelEnd {
        size_bytes: good.len() as u64,
    };
    for (end, field) in [(None, "end"), (Some(end), "end.size_bytes")] {
        let half = Part::Chunk(good[..good.len() / 2].to_vec());
        let parts = [Part::Header(header(&snapshot)), half].into_iter();
        let messages: Vec<_> = parts.chain(end.map(Part::End)).map(message).collect();
        let refused = fault(bench.training.import_model(tokio_stream::iter(messages)).await);
        assert_eq!(refused.violations[0].field, field);
    }

    assert!(kept(&bench).await.is_empty());
    let runs = bench.training.list_runs(wire::ListRunsRequest::default()).await;
    assert!(runs.unwrap().into_inner().runs.is_empty());
    bench.stop().await;
}

#[tokio::test]
async fn a_file_beyond_the_limit_is_refused() {
    let dir = directory();
    let mut setup = Setup::new(dir.path(), None);
    setup.settings.max_model_bytes = 20_000;
    let mut bench = setup.start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(200, 8)).await;
    let refused = fault(send(&mut bench, header(&snapshot), &[b'x'; 20_001]).await);
    assert_eq!(
        (refused.code, refused.reason.as_ref()),
        (Code::ResourceExhausted, "MODEL_FILE_TOO_LARGE")
    );
    assert_eq!(refused.metadata["limit_bytes"], "20000");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_of_a_model_at_a_time_and_a_key_starts_one() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut setup = Setup::new(dir.path(), Some(&registry));
    setup.settings.params_path = Some(endless_params(dir.path()));
    setup.settings.preset = "default".into();
    let mut bench = setup.start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(1_000, 8)).await;
    let file = fixture("models/customers-lightgbm.txt");
    let training = bench.start_run(of_snapshot(&snapshot)).await.unwrap();
    let refused = fault(send(&mut bench, header(&snapshot), &file).await);
    assert_eq!((refused.code, refused.reason.as_ref()), (Code::Aborted, "RUN_AT_WORK"));
    assert_eq!(refused.metadata["run_id"], training);
    let cancel = wire::CancelRunRequest {
        run_id: training.clone(),
    };
    bench.training.cancel_run(cancel).await.unwrap();
    bench.follow(&training).await;

    let keyed = wire::ImportModelHeader {
        idempotency_key: "once".to_owned(),
        ..header(&snapshot)
    };
    let run = send(&mut bench, keyed.clone(), &file).await.unwrap();
    assert_eq!(send(&mut bench, keyed, &file).await.unwrap(), run);
    assert_eq!(result(&bench.follow(&run).await.1).version, 1);
    assert_eq!(kept(&bench).await.len(), 1);
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_does_not_say_can_be_said() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(1_000, 8)).await;
    let columns: Vec<String> = json("expected/xgboost-numeric.json")["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    let unnamed = wire::ImportModelHeader {
        columns,
        promote: Some(false),
        ..header(&snapshot)
    };
    let run = send(&mut bench, unnamed, &fixture("models/xgboost-unnamed.ubj"))
        .await
        .unwrap();
    let run = bench.follow(&run).await.1;
    let version = result(&run).version;
    assert!(
        artifact(&bench, version)
            .await
            .columns()
            .contains(&"Customer_Age".to_owned())
    );
    assert!(reproduce(&mut bench, version, 1).await.unwrap().identical);

    let text = String::from_utf8(fixture("models/xgboost-early-stopping.json")).unwrap();
    let other = text.replacen("\"Customer_Age\"", "\"age\"", 1).into_bytes();
    let renamed = wire::ImportModelHeader {
        renamed: vec![wire::RenamedColumn {
            from: "age".into(),
            to: "Customer_Age".into(),
        }],
        rounds: wire::ModelRounds::All.into(),
        promote: Some(false),
        ..header(&snapshot)
    };
    let run = send(&mut bench, renamed, &other).await.unwrap();
    let version = result(&bench.follow(&run).await.1).version;
    let model = artifact(&bench, version).await;
    let expected = numbers(&json("expected/xgboost-early-stopping-all.json")["probability"]);
    for (features, expected) in rows().iter().zip(expected) {
        assert!((model.raw_probability(model.margin(features)) - expected).abs() < 1e-6);
    }
    assert!(reproduce(&mut bench, version, 1).await.unwrap().identical);

    // Codes whose names the file does not have: the log says which order was taken for them.
    let coded = fixture("models/lightgbm-codes.txt");
    let run = send(&mut bench, header(&snapshot), &coded).await.unwrap();
    let run = bench.follow(&run).await.1;
    let message = &step(&run, "train").message;
    assert!(
        message.contains("Gender") && message.contains("in the schema's order"),
        "{message}"
    );
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trained_version_is_exported_and_answers_the_same_when_it_comes_back() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(1_500, 8)).await;
    for (version, preset) in [(1, "fast"), (2, "forest"), (3, "logistic")] {
        let request = wire::StartRunRequest {
            preset: preset.into(),
            ..of_snapshot(&snapshot)
        };
        assert_eq!(result(&bench.train(request).await).version, version);
    }
    let exported = export(&mut bench, 1).await.unwrap();
    let original = artifact(&bench, 1).await;
    let options = BindOptions {
        steps: original.preprocessing().steps.clone(),
        ..BindOptions::default()
    };
    let bound = bind(&import(&exported, Rounds::All).unwrap(), &options, Schema::embedded()).unwrap();
    let again = BareModel::new(&bound.preprocessing, &bound.ensemble, Schema::embedded()).unwrap();
    for (features, margin) in rows().iter().zip(again.margins(&rows())) {
        assert!((margin - original.margin(features)).abs() < 1e-6);
    }

    for (version, part) in [(2, "ensemble.link"), (3, "a linear function")] {
        let refused = fault(export(&mut bench, version).await);
        assert_eq!(
            (refused.code, refused.reason.as_ref()),
            (Code::FailedPrecondition, "NOT_EXPORTABLE")
        );
        assert!(refused.message.contains(part), "{}", refused.message);
    }
    assert_eq!(fault(export(&mut bench, 9).await).reason, "NO_SUCH_VERSION");
    let request = wire::ExportModelRequest {
        model: "churn".into(),
        version: 1,
        format: wire::ModelFormat::LightgbmText.into(),
    };
    assert_eq!(
        fault(bench.training.export_model(request).await).violations[0].field,
        "format"
    );
    // The artefact goes out as it is registered, trees or not; it does not come back in as another library's file.
    for version in [1, 3] {
        let stored = bench
            .blobs
            .get(&layout::model_key(&"churn".parse().unwrap(), ModelVersion(version)))
            .await
            .unwrap();
        assert_eq!(
            export_as(&mut bench, version, wire::ModelFormat::Holdfast)
                .await
                .unwrap(),
            stored
        );
    }
    let ours = wire::ImportModelHeader {
        format: wire::ModelFormat::Holdfast.into(),
        ..header(&snapshot)
    };
    let refused = fault(send(&mut bench, ours, b"artefact").await);
    assert_eq!(
        (
            refused.violations[0].field.as_str(),
            refused.violations[0].rule.as_str()
        ),
        ("format", "unsupported")
    );
    // What comes back is a file like any other.
    let run = send(&mut bench, header(&snapshot), &exported).await.unwrap();
    assert_eq!(result(&bench.follow(&run).await.1).version, 4);
    bench.stop().await;
    registry.stop().await;
}
