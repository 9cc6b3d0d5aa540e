//! The state of the whole, asked of all services at once; a service that is away is a part of the answer and not its end.

use holdfast_chassis::{Code, Fault};
use serde::Serialize;
use utoipa::ToSchema;

use super::drift::{self, DriftReport};
use super::models::{self, ChampionEntry, Replica};
use super::replica::{self, PredictionLog, ServingReplica};
use super::rollouts::{self, Rollout};
use super::runs::{self, Run};
use crate::metrics::PeerName;
use crate::peers::Peers;

/// Whether a service answers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServiceState {
    /// `inference`, `registry`, `training` or `monitoring`.
    pub name: &'static str,
    /// Where the gateway looks for it.
    pub address: String,
    /// Whether it answered in time.
    pub reachable: bool,
    /// What went wrong, when something did.
    pub problem: Option<String>,
}

/// The state of the whole. What could not be asked is null.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Status {
    /// The model this is about.
    pub model: String,
    /// The gateway's own version.
    pub gateway_version: &'static str,
    /// The other services.
    pub services: Vec<ServiceState>,
    /// The newest entry of the champion log; null as well when there is none.
    pub champion: Option<ChampionEntry>,
    /// True when every digest in the champion log holds.
    pub chain_intact: Option<bool>,
    /// Where and how it is broken, when it is.
    pub chain_break: Option<String>,
    /// The version on trial beside the champion; null as well when there is none.
    pub rollout: Option<Rollout>,
    /// What the replicas of inference told the registry last, failures to load included.
    pub replicas: Option<Vec<Replica>>,
    /// What the replica behind this gateway says of itself.
    pub serving: Option<ServingReplica>,
    /// The prediction log of that replica.
    pub prediction_log: Option<PredictionLog>,
    /// The newest drift report; null as well when there is none.
    pub last_drift_report: Option<DriftReport>,
    /// The newest training run; null as well when there is none.
    pub last_run: Option<Run>,
}

/// Asks everybody. `peers` should be in a hurry ([`Peers::hurried`]): the answer takes as long as the slowest.
pub async fn status(peers: &Peers, model: String) -> Status {
    let registry = async {
        tokio::join!(
            models::champions(peers, model.clone()),
            models::replicas(peers, model.clone()),
            rollouts::newest(peers, model.clone()),
        )
    };
    let ((champions, replicas, rollout), inference, runs, reports) = tokio::join!(
        registry,
        replica::ask(peers),
        runs::list(peers, model.clone(), 1, String::new()),
        drift::reports(peers, model.clone(), 1),
    );
    let registry_outcome = champions.as_ref().err().or(replicas.as_ref().err());
    let services = vec![
        state(peers, PeerName::Registry, registry_outcome),
        state(peers, PeerName::Inference, inference.as_ref().err()),
        state(peers, PeerName::Training, runs.as_ref().err()),
        state(peers, PeerName::Monitoring, reports.as_ref().err()),
    ];
    let log = champions.ok();
    let (serving, prediction_log) = inference.ok().unzip();
    Status {
        gateway_version: env!("CARGO_PKG_VERSION"),
        services,
        chain_intact: log.as_ref().map(|log| log.chain_intact),
        chain_break: log.as_ref().and_then(|log| log.chain_break.clone()),
        champion: log.and_then(|mut log| log.entries.pop()),
        rollout: rollout
            .ok()
            .map(|newest| newest.rollout)
            .filter(|rollout| rollout.ending.is_none()),
        replicas: replicas.ok(),
        serving,
        prediction_log,
        last_drift_report: reports.ok().and_then(|page| page.reports.into_iter().next()),
        last_run: runs.ok().and_then(|page| page.runs.into_iter().next()),
        model,
    }
}

fn state(peers: &Peers, peer: PeerName, fault: Option<&Fault>) -> ServiceState {
    // Not knowing the model is an answer, and no problem before the first one is trained.
    let fault = fault.filter(|fault| fault.code != Code::NotFound);
    let away = fault.is_some_and(|fault| matches!(fault.code, Code::Unavailable | Code::DeadlineExceeded));
    ServiceState {
        name: peer.name(),
        address: peers.address(peer).to_owned(),
        reachable: !away,
        problem: fault.map(|fault| fault.message.clone()),
    }
}
