//! What the demo says about itself: each step as it happens, and the whole as one object in the end.

use std::collections::HashSet;
use std::future::Future;
use std::time::Instant;

use serde::Serialize;

use super::DemoArgs;
use super::learn::Champion;
use super::renew::Retrained;
use super::traffic::Answered;
use crate::failure::Result;
use crate::output::{self, optional, real};
use crate::progress::Work;

/// One step.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StepReport {
    name: &'static str,
    ok: bool,
    seconds: f64,
    detail: String,
}

/// The steps so far.
#[derive(Debug, Default)]
pub(super) struct Journal {
    steps: Vec<StepReport>,
}

impl Journal {
    /// Runs a step, which gives its result and a sentence about it; shows and keeps how it went.
    pub(super) async fn step<T>(
        &mut self,
        name: &'static str,
        doing: &str,
        work: impl Future<Output = Result<(T, String)>>,
    ) -> Result<T> {
        let shown = Work::spinner(doing);
        let started = Instant::now();
        let outcome = work.await;
        let seconds = started.elapsed().as_secs_f64();
        let (ok, detail) = match &outcome {
            Ok((_, detail)) => (true, detail.clone()),
            Err(failure) => (false, failure.message.clone()),
        };
        shown.line(format!(
            "{} {name:<16} {seconds:>6.2} s  {detail}",
            if ok { "ok    " } else { "FAILED" }
        ));
        self.steps.push(StepReport {
            name,
            ok,
            seconds,
            detail,
        });
        outcome
            .map(|(result, _)| result)
            .map_err(|failure| failure.while_doing(name))
    }
}

/// What was measured; nothing where the loop did not come that far.
#[derive(Debug)]
pub(super) struct Facts {
    scenario: &'static str,
    source: String,
    first: Option<FirstChampion>,
    retrained_version: Option<u32>,
    retrained: Option<Retrained>,
    /// Answers by request and row, as the prediction log names them.
    pub(super) answers: HashSet<(String, u32)>,
    /// Answers given, repeats of a name included: there should be none.
    pub(super) predictions_answered: u64,
    pub(super) predictions_logged: Option<u64>,
    pub(super) quiet_window_drift: Option<bool>,
    pub(super) shifted_window_drift: Option<bool>,
    pub(super) reload_ms: Option<f64>,
    pub(super) restarted: Option<bool>,
    pub(super) chain_intact: Option<bool>,
    /// When the loop began: no prediction is older.
    pub(super) began: jiff::Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct FirstChampion {
    version: u32,
    roc_auc: Option<f64>,
    pr_auc: Option<f64>,
    roc_auc_required_only: Option<f64>,
    pr_auc_required_only: Option<f64>,
}

impl Facts {
    /// Before the loop.
    pub(super) fn new(args: &DemoArgs) -> Self {
        let source = match &args.csv {
            Some(path) => path.display().to_string(),
            None => format!("simulated bank of {} customers, seed {}", args.rows, args.seed),
        };
        Self {
            scenario: args.scenario.name(),
            source,
            first: None,
            retrained_version: None,
            retrained: None,
            answers: HashSet::new(),
            predictions_answered: 0,
            predictions_logged: None,
            quiet_window_drift: None,
            shifted_window_drift: None,
            reload_ms: None,
            restarted: None,
            chain_intact: None,
            began: jiff::Timestamp::now(),
        }
    }

    /// Keeps what is known of the first champion.
    pub(super) fn first_champion(&mut self, champion: &Champion) {
        self.first = Some(FirstChampion {
            version: champion.version,
            roc_auc: champion.result.metric("test_roc_auc"),
            pr_auc: champion.result.metric("test_pr_auc"),
            roc_auc_required_only: champion.result.metric("test_roc_auc_required_only"),
            pr_auc_required_only: champion.result.metric("test_pr_auc_required_only"),
        });
    }

    /// Counts answers.
    pub(super) fn answered(&mut self, answered: &Answered) {
        self.predictions_answered += answered.names.len() as u64;
        self.answers.extend(answered.names.iter().cloned());
    }

    /// Keeps what the second training came to.
    pub(super) fn retrained(&mut self, retrained: &Retrained) {
        self.retrained_version = retrained.promoted_version();
        self.retrained = Some(retrained.clone());
    }

    /// The whole.
    pub(super) fn report(&self, ok: bool, journal: &Journal) -> DemoReport {
        DemoReport {
            ok,
            scenario: self.scenario,
            source: self.source.clone(),
            steps: journal.steps.clone(),
            test_roc_auc: self.first.and_then(|first| first.roc_auc),
            test_pr_auc: self.first.and_then(|first| first.pr_auc),
            test_roc_auc_required_only: self.first.and_then(|first| first.roc_auc_required_only),
            test_pr_auc_required_only: self.first.and_then(|first| first.pr_auc_required_only),
            champion_version: self.first.map(|first| first.version),
            retrained_version: self.retrained_version,
            predictions_answered: self.predictions_answered,
            predictions_logged: self.predictions_logged,
            quiet_window_drift: self.quiet_window_drift,
            shifted_window_drift: self.shifted_window_drift,
            reload_ms: self.reload_ms,
            restarted: self.restarted,
            retrained: self.retrained.clone(),
            chain_intact: self.chain_intact,
        }
    }
}

/// The object that `holdfast demo --json` prints. Null: the loop did not come that far, or the scenario gave no reason to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DemoReport {
    ok: bool,
    scenario: &'static str,
    source: String,
    steps: Vec<StepReport>,
    test_roc_auc: Option<f64>,
    test_pr_auc: Option<f64>,
    test_roc_auc_required_only: Option<f64>,
    test_pr_auc_required_only: Option<f64>,
    champion_version: Option<u32>,
    retrained_version: Option<u32>,
    predictions_answered: u64,
    predictions_logged: Option<u64>,
    quiet_window_drift: Option<bool>,
    shifted_window_drift: Option<bool>,
    reload_ms: Option<f64>,
    restarted: Option<bool>,
    retrained: Option<Retrained>,
    chain_intact: Option<bool>,
}

impl DemoReport {
    /// For people. The steps have been on stderr already.
    pub(super) fn people(&self) -> String {
        let word = |fact: Option<bool>| match fact {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        let count = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let (full, required) = (self.test_roc_auc, self.test_roc_auc_required_only);
        let mut table = output::table(["measured", ""]);
        table.add_row(["ROC-AUC on held-out customers, all features", &optional(full)]);
        table.add_row(["ROC-AUC with the required eight only", &optional(required)]);
        table.add_row(["PR-AUC, all features", &optional(self.test_pr_auc)]);
        table.add_row([
            "PR-AUC with the required eight only",
            &optional(self.test_pr_auc_required_only),
        ]);
        table.add_row(["predictions answered", &self.predictions_answered.to_string()]);
        table.add_row(["of them in the prediction log", &count(self.predictions_logged)]);
        table.add_row(["drift among customers as they are", word(self.quiet_window_drift)]);
        table.add_row([
            &format!("drift under scenario {}", self.scenario),
            word(self.shifted_window_drift),
        ]);
        if let Some(retrained) = &self.retrained {
            let (old, new) = (
                optional(retrained.champion_roc_auc_on_window),
                optional(retrained.roc_auc_on_window),
            );
            table.add_row([
                "ROC-AUC on the drifted window, old model and new",
                &format!("{old} and {new}"),
            ]);
        }
        table.add_row(["time from notice to swap, ms", &optional(self.reload_ms)]);
        table.add_row(["inference restarted", word(self.restarted)]);
        table.add_row(["champion log's chain intact", word(self.chain_intact)]);
        let seconds = self.steps.iter().map(|step| step.seconds).sum::<f64>();
        let verdict = if self.ok {
            "every claim holds"
        } else {
            "A CLAIM DOES NOT HOLD"
        };
        format!("{table}\n{verdict}, after {} s, on {}", real(seconds), self.source)
    }
}
