//! Requests, runs and snapshots between the wire and the domain.

mod answers;

use std::ops::RangeInclusive;

use holdfast_api::training::v1 as wire;
use holdfast_domain::{Digest, ModelName, RunId};

use crate::error::{BadField, Error, Result};
use crate::service::recipe::ThresholdRule;
use crate::service::runs::{ANONYMOUS, Input, RunRequest, Trigger, TuningRequest};
use crate::service::snapshots::TableFormat;
use crate::settings::{FOLDS, Settings, TRIALS, WORKERS, is_test_share};

pub(super) use answers::{event_out, run_out, snapshot_out};

const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1_000;

/// Longest free text in a request, in characters.
const MAX_TEXT_CHARS: usize = 500;

pub(super) fn digest_in(field: &'static str, text: &str) -> Result<Digest> {
    text.parse()
        .map_err(|_| Error::field(field, "digest", "must be 64 lower-case hexadecimal digits"))
}

pub(super) fn optional_digest(field: &'static str, text: &str) -> Result<Option<Digest>> {
    if text.is_empty() {
        Ok(None)
    } else {
        digest_in(field, text).map(Some)
    }
}

pub(super) fn model_name(text: &str) -> Result<ModelName> {
    ModelName::parse(text).map_err(|invalid| Error::field("model", "model_name", invalid.to_string()))
}

/// A text that is no run id names no run.
pub(super) fn run_id(text: &str) -> Result<RunId> {
    RunId::parse(text).map_err(|_| Error::NoSuchRun(text.chars().take(100).collect()))
}

pub(super) fn page_size(size: u32) -> Result<u32> {
    match size {
        0 => Ok(DEFAULT_PAGE),
        size if size <= LARGEST_PAGE => Ok(size),
        _ => Err(Error::field(
            "page_size",
            "above_maximum",
            "must be 0 (the default, 100) to 1,000",
        )),
    }
}

/// A page token is the position to go on from, as text.
pub(super) fn run_token(token: &str) -> Result<Option<i64>> {
    match token {
        "" => Ok(None),
        token => match token.parse() {
            Ok(position) => Ok(Some(position)),
            Err(_) => Err(Error::field(
                "page_token",
                "page_token",
                "must be a token of an earlier answer",
            )),
        },
    }
}

pub(super) fn format_in(format: wire::TableFormat) -> Result<TableFormat> {
    match format {
        wire::TableFormat::Csv => Ok(TableFormat::Csv),
        wire::TableFormat::Parquet => Ok(TableFormat::Parquet),
        wire::TableFormat::Unspecified => Err(Error::field("header.format", "required", "must be CSV or PARQUET")),
    }
}

/// What is asked for, with the settings in place of what is not said. All bad fields are named at once.
pub(super) fn run_request_in(request: wire::StartRunRequest, settings: &Settings) -> Result<RunRequest> {
    let mut bad = Vec::new();
    let mut take = |parsed: Result<Option<Digest>>| {
        parsed.unwrap_or_else(|error| {
            collect(error, &mut bad);
            None
        })
    };
    let table = take(optional_digest("snapshot", &request.snapshot));
    let test = take(optional_digest("test_snapshot", &request.test_snapshot));
    let window = take(optional_digest("window_snapshot", &request.window_snapshot));
    let mut wrong = |field, rule, description: &str| {
        bad.push(BadField {
            field,
            rule,
            description: description.to_owned(),
        });
    };
    let names_a_table = !request.snapshot.is_empty() || !request.test_snapshot.is_empty();
    if names_a_table && !request.window_snapshot.is_empty() {
        wrong(
            "window_snapshot",
            "exclusive",
            "goes without snapshot and test_snapshot: its base is the champion's",
        );
    }
    if !request.test_snapshot.is_empty() && request.snapshot.is_empty() {
        wrong("test_snapshot", "needs_snapshot", "needs a snapshot to train on");
    }
    if request.test_share.is_some_and(|share| !is_test_share(share)) {
        wrong("test_share", "out_of_range", "must be above 0 and at most 0.5");
    }
    for (field, text) in [
        ("requested_by", &request.requested_by),
        ("report_id", &request.report_id),
        ("idempotency_key", &request.idempotency_key),
    ] {
        if text.chars().count() > MAX_TEXT_CHARS {
            wrong(field, "too_long", "must have at most 500 characters");
        }
    }
    let threshold = request.threshold.map(threshold_in).transpose();
    let threshold = threshold.unwrap_or_else(|error| {
        collect(error, &mut bad);
        None
    });
    let tuning = request.tuning.and_then(|tuning| {
        let taken = tuning_in(tuning, settings);
        taken.map_err(|error| collect(error, &mut bad)).ok()
    });
    let trigger = trigger_in(request.trigger());
    let model = match request.model.as_str() {
        "" => None,
        name => model_name(name).map_err(|error| collect(error, &mut bad)).ok(),
    };
    let model = model.unwrap_or_else(|| settings.model.clone());
    if !bad.is_empty() {
        return Err(Error::Invalid(bad));
    }
    let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
    let (input, default_share) = match (table, window) {
        (_, Some(window)) => (Input::Window { window }, settings.window_test_share),
        (Some(table), None) => (Input::Snapshot { table, test }, settings.test_share),
        (None, None) => (Input::Database, settings.test_share),
    };
    Ok(RunRequest {
        model,
        input,
        preset: or(request.preset, &settings.preset),
        seed: request.seed.unwrap_or(settings.seed),
        test_share: request.test_share.unwrap_or(default_share),
        trigger,
        requested_by: or(request.requested_by, ANONYMOUS),
        report_id: request.report_id,
        promote: request.promote.unwrap_or(true),
        idempotency_key: request.idempotency_key,
        threshold,
        tuning,
        import: None,
        target: None,
    })
}

/// The rule that stands in place of the parameter set's.
pub(super) fn threshold_in(rule: wire::ThresholdRule) -> Result<ThresholdRule> {
    use wire::threshold_rule::Rule;
    let rule = match rule.rule {
        None => {
            let problem = "must say best_f1, cost or capacity";
            return Err(Error::field("threshold.rule", "required", problem));
        }
        Some(Rule::BestF1(wire::BestF1Rule {})) => ThresholdRule::BestF1,
        Some(Rule::Cost(cost)) => ThresholdRule::Cost {
            offer_cost: cost.offer_cost,
            lost_margin: cost.lost_margin,
            success_rate: cost.success_rate,
        },
        Some(Rule::Capacity(capacity)) => ThresholdRule::Capacity {
            calls: capacity.calls,
            population: capacity.population,
        },
    };
    let bad = rule.violations().into_iter().map(|(field, problem)| BadField {
        field: match field {
            "offer_cost" => "threshold.cost.offer_cost",
            "lost_margin" => "threshold.cost.lost_margin",
            "success_rate" => "threshold.cost.success_rate",
            "calls" => "threshold.capacity.calls",
            _ => "threshold.capacity.population",
        },
        rule: "out_of_range",
        description: problem,
    });
    let bad: Vec<BadField> = bad.collect();
    if bad.is_empty() {
        Ok(rule)
    } else {
        Err(Error::Invalid(bad))
    }
}

fn trigger_in(trigger: wire::RunTrigger) -> Trigger {
    match trigger {
        wire::RunTrigger::Unspecified | wire::RunTrigger::Manual => Trigger::Manual,
        wire::RunTrigger::Schedule => Trigger::Schedule,
        wire::RunTrigger::Drift => Trigger::Drift,
    }
}

/// A search as it is asked for, with the settings in place of what is not said.
fn tuning_in(tuning: wire::Tuning, settings: &Settings) -> Result<TuningRequest> {
    let mut bad = Vec::new();
    let mut take = |field, value: u32, default: u32, range: &RangeInclusive<u32>, description: &str| {
        if value != 0 && !range.contains(&value) {
            bad.push(BadField {
                field,
                rule: "out_of_range",
                description: description.to_owned(),
            });
        }
        if value == 0 { default } else { value }
    };
    let defaults = settings.tuning;
    let wanted = TuningRequest {
        trials: take(
            "tuning.trials",
            tuning.trials,
            defaults.trials,
            &TRIALS,
            "must be 1 to 1,000",
        ),
        folds: take("tuning.folds", tuning.folds, defaults.folds, &FOLDS, "must be 2 to 20"),
        workers: take(
            "tuning.workers",
            tuning.workers,
            settings.tuning_workers(),
            &WORKERS,
            "must be 1 to 64",
        ),
        outer_folds: take(
            "tuning.outer_folds",
            tuning.outer_folds,
            0,
            &FOLDS,
            "must be 2 to 20, or 0 for none",
        ),
        early_stop: tuning.early_stop.unwrap_or(true),
        objective: defaults.objective,
    };
    if bad.is_empty() {
        Ok(wanted)
    } else {
        Err(Error::Invalid(bad))
    }
}

fn collect(error: Error, bad: &mut Vec<BadField>) {
    if let Error::Invalid(found) = error {
        bad.extend(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tuning::TuningObjective;

    fn fields(error: &Error) -> Vec<&'static str> {
        match error {
            Error::Invalid(bad) => bad.iter().map(|bad| bad.field).collect(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_not_said_is_in_the_settings() {
        let settings = Settings::on_free_ports();
        let request = run_request_in(wire::StartRunRequest::default(), &settings).unwrap();
        assert_eq!(request.input, Input::Database);
        assert_eq!(
            (request.preset.as_str(), request.seed, request.promote),
            ("default", 42, true)
        );
        assert_eq!((request.test_share, request.model.as_str()), (0.2, "churn"));
        let window = wire::StartRunRequest {
            window_snapshot: Digest::of(b"w").to_string(),
            ..wire::StartRunRequest::default()
        };
        assert_eq!(run_request_in(window, &settings).unwrap().test_share, 0.3);
    }

    fn with_threshold(rule: Option<wire::threshold_rule::Rule>) -> wire::StartRunRequest {
        wire::StartRunRequest {
            threshold: Some(wire::ThresholdRule { rule }),
            ..wire::StartRunRequest::default()
        }
    }

    #[test]
    fn a_threshold_rule_stands_in_place_of_the_parameter_sets() {
        use wire::threshold_rule::Rule;
        let settings = Settings::on_free_ports();
        let rule = |wire| run_request_in(with_threshold(Some(wire)), &settings).unwrap().threshold;
        assert_eq!(rule(Rule::BestF1(wire::BestF1Rule {})), Some(ThresholdRule::BestF1));
        let cost = wire::CostRule {
            offer_cost: 20.0,
            lost_margin: 400.0,
            success_rate: 0.3,
        };
        let expected = ThresholdRule::Cost {
            offer_cost: 20.0,
            lost_margin: 400.0,
            success_rate: 0.3,
        };
        assert_eq!(rule(Rule::Cost(cost)), Some(expected));
        let capacity = wire::CapacityRule {
            calls: 200,
            population: 10_127,
        };
        let expected = ThresholdRule::Capacity {
            calls: 200,
            population: 10_127,
        };
        assert_eq!(rule(Rule::Capacity(capacity)), Some(expected));
    }

    #[test]
    fn a_threshold_rule_outside_its_range_is_named_by_field() {
        use wire::threshold_rule::Rule;
        let cost = wire::CostRule {
            offer_cost: -1.0,
            lost_margin: f64::NAN,
            success_rate: 2.0,
        };
        let capacity = wire::CapacityRule {
            calls: 0,
            population: 0,
        };
        let more_calls_than_customers = wire::CapacityRule {
            calls: 9,
            population: 8,
        };
        let cases: [(Option<Rule>, &[&str]); 4] = [
            (None, &["threshold.rule"]),
            (
                Some(Rule::Cost(cost)),
                &[
                    "threshold.cost.offer_cost",
                    "threshold.cost.lost_margin",
                    "threshold.cost.success_rate",
                ],
            ),
            (Some(Rule::Capacity(capacity)), &["threshold.capacity.calls"]),
            (
                Some(Rule::Capacity(more_calls_than_customers)),
                &["threshold.capacity.population"],
            ),
        ];
        for (rule, expected) in cases {
            let error = run_request_in(with_threshold(rule), &Settings::on_free_ports()).unwrap_err();
            assert_eq!(fields(&error), expected);
        }
    }

    #[test]
    fn a_search_takes_what_is_not_said_from_the_settings() {
        let mut settings = Settings::on_free_ports();
        settings.threads = 3;
        let search = |tuning| {
            let request = wire::StartRunRequest {
                tuning,
                ..wire::StartRunRequest::default()
            };
            run_request_in(request, &settings).unwrap().tuning
        };
        assert_eq!(search(None), None);
        let expected = TuningRequest {
            trials: 50,
            folds: 5,
            workers: 3,
            outer_folds: 0,
            early_stop: true,
            objective: TuningObjective::RocAuc,
        };
        assert_eq!(search(Some(wire::Tuning::default())), Some(expected));
        let said = wire::Tuning {
            trials: 7,
            early_stop: Some(false),
            ..wire::Tuning::default()
        };
        let expected = TuningRequest {
            trials: 7,
            early_stop: false,
            ..expected
        };
        assert_eq!(search(Some(said)), Some(expected));
    }

    #[test]
    fn an_asker_is_who_was_named() {
        for (said, asker) in [("", None), ("anonymous", None), ("ada", Some("ada"))] {
            let request = wire::StartRunRequest {
                requested_by: said.into(),
                ..wire::StartRunRequest::default()
            };
            let request = run_request_in(request, &Settings::on_free_ports()).unwrap();
            assert_eq!(request.asker(), asker);
        }
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let request = wire::StartRunRequest {
            model: "Churn!".into(),
            window_snapshot: "abc".into(),
            test_snapshot: Digest::of(b"t").to_string(),
            test_share: Some(0.9),
            requested_by: "x".repeat(501),
            tuning: Some(wire::Tuning {
                trials: 1_001,
                outer_folds: 1,
                ..wire::Tuning::default()
            }),
            ..wire::StartRunRequest::default()
        };
        let error = run_request_in(request, &Settings::on_free_ports()).unwrap_err();
        let expected = [
            "window_snapshot",
            "window_snapshot",
            "test_snapshot",
            "test_share",
            "requested_by",
            "tuning.trials",
            "tuning.outer_folds",
            "model",
        ];
        assert_eq!(fields(&error), expected);
    }
}
