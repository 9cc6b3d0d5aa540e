//! One replica of inference over S3, which is killed and started again on what it left.

use std::net::SocketAddr;
use std::path::Path;

use holdfast_testkit::{Process, ProcessBuilder, SeaweedS3, eventually};
use serde_json::Value;

use super::crew::{Client, client};
use crate::support::{PATIENCE, binary};

/// What makes a life of the replica different from others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Most bytes in the spool.
    pub(super) spool_bytes: u64,
}

impl Limits {
    /// More than any life of a proof fills.
    pub(super) const WIDE: Self = Self {
        spool_bytes: 4_000_000_000,
    };
}

/// A life of the replica.
pub(super) struct Replica {
    process: Process,
    pub(super) url: String,
    pub(super) client: Client,
}

impl Replica {
    /// Starts it on `data_dir`, with the bucket of `s3` behind `proxy`, and waits until it is ready.
    pub(super) async fn start(data_dir: &Path, s3: &SeaweedS3, proxy: SocketAddr, limits: Limits) -> Self {
        let process = ProcessBuilder::new(binary("holdfast-inference"))
            .clear_env()
            .current_dir(data_dir)
            .env("HOLDFAST_DATA_DIR", data_dir)
            .env("HOLDFAST_BLOB_STORE__KIND", "s3")
            .env("HOLDFAST_BLOB_STORE__S3__BUCKET", s3.bucket())
            .env("HOLDFAST_BLOB_STORE__S3__ENDPOINT", format!("http://{proxy}"))
            .env("HOLDFAST_BLOB_STORE__S3__PATH_STYLE", "true")
            .env("HOLDFAST_BLOB_STORE__S3__ACCESS_KEY_ID", s3.access_key_id())
            .env("HOLDFAST_BLOB_STORE__S3__SECRET_ACCESS_KEY", s3.secret_access_key())
            .env("HOLDFAST_INFERENCE__BIND", "127.0.0.1:0")
            .env("HOLDFAST_INFERENCE__ADMIN", "127.0.0.1:0")
            .env("HOLDFAST_INFERENCE__REPLICA", "blue-1")
            .env("HOLDFAST_INFERENCE__CHAMPION__POLL_INTERVAL_MS", "20")
            .env("HOLDFAST_INFERENCE__PREDICTION_LOG__SEGMENT_BYTES", "100000")
            .env("HOLDFAST_INFERENCE__PREDICTION_LOG__RETRY_MAX_MS", "200")
            .env(
                "HOLDFAST_INFERENCE__PREDICTION_LOG__LIMIT_BYTES",
                limits.spool_bytes.to_string(),
            )
            // Nobody listens there.
            .env("HOLDFAST_PEERS__REGISTRY", "http://127.0.0.1:1")
            .spawn();
        let line = process
            .wait_for_line("its addresses", PATIENCE, |line| {
                line.text.contains("\"message\":\"listening\"")
            })
            .await;
        let said: Value = serde_json::from_str(&line).unwrap();
        let url = format!("http://{}", said["grpc"].as_str().unwrap());
        let ready = format!("http://{}/readyz", said["admin"].as_str().unwrap());
        eventually("readiness", PATIENCE, async || {
            reqwest::get(&ready)
                .await
                .is_ok_and(|response| response.status().is_success())
        })
        .await;
        Self {
            process,
            client: client(&url),
            url,
        }
    }

    /// Ends it at once.
    pub(super) async fn kill(mut self) {
        self.process.kill();
        self.process.wait_exit(PATIENCE).await;
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn end(mut self) {
        self.process.terminate();
        assert!(self.process.wait_exit(PATIENCE).await.success());
    }
}
