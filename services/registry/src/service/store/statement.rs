//! One SQL text for both databases: `$1` placeholders, values that know their type, rows decoded as tuples.

use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{FromRow, SqlSafeStr};

use crate::error::Result;

/// Which SQL a database understands, where one text does not do for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite.
    Sqlite,
    /// Postgres.
    Postgres,
}

impl Dialect {
    /// The text for this database.
    pub(crate) fn pick<'a>(self, sqlite: &'a str, postgres: &'a str) -> &'a str {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }
}

/// A row that both databases can decode: a tuple of `i64`, `f64`, `String` and options of them. All integer columns
/// are 64 bits wide in Postgres too.
pub(crate) trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// A bound value. A null has a type too, because Postgres asks for one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// BIGINT.
    Integer(Option<i64>),
    /// DOUBLE PRECISION. SQLite turns NaN to NULL.
    Real(Option<f64>),
    /// TEXT.
    Text(Option<String>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(Some(value.into()))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(Some(value))
    }
}

impl From<Option<f64>> for Value {
    fn from(value: Option<f64>) -> Self {
        Self::Real(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

/// Values to bind, in the order of the placeholders.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::service::store::Value::from($value)),*] };
}
pub(crate) use values;

/// The enum of two pools or of two connections, told apart once; the statement is compiled for both.
macro_rules! on_both {
    ($target:expr, $type:ident, $executor:ident => $body:expr) => {
        match $target {
            $type::Sqlite($executor) => $body,
            $type::Postgres($executor) => $body,
        }
    };
}

macro_rules! bound {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Value::Integer(value) => query.bind(value),
                Value::Real(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
            };
        }
        query
    }};
}

/// A connection within a transaction.
#[derive(Debug)]
pub(crate) enum Tx<'c> {
    /// Of SQLite; it holds the write lock.
    Sqlite(&'c mut SqliteConnection),
    /// Of Postgres, read committed.
    Postgres(&'c mut PgConnection),
}

impl Tx<'_> {
    /// Which SQL it understands.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement; answers how many rows it has changed.
    pub(crate) async fn execute(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<u64> {
        let sql = sql.into_sql_str();
        Ok(on_both!(self, Tx, connection =>
            bound!(sqlx::query(sql), values).execute(&mut **connection).await?.rows_affected()))
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional<R: Row>(
        &mut self,
        sql: impl SqlSafeStr,
        values: Vec<Value>,
    ) -> Result<Option<R>> {
        let sql = sql.into_sql_str();
        Ok(on_both!(self, Tx, connection =>
            bound!(sqlx::query_as::<_, R>(sql), values).fetch_optional(&mut **connection).await?))
    }

    /// All rows.
    pub(crate) async fn fetch_all<R: Row>(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Vec<R>> {
        let sql = sql.into_sql_str();
        Ok(on_both!(self, Tx, connection =>
            bound!(sqlx::query_as::<_, R>(sql), values).fetch_all(&mut **connection).await?))
    }

    /// The first row, which must be there.
    pub(crate) async fn fetch_one<R: Row>(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<R> {
        let found = self.fetch_optional(sql, values).await?;
        Ok(found.ok_or(sqlx::Error::RowNotFound)?)
    }

    /// Waits until no other transaction holds the lock of this name; the end of this one gives it back. For what reads
    /// before it writes: SQLite has one writer anyway, Postgres has many.
    pub(crate) async fn lock(&mut self, name: &str) -> Result<()> {
        if self.dialect() == Dialect::Postgres {
            let sql = "SELECT 1::bigint FROM (SELECT pg_advisory_xact_lock(hashtextextended($1, 0))) AS held";
            self.fetch_one::<(i64,)>(sql, values![name]).await?;
        }
        Ok(())
    }
}

/// The pools that reads go to.
#[derive(Clone, Debug)]
pub(crate) enum Readers {
    /// Of SQLite, read only.
    Sqlite(SqlitePool),
    /// Of Postgres.
    Postgres(PgPool),
}

impl Readers {
    /// All rows.
    pub(crate) async fn fetch_all<R: Row>(&self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Vec<R>> {
        let sql = sql.into_sql_str();
        Ok(on_both!(self, Readers, pool => bound!(sqlx::query_as::<_, R>(sql), values).fetch_all(pool).await?))
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional<R: Row>(&self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Option<R>> {
        let sql = sql.into_sql_str();
        Ok(on_both!(self, Readers, pool => bound!(sqlx::query_as::<_, R>(sql), values).fetch_optional(pool).await?))
    }
}
