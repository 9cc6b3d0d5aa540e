//! Outcomes: what became of customers, learned late.
//!
//! Columns of format 1: `customer_key` int64, `label` bool, `event_time` and `recorded_at` timestamps (microseconds, UTC). Batches
//! are filed by the day they were *recorded* on and named by the digest of their bytes: a window of outcomes is what was known
//! then, and delivering a batch twice stores it once.

mod join;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, SchemaRef};
use bytes::Bytes;
use holdfast_domain::{CustomerKey, Digest};
use holdfast_storage::{BlobStore, Created, Key};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::error::{Error, FormatError};
use crate::layout::{Location, date_of, outcome_key};
use crate::prediction::time_type;
use crate::stored::{LISTED_AT_ONCE, create_same, decode_aside, encode_aside};
use crate::table::{ROW_GROUP_ROWS, TableFormat, full_column};

pub use join::{Joined, Labelled, LatestPredictions, join};

/// The format version written today.
pub const FORMAT_VERSION: u32 = 1;

const FORMAT: TableFormat = TableFormat {
    kind: "outcomes",
    version: FORMAT_VERSION,
    without_dictionary: &["customer_key"],
    row_group_rows: ROW_GROUP_ROWS,
};

static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(arrow_schema::Schema::new(vec![
        Field::new("customer_key", DataType::Int64, false),
        Field::new("label", DataType::Boolean, false),
        Field::new("event_time", time_type(), false),
        Field::new("recorded_at", time_type(), false),
    ]))
});

/// What became of a customer. Times are stored to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeRecord {
    /// The customer.
    pub customer_key: CustomerKey,
    /// Whether the customer left.
    pub label: bool,
    /// When it happened, or as of when it is known.
    pub event_time: Timestamp,
    /// When it was learned. A later record about the same customer corrects an earlier one.
    pub recorded_at: Timestamp,
}

/// A batch as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    /// Where it lies.
    pub key: Key,
    /// How many records it holds.
    pub rows: u64,
    /// Whether this call stored it, or the same batch was there already.
    pub created: Created,
}

/// The outcomes of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutcomeRows {
    /// The records by the time they were recorded, then by customer.
    pub records: Vec<OutcomeRecord>,
    /// Batches read.
    pub objects: u64,
    /// Rows in them.
    pub rows: u64,
}

/// The bytes of a batch: a function of the records and their order alone.
///
/// # Errors
/// None in fact; encoding shares one signature.
pub fn encode(records: &[OutcomeRecord]) -> Result<Bytes, FormatError> {
    FORMAT.encode(Arc::clone(&COLUMNS), records.chunks(ROW_GROUP_ROWS).map(batch))
}

fn batch(rows: &[OutcomeRecord]) -> Result<RecordBatch, FormatError> {
    let times = |time: fn(&OutcomeRecord) -> Timestamp| -> ArrayRef {
        let times = rows.iter().map(|row| time(row).as_microsecond());
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.customer_key.0))),
        Arc::new(rows.iter().map(|row| Some(row.label)).collect::<BooleanArray>()),
        times(|row| row.event_time),
        times(|row| row.recorded_at),
    ];
    RecordBatch::try_new(Arc::clone(&COLUMNS), columns).map_err(|error| FormatError::Unstorable(error.to_string()))
}

/// The records of a batch, in their order.
///
/// # Errors
/// [`FormatError`] for bytes that are damaged, of another kind or of a newer version. Never panics.
pub fn decode(bytes: Bytes) -> Result<Vec<OutcomeRecord>, FormatError> {
    let table = FORMAT.open(bytes)?;
    match table.version {
        1 => {
            let mut records = Vec::with_capacity(table.rows);
            for batch in table {
                decode_v1(&batch?, &mut records)?;
            }
            Ok(records)
        }
        found => Err(FormatError::UnsupportedVersion {
            kind: FORMAT.kind,
            found,
            newest: FORMAT_VERSION,
        }),
    }
}

fn decode_v1(batch: &RecordBatch, records: &mut Vec<OutcomeRecord>) -> Result<(), FormatError> {
    let keys = full_column::<Int64Array>(batch, "customer_key")?;
    let labels = full_column::<BooleanArray>(batch, "label")?;
    let events = full_column::<TimestampMicrosecondArray>(batch, "event_time")?;
    let recordings = full_column::<TimestampMicrosecondArray>(batch, "recorded_at")?;
    let time = |micros| Timestamp::from_microsecond(micros).map_err(FormatError::malformed);
    for row in 0..batch.num_rows() {
        records.push(OutcomeRecord {
            customer_key: CustomerKey(keys.value(row)),
            label: labels.value(row),
            event_time: time(events.value(row))?,
            recorded_at: time(recordings.value(row))?,
        });
    }
    Ok(())
}

/// Stores records, one batch per day they were recorded on.
///
/// # Errors
/// The store's; batches of earlier days may be stored then, and storing all again is fine.
pub async fn write(store: &dyn BlobStore, records: &[OutcomeRecord]) -> Result<Vec<StoredBatch>, Error> {
    let mut days: BTreeMap<Date, Vec<OutcomeRecord>> = BTreeMap::new();
    for record in records {
        days.entry(date_of(record.recorded_at)).or_default().push(*record);
    }
    let mut stored = Vec::with_capacity(days.len());
    for (day, batch) in days {
        let rows = batch.len() as u64;
        let bytes = encode_aside(move || encode(&batch)).await?;
        let key = outcome_key(day, &Digest::of(&bytes));
        let created = create_same(store, &key, bytes).await?;
        stored.push(StoredBatch { key, rows, created });
    }
    Ok(stored)
}

/// The outcomes recorded in `from..to`, corrections and repeats included; [`join`] takes the last word about each customer.
///
/// # Errors
/// [`Error::Format`], naming the key, for a damaged batch; the store's.
pub async fn read_window(store: &dyn BlobStore, from: Timestamp, to: Timestamp) -> Result<OutcomeRows, Error> {
    // Keys of years that have not four digits do not sort by time; no outcome is that old.
    let first = date_of(from.max(Timestamp::UNIX_EPOCH));
    let last = date_of(to);
    let mut after = Key::parse(format!("outcomes/date={first}")).ok();
    let mut window = OutcomeRows::default();
    'pages: loop {
        let page = store.list("outcomes", after.as_ref(), LISTED_AT_ONCE).await?;
        for object in &page {
            let Some(Location::Outcome(day, digest)) = Location::parse(&object.key) else {
                continue;
            };
            if day > last {
                break 'pages;
            }
            let bytes = store.get(&object.key).await?;
            let records = decode_aside(&object.key, move || {
                let found = Digest::of(&bytes);
                if found == digest {
                    decode(bytes)
                } else {
                    Err(FormatError::Digest { found })
                }
            });
            let records = records.await?;
            window.objects += 1;
            window.rows += records.len() as u64;
            window.records.extend(
                records
                    .into_iter()
                    .filter(|record| (from..to).contains(&record.recorded_at)),
            );
        }
        match page.last() {
            Some(object) if page.len() >= LISTED_AT_ONCE => after = Some(object.key.clone()),
            _ => break,
        }
    }
    window
        .records
        .sort_by_key(|record| (record.recorded_at, record.customer_key));
    Ok(window)
}
