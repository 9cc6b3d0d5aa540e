//! MLflow's REST API, for its clients and for pages that were written for it. What calls mean is in [`crate::service::mlflow`].
//!
//! These paths are not in the OpenAPI description: they are MLflow's to describe. A failure is MLflow's JSON, `{"error_code", "message", "error_class",
//! "sqlstate"}`, and whatever else stands below its prefixes is 404 `ENDPOINT_NOT_FOUND`, which its clients take for "this server cannot do that".

mod calls;
mod files;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Json, Router};
use holdfast_chassis::{Code, Fault};
use http::{HeaderName, HeaderValue, Method, header};
use serde_json::{Value, json};

use super::{App, body, compression};
use crate::ApiError;
use crate::service::mlflow;
use calls::{CALLS, Call};

/// Programs call the first, pages the second.
const PREFIXES: [&str; 2] = ["/api", "/ajax-api"];

/// Below these every path is MLflow's; `/api/v1` is Holdfast's own.
const SPOKEN: [&str; 4] = ["/api/2.0/", "/api/3.0/", "/api/4.0/", "/ajax-api/"];

const SERVER_INFO: &str = "/3.0/mlflow/server-info";

/// Answers must not be taken for what they do not say they are.
const NO_SNIFFING: (HeaderName, HeaderValue) = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// Paths of uploads, which take as long as they take.
pub(crate) const UPLOADS: [&str; 2] = [
    "/api/2.0/mlflow-artifacts/artifacts/",
    "/ajax-api/2.0/mlflow-artifacts/artifacts/",
];

/// Whether a path belongs to MLflow's API.
pub(super) fn speaks(path: &str) -> bool {
    SPOKEN.iter().any(|prefix| path.starts_with(prefix))
}

/// All routes.
pub(super) fn routes() -> Router<App> {
    let mut calls = Router::new();
    let mut others = Router::new();
    for prefix in PREFIXES {
        for call in CALLS {
            let Ok(filter) = MethodFilter::try_from(call.method.clone()) else {
                continue;
            };
            let handler = move |State(app): State<App>,
                                params: Result<RawPathParams, RawPathParamsRejection>,
                                request: Request| { answered(app, call, params, request) };
            calls = calls.route(&format!("{prefix}{}", call.path), on(filter, handler));
        }
        let info = async || sent(mlflow::server_info());
        others = others.route(&format!("{prefix}{SERVER_INFO}"), on(MethodFilter::GET, info));
        others = files::routed(others, prefix);
    }
    // Files are sent as they are: many are compressed, and all have a length.
    calls.layer(compression::layer()).merge(others)
}

/// Method and template of every route, without the twins for pages.
pub(crate) fn named() -> impl Iterator<Item = (Method, String)> {
    let calls = CALLS.iter().map(|call| (call.method.clone(), call.path));
    let others = [(Method::GET, SERVER_INFO)].into_iter().chain(files::named());
    calls
        .chain(others)
        .map(|(method, path)| (method, format!("{}{path}", PREFIXES[0])))
}

/// A failure as MLflow's clients read it.
pub(super) fn failed(error: &ApiError) -> Response {
    let told = mlflow::failure(error.fault());
    let mut body = json!({"error_code": told.error_code, "message": told.message});
    if let Some((class, sqlstate)) = told.class() {
        body["error_class"] = class.into();
        body["sqlstate"] = sqlstate.into();
    }
    let mut response = (told.status, [NO_SNIFFING], Json(body)).into_response();
    if let Some(seconds) = error.problem("").retry_after_seconds {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

async fn answered(
    app: App,
    call: &'static Call,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let params = params.map_err(|rejection| bad_path(&rejection))?;
    let mut asked = asked(&app, request).await?;
    for (name, value) in &params {
        asked = asked.with(name, value);
    }
    Ok(sent((call.answer)(&app.peers, asked.all()).await?))
}

/// What a request says: in its query if it is one that has no body, else in its body, whatever that claims to be.
async fn asked(app: &App, request: Request) -> Result<mlflow::Request, ApiError> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let arguments = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let arguments = arguments
        .map_err(|rejection| Fault::new(Code::InvalidArgument, "INVALID_QUERY", rejection.body_text()))?
        .0;
    if reads && !arguments.is_empty() {
        return Ok(mlflow::Request::of_query(arguments));
    }
    let bytes = body::read(request, app).await?;
    Ok(mlflow::Request::of_body(&bytes)?)
}

fn sent(answer: Value) -> Response {
    ([NO_SNIFFING], Json(answer)).into_response()
}

fn bad_path(rejection: &RawPathParamsRejection) -> ApiError {
    Fault::new(Code::InvalidArgument, "INVALID_PATH", rejection.body_text()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_told_from_our_own() {
        for path in ["/api/2.0/mlflow/runs/get", "/ajax-api/2.0/x", "/api/3.0/mlflow/traces"] {
            assert!(speaks(path), "{path}");
        }
        for path in ["/api/v1/runs", "/v2/models", "/", "/api/2.0", "/health"] {
            assert!(!speaks(path), "{path}");
        }
    }
}
