//! What came from what, both ways.

use bytes::Bytes;
use holdfast_api::common::v1::ModelRef;
use holdfast_api::registry::v1 as wire;
use holdfast_domain::{Customer, Digest, FeatureVector, Generation, ModelVersion, RunId, Schema};
use holdfast_records::Slug;
use holdfast_records::layout::prediction_key;
use holdfast_records::prediction::{self, PredictionRecord};
use holdfast_records::snapshot::{self, PredictionWindow, SnapshotSource};
use holdfast_storage::Key;
use jiff::Timestamp;
use wire::LineageKind as Kind;

use crate::support::{MODEL, Registry, evaluation, promotion, reason, violated};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Everything of one loop: data, run, version, champion, predictions, and the data of the next.
struct Loop {
    registry: Registry,
    bought: Digest,
    test: Digest,
    window: Digest,
    run: String,
    request_id: String,
    segment: Key,
}

impl Loop {
    async fn once(dir: &std::path::Path) -> Self {
        let mut registry = Registry::start(dir).await;
        let bought = rows(&registry, 1, Vec::new(), None).await;
        let test = rows(&registry, 2, vec![bought], None).await;
        let run = RunId::generate().to_string();
        let experiment = registry
            .tracking
            .create_experiment(wire::CreateExperimentRequest {
                name: "churn".to_owned(),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner();
        let opened = wire::CreateRunRequest {
            experiment_id: experiment.experiment.unwrap().experiment_id,
            run_id: run.clone(),
            name: "balanced-1".to_owned(),
            ..Default::default()
        };
        registry.tracking.create_run(opened).await.unwrap();
        let version = version(&mut registry, &run, bought, test).await;
        let mut evidence = evaluation(0.98);
        evidence.test_snapshot = test.to_string();
        assert!(registry.decide(version, evidence).await.accepted);
        let entry = registry.champions.promote(promotion(version, false)).await.unwrap();
        assert_eq!(entry.into_inner().entry.unwrap().generation, 1);

        let request_id = uuid::Uuid::now_v7().to_string();
        let answered = prediction(&request_id);
        let segment = prediction_key(answered.event_time, &Slug::parse("inference-1").unwrap(), 1);
        let bytes = prediction::encode(&[answered], Schema::embedded()).unwrap();
        let _ = registry.blobs.create(&segment, bytes).await.unwrap();
        let recorded = PredictionWindow {
            model: MODEL.parse().unwrap(),
            from: time("2026-11-25T00:00:00Z"),
            to: time("2026-11-26T00:00:00Z"),
            report_id: "report-1".to_owned(),
            generations: Some([Generation(1)].into()),
        };
        let window = rows(&registry, 3, Vec::new(), Some(recorded)).await;
        Self {
            registry,
            bought,
            test,
            window,
            run,
            request_id,
            segment,
        }
    }

    async fn ask(&mut self, thing: &str) -> wire::GetLineageResponse {
        let request = wire::GetLineageRequest {
            thing: thing.to_owned(),
            model: String::new(),
        };
        self.registry.lineage.get_lineage(request).await.unwrap().into_inner()
    }
}

/// A customer of whom nothing is known.
fn nobody() -> Customer {
    Customer {
        key: None,
        label: None,
        features: FeatureVector::MISSING,
    }
}

/// A snapshot with that many rows.
async fn rows(registry: &Registry, number: usize, parents: Vec<Digest>, window: Option<PredictionWindow>) -> Digest {
    let source = SnapshotSource {
        source: "customers.csv".to_owned(),
        query_or_window: None,
        parents,
        window,
        created_at: time("2026-11-24T00:00:00Z"),
    };
    let customers = vec![nobody(); number];
    let stored = snapshot::write(&*registry.blobs, &customers, Schema::embedded(), source).await;
    stored.unwrap().digest
}

async fn version(registry: &mut Registry, run: &str, training: Digest, test: Digest) -> u32 {
    let reserve = wire::CreateModelVersionRequest {
        model: MODEL.to_owned(),
        run_id: run.to_owned(),
        created_by: "ada".to_owned(),
    };
    let reserved = registry
        .models
        .create_model_version(reserve)
        .await
        .unwrap()
        .into_inner();
    let reserved = reserved.version.unwrap();
    let bytes = Bytes::copy_from_slice(run.as_bytes());
    let digest = Digest::of(&bytes);
    let key = Key::parse(&*reserved.artifact_key).unwrap();
    let _ = registry.blobs.create(&key, bytes).await.unwrap();
    let named = ModelRef {
        artifact_digest: digest.to_string(),
        ..reserved.r#ref.unwrap()
    };
    let number = named.version;
    let finish = wire::FinishModelVersionRequest {
        r#ref: Some(named),
        family: "boosted_trees".to_owned(),
        training_snapshot: training.to_string(),
        test_snapshot: test.to_string(),
    };
    registry.models.finish_model_version(finish).await.unwrap();
    number
}

fn prediction(request_id: &str) -> PredictionRecord {
    PredictionRecord {
        request_id: request_id.to_owned(),
        row_index: 0,
        event_time: Timestamp::now(),
        customer_key: None,
        model: MODEL.parse().unwrap(),
        version: ModelVersion(1),
        generation: Generation(1),
        features: nobody().features,
        unlisted: Vec::new(),
        score: 0.5,
        label: true,
        threshold: 0.5,
        latency_us: 1,
        trace_id: None,
    }
}

fn ids(answer: &wire::GetLineageResponse, kind: Kind) -> Vec<&str> {
    let of_kind = answer.nodes.iter().filter(|node| node.kind() == kind);
    of_kind.map(|node| node.id.as_str()).collect()
}

/// The edges as sentences.
fn sentences(answer: &wire::GetLineageResponse) -> Vec<String> {
    let id = |place: u32| &answer.nodes[place as usize].id;
    let edges = answer.edges.iter();
    edges
        .map(|edge| format!("{} {} {}", id(edge.from), edge.relation, id(edge.to)))
        .collect()
}

#[tokio::test]
async fn from_a_prediction_the_way_leads_back_to_the_data_that_was_bought() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Loop::once(dir.path()).await;
    let id = all.request_id.clone();
    let answer = all.ask(&id).await;
    assert_eq!((answer.nodes[0].kind(), &answer.nodes[0].id), (Kind::Prediction, &id));
    assert_eq!(ids(&answer, Kind::Predictions), ["churn@1"]);
    assert_eq!(ids(&answer, Kind::Generation), ["churn@1"]);
    assert_eq!(ids(&answer, Kind::Version), ["churn/1"]);
    assert_eq!(ids(&answer, Kind::Run), [&all.run]);
    let run = answer.nodes.iter().find(|node| node.kind() == Kind::Run).unwrap();
    assert_eq!((run.label.as_str(), run.missing), ("balanced-1", false));
    let told = sentences(&answer);
    for sentence in [
        format!("{} made into {}", all.bought, all.test),
        format!("{} trained on by {}", all.bought, all.run),
        format!("{} tested on by {}", all.test, all.run),
        format!("{} made churn/1", all.run),
        "churn/1 promoted to churn@1".to_owned(),
        "churn@1 served churn@1".to_owned(),
        format!("churn@1 one of them {id}"),
    ] {
        assert!(told.contains(&sentence), "{sentence} is not among {told:#?}");
    }
    all.registry.stop().await;
}

#[tokio::test]
async fn from_the_data_the_way_leads_on_to_the_window_that_the_next_run_learns_from() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Loop::once(dir.path()).await;
    let bought = all.bought.to_string();
    let answer = all.ask(&bought[..12]).await;
    assert_eq!((answer.nodes[0].kind(), &answer.nodes[0].id), (Kind::Snapshot, &bought));
    let window = "churn/2026-11-25T00:00:00Z/2026-11-26T00:00:00Z";
    let told = sentences(&answer);
    for sentence in [
        format!("churn@1 logged in {window}"),
        format!("{window} labelled as {}", all.window),
    ] {
        assert!(told.contains(&sentence), "{sentence} is not among {told:#?}");
    }
    assert_eq!(ids(&answer, Kind::Evaluation).len(), 1);
    assert!(answer.nodes.iter().all(|node| !node.missing) && !answer.truncated);
    all.registry.stop().await;
}

#[tokio::test]
async fn every_name_of_a_thing_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Loop::once(dir.path()).await;
    let artefact = Digest::of(all.run.as_bytes()).to_string();
    let segment = all.segment.to_string();
    let run = all.run.clone();
    for (thing, kind) in [
        ("churn", Kind::Generation),
        ("churn@1", Kind::Generation),
        ("churn/1", Kind::Version),
        (run.as_str(), Kind::Run),
        (artefact.as_str(), Kind::Version),
        (segment.as_str(), Kind::Segment),
    ] {
        assert_eq!(all.ask(thing).await.nodes[0].kind(), kind, "{thing}");
    }
    let ask = |thing: &str, model: &str| wire::GetLineageRequest {
        thing: thing.to_owned(),
        model: model.to_owned(),
    };
    let lineage = &mut all.registry.lineage;
    let by_number = lineage.get_lineage(ask("1", MODEL)).await.unwrap().into_inner();
    assert_eq!(by_number.nodes[0].id, "churn/1");
    for unknown in ["churn/9", "churn@9", "nobody", "0123456789", "predictions/nowhere"] {
        let status = lineage.get_lineage(ask(unknown, "")).await.unwrap_err();
        assert_eq!(reason(&status), "NO_SUCH_THING", "{unknown}");
    }
    let late = lineage.get_lineage(ask(&uuid::Uuid::now_v7().to_string(), "")).await;
    assert_eq!(reason(&late.unwrap_err()), "NO_SUCH_THING");
    let empty = lineage.get_lineage(ask(" ", "")).await.unwrap_err();
    assert_eq!(violated(&empty), [("thing".to_owned(), "required".to_owned())]);
    all.registry.stop().await;
}

#[tokio::test]
async fn what_is_referred_to_and_gone_is_said_to_be_missing() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Loop::once(dir.path()).await;
    let manifest = holdfast_records::layout::snapshot_manifest_key(&all.bought);
    // The first answer has read it: it must be forgotten again.
    assert!(!all.ask("churn/1").await.nodes.iter().any(|node| node.missing));
    all.registry.blobs.delete(&manifest).await.unwrap();
    let answer = all.ask("churn/1").await;
    let missing = answer.nodes.iter().filter(|node| node.missing);
    let missing: Vec<&str> = missing.map(|node| node.id.as_str()).collect();
    assert_eq!(missing, [all.bought.to_string()]);
    all.registry.stop().await;
}
