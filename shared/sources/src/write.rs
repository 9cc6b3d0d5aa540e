//! Writing customers out as a CSV file or an SQLite table, in the form [`read`](crate::read) takes back.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use holdfast_domain::{Column, Customer, FeatureKind, FieldValue, Schema};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, QueryBuilder, Sqlite};
use tokio::io::AsyncWriteExt;

use crate::error::SourceError;
use crate::spec::{SourceSpec, TableName};
use crate::sqlite::{failed, quoted};

/// Rows put into one write: of a CSV file, to bound the memory; of an `INSERT`, to stay under SQLite's 32,766 parameters.
const CSV_ROWS: usize = 8_192;
const INSERT_ROWS: usize = 1_000;

/// Writes customers to a CSV file (replacing it in one step) or to a new table of an SQLite database (made when it is not there).
///
/// Boxed, so that its code is generated once, here, and not again in every crate that waits for it.
///
/// # Errors
/// [`SourceError::Unsupported`] for other kinds and for a table that exists already, or what kept it from being written.
pub fn write<'a>(
    spec: &'a SourceSpec,
    customers: &'a [Customer],
    schema: &'a Schema,
) -> BoxFuture<'a, Result<(), SourceError>> {
    Box::pin(written(spec, customers, schema))
}

async fn written(spec: &SourceSpec, customers: &[Customer], schema: &Schema) -> Result<(), SourceError> {
    let name = spec.to_string();
    match spec {
        SourceSpec::Csv { path } => write_csv(&name, path, customers, schema).await,
        SourceSpec::Sqlite { path, table } => write_sqlite(&name, path, table, customers, schema).await,
        SourceSpec::Parquet { .. } | SourceSpec::S3(_) | SourceSpec::MySql(_) | SourceSpec::Postgres(_) => {
            let reason =
                "customers can be written to a .csv file or to an SQLite database such as bank.db?table=customers";
            Err(SourceError::unsupported(name, reason))
        }
    }
}

async fn write_csv(name: &str, path: &Path, customers: &[Customer], schema: &Schema) -> Result<(), SourceError> {
    let fail = |error| SourceError::Io {
        name: name.to_owned(),
        reason: format!("writing failed: {error}"),
        cause: Some(error),
    };
    // A pipe or a device cannot be replaced, only written to.
    let in_place = tokio::fs::metadata(path)
        .await
        .is_ok_and(|metadata| !metadata.is_file());
    let target = if in_place { path.to_owned() } else { partial(path) };
    let mut file = tokio::fs::File::create(&target).await.map_err(fail)?;
    file.write_all(csv_header(schema).map_err(fail)?.as_slice())
        .await
        .map_err(fail)?;
    for chunk in customers.chunks(CSV_ROWS) {
        file.write_all(csv_rows(chunk, schema).map_err(fail)?.as_slice())
            .await
            .map_err(fail)?;
    }
    file.flush().await.map_err(fail)?;
    if !in_place {
        file.sync_all().await.map_err(fail)?;
        tokio::fs::rename(&target, path).await.map_err(fail)?;
    }
    Ok(())
}

/// The neighbour a file grows in until it is whole.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

fn csv_header(schema: &Schema) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(schema.column_names())?;
    writer.into_inner().map_err(|error| error.into_error())
}

fn csv_rows(customers: &[Customer], schema: &Schema) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(customers.len() * 128));
    for customer in customers {
        for (_, value) in schema.fields(customer) {
            match value {
                FieldValue::Missing => writer.write_field("")?,
                FieldValue::Number(number) => writer.write_field(number.to_string())?,
                FieldValue::Integer(number) => writer.write_field(number.to_string())?,
                FieldValue::Text(text) => writer.write_field(text)?,
            }
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.into_inner().map_err(|error| error.into_error())
}

async fn write_sqlite(
    name: &str,
    path: &Path,
    table: &TableName,
    customers: &[Customer],
    schema: &Schema,
) -> Result<(), SourceError> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.map_err(|error| failed(name, &error))?;
    let written = insert_all(name, &mut connection, table, customers, schema).await;
    connection.close().await.map_err(|error| failed(name, &error))?;
    written
}

async fn insert_all(
    name: &str,
    connection: &mut SqliteConnection,
    table: &TableName,
    customers: &[Customer],
    schema: &Schema,
) -> Result<(), SourceError> {
    let fail = |error: sqlx::Error| failed(name, &error);
    let mut transaction = connection.begin().await.map_err(fail)?;
    let there: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = ?1 COLLATE NOCASE")
        .bind(table.as_str())
        .fetch_one(&mut *transaction)
        .await
        .map_err(fail)?;
    if there > 0 {
        let reason = format!("the database has a table {table} already; name another with ?table=NAME");
        return Err(SourceError::unsupported(name, reason));
    }
    sqlx::query(AssertSqlSafe(create_table(table, schema)))
        .execute(&mut *transaction)
        .await
        .map_err(fail)?;
    for chunk in customers.chunks(INSERT_ROWS) {
        insert(table, chunk, schema)
            .build()
            .execute(&mut *transaction)
            .await
            .map_err(fail)?;
    }
    transaction.commit().await.map_err(fail)
}

/// Safe to put together: the columns are quoted, and the table's name has letters, digits and underscores only.
fn create_table(table: &TableName, schema: &Schema) -> String {
    let sql_type = |column: &Column| match column.kind {
        FeatureKind::Categorical => "TEXT",
        FeatureKind::Numeric if column.integer => "INTEGER",
        FeatureKind::Numeric => "REAL",
    };
    let head = [
        format!("{} INTEGER", quoted(&schema.key().name)),
        format!("{} TEXT", quoted(&schema.target().name)),
    ];
    let features = schema
        .columns()
        .iter()
        .map(|column| format!("{} {}", quoted(column.name()), sql_type(column)));
    let columns: Vec<String> = head.into_iter().chain(features).collect();
    format!("CREATE TABLE \"{table}\" ({})", columns.join(", "))
}

fn insert(table: &TableName, customers: &[Customer], schema: &Schema) -> QueryBuilder<Sqlite> {
    let columns: Vec<String> = schema.column_names().map(quoted).collect();
    let mut query = QueryBuilder::new(format!("INSERT INTO \"{table}\" ({}) ", columns.join(", ")));
    query.push_values(customers, |mut row, customer| {
        for (_, value) in schema.fields(customer) {
            match value {
                FieldValue::Missing => row.push_bind(None::<f64>),
                FieldValue::Number(number) => row.push_bind(number),
                FieldValue::Integer(number) => row.push_bind(number),
                FieldValue::Text(text) => row.push_bind(text.to_owned()),
            };
        }
    });
    query
}
