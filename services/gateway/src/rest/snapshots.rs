//! Snapshots: upload, look up, list.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::media_type;
use super::extract::{Page, Path, Query};
use crate::ApiError;
use crate::service::snapshots::{self, ImportedSnapshot, Snapshot, Snapshots, TableFormat, Upload, UploadError};

/// Where an upload comes from.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Source {
    /// A file name or a URL without secrets, for the snapshot's manifest.
    source: Option<String>,
}

/// Stores a table as an immutable snapshot.
///
/// The body is CSV with a header, or Parquet, with the columns of the schema. It is passed on as it comes. A table that breaks the schema is refused
/// whole, with one entry per bad cell. The same table again is the same snapshot.
#[utoipa::path(
    post, path = "/api/v1/snapshots", tag = "training", params(Source),
    request_body(content((String = "text/csv"), (String = "application/vnd.apache.parquet")), description = "The table"),
    responses((status = 201, body = ImportedSnapshot))
)]
pub(super) async fn import(
    State(app): State<App>,
    Query(Source { source }): Query<Source>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<ImportedSnapshot>), ApiError> {
    let format = match media_type(&headers).as_deref() {
        Some("text/csv") => TableFormat::Csv,
        Some("application/vnd.apache.parquet") => TableFormat::Parquet,
        _ => {
            return Err(ApiError::unsupported_media_type(
                "text/csv or application/vnd.apache.parquet",
            ));
        }
    };
    let limit = app.settings.max_upload_bytes;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(ApiError::too_large(limit));
    }
    let upload = Upload {
        format,
        source: source.unwrap_or_else(|| "upload".to_owned()),
        body: body.into_data_stream(),
        limit,
        passed_on: app.metrics.uploaded_bytes.clone(),
        tasks: app.shutdown.clone(),
    };
    match upload.import(&app.peers).await {
        Ok(imported) => Ok((StatusCode::CREATED, Json(imported))),
        Err(UploadError::Refused(fault)) => Err(fault.into()),
        Err(UploadError::TooLarge) => Err(ApiError::too_large(limit)),
        Err(UploadError::Broken(error)) => Err(ApiError::body_broken(error)),
    }
}

/// Snapshots, newest first.
#[utoipa::path(get, path = "/api/v1/snapshots", tag = "training", params(Page), responses((status = 200, body = Snapshots)))]
pub(super) async fn list(State(app): State<App>, Query(page): Query<Page>) -> Result<Json<Snapshots>, ApiError> {
    Ok(Json(
        snapshots::list(&app.peers, page.page_size, page.page_token).await?,
    ))
}

/// One snapshot.
#[utoipa::path(
    get, path = "/api/v1/snapshots/{digest}", tag = "training",
    params(("digest" = String, Path, description = "SHA-256 in hexadecimal")),
    responses((status = 200, body = Snapshot))
)]
pub(super) async fn get(State(app): State<App>, Path(digest): Path<String>) -> Result<Json<Snapshot>, ApiError> {
    Ok(Json(snapshots::get(&app.peers, digest).await?))
}
