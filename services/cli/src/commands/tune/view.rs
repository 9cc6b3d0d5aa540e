//! What is seen of a search while it is at work: on a terminal the trials as they are, elsewhere a line for each that has ended.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::output::note;
use crate::progress::{self, Panel};
use crate::rest::Event;

/// Trials at work that are shown, and trials that have ended.
const RUNNING: usize = 4;
const ENDED: usize = 6;
/// Lines of the panel: the search, the best trial, these trials.
const LINES: usize = 2 + RUNNING + ENDED;

const BAR: usize = 32;
const SHORT_BAR: usize = 10;

/// A trial as its events tell it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Trial {
    pub(super) number: u32,
    pub(super) state: String,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) value: Option<f64>,
    #[serde(default)]
    pub(super) standard_error: Option<f64>,
    #[serde(default)]
    folds_done: u32,
    /// On folds drawn anew, for those between which the search decides in the end.
    #[serde(default)]
    pub(super) value_again: Option<f64>,
    #[serde(default)]
    pub(super) duration_seconds: f64,
}

impl Trial {
    fn is_running(&self) -> bool {
        self.state == "running"
    }

    fn is_complete(&self) -> bool {
        self.state == "complete"
    }

    fn worth(&self) -> f64 {
        let value = self.value.unwrap_or_default();
        self.value_again.map_or(value, |again| f64::midpoint(value, again))
    }

    /// `eta 0.05, max_depth 6`.
    pub(super) fn parameters(&self) -> String {
        let words = self.parameters.iter().map(|(name, value)| format!("{name} {value}"));
        words.collect::<Vec<_>>().join(", ")
    }

    fn outcome(&self) -> String {
        let value = self.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.5}"));
        let folds = self.folds_done;
        match (self.state.as_str(), self.standard_error, self.value_again) {
            ("complete", Some(error), Some(again)) => format!("{value} ± {error:.5}, anew {again:.5}"),
            ("complete", Some(error), None) => format!("{value} ± {error:.5}"),
            ("pruned", ..) => format!(
                "{value} given up after {folds} fold{}",
                if folds == 1 { "" } else { "s" }
            ),
            ("failed", ..) => "could not be fitted".to_owned(),
            _ => value,
        }
    }
}

/// All trials that were heard of.
#[derive(Clone, Debug, Default)]
pub(super) struct Trials(BTreeMap<u32, Trial>);

impl Trials {
    /// The complete ones, best first: before all others those that were measured again, by both draws of folds.
    pub(super) fn ranked(&self) -> Vec<&Trial> {
        let mut complete: Vec<&Trial> = self.0.values().filter(|trial| trial.is_complete()).collect();
        complete.sort_by(|a, b| b.worth().total_cmp(&a.worth()));
        complete.sort_by_key(|trial| trial.value_again.is_none());
        complete
    }

    pub(super) fn best(&self) -> Option<&Trial> {
        self.ranked().into_iter().next()
    }

    pub(super) fn ended(&self) -> usize {
        self.0.values().filter(|trial| !trial.is_running()).count()
    }

    /// The parameter set's own parameters.
    pub(super) fn first(&self) -> Option<&Trial> {
        self.0.get(&1)
    }
}

/// The view of one search.
pub(super) struct View {
    trials: Trials,
    panel: Option<Panel>,
    begun: Instant,
}

impl View {
    pub(super) fn new(run_id: &str) -> Self {
        note(format!("  {:<10} {run_id}", "run"));
        Self {
            trials: Trials::default(),
            panel: std::io::stderr().is_terminal().then(|| Panel::new(LINES)),
            begun: Instant::now(),
        }
    }

    /// Takes the view off the screen; what was heard of the trials stays.
    pub(super) fn into_trials(self) -> Trials {
        self.trials
    }

    /// Shows an event of the run.
    pub(super) fn show(&mut self, event: &Event) {
        let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
        let (step, state, message) = (text("step"), text("state"), text("message"));
        let done = event.data.get("progress").and_then(Value::as_f64).unwrap_or(0.0);
        if matches!(state, "done" | "failed" | "skipped" | "cancelled") {
            progress::line(format!("  {step:<10} {message}"));
            return self.draw(&format!("  {step}"), 1.0);
        }
        let trial: Option<Trial> = event
            .data
            .get("trial")
            .and_then(|trial| Deserialize::deserialize(trial).ok());
        let Some(trial) = trial else {
            return self.draw(&format!("  {step} {message}"), done);
        };
        let ended = !trial.is_running();
        let line = format!(
            "  trial {:<4} {:<34} {}",
            trial.number,
            trial.outcome(),
            trial.parameters()
        );
        self.trials.0.insert(trial.number, trial);
        if ended && self.panel.is_none() {
            note(line);
        }
        self.draw(&format!("  {step}"), done);
    }

    fn draw(&self, what: &str, progress: f64) {
        let Some(panel) = &self.panel else { return };
        let lines = lines(&self.trials, what, progress, self.begun.elapsed());
        for place in 0..LINES {
            panel.set(place, lines.get(place).cloned().unwrap_or_default());
        }
    }
}

/// What the panel shows.
fn lines(trials: &Trials, what: &str, progress: f64, elapsed: Duration) -> Vec<String> {
    let left = left(progress, elapsed).map_or_else(String::new, |left| format!("  {left} left at most"));
    let mut lines = vec![format!(
        "{what} {} {:>3.0} %  {} trials ended{left}",
        bar(progress, BAR),
        progress * 100.0,
        trials.ended()
    )];
    if let Some(best) = trials.best() {
        lines.push(format!(
            "  best: trial {} {}  {}",
            best.number,
            best.outcome(),
            best.parameters()
        ));
    }
    let running = trials.0.values().filter(|trial| trial.is_running());
    lines.extend(running.take(RUNNING).map(|trial| row(trial, "…")));
    let ended = trials.0.values().rev().filter(|trial| !trial.is_running());
    lines.extend(ended.take(ENDED).map(|trial| row(trial, mark(&trial.state))));
    lines
}

fn row(trial: &Trial, mark: &str) -> String {
    let folds = "▪".repeat(trial.folds_done as usize);
    format!("  {mark} {:>4} {folds:<SHORT_BAR$} {}", trial.number, trial.outcome())
}

fn mark(state: &str) -> &'static str {
    match state {
        "complete" => "✓",
        "failed" => "✗",
        _ => "·",
    }
}

/// How long it goes on at this pace. A search may end before, when it gains nothing any more.
fn left(progress: f64, elapsed: Duration) -> Option<String> {
    if !(0.02..1.0).contains(&progress) {
        return None;
    }
    let seconds = elapsed.as_secs_f64() * (1.0 - progress) / progress;
    Some(if seconds < 90.0 {
        format!("{seconds:.0} s")
    } else {
        format!("{:.0} min", seconds / 60.0)
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a few dozen places"
)]
fn bar(share: f64, width: usize) -> String {
    let filled = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    format!("{}{}", "━".repeat(filled), "─".repeat(width - filled))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(number: u32, state: &str, value: f64, folds: u32) -> Event {
        Event {
            name: "progress".to_owned(),
            data: json!({
                "step": "tune", "state": "running", "progress": 0.5, "message": "a trial",
                "trial": {"number": number, "state": state, "value": value, "standard_error": 0.001, "folds_done": folds,
                    "parameters": {"eta": "0.1", "max_depth": "4"}},
            }),
        }
    }

    fn view(events: &[Event]) -> View {
        let mut view = View {
            trials: Trials::default(),
            panel: None,
            begun: Instant::now(),
        };
        events.iter().for_each(|event| view.show(event));
        view
    }

    #[test]
    fn the_panel_shows_the_search_the_best_trial_those_at_work_and_the_last_ones() {
        let view = view(&[
            event(1, "complete", 0.99, 5),
            event(2, "pruned", 0.97, 1),
            event(3, "complete", 0.992, 5),
            event(4, "running", 0.991, 2),
        ]);
        let lines = lines(&view.trials, "  tune", 0.5, Duration::from_secs(30));
        let expected = [
            "  tune ━━━━━━━━━━━━━━━━────────────────  50 %  3 trials ended  30 s left at most",
            "  best: trial 3 0.99200 ± 0.00100  eta 0.1, max_depth 4",
            "  …    4 ▪▪         0.99100",
            "  ✓    3 ▪▪▪▪▪      0.99200 ± 0.00100",
            "  ·    2 ▪          0.97000 given up after 1 fold",
            "  ✓    1 ▪▪▪▪▪      0.99000 ± 0.00100",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn trials_that_were_measured_again_come_first_by_what_both_draws_of_folds_say() {
        let again = |number: u32, value: f64, again: f64| {
            let mut event = event(number, "complete", value, 5);
            event.data["trial"]["value_again"] = json!(again);
            event
        };
        let view = view(&[
            event(1, "complete", 0.99, 5),
            event(2, "complete", 0.993, 5),
            event(3, "complete", 0.992, 5),
            event(4, "complete", 0.994, 5),
            again(4, 0.994, 0.988),
            again(3, 0.992, 0.991),
        ]);
        let ranked: Vec<u32> = view.trials.ranked().iter().map(|trial| trial.number).collect();
        assert_eq!(ranked, [3, 4, 2, 1]);
        assert_eq!(view.trials.best().unwrap().outcome(), "0.99200 ± 0.00100, anew 0.99100");
        assert_eq!(view.trials.ended(), 4);
    }

    #[test]
    fn a_trial_that_goes_on_is_counted_once() {
        let view = view(&[
            event(1, "running", 0.9, 1),
            event(1, "running", 0.9, 2),
            event(1, "complete", 0.91, 5),
        ]);
        assert_eq!((view.trials.ended(), view.trials.best().unwrap().number), (1, 1));
    }
}
