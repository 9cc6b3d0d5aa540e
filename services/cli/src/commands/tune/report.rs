//! What a search came to, for people.

use std::collections::BTreeMap;

use super::view::Trials;
use crate::commands::train;
use crate::output::{self, real, tenths};
use crate::rest::{Run, RunResult, TuningResult};

const SHOWN_TRIALS: usize = 5;
const BAR: f64 = 30.0;

/// Tables of the best trials, the importance of the parameters, then the run as `train` shows it.
pub(super) fn people(run: &Run, result: &RunResult, trials: &Trials) -> String {
    let mut text = String::new();
    if let Some(tuning) = &result.tuning {
        text.push_str(&best_trials(tuning, trials));
        text.push_str(&importance(&tuning.importance));
        text.push_str(&outer(tuning));
    }
    text.push_str(&train::people(run, result));
    text
}

fn best_trials(tuning: &TuningResult, trials: &Trials) -> String {
    let objective = tuning.objective.as_deref().unwrap_or("value");
    let header = [
        "trial",
        objective,
        "standard error",
        "folds drawn anew",
        "seconds",
        "parameters",
    ];
    let mut table = output::table(header);
    let best = trials.ranked().into_iter().take(SHOWN_TRIALS);
    let shown: Vec<_> = best.collect();
    let first = trials
        .first()
        .filter(|first| shown.iter().all(|trial| trial.number != first.number));
    for trial in shown.iter().copied().chain(first) {
        let number = match trial.number {
            1 => "1 (the parameter set)".to_owned(),
            number => number.to_string(),
        };
        let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.5}"));
        table.add_row([
            number,
            cell(trial.value),
            cell(trial.standard_error),
            cell(trial.value_again),
            tenths(trial.duration_seconds),
            trial.parameters(),
        ]);
    }
    format!(
        "{table}\n{} trials, {} given up early, ended by {}\n\n",
        tuning.trials,
        tuning.pruned,
        tuning.stopped_by.as_deref().unwrap_or("-")
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few dozen places"
)]
fn importance(shares: &BTreeMap<String, f64>) -> String {
    if shares.is_empty() {
        return String::new();
    }
    let width = shares.keys().map(String::len).max().unwrap_or_default();
    let mut ranked: Vec<(&String, &f64)> = shares.iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(a.1));
    let mut text = "importance of the parameters among the best trials\n".to_owned();
    for (name, share) in ranked {
        let bar = "█".repeat((share.clamp(0.0, 1.0) * BAR).round() as usize);
        text.push_str(&format!("  {name:<width$} {:>3.0} % {bar}\n", share * 100.0));
    }
    text.push('\n');
    text
}

fn outer(tuning: &TuningResult) -> String {
    let values = &tuning.outer_values;
    if values.is_empty() {
        return String::new();
    }
    let listed: Vec<String> = values.iter().map(|value| real(*value)).collect();
    #[expect(clippy::cast_precision_loss, reason = "20 folds at most")]
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    format!(
        "tuned on the rest and measured on each outer fold: {}; mean {}\n\n",
        listed.join(", "),
        real(mean)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn importance_is_ranked_and_drawn() {
        let shares = [("eta".to_owned(), 0.25), ("max_depth".to_owned(), 0.75)].into();
        let expected = "importance of the parameters among the best trials\n  \
                        max_depth  75 % ███████████████████████\n  \
                        eta        25 % ████████\n\n";
        assert_eq!(importance(&shares), expected);
        assert_eq!(importance(&BTreeMap::new()), "");
    }
}
