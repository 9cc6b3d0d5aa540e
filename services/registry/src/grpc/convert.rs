//! Versions, evidence, decisions and tags between the wire and the domain.

use holdfast_api::common::v1::ModelRef;
use holdfast_api::registry::v1 as wire;
use holdfast_api::time;
use holdfast_domain::{Digest, ModelVersion};
use holdfast_records::layout;
use tonic::Status;

use super::{model_name, violation};
use crate::service::gate::{Evaluation, GateDecision, ModelId, PairedComparison, Quality, SliceQuality};
use crate::service::models::{VersionRecord, VersionStatus};
use crate::service::tracking::KeyValue;

pub(super) fn model_in(field: &str, named: &ModelRef) -> Result<ModelId, Status> {
    Ok(ModelId {
        model: model_name(&named.model)?,
        version: ModelVersion(named.version),
        artifact_digest: digest_in(&format!("{field}.artifact_digest"), &named.artifact_digest)?,
    })
}

pub(super) fn model_out(id: &ModelId) -> ModelRef {
    ModelRef {
        model: id.model.to_string(),
        version: id.version.0,
        artifact_digest: id.artifact_digest.to_string(),
    }
}

pub(super) fn digest_in(field: &str, text: &str) -> Result<Digest, Status> {
    text.parse()
        .map_err(|_| violation(field, "digest", "must be 64 lower-case hexadecimal digits"))
}

pub(super) fn version_out(record: VersionRecord) -> wire::ModelVersion {
    let status = match record.status {
        VersionStatus::Pending => wire::ModelVersionStatus::Pending,
        VersionStatus::Ready => wire::ModelVersionStatus::Ready,
    };
    wire::ModelVersion {
        artifact_key: layout::model_key(&record.model, record.version).to_string(),
        r#ref: Some(ModelRef {
            model: record.model.to_string(),
            version: record.version.0,
            artifact_digest: record
                .artifact_digest
                .map(|digest| digest.to_string())
                .unwrap_or_default(),
        }),
        status: status.into(),
        run_id: record.run_id,
        artifact_size_bytes: record.artifact_size_bytes,
        family: record.family,
        training_snapshot: record.training_snapshot,
        test_snapshot: record.test_snapshot,
        created_at: Some(time::to_wire(record.created_at)),
        created_by: record.created_by,
        decisions: record.decisions.into_iter().map(decision_out).collect(),
    }
}

pub(super) fn decision_out(decision: GateDecision) -> wire::GateDecision {
    let checks = decision.checks.into_iter().map(|check| wire::GateCheck {
        name: check.name,
        passed: check.passed,
        measured: check.measured,
        limit: check.limit,
        message: check.message,
    });
    wire::GateDecision {
        evaluation_digest: decision.evaluation_digest.to_string(),
        accepted: decision.accepted,
        checks: checks.collect(),
        decided_at: Some(time::to_wire(decision.decided_at)),
        champion_generation: decision.champion_generation.0,
        evaluation: Some(evaluation_out(decision.evaluation)),
        test_snapshot_uses: decision.test_snapshot_uses.unwrap_or_default(),
    }
}

pub(super) fn evaluation_in(wire: wire::Evaluation) -> Result<Evaluation, Status> {
    Ok(Evaluation {
        test_snapshot: digest_in("evaluation.test_snapshot", &wire.test_snapshot)?,
        full: quality_in("evaluation.full", wire.full)?,
        required_only: quality_in("evaluation.required_only", wire.required_only)?,
        baseline: quality_in("evaluation.baseline", wire.baseline)?,
        baseline_p_value: finite("evaluation.baseline_p_value", wire.baseline_p_value)?,
        champion: wire
            .champion
            .map(|paired| paired_in("evaluation.champion", paired))
            .transpose()?,
        newest_window: wire
            .newest_window
            .map(|paired| paired_in("evaluation.newest_window", paired))
            .transpose()?,
        slices: wire
            .slices
            .into_iter()
            .enumerate()
            .map(|(index, slice)| {
                Ok(SliceQuality {
                    quality: quality_in(&format!("evaluation.slices[{index}].quality"), slice.quality)?,
                    column: slice.column,
                    group: slice.group,
                    too_small: slice.too_small,
                })
            })
            .collect::<Result<_, Status>>()?,
    })
}

fn evaluation_out(evaluation: Evaluation) -> wire::Evaluation {
    let slices = evaluation.slices.into_iter().map(|slice| wire::SliceQuality {
        column: slice.column,
        group: slice.group,
        quality: Some(quality_out(&slice.quality)),
        too_small: slice.too_small,
    });
    wire::Evaluation {
        test_snapshot: evaluation.test_snapshot.to_string(),
        full: Some(quality_out(&evaluation.full)),
        required_only: Some(quality_out(&evaluation.required_only)),
        baseline: Some(quality_out(&evaluation.baseline)),
        baseline_p_value: evaluation.baseline_p_value,
        champion: evaluation.champion.as_ref().map(paired_out),
        newest_window: evaluation.newest_window.as_ref().map(paired_out),
        slices: slices.collect(),
    }
}

fn paired_in(field: &str, wire: wire::PairedComparison) -> Result<PairedComparison, Status> {
    let champion = wire
        .champion
        .ok_or_else(|| violation(&format!("{field}.champion"), "required", "must name the champion"))?;
    Ok(PairedComparison {
        snapshot: digest_in(&format!("{field}.snapshot"), &wire.snapshot)?,
        champion: model_in(&format!("{field}.champion"), &champion)?,
        candidate_quality: quality_in(&format!("{field}.candidate_quality"), wire.candidate_quality)?,
        champion_quality: quality_in(&format!("{field}.champion_quality"), wire.champion_quality)?,
        auc_delta: finite(&format!("{field}.auc_delta"), wire.auc_delta)?,
        auc_delta_standard_error: finite(
            &format!("{field}.auc_delta_standard_error"),
            wire.auc_delta_standard_error,
        )?,
        p_value: finite(&format!("{field}.p_value"), wire.p_value)?,
    })
}

fn paired_out(paired: &PairedComparison) -> wire::PairedComparison {
    wire::PairedComparison {
        snapshot: paired.snapshot.to_string(),
        champion: Some(model_out(&paired.champion)),
        candidate_quality: Some(quality_out(&paired.candidate_quality)),
        champion_quality: Some(quality_out(&paired.champion_quality)),
        auc_delta: paired.auc_delta,
        auc_delta_standard_error: paired.auc_delta_standard_error,
        p_value: paired.p_value,
    }
}

/// Evidence is kept as JSON, which has no NaN; and a number that is none is no evidence.
fn finite(field: &str, value: f64) -> Result<f64, Status> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(violation(
        field,
        "finite",
        &format!("is {value}, but must be a finite number"),
    ))
}

fn quality_in(field: &str, wire: Option<wire::Quality>) -> Result<Quality, Status> {
    let wire = wire.ok_or_else(|| violation(field, "required", "must be measured"))?;
    for (name, value) in [
        ("roc_auc", wire.roc_auc),
        ("roc_auc_lower", wire.roc_auc_lower),
        ("roc_auc_upper", wire.roc_auc_upper),
        ("pr_auc", wire.pr_auc),
        ("log_loss", wire.log_loss),
        ("brier", wire.brier),
        ("calibration_error", wire.calibration_error),
        ("f1", wire.f1),
        ("accuracy", wire.accuracy),
        ("precision", wire.precision),
        ("recall", wire.recall),
    ] {
        finite(&format!("{field}.{name}"), value)?;
    }
    Ok(Quality {
        rows: wire.rows,
        positives: wire.positives,
        roc_auc: wire.roc_auc,
        roc_auc_lower: wire.roc_auc_lower,
        roc_auc_upper: wire.roc_auc_upper,
        pr_auc: wire.pr_auc,
        log_loss: wire.log_loss,
        brier: wire.brier,
        calibration_error: wire.calibration_error,
        f1: wire.f1,
        accuracy: wire.accuracy,
        precision: wire.precision,
        recall: wire.recall,
    })
}

fn quality_out(quality: &Quality) -> wire::Quality {
    wire::Quality {
        rows: quality.rows,
        positives: quality.positives,
        roc_auc: quality.roc_auc,
        roc_auc_lower: quality.roc_auc_lower,
        roc_auc_upper: quality.roc_auc_upper,
        pr_auc: quality.pr_auc,
        log_loss: quality.log_loss,
        brier: quality.brier,
        calibration_error: quality.calibration_error,
        f1: quality.f1,
        accuracy: quality.accuracy,
        precision: quality.precision,
        recall: quality.recall,
    }
}

pub(super) fn tag_in(tag: wire::Tag) -> KeyValue {
    KeyValue {
        key: tag.key,
        value: tag.value,
    }
}

pub(super) fn tag_out(pair: KeyValue) -> wire::Tag {
    wire::Tag {
        key: pair.key,
        value: pair.value,
    }
}
