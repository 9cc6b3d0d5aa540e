//! Cards, files of evaluations, reproductions.

use holdfast_api::training::v1 as training;
use holdfast_chassis::Fault;

use super::DIGEST;

pub(crate) fn get_model_card(message: training::GetModelCardRequest) -> training::GetModelCardResponse {
    let (content, content_type) = match message.format() {
        training::ModelCardFormat::Html => ("<!doctype html>\n", "text/html"),
        training::ModelCardFormat::Json => ("{\"title\":\"Model card\"}", "application/json"),
        _ => ("# Model card – churn\n", "text/markdown"),
    };
    training::GetModelCardResponse {
        content: content.to_owned(),
        content_type: content_type.to_owned(),
    }
}

pub(crate) fn list_evaluation_files(_: training::ListEvaluationFilesRequest) -> training::ListEvaluationFilesResponse {
    let file = |name: &str, content_type: &str| training::EvaluationFile {
        name: name.to_owned(),
        content_type: content_type.to_owned(),
        size_bytes: 6,
    };
    training::ListEvaluationFilesResponse {
        files: vec![
            file("evaluation.json", "application/json"),
            file("roc.svg", "image/svg+xml"),
        ],
    }
}

pub(crate) fn get_evaluation_file(_: training::GetEvaluationFileRequest) -> training::GetEvaluationFileResponse {
    training::GetEvaluationFileResponse {
        content: b"<svg/>".to_vec(),
        content_type: "image/svg+xml".to_owned(),
    }
}

/// Progress and the verdict; of version 9 the service ends before that.
pub(crate) fn reproduce_version(
    message: &training::ReproduceVersionRequest,
) -> Vec<Result<training::ReproduceVersionResponse, Fault>> {
    use training::reproduce_version_response::Part;
    let news = |part| Ok(training::ReproduceVersionResponse { part: Some(part) });
    let end = if message.version == 9 {
        Err(Fault::unavailable("ENDING", "the service is shutting down"))
    } else {
        news(Part::Reproduction(training::Reproduction {
            registered_digest: DIGEST.to_owned(),
            rebuilt_digest: DIGEST.replace('a', "b"),
            identical: false,
            differences: vec!["threshold: 0.3 registered, 0.4 rebuilt".to_owned()],
            duration_seconds: 1.5,
            registered_code_version: "0.0.9".to_owned(),
            code_version: "0.1.0".to_owned(),
        }))
    };
    vec![news(Part::Progress(0.5)), end]
}
