//! The second model: trained on the drifted window, judged, and taken over without a restart.

use holdfast_api::inference::v1::GetReplicaStatusResponse;
use holdfast_domain::Customer;
use holdfast_simulator::Scenario;
use serde::Serialize;

use super::report::Facts;
use super::traffic::{self, Answered};
use super::{Demo, claim, learn};
use crate::commands::{runs, train};
use crate::failure::Result;
use crate::output::{optional, real};
use crate::progress::Work;

/// What the second training came to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Retrained {
    run_id: String,
    version: Option<u32>,
    accepted: bool,
    promoted: bool,
    failed_checks: Vec<String>,
    /// The new model on the held-out part of the drifted window.
    pub(super) roc_auc_on_window: Option<f64>,
    /// The old one on the same rows.
    pub(super) champion_roc_auc_on_window: Option<f64>,
    test_roc_auc: Option<f64>,
    champion_test_roc_auc: Option<f64>,
}

impl Retrained {
    /// The version, if it became champion.
    pub(super) fn promoted_version(&self) -> Option<u32> {
        self.version.filter(|_| self.promoted)
    }
}

/// Follows the run that monitoring asked for. A shock must give a better model; other scenarios must give a decision, which may be a rejection.
pub(super) async fn retrain(demo: &Demo, run_id: &str, facts: &mut Facts) -> Result<(Retrained, String)> {
    let run = runs::follow(&demo.rest, run_id, &Work::spinner("")).await?;
    let result = train::result_of(&run)?;
    let retrained = Retrained {
        run_id: run_id.to_owned(),
        version: result.version,
        accepted: result.accepted,
        promoted: result.promoted,
        failed_checks: result.failed_checks.clone(),
        roc_auc_on_window: result.metric("window_roc_auc"),
        champion_roc_auc_on_window: result.metric("window_champion_roc_auc"),
        test_roc_auc: result.metric("test_roc_auc"),
        champion_test_roc_auc: result.metric("champion_roc_auc"),
    };
    facts.retrained(&retrained);
    let why = || result.failed_checks.join("; ");
    claim(result.accepted || !result.failed_checks.is_empty(), || {
        "the gate rejected the new model and did not say why".to_owned()
    })?;
    claim(result.accepted == result.promoted, || {
        "the gate's word and the promotion differ".to_owned()
    })?;
    let (old, new) = (retrained.champion_roc_auc_on_window, retrained.roc_auc_on_window);
    if demo.args.scenario == Scenario::Sudden {
        claim(result.accepted, || {
            format!(
                "the gate rejected the model that was trained on the drifted window: {}",
                why()
            )
        })?;
        let better = old.zip(new).is_some_and(|(old, new)| new > old);
        let (old, new) = (optional(old), optional(new));
        claim(better, || {
            format!("the new model is no better on the drifted window: ROC-AUC {old} before, {new} now")
        })?;
    }
    let (old, new) = (optional(old), optional(new));
    let version = result.version.unwrap_or_default();
    let verdict = if result.accepted {
        "accepted".to_owned()
    } else {
        format!("rejected: {}", why())
    };
    Ok((
        retrained,
        format!("version {version} {verdict}; ROC-AUC on the drifted window {old} before, {new} now"),
    ))
}

/// Waits until the same process serves the new version, and answers how long the swap took in milliseconds.
pub(super) async fn reloaded(demo: &Demo, version: u32, before: &GetReplicaStatusResponse) -> Result<(f64, String)> {
    let (replica, _) = learn::served(demo, version).await?;
    same_process(before, &replica)?;
    let reload_ms = replica.last_reload_ms;
    claim(reload_ms.is_finite() && reload_ms > 0.0, || {
        format!("inference says that the swap took {reload_ms} ms")
    })?;
    Ok((
        reload_ms,
        format!(
            "version {version} serves after {} ms, in the same process",
            real(reload_ms)
        ),
    ))
}

/// Asks about one customer on both ways.
pub(super) async fn predict_again(demo: &Demo, customers: &[Customer], version: u32) -> Result<(Answered, String)> {
    let Some(customer) = customers.first() else {
        return Err(crate::failure::Failure::new("there is no customer left to ask about"));
    };
    let (answered, probability) = traffic::ask_both_ways(demo, customer, version).await?;
    Ok((
        answered,
        format!(
            "version {version} answers {} over REST and gRPC alike",
            real(probability)
        ),
    ))
}

/// The process that answers is the one that answered first.
pub(super) async fn not_restarted(demo: &Demo, before: &GetReplicaStatusResponse) -> Result<((), String)> {
    let replica = demo.replica().await?;
    same_process(before, &replica)?;
    let started = replica.started_at.as_ref().and_then(holdfast_api::time::from_wire);
    let since = started.map_or_else(|| "its start".to_owned(), |at| at.strftime("%H:%M:%S%.3fZ").to_string());
    Ok(((), format!("replica {} runs since {since}", replica.replica)))
}

fn same_process(before: &GetReplicaStatusResponse, now: &GetReplicaStatusResponse) -> Result<()> {
    let same = before.replica == now.replica && before.started_at.is_some() && before.started_at == now.started_at;
    claim(same, || {
        format!(
            "inference was restarted: {} is not the process that was {}",
            now.replica, before.replica
        )
    })
}
