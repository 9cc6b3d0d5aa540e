//! The bank's rows and how they are split.

use std::path::Path;

use anyhow::{Context as _, Result};
use holdfast_domain::{Customer, FeatureVector, Schema, Strictness};
use holdfast_sources::SourceSpec;

/// Features and labels of some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelled {
    /// The rows.
    pub features: Vec<FeatureVector>,
    /// As many labels, `true` for customers who left.
    pub labels: Vec<bool>,
}

/// Reads the whole table at `path`, in its own row order.
///
/// # Errors
/// What keeps it from being read, and rows that break the schema's rules for training.
pub fn read(path: &Path) -> Result<Vec<Customer>> {
    let spec = SourceSpec::parse(&path.to_string_lossy())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(holdfast_sources::read(&spec, Schema::embedded(), Strictness::Training))?)
}

/// Features and labels of [`rows_of`].
///
/// # Errors
/// As [`rows_of`].
pub fn split(customers: &[Customer], path: &Path) -> Result<(Labelled, Labelled)> {
    let (train, test) = rows_of(customers, path)?;
    Ok((labelled(&train)?, labelled(&test)?))
}

/// Training and test rows by the indices that `bench.py` wrote: `{"train": [...], "test": [...]}`.
///
/// # Errors
/// When the file cannot be read, is no such object, or names a row that is not there.
pub fn rows_of(customers: &[Customer], path: &Path) -> Result<(Vec<Customer>, Vec<Customer>)> {
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let split: serde_json::Value = serde_json::from_slice(&text).with_context(|| format!("in {}", path.display()))?;
    let part = |name: &str| {
        pick(customers, &split[name]).with_context(|| format!("the rows of {name:?} in {}", path.display()))
    };
    Ok((part("train")?, part("test")?))
}

fn pick(customers: &[Customer], indices: &serde_json::Value) -> Result<Vec<Customer>> {
    let indices = indices.as_array().context("there is no list")?.iter();
    let row = |index: &serde_json::Value| {
        let index = index.as_u64().context("an index is no whole number")?;
        let customer = customers.get(usize::try_from(index)?);
        customer.copied().with_context(|| format!("there is no row {index}"))
    };
    indices.map(row).collect()
}

fn labelled(customers: &[Customer]) -> Result<Labelled> {
    let label = |(place, customer): (usize, &Customer)| {
        customer
            .label
            .with_context(|| format!("the row at place {place} has no label"))
    };
    Ok(Labelled {
        features: customers.iter().map(|customer| customer.features).collect(),
        labels: customers.iter().enumerate().map(label).collect::<Result<_>>()?,
    })
}
