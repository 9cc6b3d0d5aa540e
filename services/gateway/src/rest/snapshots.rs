//! Snapshots: upload, look up, list.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::{media_type, upload, upload_error};
use super::extract::{Page, Path, Query};
use crate::ApiError;
use crate::service::snapshots::{self, ImportedSnapshot, Snapshot, Snapshots, TableFormat};

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
    let upload = upload(&app, &headers, body)?;
    let limit = upload.limit;
    let source = source.unwrap_or_else(|| "upload".to_owned());
    let imported = snapshots::import(&app.peers, format, source, upload).await;
    let imported = imported.map_err(|error| upload_error(error, limit))?;
    Ok((StatusCode::CREATED, Json(imported)))
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
    params(("digest" = String, Path, pattern = "^[0-9a-f]{64}$", description = "SHA-256 in hexadecimal")),
    responses((status = 200, body = Snapshot))
)]
pub(super) async fn get(State(app): State<App>, Path(digest): Path<String>) -> Result<Json<Snapshot>, ApiError> {
    Ok(Json(snapshots::get(&app.peers, digest).await?))
}
