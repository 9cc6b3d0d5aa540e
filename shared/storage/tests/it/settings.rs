//! The settings section, as a file would hold it.

use std::path::Path;

use holdfast_storage::{BlobStoreKind, BlobStoreSettings, Error};
use serde_json::json;

fn parse(value: serde_json::Value) -> Result<BlobStoreSettings, serde_json::Error> {
    serde_json::from_value(value)
}

fn problem_fields(value: serde_json::Value) -> Vec<String> {
    parse(value)
        .unwrap()
        .problems()
        .into_iter()
        .map(|problem| problem.field)
        .collect()
}

#[tokio::test]
async fn nothing_said_is_a_directory_below_the_data_directory() {
    let data = tempfile::tempdir().unwrap();
    let settings = parse(json!({})).unwrap();
    assert_eq!(settings.kind, BlobStoreKind::Directory);
    let store = settings.open(data.path()).await.unwrap();
    assert!(store.describe().ends_with("/blobs"), "{}", store.describe());
    assert!(data.path().join("blobs").is_dir());
}

#[tokio::test]
async fn a_path_may_be_relative_or_absolute() {
    let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let relative = parse(json!({"directory": {"path": "store/of/ours"}})).unwrap();
    relative.open(data.path()).await.unwrap();
    assert!(data.path().join("store/of/ours").is_dir());
    let absolute = parse(json!({"directory": {"path": elsewhere.path().join("there")}})).unwrap();
    absolute.open(data.path()).await.unwrap();
    assert!(elsewhere.path().join("there").is_dir());
}

#[tokio::test]
async fn memory_is_a_kind() {
    let store = parse(json!({"kind": "memory"}))
        .unwrap()
        .open(Path::new("/no/such/place"))
        .await
        .unwrap();
    assert_eq!(store.describe(), "memory");
}

#[test]
fn unknown_settings_are_refused_in_every_section() {
    for (value, word) in [
        (json!({"king": "s3"}), "king"),
        (json!({"s3": {"buckets": "x"}}), "buckets"),
        (json!({"directory": {"paths": "x"}}), "paths"),
        (json!({"kind": "ftp"}), "ftp"),
    ] {
        let error = parse(value).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn every_problem_is_named_with_its_setting() {
    let s3 = |fields: serde_json::Value| json!({"kind": "s3", "s3": fields});
    assert_eq!(problem_fields(s3(json!({}))), ["s3.bucket"]);
    assert_eq!(problem_fields(s3(json!({"bucket": "bucket"}))), [""; 0]);
    assert_eq!(
        problem_fields(s3(json!({
            "bucket": "No_Bucket", "prefix": "../up", "endpoint": "ftp://host", "access_key_id": "id", "timeout_ms": 0,
            "connect_timeout_ms": 0, "max_attempts": 0, "max_create_attempts": 0
        }))),
        [
            "s3.bucket",
            "s3.prefix",
            "s3.endpoint",
            "s3.secret_access_key",
            "s3.timeout_ms",
            "s3.connect_timeout_ms",
            "s3.max_attempts",
            "s3.max_create_attempts"
        ]
    );
    assert_eq!(
        problem_fields(s3(json!({"bucket": "bucket", "session_token": "t"}))),
        ["s3.session_token"]
    );
    assert_eq!(
        problem_fields(json!({"kind": "directory", "s3": {"bucket": "!"}})),
        [""; 0],
        "of a kind that is not chosen"
    );
}

#[test]
fn plain_http_to_another_host_needs_to_be_asked_for() {
    let fields = |endpoint: &str, allow: bool| {
        problem_fields(
            json!({"kind": "s3", "s3": {"bucket": "bucket", "endpoint": endpoint, "allow_plain_http": allow}}),
        )
    };
    assert_eq!(fields("http://minio.example:9000", false), ["s3.endpoint"]);
    assert_eq!(fields("http://minio.example:9000", true), [""; 0]);
    for endpoint in [
        "http://127.0.0.1:9000",
        "http://localhost:9000",
        "http://[::1]:9000",
        "https://minio.example",
    ] {
        assert_eq!(fields(endpoint, false), [""; 0], "{endpoint}");
    }
    for endpoint in ["minio.example:9000", "https://user:word@minio.example", "", "https://"] {
        assert_eq!(fields(endpoint, true), ["s3.endpoint"], "{endpoint}");
    }
}

#[tokio::test]
async fn settings_with_problems_open_nothing() {
    let error = parse(json!({"kind": "s3"}))
        .unwrap()
        .open(Path::new("unused"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Settings(_)));
    assert!(
        error
            .to_string()
            .starts_with("invalid blob store settings: s3.bucket: must be a bucket name"),
        "{error}"
    );
}

#[test]
fn secrets_are_not_written_out() {
    let settings =
        parse(json!({"s3": {"access_key_id": "id", "secret_access_key": "hush", "session_token": "hush"}})).unwrap();
    let shown = format!("{settings:?} {}", serde_json::to_string(&settings).unwrap());
    assert!(!shown.contains("hush") && shown.contains("[redacted]"), "{shown}");
    assert_eq!(settings.s3.secret_access_key.unwrap().expose(), "hush");
}
