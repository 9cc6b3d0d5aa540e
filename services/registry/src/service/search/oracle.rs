//! The language against MLflow's own: what its parser and its store make of generated filters and orders stands in
//! `tests/fixtures/search/expressions.jsonl`, which `generate.py` beside it has written.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Direction, KeyTest, LoggedModelOrderField, NumberOp, RunClause, RunText, RunTime, TextTest, TimeTest,
    experiment_filter, experiment_order, logged_model_filter, logged_model_order, registered_model_filter,
    registered_model_order, run_filter, run_order, version_filter, version_order,
};
use crate::error::Violation;
use crate::service::search::DatasetText;

#[derive(Debug, Deserialize)]
struct Expression {
    of: String,
    filter: Option<String>,
    order: Option<String>,
    taken: bool,
    clauses: Option<Value>,
}

/// A kind of difference that is meant.
struct Exception {
    /// Of which searches; "any" of all.
    of: &'static str,
    covers: fn(&Expression) -> bool,
    why: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        of: "any",
        covers: |expression| expression.text().contains("``"),
        why: "MLflow takes an empty key and finds nothing; we say that it is empty",
    },
    Exception {
        of: "experiments",
        covers: |expression| expression.text().contains("iLike"),
        why: "MLflow wants ILIKE in one case of letters here, and in any elsewhere; we take any",
    },
    Exception {
        of: "models",
        covers: |expression| expression.order.is_some(),
        why: "MLflow orders models by fewer names than it has for versions; we take the same for both",
    },
    Exception {
        of: "versions",
        covers: |expression| expression.order.as_ref().is_some_and(|order| order.starts_with("tag")),
        why: "MLflow takes the key of a tag for an attribute of that name; we say that tags are no order",
    },
    Exception {
        of: "logged",
        covers: |expression| expression.text().contains("NaN") && expression.taken,
        why: "MLflow takes NaN as the bound of a metric, which nothing passes; we refuse it as for runs",
    },
    Exception {
        of: "logged",
        covers: |expression| expression.text().contains(",1)") && expression.taken,
        why: "MLflow takes a list of texts and numbers; we want one kind",
    },
    Exception {
        of: "logged",
        covers: |expression| {
            !expression.taken && (expression.text().contains("-2") || expression.text().contains("1."))
        },
        why: "MLflow wants a time in digits alone here, and takes any number for runs; we take any",
    },
];

impl Expression {
    fn text(&self) -> &str {
        self.filter.as_deref().or(self.order.as_deref()).unwrap_or_default()
    }

    /// Whether it may differ.
    fn is_excepted(&self) -> bool {
        let met = EXCEPTIONS
            .iter()
            .find(|exception| (exception.of == "any" || exception.of == self.of) && (exception.covers)(self));
        met.is_some_and(|exception| !exception.why.is_empty())
    }
}

fn expressions() -> Vec<Expression> {
    let text = include_str!("../../../../../tests/fixtures/search/expressions.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether we take it.
fn parsed(expression: &Expression) -> Result<(), Violation> {
    let order = expression.order.clone().into_iter().collect::<Vec<_>>();
    let filter = expression.filter.as_deref().unwrap_or_default();
    match expression.of.as_str() {
        "runs" => run_filter(filter).and(run_order(&order).map(drop)),
        "experiments" => experiment_filter(filter).and(experiment_order(&order).map(drop)),
        "models" => registered_model_filter(filter).and(registered_model_order(&order).map(drop)),
        "versions" => version_filter(filter).and(version_order(&order).map(drop)),
        _ => {
            let fields = order.iter().map(|field| LoggedModelOrderField {
                field,
                direction: Direction::Ascending,
                dataset_name: "",
                dataset_digest: "",
            });
            logged_model_filter(filter).and(logged_model_order(&fields.collect::<Vec<_>>()).map(drop))
        }
    }
}

fn number_op(op: NumberOp) -> &'static str {
    match op {
        NumberOp::Equal => "=",
        NumberOp::NotEqual => "!=",
        NumberOp::Greater => ">",
        NumberOp::GreaterOrEqual => ">=",
        NumberOp::Less => "<",
        NumberOp::LessOrEqual => "<=",
    }
}

fn text_test(test: &TextTest) -> (&'static str, Value) {
    match test {
        TextTest::Equal(text) => ("=", json!(text)),
        TextTest::NotEqual(text) => ("!=", json!(text)),
        TextTest::Like(text) => ("LIKE", json!(text)),
        TextTest::ILike(text) => ("ILIKE", json!(text)),
        TextTest::In(list) => ("IN", json!(list)),
        TextTest::NotIn(list) => ("NOT IN", json!(list)),
    }
}

fn keyed(kind: &str, key: &str, test: &KeyTest) -> Value {
    match test {
        KeyTest::Absent => json!([kind, key, "IS NULL", null]),
        KeyTest::Present => json!([kind, key, "IS NOT NULL", null]),
        KeyTest::Value(test) => {
            let (op, value) = text_test(test);
            json!([kind, key, op, value])
        }
    }
}

/// A clause as the fixture has it.
fn told(clause: &RunClause) -> Value {
    match clause {
        RunClause::Metric { key, op, value } => json!(["metric", key, number_op(*op), value]),
        RunClause::Param { key, test } => keyed("parameter", key, test),
        RunClause::Tag { key, test } => keyed("tag", key, test),
        RunClause::Text { attribute, test } => {
            let (op, value) = text_test(test);
            let key = match attribute {
                RunText::RunId => "run_id",
                RunText::Name => "run_name",
                RunText::Status => "status",
                RunText::UserId => "user_id",
                RunText::ArtifactUri => "artifact_uri",
            };
            json!(["attribute", key, op, value])
        }
        RunClause::Time { attribute, test } => {
            let key = match attribute {
                RunTime::StartedAt => "start_time",
                RunTime::EndedAt => "end_time",
            };
            match test {
                TimeTest::Inside(range) => json!(["time", key, "inside", range.start, range.end]),
                TimeTest::Outside(range) => json!(["time", key, "outside", range.start, range.end]),
            }
        }
        RunClause::Dataset { attribute, test } => {
            let (op, value) = text_test(test);
            let key = match attribute {
                DatasetText::Name => "name",
                DatasetText::Digest => "digest",
                DatasetText::Context => "context",
            };
            json!(["dataset", key, op, value])
        }
    }
}

#[test]
fn what_mlflow_takes_is_taken_and_what_it_refuses_is_refused() {
    let (mut differ, mut excepted) = (Vec::new(), 0);
    let all = expressions();
    for expression in &all {
        let ours = parsed(expression);
        if ours.is_ok() == expression.taken {
            continue;
        }
        excepted += usize::from(expression.is_excepted());
        if !expression.is_excepted() {
            let (of, text, taken) = (&expression.of, expression.text(), expression.taken);
            let why = ours.err().map(|violation| violation.description);
            differ.push(format!("{of} {text:?} MLflow {taken} we {why:?}"));
        }
    }
    assert!(excepted < all.len() / 100, "{excepted} exceptions are no exceptions");
    assert!(
        differ.is_empty(),
        "{} of {}:\n{}",
        differ.len(),
        all.len(),
        differ.join("\n")
    );
}

#[test]
fn filters_of_runs_are_read_as_mlflow_reads_them() {
    let mut differ = Vec::new();
    for expression in expressions() {
        let (Some(filter), Some(theirs)) = (&expression.filter, &expression.clauses) else {
            continue;
        };
        let Ok(clauses) = run_filter(filter) else { continue };
        let ours = Value::from(clauses.iter().map(told).collect::<Vec<_>>());
        if ours != *theirs {
            differ.push(format!("{filter:?}\n  MLflow {theirs}\n  we     {ours}"));
        }
    }
    assert!(differ.is_empty(), "{}:\n{}", differ.len(), differ.join("\n"));
}
