//! Files: sent and fetched as they come, never held. Ways around this server (presigned addresses, uploads in parts) are refused in words that clients
//! know and go on from.

use std::fmt::Write as _;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::TryStreamExt as _;
use holdfast_chassis::{Code, Fault};
use http::{HeaderValue, Method, StatusCode, header};

use super::{NO_SNIFFING, bad_path, sent};
use crate::ApiError;
use crate::rest::App;
use crate::service::mlflow::artifacts;
use crate::service::silence;
use crate::service::upload::{Upload, UploadError};

const FILE: &str = "/2.0/mlflow-artifacts/artifacts/{*path}";
const PRESIGNED: &str = "/2.0/mlflow-artifacts/presigned/{*path}";
const MULTIPART: [&str; 3] = [
    "/2.0/mlflow-artifacts/mpu/create/{*path}",
    "/2.0/mlflow-artifacts/mpu/complete/{*path}",
    "/2.0/mlflow-artifacts/mpu/abort/{*path}",
];

type Params = Result<RawPathParams, RawPathParamsRejection>;

/// `router` with the routes of files below `prefix`.
pub(super) fn routed(mut router: Router<App>, prefix: &str) -> Router<App> {
    let of_file = get(fetch).put(store).delete(remove);
    router = router.route(&format!("{prefix}{FILE}"), of_file);
    let presigned = async || not_done("Multipart download");
    router = router.route(&format!("{prefix}{PRESIGNED}"), get(presigned));
    for path in MULTIPART {
        let multipart = async || not_done("Multipart upload");
        router = router.route(&format!("{prefix}{path}"), post(multipart));
    }
    router
}

/// Method and template of every such route.
pub(super) fn named() -> impl Iterator<Item = (Method, &'static str)> {
    let of_file = [Method::GET, Method::PUT, Method::DELETE].map(|method| (method, FILE));
    let refused = MULTIPART.map(|path| (Method::POST, path));
    let refused = refused.into_iter().chain([(Method::GET, PRESIGNED)]);
    of_file.into_iter().chain(refused)
}

/// In the words by which clients know that they must send and fetch files here.
fn not_done(what: &str) -> ApiError {
    let message = format!("{what} is not supported for the current artifact repository");
    Fault::new(Code::Unimplemented, "NOT_IMPLEMENTED", message).into()
}

async fn store(State(app): State<App>, params: Params, body: Body) -> Result<Response, ApiError> {
    let path = path(params)?;
    let silent = || ApiError::body_timeout().fault().clone();
    let broken = |error: axum::Error| ApiError::body_broken(error).fault().clone();
    let pieces = body.into_data_stream().map_err(broken);
    let limits = &app.settings.artifacts;
    let upload = Upload {
        body: silence::limited(pieces, limits.silence_timeout(), silent),
        // The registry's to say, and to change without asking gateways.
        limit: u64::MAX,
        passed_on: app.metrics.uploaded_bytes.clone(),
        tasks: app.shutdown.clone(),
        part_within: limits.silence_timeout(),
        answer_within: app.settings.server.request_timeout(),
    };
    let stored = artifacts::write(&app.peers, &path, upload).await;
    stored.map_err(|error| match error {
        UploadError::Refused(fault) | UploadError::Broken(fault) => ApiError::from(fault),
        UploadError::TooLarge => ApiError::too_large(u64::MAX),
    })?;
    Ok((StatusCode::OK, [NO_SNIFFING]).into_response())
}

async fn fetch(State(app): State<App>, params: Params) -> Result<Response, ApiError> {
    let path = path(params)?;
    let silence = app.settings.artifacts.silence_timeout();
    let (size_bytes, pieces) = artifacts::read(&app.peers, &path, silence).await?;
    let name = path.rsplit('/').next().unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type(name))),
        (header::CONTENT_LENGTH, HeaderValue::from(size_bytes)),
        (header::CONTENT_DISPOSITION, attachment(name)),
        NO_SNIFFING,
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

async fn remove(State(app): State<App>, params: Params) -> Result<Response, ApiError> {
    Ok(sent(artifacts::delete(&app.peers, &path(params)?).await?))
}

/// The path, decoded once.
fn path(params: Params) -> Result<String, ApiError> {
    let params = params.map_err(|rejection| bad_path(&rejection))?;
    let found = params.iter().find(|(name, _)| *name == "path");
    Ok(found.map(|(_, path)| path.to_owned()).unwrap_or_default())
}

/// What is said of a file's content, by its name alone: nobody looks into it. As MLflow's server says it: source and data that are text are plain.
fn media_type(name: &str) -> &'static str {
    const TEXTS: [&str; 25] = [
        "txt",
        "log",
        "err",
        "cfg",
        "conf",
        "cnf",
        "cf",
        "ini",
        "properties",
        "prop",
        "hocon",
        "toml",
        "yaml",
        "yml",
        "xml",
        "json",
        "js",
        "py",
        "py3",
        "csv",
        "tsv",
        "md",
        "rst",
        "ipynb",
        "mlmodel",
    ];
    let extension = name.rsplit_once('.').map_or(name, |(_, extension)| extension);
    let extension = extension.to_ascii_lowercase();
    match extension.as_str() {
        text if TEXTS.contains(&text) => "text/plain",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "tar" => "application/x-tar",
        _ => "application/octet-stream",
    }
}

/// Never shown within a page of this server, whatever it is: to be saved, under its own name (RFC 6266).
fn attachment(name: &str) -> HeaderValue {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut value = "attachment; filename=".to_owned();
    if !name.is_empty() && name.chars().all(is_token) {
        value.push_str(name);
    } else if name.is_ascii() {
        value.push_str(&quoted(name));
    } else {
        let plain: String = name.chars().filter(char::is_ascii).collect();
        let plain = if plain.trim_matches('.').is_empty() {
            "download"
        } else {
            &plain
        };
        value.push_str(&quoted(plain));
        value.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            let as_it_is = byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
            if as_it_is {
                value.push(char::from(byte));
            } else {
                // Into a string: it cannot fail.
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_attachments_under_their_own_names() {
        for (name, header) in [
            ("t.json", "attachment; filename=t.json"),
            ("im+step+1.png", "attachment; filename=im+step+1.png"),
            ("a \"b\".txt", "attachment; filename=\"a \\\"b\\\".txt\""),
            (
                "größe.csv",
                "attachment; filename=\"gre.csv\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.csv",
            ),
            (
                "日本語",
                "attachment; filename=\"download\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC%E8%AA%9E",
            ),
        ] {
            assert_eq!(attachment(name), header, "{name}");
        }
    }

    #[test]
    fn content_is_told_by_the_name() {
        for (name, kind) in [
            ("conf.json", "text/plain"),
            ("MLmodel", "text/plain"),
            ("plot.PNG", "image/png"),
            ("report.html", "text/html"),
            ("model.ubj", "application/octet-stream"),
            ("noextension", "application/octet-stream"),
        ] {
            assert_eq!(media_type(name), kind, "{name}");
        }
    }
}
