//! The search for parameters and the choice of a threshold: what a caller asks for, and what came of it.

use std::collections::BTreeMap;

use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::TrialState as WireState;
use holdfast_api::training::v1::threshold_rule::Rule;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::convert::{counted, names_of, text};

names_of! {
    /// State of a trial.
    TrialState from WireState {
        /// Some folds are done.
        Running,
        /// All folds are done.
        Complete,
        /// Given up after some folds: it could not have become the best.
        Pruned,
        /// The parameters could not be fitted.
        Failed,
    }
}

/// Asks for a search for parameters by cross-validation on the training rows. `{}` takes everything from the settings.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Most trials; the settings' when absent.
    #[schema(minimum = 1, maximum = 1000)]
    pub trials: Option<u32>,
    /// Folds of the cross-validation; the settings' when absent.
    #[schema(minimum = 2, maximum = 20)]
    pub folds: Option<u32>,
    /// Trials at work at once; the settings' when absent. The trials do not depend on it.
    #[schema(minimum = 1, maximum = 64)]
    pub workers: Option<u32>,
    /// Outer folds of a nested cross-validation, which estimates what tuning itself is worth; none when absent.
    #[schema(minimum = 2, maximum = 20)]
    pub outer_folds: Option<u32>,
    /// False: use up all trials, also when gains have sunk under the folds' noise.
    pub early_stop: Option<bool>,
}

impl From<Tuning> for wire::Tuning {
    fn from(tuning: Tuning) -> Self {
        Self {
            trials: tuning.trials.unwrap_or_default(),
            folds: tuning.folds.unwrap_or_default(),
            workers: tuning.workers.unwrap_or_default(),
            outer_folds: tuning.outer_folds.unwrap_or_default(),
            early_stop: tuning.early_stop,
        }
    }
}

/// How the decision threshold is chosen, on rows that no fit has seen.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
pub enum ThresholdRule {
    /// The best F1.
    BestF1,
    /// The highest expected profit of an offer to each labelled customer.
    Cost {
        /// Cost of one offer, US dollars, 0 or more.
        offer_cost: f64,
        /// Margin lost with a customer who leaves, US dollars, 0 or more.
        lost_margin: f64,
        /// Share of leaving customers whom an offer keeps, 0 to 1.
        success_rate: f64,
    },
    /// As many customers as can be called.
    Capacity {
        /// Customers that can be called in a period, at least 1.
        calls: u64,
        /// Customers scored in a period, at least `calls`.
        population: u64,
    },
}

impl From<ThresholdRule> for wire::ThresholdRule {
    fn from(rule: ThresholdRule) -> Self {
        let rule = match rule {
            ThresholdRule::BestF1 => Rule::BestF1(wire::BestF1Rule {}),
            ThresholdRule::Cost {
                offer_cost,
                lost_margin,
                success_rate,
            } => Rule::Cost(wire::CostRule {
                offer_cost,
                lost_margin,
                success_rate,
            }),
            ThresholdRule::Capacity { calls, population } => Rule::Capacity(wire::CapacityRule { calls, population }),
        };
        Self { rule: Some(rule) }
    }
}

/// One set of parameters tried by cross-validation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Trial {
    /// Counted from 1.
    pub number: u32,
    /// State.
    pub state: TrialState,
    /// What was tried, by the parameter's name.
    pub parameters: BTreeMap<String, String>,
    /// Mean of the objective over the folds done; null before the first.
    pub value: Option<f64>,
    /// Standard error of that mean over the folds; null with fewer than two.
    pub standard_error: Option<f64>,
    /// Folds done.
    pub folds_done: u32,
    /// Mean of the objective over as many folds drawn anew, for the trials between which the search decided in the end.
    pub value_again: Option<f64>,
    /// The trial's own run in the registry, a child of this one.
    pub run_id: Option<String>,
    /// Time spent on it by all threads together, in seconds.
    pub duration_seconds: f64,
}

impl From<wire::Trial> for Trial {
    fn from(wire: wire::Trial) -> Self {
        Self {
            number: wire.number,
            state: wire.state.into(),
            value: (wire.folds_done > 0).then_some(wire.value),
            standard_error: (wire.folds_done > 1).then_some(wire.standard_error),
            folds_done: wire.folds_done,
            value_again: wire.value_again,
            parameters: wire.parameters.into_iter().collect(),
            run_id: text(wire.run_id),
            duration_seconds: wire.duration_seconds,
        }
    }
}

/// What a search for parameters came to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TuningResult {
    /// What was made as large as possible, for example `roc_auc`.
    pub objective: Option<String>,
    /// Trials begun.
    pub trials: u32,
    /// Trials given up early.
    pub pruned: u32,
    /// Why the search ended: `trials`, `no_gain` or `cancelled`.
    pub stopped_by: Option<String>,
    /// The best trial.
    pub best: Option<Trial>,
    /// The parameter set's own parameters, tried first.
    pub first: Option<Trial>,
    /// Share of each parameter in being among the best trials, by name; empty with too few trials.
    pub importance: BTreeMap<String, f64>,
    /// Nested cross-validation: the objective on each outer fold of a model tuned on the others; empty when it was not asked for.
    pub outer_values: Vec<f64>,
}

impl From<wire::TuningResult> for TuningResult {
    fn from(wire: wire::TuningResult) -> Self {
        Self {
            objective: text(wire.objective),
            trials: wire.trials,
            pruned: wire.pruned,
            stopped_by: text(wire.stopped_by),
            best: wire
                .best
                .filter(|trial| counted(trial.number).is_some())
                .map(Trial::from),
            first: wire
                .first
                .filter(|trial| counted(trial.number).is_some())
                .map(Trial::from),
            importance: wire.importance.into_iter().collect(),
            outer_values: wire.outer_values,
        }
    }
}
