//! Every metric of the registry.

use holdfast_chassis::metrics::{Counter, EncodeLabelSet, EncodeLabelValue, Family, Gauge, MetricsRegistry, Unit};
use holdfast_records::rollout::EndReason;

/// Why the champion moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum MoveReason {
    /// The gate accepted it.
    Promotion,
    /// Back to an earlier champion.
    Rollback,
    /// A person's word.
    Override,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum MoveOutcome {
    /// In the log.
    Won,
    /// Another writer was first.
    Lost,
    /// Refused or failed.
    Failed,
}

/// Labels of `holdfast_registry_champion_moves_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MoveLabels {
    /// Why.
    pub reason: MoveReason,
    /// How it ended.
    pub outcome: MoveOutcome,
}

/// What the gate said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Verdict {
    /// May become champion.
    Accepted,
    /// May not.
    Rejected,
}

/// Labels of `holdfast_registry_gate_decisions_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GateLabels {
    /// What the gate said.
    pub verdict: Verdict,
}

/// Labels by model. Model names are few: they are created by people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ModelLabels {
    /// The model.
    pub model: String,
}

/// What happened to a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum RolloutChange {
    /// It began.
    Started,
    /// Somebody ended it.
    Stopped,
    /// Its challenger became champion.
    Promoted,
    /// Another version became champion.
    ChampionReplaced,
    /// Too many errors.
    ErrorLimit,
    /// Too slow.
    LatencyLimit,
    /// A replica could not prepare the challenger.
    LoadFailed,
}

impl RolloutChange {
    /// The end for this reason.
    pub fn of(reason: EndReason) -> Self {
        match reason {
            EndReason::Stopped => Self::Stopped,
            EndReason::Promoted => Self::Promoted,
            EndReason::ChampionReplaced => Self::ChampionReplaced,
            EndReason::ErrorLimit => Self::ErrorLimit,
            EndReason::LatencyLimit => Self::LatencyLimit,
            EndReason::LoadFailed => Self::LoadFailed,
        }
    }
}

/// Labels of `holdfast_registry_rollout_changes_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RolloutLabels {
    /// What happened.
    pub change: RolloutChange,
}

/// How an attempt to deliver an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum AttemptOutcome {
    /// Answered with a status from 200 to 299.
    Delivered,
    /// Answered with another status.
    Refused,
    /// Not answered in time.
    TimedOut,
    /// No connection, or it broke.
    Unreachable,
    /// The address may not be told.
    Blocked,
}

/// Labels of `holdfast_registry_webhook_attempts_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttemptLabels {
    /// How it ended.
    pub outcome: AttemptOutcome,
}

/// How a delivery of an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum DeliveryOutcome {
    /// It arrived.
    Delivered,
    /// It was tried as often as the settings say.
    GivenUp,
}

/// Labels of `holdfast_registry_webhook_deliveries_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// How it ended.
    pub outcome: DeliveryOutcome,
}

/// The metrics of the registry.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Promotions and rollbacks by reason and outcome.
    pub champion_moves: Family<MoveLabels, Counter>,
    /// Decisions of the gate.
    pub gate_decisions: Family<GateLabels, Counter>,
    /// Rollouts begun and ended.
    pub rollouts: Family<RolloutLabels, Counter>,
    /// Newest generation known here, by model.
    pub champion_generation: Family<ModelLabels, Gauge>,
    /// Streams that watch a champion.
    pub watchers: Gauge,
    /// Attempts to deliver events to webhooks, tests among them.
    pub webhook_attempts: Family<AttemptLabels, Counter>,
    /// Deliveries that have ended.
    pub webhook_deliveries: Family<DeliveryLabels, Counter>,
    /// Deliveries that will be tried.
    pub webhook_waiting: Gauge,
    /// Age of the oldest of them, in seconds.
    pub webhook_oldest: Gauge,
}

impl Metrics {
    /// Registers them; every series of a closed set of labels exists from now on.
    pub fn new(registry: &MetricsRegistry) -> Self {
        let moves = [MoveReason::Promotion, MoveReason::Rollback, MoveReason::Override]
            .into_iter()
            .flat_map(|reason| {
                [MoveOutcome::Won, MoveOutcome::Lost, MoveOutcome::Failed].map(|outcome| MoveLabels { reason, outcome })
            });
        let verdicts = [Verdict::Accepted, Verdict::Rejected].map(|verdict| GateLabels { verdict });
        let attempts = [
            AttemptOutcome::Delivered,
            AttemptOutcome::Refused,
            AttemptOutcome::TimedOut,
            AttemptOutcome::Unreachable,
            AttemptOutcome::Blocked,
        ]
        .map(|outcome| AttemptLabels { outcome });
        let deliveries =
            [DeliveryOutcome::Delivered, DeliveryOutcome::GivenUp].map(|outcome| DeliveryLabels { outcome });
        let changes = EndReason::ALL
            .map(RolloutChange::of)
            .into_iter()
            .chain([RolloutChange::Started])
            .map(|change| RolloutLabels { change });
        Self {
            champion_moves: registry.counters(
                "holdfast_registry_champion_moves",
                "Promotions and rollbacks by reason and outcome",
                Unit::None,
                moves,
            ),
            gate_decisions: registry.counters(
                "holdfast_registry_gate_decisions",
                "Decisions of the gate by verdict",
                Unit::None,
                verdicts,
            ),
            rollouts: registry.counters(
                "holdfast_registry_rollout_changes",
                "Rollouts begun, and ended by why",
                Unit::None,
                changes,
            ),
            champion_generation: registry.gauges(
                "holdfast_registry_champion_generation",
                "Newest generation of the champion log known to this registry, by model",
                Unit::None,
                [],
            ),
            watchers: registry.gauge(
                "holdfast_registry_champion_watchers",
                "Open streams that watch a champion",
                Unit::None,
            ),
            webhook_attempts: registry.counters(
                "holdfast_registry_webhook_attempts",
                "Attempts to deliver events to webhooks by outcome, tests among them",
                Unit::None,
                attempts,
            ),
            webhook_deliveries: registry.counters(
                "holdfast_registry_webhook_deliveries",
                "Deliveries to webhooks that have ended, by outcome",
                Unit::None,
                deliveries,
            ),
            webhook_waiting: registry.gauge(
                "holdfast_registry_webhook_deliveries_waiting",
                "Deliveries to webhooks that will be tried or tried again",
                Unit::None,
            ),
            webhook_oldest: registry.gauge(
                "holdfast_registry_webhook_oldest_waiting",
                "Age of the oldest delivery that waits; 0 when none does",
                Unit::Seconds,
            ),
        }
    }
}
