//! What the stand-ins answer when all is well.
#![expect(clippy::needless_pass_by_value, reason = "all are called alike, by a macro")]

mod champions;
mod evidence;
mod imports;
mod lineage;
pub(crate) mod mlflow;
mod open_inference;
mod promotions;
mod retention;
mod rollouts;
mod webhooks;

use holdfast_api::common::v1::ModelRef;
use holdfast_api::customer::checked_to_wire;
use holdfast_api::inference::v1 as inference;
use holdfast_api::inference::v1::out_of_domain::Kind;
use holdfast_api::monitoring::v1 as monitoring;
use holdfast_api::registry::v1 as registry;
use holdfast_api::training::v1 as training;
use holdfast_chassis::Fault;
use holdfast_domain::Schema;
use prost_types::Timestamp;

pub(crate) use champions::{get_champion, list_champions, list_replicas, promote, rollback};
pub(crate) use evidence::{get_evaluation_file, get_model_card, list_evaluation_files, reproduce_version};
pub(crate) use imports::{get_import, request_import};
pub(crate) use lineage::get_lineage;
pub(crate) use open_inference::{
    PROBABILITY, model_infer, model_metadata, model_ready, repository_index, server_live, server_metadata, server_ready,
};
pub(crate) use promotions::{decide_promotion, list_promotions};
pub(crate) use retention::collect;
pub(crate) use rollouts::{end_rollout, get_rollout, list_rollouts, start_rollout};
pub(crate) use webhooks::{
    WEBHOOK, create_webhook, delete_webhook, get_webhook, list_deliveries, list_webhooks, test_webhook, update_webhook,
};

pub(crate) const DIGEST: &str = "aa11bb22cc33dd44ee55ff6600778899aa11bb22cc33dd44ee55ff6600778899";

/// 2026-01-02T03:04:05Z
pub(crate) const AT: Timestamp = Timestamp {
    seconds: 1_767_323_045,
    nanos: 0,
};

fn model(version: u32) -> ModelRef {
    ModelRef {
        model: "churn".to_owned(),
        version,
        artifact_digest: DIGEST.to_owned(),
    }
}

fn served() -> Option<inference::ServedModel> {
    Some(inference::ServedModel {
        model: Some(model(3)),
        generation: 5,
    })
}

/// A high limit leaves: enough to tell customers apart.
fn prediction(customer: &holdfast_api::common::v1::Customer, explain: bool) -> inference::Prediction {
    let probability = if customer.credit_limit() > 10_000.0 { 0.9 } else { 0.1 };
    let unlisted = customer.card_category.as_deref().is_some_and(|card| card == "Titanium");
    inference::Prediction {
        probability,
        label: probability >= 0.5,
        threshold: 0.5,
        out_of_domain: unlisted
            .then(|| inference::OutOfDomain {
                feature: "Card_Category".to_owned(),
                kind: Kind::UnknownCategory.into(),
            })
            .into_iter()
            .collect(),
        reasons: explain
            .then(|| inference::Reason {
                feature: "Credit_Limit".to_owned(),
                contribution: 1.5,
                text: "a high limit speaks for leaving".to_owned(),
                code: "CREDIT_LIMIT_HIGH".to_owned(),
            })
            .into_iter()
            .collect(),
    }
}

pub(crate) fn predict(message: inference::PredictRequest) -> inference::PredictResponse {
    let customer = message.customer.unwrap();
    inference::PredictResponse {
        prediction: Some(prediction(&customer, message.explain)),
        served_by: served(),
        request_id: message.request_id,
    }
}

pub(crate) fn predict_each(message: inference::PredictEachRequest) -> inference::PredictEachResponse {
    use inference::predict_each_response::{Item, item::Outcome};
    let answers = message.items.into_iter().map(|item| Item {
        outcome: Some(Outcome::Answer(predict(item.predict.unwrap()))),
    });
    inference::PredictEachResponse {
        items: answers.collect(),
    }
}

pub(crate) fn predict_batch(message: inference::PredictBatchRequest) -> inference::PredictBatchResponse {
    let schema = Schema::embedded();
    let customers = message.customers.checked(schema, usize::MAX).unwrap();
    inference::PredictBatchResponse {
        predictions: customers
            .iter()
            .map(|customer| prediction(&checked_to_wire(customer, schema), message.explain))
            .collect(),
        served_by: served(),
        request_id: message.request_id,
    }
}

pub(crate) fn explain(message: inference::ExplainRequest) -> inference::ExplainResponse {
    inference::ExplainResponse {
        base_value: -1.5,
        margin: 0.0,
        contributions: vec![inference::Contribution {
            feature: "Credit_Limit".to_owned(),
            contribution: 1.5,
        }],
        prediction: Some(prediction(&message.customer.unwrap(), false)),
        served_by: served(),
    }
}

pub(crate) fn get_model(_: inference::GetModelRequest) -> inference::GetModelResponse {
    inference::GetModelResponse {
        served: served(),
        family: "boosted_trees".to_owned(),
        threshold: 0.5,
        signature: vec![inference::FeatureSignature {
            name: "Credit_Limit".to_owned(),
            kind: "numeric".to_owned(),
            required: true,
            categories: Vec::new(),
        }],
        run_id: "run-1".to_owned(),
        serving_since: Some(AT),
    }
}

fn prediction_log() -> Option<inference::PredictionLogStatus> {
    Some(inference::PredictionLogStatus {
        acknowledged_records: 7,
        uploaded_records: 7,
        ..Default::default()
    })
}

pub(crate) fn get_replica_status(_: inference::GetReplicaStatusRequest) -> inference::GetReplicaStatusResponse {
    inference::GetReplicaStatusResponse {
        replica: "replica-a".to_owned(),
        serving: served(),
        serving_since: Some(AT),
        last_reload_ms: 12.5,
        last_failure: Some(inference::LoadFailure {
            model: Some(model(4)),
            generation: 6,
            message: "artefact digest does not match".to_owned(),
            failed_at: Some(AT),
        }),
        registry_connected: true,
        prediction_log: prediction_log(),
        started_at: Some(AT),
        rollout: rollouts::get_rollout(registry::GetRolloutRequest::default())
            .replicas
            .remove(0)
            .tally,
    }
}

pub(crate) fn flush_prediction_log(_: inference::FlushPredictionLogRequest) -> inference::FlushPredictionLogResponse {
    inference::FlushPredictionLogResponse {
        prediction_log: prediction_log(),
    }
}

fn version(model_ref: ModelRef) -> registry::ModelVersion {
    let quality = registry::Quality {
        rows: 100,
        positives: 16,
        roc_auc: 0.99,
        f1: f64::NAN,
        ..Default::default()
    };
    registry::ModelVersion {
        r#ref: Some(model_ref),
        status: registry::ModelVersionStatus::Ready.into(),
        run_id: "run-1".to_owned(),
        decisions: vec![registry::GateDecision {
            evaluation_digest: DIGEST.to_owned(),
            accepted: true,
            checks: vec![registry::GateCheck {
                name: "beats_baseline".to_owned(),
                passed: true,
                ..Default::default()
            }],
            decided_at: Some(AT),
            evaluation: Some(registry::Evaluation {
                full: Some(quality),
                ..Default::default()
            }),
            champion_generation: 4,
            test_snapshot_uses: 1,
        }],
        created_at: Some(AT),
        ..Default::default()
    }
}

pub(crate) fn get_model_version(message: registry::GetModelVersionRequest) -> registry::GetModelVersionResponse {
    let model = ModelRef {
        model: message.model,
        version: message.version,
        ..model(3)
    };
    registry::GetModelVersionResponse {
        version: Some(version(model)),
    }
}

pub(crate) fn list_models(_: registry::ListModelsRequest) -> registry::ListModelsResponse {
    let churn = registry::ModelSummary {
        model: "churn".to_owned(),
        versions: 4,
        latest_version: 4,
        champion_version: 3,
    };
    let empty = registry::ModelSummary {
        model: "empty".to_owned(),
        ..Default::default()
    };
    registry::ListModelsResponse {
        models: vec![churn, empty],
    }
}

pub(crate) fn list_model_versions(_: registry::ListModelVersionsRequest) -> registry::ListModelVersionsResponse {
    registry::ListModelVersionsResponse {
        versions: vec![version(model(3))],
        next_page_token: "page-2".to_owned(),
    }
}

fn snapshot() -> training::Snapshot {
    training::Snapshot {
        digest: DIGEST.to_owned(),
        source: "bank.csv".to_owned(),
        rows: 100,
        positives: 16,
        schema_digest: DIGEST.to_owned(),
        created_at: Some(AT),
        parents: Vec::new(),
    }
}

pub(crate) fn import_snapshot(
    header: &training::ImportSnapshotHeader,
    bytes: usize,
) -> training::ImportSnapshotResponse {
    let snapshot = training::Snapshot {
        source: header.source.clone(),
        rows: bytes as u64,
        ..snapshot()
    };
    let dropped_columns = vec!["Naive_Bayes_1".to_owned()];
    training::ImportSnapshotResponse {
        snapshot: Some(snapshot),
        dropped_columns,
    }
}

pub(crate) fn get_snapshot(_: training::GetSnapshotRequest) -> training::GetSnapshotResponse {
    training::GetSnapshotResponse {
        snapshot: Some(snapshot()),
    }
}

pub(crate) fn list_snapshots(_: training::ListSnapshotsRequest) -> training::ListSnapshotsResponse {
    training::ListSnapshotsResponse {
        snapshots: vec![snapshot()],
        next_page_token: String::new(),
    }
}

fn run(state: training::StepState) -> training::PipelineRun {
    let metrics = [("test_roc_auc".to_owned(), 0.99), ("auc_delta".to_owned(), f64::NAN)];
    training::PipelineRun {
        run_id: "run-1".to_owned(),
        model: "churn".to_owned(),
        state: state.into(),
        steps: vec![training::Step {
            name: "train".to_owned(),
            state: state.into(),
            progress: 1.0,
            ..Default::default()
        }],
        created_at: Some(AT),
        trigger: training::RunTrigger::Manual.into(),
        requested_by: "rest".to_owned(),
        result: Some(training::RunResult {
            version: 4,
            accepted: true,
            metrics: metrics.into_iter().collect(),
            tuning: Some(tuning()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A trial with two of five folds done.
fn trial(number: u32) -> training::Trial {
    training::Trial {
        number,
        state: training::TrialState::Pruned.into(),
        parameters: [("eta".to_owned(), "0.05".to_owned())].into(),
        value: 0.991,
        standard_error: 0.002,
        folds_done: 2,
        run_id: format!("trial-{number}"),
        duration_seconds: 1.5,
        value_again: Some(0.99),
    }
}

fn tuning() -> training::TuningResult {
    training::TuningResult {
        objective: "roc_auc".to_owned(),
        trials: 50,
        pruned: 30,
        stopped_by: "trials".to_owned(),
        best: Some(trial(7)),
        first: None,
        importance: [("eta".to_owned(), 1.0)].into(),
        outer_values: vec![0.99, 0.98],
    }
}

pub(crate) fn start_run(_: training::StartRunRequest) -> training::StartRunResponse {
    training::StartRunResponse {
        run_id: "run-1".to_owned(),
    }
}

pub(crate) fn get_run(_: training::GetRunRequest) -> training::GetRunResponse {
    training::GetRunResponse {
        run: Some(run(training::StepState::Running)),
    }
}

pub(crate) fn list_runs(_: training::ListRunsRequest) -> training::ListRunsResponse {
    training::ListRunsResponse {
        runs: vec![run(training::StepState::Done)],
        next_page_token: "page-2".to_owned(),
    }
}

pub(crate) fn cancel_run(_: training::CancelRunRequest) -> training::CancelRunResponse {
    training::CancelRunResponse {
        run: Some(run(training::StepState::Cancelled)),
    }
}

/// Three lines and the end; the log of run `torn` breaks before its end.
pub(crate) fn watch_run(message: &training::WatchRunRequest) -> Vec<Result<training::WatchRunResponse, Fault>> {
    let line = |sequence: u64| training::RunEvent {
        sequence,
        at: Some(AT),
        step: "train".to_owned(),
        state: training::StepState::Running.into(),
        progress: sequence as f64 / 3.0,
        message: format!("round {sequence}"),
        trial: (sequence == 2).then(|| trial(2)),
    };
    let unseen = (1..=3).filter(|sequence| *sequence > message.after_sequence);
    let lines = unseen.map(|sequence| {
        Ok(training::WatchRunResponse {
            event: Some(line(sequence)),
            run: None,
        })
    });
    let end = if message.run_id == "torn" {
        Err(Fault::unavailable("ENDING", "the service is shutting down"))
    } else {
        Ok(training::WatchRunResponse {
            event: None,
            run: Some(run(training::StepState::Done)),
        })
    };
    lines.chain([end]).collect()
}

pub(crate) fn record_outcomes(message: monitoring::RecordOutcomesRequest) -> monitoring::RecordOutcomesResponse {
    monitoring::RecordOutcomesResponse {
        recorded: message.outcomes.len() as u64,
    }
}

fn report() -> monitoring::DriftReport {
    let feature = |feature: &str, method: monitoring::DriftMethod| monitoring::FeatureDrift {
        feature: feature.to_owned(),
        method: method.into(),
        statistic: 0.4,
        drifted: true,
        reference_median: 1.0,
        ..Default::default()
    };
    monitoring::DriftReport {
        report_id: "report-1".to_owned(),
        model: Some(model(3)),
        generation: 5,
        window: Some(monitoring::Window {
            from: Some(AT),
            to: Some(AT),
        }),
        rows: 500,
        verdict: monitoring::DriftVerdict::Drift.into(),
        drift_share: 0.5,
        features: vec![
            feature("Credit_Limit", monitoring::DriftMethod::KsExact),
            feature("Gender", monitoring::DriftMethod::ChiSquared),
        ],
        created_at: Some(AT),
        summary: "2 of 4 features drifted".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn check_drift(message: monitoring::CheckDriftRequest) -> monitoring::CheckDriftResponse {
    let run_id = if message.retrain {
        "run-2".to_owned()
    } else {
        String::new()
    };
    monitoring::CheckDriftResponse {
        report: Some(report()),
        run_id,
        retrain_skipped: String::new(),
    }
}

pub(crate) fn get_report(_: monitoring::GetReportRequest) -> monitoring::GetReportResponse {
    monitoring::GetReportResponse { report: Some(report()) }
}

pub(crate) fn list_reports(_: monitoring::ListReportsRequest) -> monitoring::ListReportsResponse {
    monitoring::ListReportsResponse {
        reports: vec![report()],
    }
}

pub(crate) fn trigger_retraining(_: monitoring::TriggerRetrainingRequest) -> monitoring::TriggerRetrainingResponse {
    monitoring::TriggerRetrainingResponse {
        run_id: "run-2".to_owned(),
        window_snapshot: DIGEST.to_owned(),
        labelled_rows: 400,
    }
}
