//! The bank: its customers, and those of them that no model was trained on.

use std::collections::HashSet;

use holdfast_domain::{Customer, Digest};

use super::{Demo, claim};
use crate::commands::data;
use crate::failure::{Failure, Result};
use crate::output::short;
use crate::rest::{Run, Snapshot};

/// Customers that were held out, in two halves.
pub(super) struct Halves {
    /// As they are.
    pub(super) quiet: Vec<Customer>,
    /// As the scenario shows them; who leaves is the same.
    pub(super) shifted: Vec<Customer>,
}

/// Imports the file, or a simulated bank.
pub(super) async fn import(demo: &Demo) -> Result<(Snapshot, String)> {
    let answer = match &demo.args.csv {
        Some(path) => {
            // A source by its path: `--csv` takes any ending.
            data::import_csv(&demo.rest, path).await?
        }
        None => {
            let customers = holdfast_simulator::customers(demo.args.rows as usize, demo.args.seed);
            data::upload_customers(&demo.rest, "simulated bank", &customers, demo.schema).await?
        }
    };
    let snapshot: Snapshot = demo.rest.typed(answer)?;
    let detail = format!(
        "{} customers, {} of them left, snapshot {}",
        snapshot.rows,
        snapshot.positives,
        short(&snapshot.digest)
    );
    Ok((snapshot, detail))
}

/// Reads the run's test customers from the blob store, and makes sure that it was not trained on any of them.
pub(super) async fn held_out(demo: &Demo, run: &Run) -> Result<(Halves, String)> {
    let (test, training) = (
        read(demo, run.test_snapshot.as_deref()).await?,
        read(demo, run.training_snapshot.as_deref()).await?,
    );
    let trained_on: HashSet<_> = training.iter().filter_map(|customer| customer.key).collect();
    let seen = test
        .iter()
        .filter(|customer| customer.key.is_none_or(|key| trained_on.contains(&key)))
        .count();
    claim(seen == 0, || {
        format!("{seen} of the held-out customers were trained on or have no key")
    })?;

    let (mut quiet, mut others) = (Vec::new(), Vec::new());
    for (place, customer) in test.iter().enumerate() {
        if place % 2 == 0 { &mut quiet } else { &mut others }.push(*customer);
    }
    let scenario = demo.args.scenario;
    let shifted = scenario.apply(&others, demo.progress(), demo.args.seed);
    let detail = format!(
        "{} as they are, {} under scenario {scenario}: {}",
        quiet.len(),
        shifted.len(),
        scenario.describe()
    );
    Ok((Halves { quiet, shifted }, detail))
}

async fn read(demo: &Demo, digest: Option<&str>) -> Result<Vec<Customer>> {
    let digest: Digest = digest
        .ok_or_else(|| Failure::new("the run does not say which customers it was trained and tested on"))?
        .parse()
        .map_err(|error| Failure::new(format!("the run names no digest: {error}")))?;
    let (_, customers) = holdfast_records::snapshot::read(demo.blobs.as_ref(), &digest, demo.schema).await?;
    Ok(customers)
}
