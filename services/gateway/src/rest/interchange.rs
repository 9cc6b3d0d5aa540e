//! Models as files: import one of another library, export a version.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::{upload, upload_error};
use super::extract::{IdempotencyKey, Path, Query, VersionPath};
use crate::ApiError;
use crate::service::interchange::{self, ExportFormat, ModelRounds, WantedModel};
use crate::service::runs::StartedRun;
use crate::service::tuning::ThresholdRule;

/// What a model file does not say itself, and what is to be done with it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Digest of labelled rows that the model was not trained on: a part calibrates it and chooses its threshold, the rest tests it.
    snapshot: String,
    /// Digest of the rows to test on; then all of `snapshot` calibrates.
    test_snapshot: Option<String>,
    /// Share of the rows that test, above 0 and at most 0.5.
    test_share: Option<f64>,
    /// Where the file comes from: a file name or a URL without secrets.
    source: Option<String>,
    /// Which trees of the file become the model; `best` when absent.
    #[param(inline)]
    rounds: Option<ModelRounds>,
    /// Names of all columns in the model's order, with commas between, for a file without names.
    columns: Option<String>,
    /// Columns that the file calls otherwise, `age:Customer_Age`, with commas between.
    renamed: Option<String>,
    /// Categories in the order of their codes where the file does not tell, `Gender:F|M`, with commas between columns.
    categories: Option<String>,
    /// Parameter set whose engineered features, calibration and threshold rule hold.
    preset: Option<String>,
    /// Seed of every draw of rows.
    seed: Option<u64>,
    /// Who asks, for the record.
    requested_by: Option<String>,
    /// False: stop after the gate's decision.
    promote: Option<bool>,
    /// How the decision threshold is chosen: a `ThresholdRule` as JSON, as in a request for a run.
    threshold: Option<String>,
}

/// How a version is written.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Format {
    /// `xgboost_json` when absent.
    #[param(inline)]
    format: Option<ExportFormat>,
}

/// Makes a version of a model file of another library.
///
/// The body is what XGBoost's `save_model` writes as JSON or UBJSON, or LightGBM's as text; which one is found out from the bytes. It is passed on as it
/// comes. A file that is no such model, or that does not fit the schema, is refused at once. Otherwise a run is started, and answered; follow it at its
/// events. Its probabilities stay the library's unless calibration makes them better on held-out folds.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/imports", tag = "models",
    params(
        ("model" = String, Path, description = "The model that gets a new version"), Wanted,
        ("idempotency-key" = Option<String>, Header, max_length = 128, pattern = "^[!-~]+$", description = "The same key again answers the run that it started first"),
    ),
    request_body(content(("application/octet-stream")), description = "The model file"),
    responses(
        (status = 202, description = "Started", body = StartedRun, headers(("location" = String, description = "The run"))),
        (status = 409, description = "Another run of the model is at work", body = super::openapi::ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn import(
    State(app): State<App>,
    Path(model): Path<String>,
    Query(wanted): Query<Wanted>,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<StartedRun>), ApiError> {
    let wanted = wanted.of(model, key)?;
    let upload = upload(&app, &headers, body)?;
    let limit = upload.limit;
    let started = interchange::import(&app.peers, wanted, upload).await;
    let started = started.map_err(|error| upload_error(error, limit))?;
    let location = [(header::LOCATION, format!("/api/v1/runs/{}", started.run_id))];
    Ok((StatusCode::ACCEPTED, location, Json(started)))
}

/// A version as a file: its artefact as registered, or its trees for another library.
///
/// `holdfast` gives `model.hfm`, whose SHA-256 is the version's `artifact_digest`. In XGBoost's format the trees answer the raw probability: calibration and
/// threshold are not part of it, and stand in its attributes as texts. What it cannot express (forests whose leaves are probabilities, logistic regression)
/// is refused.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/versions/{version}/export", tag = "models",
    params(
        ("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), ("version" = u32, Path, minimum = 1, description = "The version"), Format,
    ),
    responses((status = 200, description = "The file", content(
        (serde_json::Value = "application/json"), (String = "application/octet-stream"),
    )))
)]
pub(super) async fn export(
    State(app): State<App>,
    Path(VersionPath { model, version }): Path<VersionPath>,
    Query(Format { format }): Query<Format>,
) -> Result<Response, ApiError> {
    let format = format.unwrap_or_default();
    let pieces = interchange::export(&app.peers, model, version, format).await?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()))];
    Ok((kind, Body::from_stream(pieces)).into_response())
}

impl Wanted {
    fn of(self, model: String, idempotency_key: String) -> Result<WantedModel, ApiError> {
        let wrong =
            |field: &'static str, form: &str| ApiError::field(field, "invalid", format!("{field} must be {form}"));
        let list = |text: Option<String>| -> Vec<String> {
            let text = text.unwrap_or_default();
            let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        let pair = |text: String, field, form: &str| {
            let (left, right) = text.split_once(':').ok_or_else(|| wrong(field, form))?;
            Ok((left.trim().to_owned(), right.trim().to_owned()))
        };
        let renamed = list(self.renamed).into_iter();
        let renamed = renamed.map(|text| pair(text, "renamed", "pairs of names, age:Customer_Age"));
        let categories = list(self.categories).into_iter();
        let categories = categories.map(|text| {
            let (column, names) = pair(text, "categories", "columns with their categories, Gender:F|M")?;
            Ok((column, names.split('|').map(|name| name.trim().to_owned()).collect()))
        });
        let threshold = self
            .threshold
            .as_deref()
            .map(serde_json::from_str::<ThresholdRule>)
            .transpose();
        let threshold = threshold.map_err(|error| wrong("threshold", &format!("a threshold rule as JSON: {error}")))?;
        Ok(WantedModel {
            model,
            source: self.source.unwrap_or_default(),
            snapshot: self.snapshot,
            test_snapshot: self.test_snapshot.unwrap_or_default(),
            test_share: self.test_share,
            rounds: self.rounds.unwrap_or_default(),
            columns: list(self.columns),
            renamed: renamed.collect::<Result<_, ApiError>>()?,
            categories: categories.collect::<Result<_, ApiError>>()?,
            preset: self.preset.unwrap_or_default(),
            seed: self.seed,
            requested_by: self.requested_by,
            promote: self.promote,
            threshold,
            idempotency_key,
        })
    }
}
