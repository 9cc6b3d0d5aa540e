//! Tells the registry what this replica holds, on every change and from time to time, because the registry forgets when
//! it restarts; more often while a version is on trial, because its tally grows.

use std::sync::Arc;
use std::time::Duration;

use super::registry::Registry;
use super::status::{RolloutPhase, StatusBoard};
use crate::settings::{ChampionSettings, RolloutSettings, waits};

/// Reports, for ever. While the subscription is down nothing is sent; when it stands again, the change of that state is
/// reported.
pub async fn run(
    registry: Arc<dyn Registry>,
    board: StatusBoard,
    settings: &ChampionSettings,
    rollout: &RolloutSettings,
) {
    let mut states = board.watch();
    let usual = Duration::from_millis(settings.report_interval_ms);
    let on_trial = Duration::from_millis(rollout.report_interval_ms).min(usual);
    let fresh = || {
        waits(
            settings.retry_initial_ms,
            settings.retry_max_ms.min(settings.report_interval_ms),
        )
    };
    let mut pauses = fresh();
    loop {
        let state = states.borrow_and_update().clone();
        let tried = state.rollout.as_ref().map(|report| report.phase);
        let interval = if tried == Some(RolloutPhase::Running) {
            on_trial
        } else {
            usual
        };
        let mut pause = interval;
        if state.registry_connected {
            match registry.report(&state).await {
                Ok(()) => pauses = fresh(),
                Err(error) => {
                    tracing::debug!(%error, "cannot report to the registry");
                    pause = pauses.next().unwrap_or(interval);
                }
            }
        }
        tokio::select! {
            changed = states.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
}
