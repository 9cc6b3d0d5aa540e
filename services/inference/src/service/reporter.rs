//! Tells the registry what this replica holds, on every change and from time to time, because the registry forgets when
//! it restarts.

use std::sync::Arc;
use std::time::Duration;

use super::registry::Registry;
use super::status::StatusBoard;
use crate::settings::{ChampionSettings, waits};

/// Reports, for ever. While the subscription is down nothing is sent; when it stands again, the change of that state is
/// reported.
pub async fn run(registry: Arc<dyn Registry>, board: StatusBoard, settings: &ChampionSettings) {
    let mut states = board.watch();
    let interval = Duration::from_millis(settings.report_interval_ms);
    let fresh = || {
        waits(
            settings.retry_initial_ms,
            settings.retry_max_ms.min(settings.report_interval_ms),
        )
    };
    let mut pauses = fresh();
    loop {
        let state = states.borrow_and_update().clone();
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
