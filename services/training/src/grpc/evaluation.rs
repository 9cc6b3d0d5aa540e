//! What is on record of a version: its card, and the files of its evaluation.

use holdfast_api::training::v1 as wire;
use holdfast_domain::{ModelName, ModelVersion};
use tonic::{Response, Status};

use super::convert::model_name;
use super::status;
use crate::error::Error;
use crate::service::model_card::{self, CardFormat};
use crate::service::versions::Versions;

pub(super) async fn card(
    versions: &Versions,
    request: wire::GetModelCardRequest,
) -> Result<Response<wire::GetModelCardResponse>, Status> {
    let format = match request.format() {
        wire::ModelCardFormat::Unspecified | wire::ModelCardFormat::Markdown => CardFormat::Markdown,
        wire::ModelCardFormat::Html => CardFormat::Html,
        wire::ModelCardFormat::Json => CardFormat::Json,
    };
    let (model, version) = named(&request.model, request.version)?;
    let content = model_card::card(versions, &model, version, format)
        .await
        .map_err(status)?;
    Ok(Response::new(wire::GetModelCardResponse {
        content,
        content_type: format.content_type().to_owned(),
    }))
}

pub(super) async fn files(
    versions: &Versions,
    request: wire::ListEvaluationFilesRequest,
) -> Result<Response<wire::ListEvaluationFilesResponse>, Status> {
    let (model, version) = named(&request.model, request.version)?;
    let files = versions.files(&model, version).await.map_err(status)?;
    let files = files.into_iter().map(|file| wire::EvaluationFile {
        name: file.name,
        content_type: file.content_type.to_owned(),
        size_bytes: file.size_bytes,
    });
    Ok(Response::new(wire::ListEvaluationFilesResponse {
        files: files.collect(),
    }))
}

pub(super) async fn file(
    versions: &Versions,
    request: wire::GetEvaluationFileRequest,
) -> Result<Response<wire::GetEvaluationFileResponse>, Status> {
    let (model, version) = named(&request.model, request.version)?;
    let (content, content_type) = versions.file(&model, version, &request.name).await.map_err(status)?;
    Ok(Response::new(wire::GetEvaluationFileResponse {
        content: content.to_vec(),
        content_type: content_type.to_owned(),
    }))
}

/// The version that a request names.
pub(super) fn named(model: &str, version: u32) -> Result<(ModelName, ModelVersion), Status> {
    let model = model_name(model).map_err(status)?;
    if version == 0 {
        return Err(status(Error::field(
            "version",
            "required",
            "must be a version, counted from 1",
        )));
    }
    Ok((model, ModelVersion(version)))
}
