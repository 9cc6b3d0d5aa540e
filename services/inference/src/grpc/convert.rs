//! Domain types to wire types.

use holdfast_api::common::v1::ModelRef;
use holdfast_api::inference::v1 as wire;
use holdfast_api::time;
use holdfast_domain::Schema;
use holdfast_model::{Input, InputKind, Reason};

use crate::error::Result;
use crate::service::out_of_domain::Kind;
use crate::service::predict::Prediction;
use crate::service::prediction_log::LogStatus;
use crate::service::serving::ServingModel;
use crate::service::status::LoadFailure;
use crate::service::target::Target;

/// Name of the key's column.
pub(super) fn key_name() -> &'static str {
    Schema::embedded().key().name.as_str()
}

pub(super) fn model_ref(target: &Target) -> ModelRef {
    ModelRef {
        model: target.model.to_string(),
        version: target.version.0,
        artifact_digest: target.artifact_digest.to_string(),
    }
}

pub(super) fn served(serving: &ServingModel) -> wire::ServedModel {
    let model = ModelRef {
        model: serving.target.model.as_str().to_owned(),
        version: serving.target.version.0,
        artifact_digest: serving.digest_text.clone(),
    };
    wire::ServedModel {
        model: Some(model),
        generation: serving.target.generation.0,
    }
}

/// What became of one of several requests in a call.
pub(super) fn outcome(outcome: Result<wire::PredictResponse>) -> wire::predict_each_response::Item {
    use wire::predict_each_response::{Failure, Item, item::Outcome};
    let outcome = outcome.map_or_else(
        |error| {
            let status = super::status(error);
            Outcome::Failure(Failure {
                code: status.code() as i32,
                message: status.message().to_owned(),
                details: status.details().to_vec(),
            })
        },
        Outcome::Answer,
    );
    Item { outcome: Some(outcome) }
}

pub(super) fn served_target(target: &Target) -> wire::ServedModel {
    wire::ServedModel {
        model: Some(model_ref(target)),
        generation: target.generation.0,
    }
}

pub(super) fn prediction(prediction: Prediction, serving: &ServingModel) -> wire::Prediction {
    wire::Prediction {
        probability: prediction.probability,
        label: prediction.label,
        threshold: serving.model.threshold(),
        out_of_domain: prediction
            .out_of_domain
            .into_iter()
            .map(|(feature, kind)| wire::OutOfDomain {
                feature: feature.name().to_owned(),
                kind: out_of_domain(kind).into(),
            })
            .collect(),
        reasons: prediction.reasons.into_iter().map(reason).collect(),
    }
}

fn out_of_domain(kind: Kind) -> wire::out_of_domain::Kind {
    match kind {
        Kind::BelowTrainingRange => wire::out_of_domain::Kind::BelowTrainingRange,
        Kind::AboveTrainingRange => wire::out_of_domain::Kind::AboveTrainingRange,
        Kind::UnknownCategory => wire::out_of_domain::Kind::UnknownCategory,
    }
}

fn reason(reason: Reason) -> wire::Reason {
    wire::Reason {
        code: reason.code(),
        feature: reason.feature.name().to_owned(),
        contribution: reason.contribution,
        text: reason.text,
    }
}

pub(super) fn signature(input: &Input) -> wire::FeatureSignature {
    let categories = match &input.kind {
        InputKind::Numeric { .. } => Vec::new(),
        InputKind::Categorical { categories } => categories.clone(),
    };
    wire::FeatureSignature {
        name: input.feature.name().to_owned(),
        kind: input.feature.kind().name().to_owned(),
        required: input.required,
        categories,
    }
}

pub(super) fn load_failure(failure: LoadFailure) -> wire::LoadFailure {
    wire::LoadFailure {
        model: Some(model_ref(&failure.target)),
        generation: failure.target.generation.0,
        message: failure.message,
        failed_at: Some(time::to_wire(failure.failed_at)),
    }
}

pub(super) fn log_status(status: LogStatus) -> wire::PredictionLogStatus {
    wire::PredictionLogStatus {
        acknowledged_records: status.acknowledged_records,
        uploaded_records: status.uploaded_records,
        spooled_records: status.spooled_records,
        spooled_bytes: status.spooled_bytes,
        dropped_records: status.dropped_records,
        refused_predictions: status.refused_records,
    }
}
