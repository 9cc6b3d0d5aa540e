//! A table for `make bench-batch`: simulated customers as Parquet, written chunk by chunk, in the types that data frames write.
//!
//! `bench-batch-rows ROWS OUT.parquet`

use std::fs::File;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use holdfast_domain::{Customer, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// Customers made at a time.
const CHUNK_ROWS: u64 = 65_536;

const SEED: u64 = 42;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rows, out] = arguments.as_slice() else {
        bail!("usage: bench-batch-rows ROWS OUT.parquet");
    };
    let rows: u64 = rows.parse().context("ROWS is no number")?;
    let first = batch(&[])?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(1_048_576))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(out)?, first.schema(), Some(properties))?;
    let mut done = 0;
    while done < rows {
        let next = (done + CHUNK_ROWS).min(rows);
        writer.write(&batch(&holdfast_simulator::customers_between(done..next, SEED))?)?;
        done = next;
    }
    writer.close()?;
    Ok(())
}

/// Keys as whole numbers, features as floats, categories as text.
fn batch(customers: &[Customer]) -> Result<RecordBatch> {
    let schema = Schema::embedded();
    let keys: Int64Array = customers.iter().map(|customer| customer.key.map(|key| key.0)).collect();
    let mut columns: Vec<(&str, ArrayRef)> = vec![(&schema.key().name, Arc::new(keys))];
    for column in schema.columns() {
        let value = |customer: &Customer| customer.features.get(column.feature);
        let array: ArrayRef = if column.categories.is_empty() {
            Arc::new(customers.iter().map(value).collect::<Float64Array>())
        } else {
            // Codes of simulated customers are places in the list.
            let name = |code: f64| column.categories.get(code as usize).map(String::as_str);
            Arc::new(
                customers
                    .iter()
                    .map(|customer| value(customer).and_then(name))
                    .collect::<StringArray>(),
            )
        };
        columns.push((column.name(), array));
    }
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}
