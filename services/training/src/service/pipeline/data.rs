//! The first steps: rows come in, are checked, and are parted into rows to learn from and rows to test on.

use std::collections::HashMap;

use holdfast_domain::{Customer, CustomerKey, Digest, Rule, Violation, validate_table};
use holdfast_records::snapshot::{self, SnapshotSource};
use holdfast_sources::SourceSpec;

use super::Parts;
use super::error::StepError;
use super::job::{Job, Made};
use crate::error::Error;
use crate::service::rows::{TrainTest, labels, split_table, with_window};
use crate::service::runs::{Input, Violations};
use crate::service::snapshots::read_table;

/// Fewer test rows of a class than this, and no quality can be measured.
const LEAST_OF_A_CLASS: usize = 2;

/// A table, and where it lies.
pub(super) struct Table {
    name: String,
    rows: Vec<Customer>,
    /// `None` for rows of the database, which are no snapshot yet.
    snapshot: Option<Digest>,
}

/// The tables of a run.
pub(super) enum Tables {
    /// To be split.
    Whole(Table),
    /// Given as they are.
    Parted { train: Table, test: Table },
    /// What the champion rests on, and newer rows.
    Window { train: Table, test: Table, window: Table },
}

/// Tables that hold.
pub(super) struct Valid(Tables);

/// The rows of a run, with the names of their snapshots.
pub(super) struct Split {
    pub(super) rows: TrainTest,
    pub(super) training: Digest,
    pub(super) test: Digest,
    /// The held-out part of the window, when there is one that can be measured on.
    pub(super) newest_window: Option<Digest>,
}

/// Reads the rows.
pub(super) async fn ingest(job: &Job) -> Result<Made<Tables>, StepError> {
    let tables = match &job.request.input {
        Input::Snapshot { table, test: None } => Tables::Whole(read(job, "the table", table).await?),
        Input::Snapshot {
            table,
            test: Some(test),
        } => Tables::Parted {
            train: read(job, "the training table", table).await?,
            test: read(job, "the test table", test).await?,
        },
        Input::Database => Tables::Whole(read_database(job).await?),
        Input::Window { window } => ingest_window(job, window).await?,
    };
    let counts: Vec<String> = tables
        .all()
        .map(|table| format!("{} of {}", table.rows.len(), table.name))
        .collect();
    Ok(Made {
        message: format!("rows: {}", counts.join(", ")),
        value: tables,
    })
}

async fn read(job: &Job, name: &str, digest: &Digest) -> Result<Table, StepError> {
    let read = snapshot::read(&*job.parts.blobs, digest, job.parts.schema).await;
    let (_, rows) = read.map_err(|error| {
        if error.is_not_found() {
            StepError::NoSuchSnapshot(*digest)
        } else {
            error.into()
        }
    })?;
    Ok(Table {
        name: name.to_owned(),
        rows,
        snapshot: Some(*digest),
    })
}

async fn read_database(job: &Job) -> Result<Table, StepError> {
    let (name, rows) = database_rows(&job.parts).await?;
    Ok(Table {
        name,
        rows,
        snapshot: None,
    })
}

/// The rows of the configured database, and its name.
pub(super) async fn database_rows(parts: &Parts) -> Result<(String, Vec<Customer>), StepError> {
    let source = parts.database.as_ref().ok_or(StepError::Service(Error::NoDatabase))?;
    let spec = SourceSpec::parse(source.expose()).map_err(|error| StepError::Unreadable {
        table: "the database".to_owned(),
        reason: error.to_string(),
    })?;
    // A manifest holds no path of this machine.
    let name = match &spec {
        SourceSpec::Sqlite { path, table } => {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            format!("sqlite://{file}?table={table}")
        }
        server => server.to_string(),
    };
    let rows = read_table(&spec, &name, parts.schema).await?;
    Ok((name, rows))
}

async fn ingest_window(job: &Job, window: &Digest) -> Result<Tables, StepError> {
    let model = &job.request.model;
    let champion = job.parts.registry.champion(model).await?;
    let champion = champion.ok_or_else(|| StepError::NoChampion(model.to_string()))?;
    let version = champion.id.version;
    let rests_on = job.parts.registry.snapshots(model, version).await?;
    let missing = |what| StepError::NoChampionRows { version, what };
    let training = rests_on.training.ok_or_else(|| missing("training"))?;
    let test = rests_on.test.ok_or_else(|| missing("test"))?;
    Ok(Tables::Window {
        train: read(job, "the champion's training rows", &training).await?,
        test: read(job, "the champion's test rows", &test).await?,
        window: read(job, "the window", window).await?,
    })
}

impl Tables {
    fn all(&self) -> impl Iterator<Item = &Table> {
        let tables = match self {
            Tables::Whole(table) => [Some(table), None, None],
            Tables::Parted { train, test } => [Some(train), Some(test), None],
            Tables::Window { train, test, window } => [Some(train), Some(test), Some(window)],
        };
        tables.into_iter().flatten()
    }
}

/// Checks every table as a whole, and that no customer is on both sides of a test that was given.
pub(super) async fn validate(job: &Job, tables: Tables) -> Result<Made<Valid>, StepError> {
    let schema = job.parts.schema;
    let checked = tokio::task::spawn_blocking(move || {
        for table in tables.all() {
            validate_table(&table.rows, schema).map_err(|found| invalid(&table.name, found))?;
        }
        if let Tables::Parted { train, test } = &tables {
            let name = &schema.key().name;
            let shared = shared_customers(&train.rows, &test.rows, name);
            if !shared.is_empty() {
                return Err(invalid(&test.name, shared));
            }
        }
        Ok(tables)
    });
    let tables = checked.await??;
    let rows: usize = tables.all().map(|table| table.rows.len()).sum();
    Ok(Made {
        value: Valid(tables),
        message: format!("{rows} rows hold"),
    })
}

fn invalid(table: &str, found: Vec<Violation>) -> StepError {
    StepError::Table {
        table: table.to_owned(),
        violations: Violations::new(found, 0),
    }
}

/// A test on customers that were learnt from proves nothing.
fn shared_customers(train: &[Customer], test: &[Customer], key_name: &str) -> Vec<Violation> {
    let places: HashMap<CustomerKey, u64> = (1..)
        .zip(train)
        .filter_map(|(row, customer)| Some((customer.key?, row)))
        .collect();
    let shared = (1..).zip(test).filter_map(|(row, customer)| {
        let key = customer.key?;
        let message = format!(
            "{key_name} {key} is in row {} of the training table as well",
            places.get(&key)?
        );
        Some(Violation::new(key_name, Rule::DuplicateKey, message).in_row(row))
    });
    shared.collect()
}

/// Parts the rows and stores both sides as snapshots.
pub(super) async fn transform(job: &Job, Valid(tables): Valid) -> Result<Made<Split>, StepError> {
    let (seed, share) = (job.request.seed, job.request.test_share);
    let (rows, names) = match tables {
        Tables::Parted { train, test } => {
            let names = (train.snapshot, test.snapshot);
            let rows = TrainTest {
                train: train.rows,
                test: test.rows,
                newest_window: Vec::new(),
            };
            (rows, names)
        }
        Tables::Whole(table) => {
            let parent = match table.snapshot {
                Some(digest) => digest,
                None => store(job, &table.rows, &table.name, None, Vec::new()).await?,
            };
            let rows = split_table(&table.rows, share, seed);
            let how = |part: &str| format!("{part} part of a stratified split, test share {share}, seed {seed}");
            let train = store(job, &rows.train, "split", Some(how("training")), vec![parent]).await?;
            let test = store(job, &rows.test, "split", Some(how("test")), vec![parent]).await?;
            (rows, (Some(train), Some(test)))
        }
        Tables::Window { train, test, window } => {
            let rows = with_window(&train.rows, &test.rows, &window.rows, share, seed);
            let parents = |base: &Table| base.snapshot.into_iter().chain(window.snapshot).collect::<Vec<_>>();
            let how =
                |part: &str| format!("{part} rows of the champion and a window, held-out share {share}, seed {seed}");
            let trained = store(job, &rows.train, "window", Some(how("training")), parents(&train)).await?;
            let tested = store(job, &rows.test, "window", Some(how("test")), parents(&test)).await?;
            (rows, (Some(trained), Some(tested)))
        }
    };
    let (Some(training), Some(test)) = names else {
        return Err(StepError::Service(Error::Corrupt(
            "a table without a snapshot".to_owned(),
        )));
    };
    measurable("training", &rows.train)?;
    measurable("test", &rows.test)?;
    job.parts
        .store
        .set_snapshots(&job.id, &training, &test)
        .await
        .map_err(StepError::Service)?;
    let newest_window = store_held_out(job, &rows, test).await?;
    Ok(Made {
        message: format!(
            "{} rows to learn from, {} to test on",
            rows.train.len(),
            rows.test.len()
        ),
        value: Split {
            rows,
            training,
            test,
            newest_window,
        },
    })
}

/// The held-out part of the window as a snapshot of its own, unless a class has too few rows to measure on.
async fn store_held_out(job: &Job, rows: &TrainTest, test: Digest) -> Result<Option<Digest>, StepError> {
    let held_out: Vec<Customer> = rows.newest_window.iter().map(|index| rows.test[*index]).collect();
    if held_out.is_empty() {
        return Ok(None);
    }
    if measurable("held-out", &held_out).is_err() {
        tracing::warn!(
            rows = held_out.len(),
            "held-out part of the window is too small to measure on by itself"
        );
        return Ok(None);
    }
    let how = Some("held-out part of the window".to_owned());
    Ok(Some(store(job, &held_out, "window", how, vec![test]).await?))
}

fn measurable(what: &str, rows: &[Customer]) -> Result<(), StepError> {
    let left = labels(rows).into_iter().filter(|label| *label).count();
    let found = left.min(rows.len() - left);
    if found >= LEAST_OF_A_CLASS {
        return Ok(());
    }
    let message = format!(
        "the {what} rows hold {left} customers who left and {} who stayed; at least {LEAST_OF_A_CLASS} of each are needed",
        rows.len() - left
    );
    Err(invalid(
        "the table",
        vec![Violation::new("", Rule::TooFewRows, message)],
    ))
}

async fn store(
    job: &Job,
    rows: &[Customer],
    source: &str,
    how: Option<String>,
    parents: Vec<Digest>,
) -> Result<Digest, StepError> {
    let source = SnapshotSource {
        source: source.to_owned(),
        query_or_window: how,
        parents,
        window: None,
        created_at: job.parts.clock.now(),
    };
    let manifest = snapshot::write(&*job.parts.blobs, rows, job.parts.schema, source).await?;
    Ok(manifest.digest)
}
