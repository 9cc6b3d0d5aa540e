//! Conditions of searches: typed tests in, SQL with placeholders and the values for them out.

use super::statement::{Dialect, Value};
use crate::service::search::{Direction, KeyTest, NumberOp, Order, TextTest, TimeTest};

/// A `WHERE` in the making: conditions with placeholders, and the values for them.
#[derive(Debug)]
pub(super) struct Conditions {
    pub(super) dialect: Dialect,
    pub(super) conditions: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            conditions: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, condition: impl Into<String>) {
        self.conditions.push(condition.into());
    }

    /// All of them, joined; true when there is none.
    pub(super) fn all(&self) -> String {
        if self.conditions.is_empty() {
            return "1 = 1".to_owned();
        }
        self.conditions.join(" AND ")
    }

    /// The placeholder of a value.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Placeholders of a list.
    pub(super) fn bind_all<V: Into<Value>>(&mut self, list: impl IntoIterator<Item = V>) -> String {
        let bound: Vec<String> = list.into_iter().map(|value| self.bind(value)).collect();
        bound.join(", ")
    }

    /// A test of a text; one that is null does not pass.
    pub(super) fn text(&mut self, column: &str, test: &TextTest) -> String {
        match test {
            TextTest::Equal(text) => format!("{column} = {}", self.bind(text)),
            TextTest::NotEqual(text) => format!("{column} <> {}", self.bind(text)),
            TextTest::In(texts) => format!("{column} IN ({})", self.bind_all(texts)),
            TextTest::NotIn(texts) => format!("{column} NOT IN ({})", self.bind_all(texts)),
            TextTest::Like(pattern) => {
                let pattern = self.bind(pattern);
                match self.dialect {
                    Dialect::Sqlite => format!("{column} LIKE {pattern}"),
                    // The backslash escapes nothing in MLflow.
                    Dialect::Postgres => format!("{column} LIKE {pattern} ESCAPE ''"),
                }
            }
            TextTest::ILike(pattern) => {
                let pattern = self.bind(pattern);
                match self.dialect {
                    Dialect::Sqlite => format!("lower({column}) LIKE lower({pattern})"),
                    Dialect::Postgres => format!("{column} ILIKE {pattern} ESCAPE ''"),
                }
            }
        }
    }

    /// A test of a time in microseconds; one that is null does not pass.
    pub(super) fn time(&mut self, column: &str, test: &TimeTest) -> String {
        match test {
            TimeTest::Inside(range) => {
                let (start, end) = (self.bind(range.start), self.bind(range.end));
                format!("({column} >= {start} AND {column} < {end})")
            }
            TimeTest::Outside(range) if range.is_empty() => format!("{column} IS NOT NULL"),
            TimeTest::Outside(range) => {
                let (start, end) = (self.bind(range.start), self.bind(range.end));
                format!("({column} < {start} OR {column} >= {end})")
            }
        }
    }

    /// A test of the row with a key among pairs: `of` is a table with the alias `t` and what ties it to the row outside.
    pub(super) fn pair(&mut self, of: &str, key: &str, test: &KeyTest) -> String {
        let key = self.bind(key);
        match test {
            KeyTest::Value(test) => {
                let passes = self.text("t.value", test);
                format!("EXISTS (SELECT 1 FROM {of} AND t.key = {key} AND {passes})")
            }
            KeyTest::Present => format!("EXISTS (SELECT 1 FROM {of} AND t.key = {key})"),
            KeyTest::Absent => format!("NOT EXISTS (SELECT 1 FROM {of} AND t.key = {key})"),
        }
    }

    /// The whole statement.
    pub(super) fn finish(mut self, what: &str, order: &str, limit: u32, offset: u64) -> (String, Vec<Value>) {
        let limit = self.bind(limit);
        let offset = self.bind(i64::try_from(offset).unwrap_or(i64::MAX));
        let conditions = self.all();
        let sql = format!("SELECT {what} WHERE {conditions} ORDER BY {order} LIMIT {limit} OFFSET {offset}");
        (sql, self.values)
    }
}

/// How SQL writes it.
pub(super) fn comparator(op: NumberOp) -> &'static str {
    match op {
        NumberOp::Equal => "=",
        NumberOp::NotEqual => "<>",
        NumberOp::Greater => ">",
        NumberOp::GreaterOrEqual => ">=",
        NumberOp::Less => "<",
        NumberOp::LessOrEqual => "<=",
    }
}

/// How SQL writes it.
pub(super) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    }
}

/// An `ORDER BY` over columns that are never null.
pub(super) fn order_by<K: Copy>(order: &[Order<K>], ties: &str, column: impl Fn(K) -> &'static str) -> String {
    let keys = order
        .iter()
        .map(|key| format!("{} {}", column(key.by), direction(key.direction)));
    keys.chain([ties.to_owned()]).collect::<Vec<_>>().join(", ")
}
