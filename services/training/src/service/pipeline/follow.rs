//! The run log as it grows. Level-triggered: a wake-up says "read again", so that none can be missed.

use holdfast_domain::RunId;
use tokio::sync::watch;

use crate::error::Result;
use crate::service::runs::{Run, RunEvent};
use crate::service::store::RunStore;

/// Something that a follower sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Followed {
    /// The next line of the log; `None` only when the run ended without one.
    pub event: Option<RunEvent>,
    /// The whole run, with the last line, once it has ended.
    pub run: Option<Run>,
}

/// Follows one run.
#[derive(Debug)]
pub struct Follower {
    store: RunStore,
    id: RunId,
    after: u64,
    changed: Option<watch::Receiver<u64>>,
    ended: bool,
}

impl Follower {
    pub(super) fn new(store: RunStore, id: RunId, after: u64, changed: Option<watch::Receiver<u64>>) -> Self {
        Self {
            store,
            id,
            after,
            changed,
            ended: false,
        }
    }

    /// Waits for the next lines; empty once the run has ended and all was seen.
    ///
    /// # Errors
    /// The database's.
    pub async fn next(&mut self) -> Result<Vec<Followed>> {
        while !self.ended {
            if let Some(changed) = &mut self.changed {
                changed.mark_unchanged();
            }
            // The run first: when it has ended, the log read after it is whole.
            let run = self.store.run(&self.id).await?;
            let events = self.store.events(&self.id, self.after).await?;
            self.after = events.last().map_or(self.after, |event| event.sequence);
            self.ended = run.state.is_final();
            let mut seen: Vec<Followed> = events
                .into_iter()
                .map(|event| Followed {
                    event: Some(event),
                    run: None,
                })
                .collect();
            if self.ended {
                match seen.last_mut() {
                    Some(last) => last.run = Some(run),
                    None => seen.push(Followed {
                        event: None,
                        run: Some(run),
                    }),
                }
            }
            if !seen.is_empty() {
                return Ok(seen);
            }
            let Some(changed) = &mut self.changed else {
                // At work, and yet not here: it belongs to a process that has not been declared dead.
                self.ended = true;
                continue;
            };
            if changed.changed().await.is_err() {
                self.changed = None;
            }
        }
        Ok(Vec::new())
    }
}
