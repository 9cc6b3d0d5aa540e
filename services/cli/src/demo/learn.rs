//! The first model: trained, judged, promoted, served.

use std::time::Duration;

use holdfast_api::inference::v1::GetReplicaStatusResponse;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Demo, claim};
use crate::commands::{runs, train};
use crate::failure::{Failure, Result};
use crate::output::optional;
use crate::progress::Work;
use crate::rest::{Run, RunResult, Snapshot};

/// How long inference may take to serve a new champion before the demo calls it a failure.
const SERVE_DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks at the replica.
const INTERVAL: Duration = Duration::from_millis(20);

/// A version that was trained and promoted.
pub(super) struct Champion {
    pub(super) run: Run,
    pub(super) result: RunResult,
    pub(super) version: u32,
}

/// Trains on four fifths of the customers and expects the gate to accept.
pub(super) async fn first(demo: &Demo, snapshot: &Snapshot) -> Result<(Champion, String)> {
    let request = json!({"snapshot": snapshot.digest, "seed": demo.args.seed, "promote": true});
    let run_id = runs::start(&demo.rest, &request).await?;
    let run = runs::follow(&demo.rest, &run_id, &Work::spinner("")).await?;
    let result = train::result_of(&run)?.clone();
    claim(result.accepted, || {
        format!("the gate rejected the first model: {}", result.failed_checks.join("; "))
    })?;
    claim(result.promoted, || {
        "the first model was accepted and not promoted".to_owned()
    })?;
    let version = result
        .version
        .ok_or_else(|| Failure::new("the run registered no version"))?;
    for name in [
        "test_roc_auc",
        "test_pr_auc",
        "test_roc_auc_required_only",
        "test_pr_auc_required_only",
    ] {
        claim(result.metric(name).is_some(), || {
            format!("the run did not measure {name}")
        })?;
    }
    let (full, required) = (
        optional(result.metric("test_roc_auc")),
        optional(result.metric("test_roc_auc_required_only")),
    );
    let detail = format!("version {version} is champion: ROC-AUC {full}, with the required eight only {required}");
    Ok((Champion { run, result, version }, detail))
}

/// Waits until inference serves a version.
pub(super) async fn served(demo: &Demo, version: u32) -> Result<(GetReplicaStatusResponse, String)> {
    let deadline = Instant::now() + SERVE_DEADLINE;
    loop {
        let replica = demo.replica().await?;
        if serving_version(&replica) == Some(version) {
            let detail = format!(
                "version {version} serves, {:.0} ms after inference heard of it",
                replica.last_reload_ms
            );
            return Ok((replica, detail));
        }
        if Instant::now() > deadline {
            let why = replica
                .last_failure
                .map_or_else(String::new, |failure| format!(": {}", failure.message));
            return Err(Failure::new(format!("inference does not serve version {version}{why}")));
        }
        sleep(INTERVAL).await;
    }
}

/// The version that a replica serves.
pub(super) fn serving_version(replica: &GetReplicaStatusResponse) -> Option<u32> {
    replica.serving.as_ref()?.model.as_ref().map(|model| model.version)
}
