//! Training runs as a caller sees them: started, followed to their end, judged.

use std::time::Duration;

use serde_json::Value;

use crate::failure::{BadCell, Failure, Result};
use crate::progress::Work;
use crate::rest::{Event, Events, Rest, Run};

/// After this long without an event the run itself is asked how it stands.
const QUIET: Duration = Duration::from_secs(10);

/// Between two attempts to reach a gateway that went away.
const RETRY: Duration = Duration::from_millis(500);

/// How often in a row the gateway may be away before following is given up. The run itself goes on.
const MOST_LOSSES: u32 = 20;

/// Starts a run and answers its id.
pub(crate) async fn start(rest: &Rest, request: &Value) -> Result<String> {
    let answer = rest.post("api/v1/runs", request).await?;
    let id = answer.get("run_id").and_then(Value::as_str);
    id.map(str::to_owned)
        .ok_or_else(|| Failure::new("the gateway started a run and did not say which"))
}

/// Follows a run to its end. Its events go to `work` as they come; a connection that breaks is made anew.
pub(crate) async fn follow(rest: &Rest, run_id: &str, work: &Work) -> Result<Run> {
    follow_with(rest, run_id, &mut |event| show(event, work)).await
}

/// Follows a run to its end and shows each of its events once.
pub(crate) async fn follow_with(rest: &Rest, run_id: &str, show: &mut (dyn FnMut(&Event) + Send)) -> Result<Run> {
    let path = format!("api/v1/runs/{run_id}");
    let mut log = Log { shown: 0, show };
    let mut losses = 0;
    loop {
        match events(rest, &path, &mut log).await {
            Ok(()) => losses = 0,
            Err(failure) if losses >= MOST_LOSSES => {
                return Err(failure.while_doing(&format!("run {run_id} goes on, but following it failed")));
            }
            Err(_) => losses += 1,
        }
        match rest.get_as::<Run>(&path, &[]).await {
            Ok(run) if run.has_ended() => return ended_well(run),
            Ok(_) => {}
            Err(failure) if losses >= MOST_LOSSES => return Err(failure),
            Err(_) => losses += 1,
        }
        if losses > 0 {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Shows events until there are no more, or none has come for a while.
async fn events(rest: &Rest, path: &str, log: &mut Log<'_>) -> Result<()> {
    let mut events: Events = rest.events(&format!("{path}/events")).await?;
    while let Ok(event) = tokio::time::timeout(QUIET, events.next()).await {
        match event? {
            Some(event) if event.name == "done" => return Ok(()),
            Some(event) => log.take(&event),
            None => return Ok(()),
        }
    }
    Ok(())
}

struct Log<'a> {
    /// The last event shown; a new subscription begins with all of them again.
    shown: u64,
    show: &'a mut (dyn FnMut(&Event) + Send),
}

impl Log<'_> {
    fn take(&mut self, event: &Event) {
        let sequence = event.data.get("sequence").and_then(Value::as_u64).unwrap_or(0);
        if sequence != 0 && sequence <= self.shown {
            return;
        }
        self.shown = self.shown.max(sequence);
        (self.show)(event);
    }
}

fn show(event: &Event, work: &Work) {
    let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
    let (step, message) = (text("step"), text("message"));
    match text("state") {
        "done" | "failed" | "skipped" | "cancelled" => work.line(format!("  {step:<10} {message}")),
        _ => {
            let progress = event.data.get("progress").and_then(Value::as_f64).unwrap_or(0.0);
            work.say(format!("{step} {:.0} % {message}", progress * 100.0));
        }
    }
}

fn ended_well(run: Run) -> Result<Run> {
    if run.state == "done" {
        return Ok(run);
    }
    let at = run
        .steps
        .iter()
        .find(|step| step.state == "failed")
        .map(|step| format!(" at step {}", step.name))
        .unwrap_or_default();
    let why = run
        .error
        .filter(|why| !why.is_empty())
        .map(|why| format!(": {why}"))
        .unwrap_or_default();
    Err(Failure {
        violations: run.violations.iter().map(BadCell::from).collect(),
        ..Failure::new(format!("run {} {}{at}{why}", run.run_id, run.state))
    })
}
