//! Tables and views of an SQLite database, opened read-only.
//!
//! One `SELECT` runs from start to end, so that what is read is one state of the table even while others write. Rows come in the table's
//! own (rowid) order.

use std::collections::VecDeque;
use std::path::Path;

use async_trait::async_trait;
use futures::TryStreamExt;
use holdfast_domain::{FieldValue, Rule, Violation};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Decode, Row, Sqlite, TypeInfo, ValueRef};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::error::{SourceError, require_file};
use crate::header::{self, Reading, Slot};
use crate::read::Source;
use crate::rows::Rows;
use crate::spec::TableName;

/// Rows the reading task hands over at a time, and how many such batches may wait: together they bound the memory.
const BATCH_ROWS: usize = 512;
const WAITING_BATCHES: usize = 2;

pub(crate) struct SqliteSource {
    name: String,
    column_names: Vec<String>,
    columns: Vec<(Slot, String)>,
    batches: mpsc::Receiver<Result<Vec<SqliteRow>, sqlx::Error>>,
    rest: VecDeque<SqliteRow>,
    /// Ends the query when the source is dropped before its end.
    _task: AbortOnDropHandle<()>,
}

impl SqliteSource {
    pub(crate) async fn open(
        name: String,
        path: &Path,
        table: &TableName,
        reading: &Reading,
    ) -> Result<Self, SourceError> {
        require_file(&name, path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .create_if_missing(false);
        let mut connection = options.connect().await.map_err(|error| failed(&name, &error))?;
        let found = column_names(&name, &mut connection, table).await?;
        let names: Vec<&str> = found.iter().map(String::as_str).collect();
        let slots = header::resolve(&names, reading).map_err(|violations| SourceError::columns(&name, violations))?;
        let columns: Vec<(Slot, String)> = slots
            .into_iter()
            .zip(&found)
            .filter_map(|(slot, column)| Some((slot?, column.clone())))
            .collect();
        // Safe to put together: the columns are quoted, and the table's name has letters, digits and underscores only.
        let list = columns
            .iter()
            .map(|(_, column)| quoted(column))
            .collect::<Vec<_>>()
            .join(", ");
        let query = format!("SELECT {list} FROM \"{table}\"");
        let (sender, batches) = mpsc::channel(WAITING_BATCHES);
        let task = AbortOnDropHandle::new(tokio::spawn(select(connection, query, sender)));
        Ok(Self {
            name,
            column_names: found,
            columns,
            batches,
            rest: VecDeque::new(),
            _task: task,
        })
    }
}

#[async_trait]
impl Source for SqliteSource {
    fn column_names(&self) -> &[String] {
        &self.column_names
    }

    async fn fill(&mut self, limit: usize, mut rows: Rows) -> Result<Rows, SourceError> {
        for _ in 0..limit {
            if self.rest.is_empty() {
                match self.batches.recv().await {
                    Some(batch) => self.rest = batch.map_err(|error| failed(&self.name, &error))?.into(),
                    None => break,
                }
            }
            if let Some(row) = self.rest.pop_front() {
                let columns = self.columns.iter().enumerate();
                rows.push(columns.map(|(index, (slot, column))| (*slot, field(&row, index, column))));
            }
        }
        Ok(rows)
    }
}

/// Runs the query and hands its rows over in batches, until the end or until nobody listens.
async fn select(
    mut connection: SqliteConnection,
    query: String,
    sender: mpsc::Sender<Result<Vec<SqliteRow>, sqlx::Error>>,
) {
    let mut stream = sqlx::query(AssertSqlSafe(query)).fetch(&mut connection);
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    loop {
        let last = match stream.try_next().await {
            Ok(Some(row)) => {
                batch.push(row);
                false
            }
            Ok(None) => true,
            Err(error) => {
                // A receiver that is gone does not want the error either.
                let _ = sender.send(Err(error)).await;
                return;
            }
        };
        if (last && !batch.is_empty()) || batch.len() == BATCH_ROWS {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_ROWS));
            if sender.send(Ok(full)).await.is_err() {
                return;
            }
        }
        if last {
            break;
        }
    }
    drop(stream);
    // Closing is a courtesy: all rows are read.
    let _ = connection.close().await;
}

async fn column_names(
    name: &str,
    connection: &mut SqliteConnection,
    table: &TableName,
) -> Result<Vec<String>, SourceError> {
    let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?1) ORDER BY cid")
        .bind(table.as_str())
        .fetch_all(&mut *connection)
        .await
        .map_err(|error| failed(name, &error))?;
    if !columns.is_empty() {
        return Ok(columns);
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name LIMIT 20",
    )
    .fetch_all(connection)
    .await
    .map_err(|error| failed(name, &error))?;
    let there = if tables.is_empty() {
        "it has no tables at all".to_owned()
    } else {
        format!("it has: {}", tables.join(", "))
    };
    Err(SourceError::malformed(
        name,
        format!("the database has no table {table}; {there}; choose one with ?table=NAME"),
    ))
}

fn field<'r>(row: &'r SqliteRow, index: usize, column: &str) -> Result<FieldValue<'r>, Violation> {
    let refuse = |what: &str| {
        Violation::new(
            column,
            Rule::Encoding,
            format!("{column} holds {what}; a number or text is needed"),
        )
    };
    let value = row.try_get_raw(index).map_err(|_| refuse("nothing that can be read"))?;
    if value.is_null() {
        return Ok(FieldValue::Missing);
    }
    let stored_as = value.type_info().name().to_owned();
    match stored_as.as_str() {
        "INTEGER" => <i64 as Decode<'_, Sqlite>>::decode(value)
            .map(FieldValue::Integer)
            .map_err(|_| refuse("an unreadable number")),
        "REAL" => <f64 as Decode<'_, Sqlite>>::decode(value)
            .map(FieldValue::Number)
            .map_err(|_| refuse("an unreadable number")),
        "TEXT" => <&str as Decode<'_, Sqlite>>::decode(value)
            .map(FieldValue::Text)
            .map_err(|_| refuse("text that is not UTF-8")),
        _ => Err(refuse("binary data")),
    }
}

/// A column's name as SQL takes any name.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// SQLite's own words, with the code for "not a database" put in ours.
pub(crate) fn failed(name: &str, error: &sqlx::Error) -> SourceError {
    const NOT_A_DATABASE: &str = "26";
    match error.as_database_error() {
        Some(database) if database.code().as_deref() == Some(NOT_A_DATABASE) => {
            SourceError::malformed(name, "it is not an SQLite database")
        }
        Some(database) => SourceError::Io {
            name: name.to_owned(),
            reason: database.message().to_owned(),
            cause: None,
        },
        None => SourceError::Io {
            name: name.to_owned(),
            reason: error.to_string(),
            cause: None,
        },
    }
}
