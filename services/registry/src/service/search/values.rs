//! Raw tests into typed ones: which comparators and values fit what is tested.

use super::clauses::{KeyTest, NumberOp, TextTest, TimeTest};
use super::scan::{RawTest, RawValue};

/// Whether `IN` and `NOT IN` are allowed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lists {
    /// They are.
    Allowed,
    /// They are not; these keys have them.
    OnlyFor(&'static [&'static str]),
}

/// Whether a number is taken for a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unquoted {
    /// It is not.
    Refused,
    /// It is: logged models have `params.lr = 0.01`.
    Numbers,
}

const NUMBER_OPS: &[&str] = &["=", "!=", ">", ">=", "<", "<="];
const TEXT_OPS: &[&str] = &["=", "!=", "LIKE", "ILIKE"];
const LIST_OPS: &[&str] = &["IN", "NOT IN"];
const NULL_OPS: &[&str] = &["IS NULL", "IS NOT NULL"];

/// The names of a list, for an error.
pub(super) fn listed(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("'{name}'"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn invalid_comparator(what: &str, found: &str, allowed: &[&[&str]]) -> String {
    format!(
        "invalid comparator '{found}' for {what}, not one of {}",
        listed(&allowed.concat())
    )
}

fn name_of(test: &RawTest<'_>) -> String {
    match test {
        RawTest::Compare(operator, _) => operator.clone(),
        RawTest::In(_) => "IN".to_owned(),
        RawTest::NotIn(_) => "NOT IN".to_owned(),
        RawTest::Null => "IS NULL".to_owned(),
        RawTest::NotNull => "IS NOT NULL".to_owned(),
    }
}

fn number_op(operator: &str) -> Option<NumberOp> {
    Some(match operator {
        "=" => NumberOp::Equal,
        "!=" => NumberOp::NotEqual,
        ">" => NumberOp::Greater,
        ">=" => NumberOp::GreaterOrEqual,
        "<" => NumberOp::Less,
        "<=" => NumberOp::LessOrEqual,
        _ => return None,
    })
}

/// A comparison with a number, which is still text; the comparator first.
pub(super) fn number<'a>(what: &str, test: &RawTest<'a>) -> Result<(NumberOp, RawValue<'a>), String> {
    let refused = || invalid_comparator(what, &name_of(test), &[NUMBER_OPS]);
    let RawTest::Compare(operator, value) = test else {
        return Err(refused());
    };
    let op = number_op(operator).ok_or_else(refused)?;
    Ok((op, *value))
}

fn numeric_expected(what: &str, found: RawValue<'_>) -> String {
    format!("expected numeric value type for {what}, found {}", found.shown())
}

/// A comparison of a metric.
pub(super) fn metric(test: &RawTest<'_>) -> Result<(NumberOp, f64), String> {
    let (op, value) = number("metric", test)?;
    match value {
        RawValue::Integer(text) | RawValue::Float(text) => text
            .parse()
            .map(|value| (op, value))
            .map_err(|_| numeric_expected("metric", value)),
        RawValue::Text(_) | RawValue::Other(_) => Err(numeric_expected("metric", value)),
    }
}

/// Whether milliseconds may have a fraction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fractions {
    /// They may.
    Allowed,
    /// They may not.
    Refused,
}

/// A comparison of a time with milliseconds since 1970 UTC.
pub(super) fn time(key: &str, test: &RawTest<'_>, fractions: Fractions) -> Result<TimeTest, String> {
    let what = format!("numeric attribute: {key}");
    let (op, value) = number(&what, test)?;
    match (value, fractions) {
        (RawValue::Integer(text), _) => {
            // What is beyond 64 bits is beyond any time.
            let far = if text.starts_with('-') { i64::MIN } else { i64::MAX };
            let whole = text.parse().unwrap_or(far);
            Ok(time_test(op, whole, whole))
        }
        (RawValue::Float(text), Fractions::Allowed) => {
            let millis: f64 = text.parse().map_err(|_| numeric_expected(&what, value))?;
            // The casts saturate, as wanted.
            Ok(time_test(op, millis.floor() as i64, millis.ceil() as i64))
        }
        (RawValue::Float(text), Fractions::Refused) => Err(format!(
            "invalid value for numeric attribute '{key}': {text} is not whole"
        )),
        (RawValue::Text(_) | RawValue::Other(_), _) => Err(numeric_expected(&what, value)),
    }
}

/// The test of a time against a number between the whole milliseconds `floor` and `ceil`, which are equal when it is whole.
fn time_test(op: NumberOp, floor: i64, ceil: i64) -> TimeTest {
    let micros = |millis: i64| millis.saturating_mul(1_000);
    let behind = micros(floor.saturating_add(1));
    let equal = if floor == ceil { micros(floor)..behind } else { 0..0 };
    match op {
        NumberOp::Equal => TimeTest::Inside(equal),
        NumberOp::NotEqual => TimeTest::Outside(equal),
        NumberOp::Greater => TimeTest::Inside(behind..i64::MAX),
        NumberOp::GreaterOrEqual => TimeTest::Inside(micros(ceil)..i64::MAX),
        NumberOp::Less => TimeTest::Inside(i64::MIN..micros(ceil)),
        NumberOp::LessOrEqual => TimeTest::Inside(i64::MIN..behind),
    }
}

/// A test of a text.
pub(super) fn text(what: &str, test: &RawTest<'_>, lists: Lists, unquoted: Unquoted) -> Result<TextTest, String> {
    match (test, lists) {
        (RawTest::Compare(operator, value), _) => {
            let make = match operator.as_str() {
                "=" => TextTest::Equal,
                "!=" => TextTest::NotEqual,
                "LIKE" => TextTest::Like,
                "ILIKE" => TextTest::ILike,
                other => return Err(invalid_comparator(what, other, &text_ops(lists))),
            };
            quoted(what, *value, unquoted).map(make)
        }
        (RawTest::In(list), Lists::Allowed) => Ok(TextTest::In(list.clone())),
        (RawTest::NotIn(list), Lists::Allowed) => Ok(TextTest::NotIn(list.clone())),
        (RawTest::In(_) | RawTest::NotIn(_), Lists::OnlyFor(&[])) => Err(format!(
            "expected a quoted string value for {what} (e.g. 'my-value'), got a list"
        )),
        (RawTest::In(_) | RawTest::NotIn(_), Lists::OnlyFor(keys)) => Err(format!(
            "only {} support comparison with a list of quoted string values",
            listed(keys)
        )),
        (RawTest::Null | RawTest::NotNull, _) => Err(invalid_comparator(what, &name_of(test), &text_ops(lists))),
    }
}

fn text_ops(lists: Lists) -> Vec<&'static [&'static str]> {
    match lists {
        Lists::Allowed => vec![TEXT_OPS, LIST_OPS],
        Lists::OnlyFor(_) => vec![TEXT_OPS],
    }
}

fn quoted(what: &str, value: RawValue<'_>, unquoted: Unquoted) -> Result<String, String> {
    match (value, unquoted) {
        (RawValue::Text(text), _) => Ok(text.to_owned()),
        (RawValue::Integer(text) | RawValue::Float(text), Unquoted::Numbers) => Ok(text.to_owned()),
        (RawValue::Integer(_) | RawValue::Float(_) | RawValue::Other(_), _) => Err(format!(
            "expected a quoted string value for {what} (e.g. 'my-value'), got value {}; use either single or double quotes",
            value.shown()
        )),
    }
}

/// A test of a tag or parameter, or of its being there.
pub(super) fn key_test(what: &str, test: &RawTest<'_>) -> Result<KeyTest, String> {
    match test {
        RawTest::Null => Ok(KeyTest::Absent),
        RawTest::NotNull => Ok(KeyTest::Present),
        RawTest::Compare(operator, _) if !TEXT_OPS.contains(&operator.as_str()) => {
            Err(invalid_comparator(what, operator, &[TEXT_OPS, NULL_OPS]))
        }
        RawTest::Compare(..) | RawTest::In(_) | RawTest::NotIn(_) => {
            text(what, test, Lists::OnlyFor(&[]), Unquoted::Refused).map(KeyTest::Value)
        }
    }
}

/// Refuses `IS NULL` where only tags (and parameters, where there are any) have it.
pub(super) fn not_null_test(test: &RawTest<'_>, kind: &str, key: &str, only: &str) -> Result<(), String> {
    match test {
        RawTest::Null | RawTest::NotNull => Err(format!(
            "IS NULL / IS NOT NULL is only supported for {only}, not for {kind} '{key}'"
        )),
        RawTest::Compare(..) | RawTest::In(_) | RawTest::NotIn(_) => Ok(()),
    }
}
