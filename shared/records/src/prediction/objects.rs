//! The segments of the prediction log as objects: which there are, and the records in one.

use std::sync::Arc;

use holdfast_domain::Schema;
use holdfast_storage::{BlobStore, Key};
use jiff::Timestamp;

use super::{PredictionRecord, decode};
use crate::error::{Error, FormatError};
use crate::layout::{Location, PartitionHour, Slug};
use crate::stored::{LISTED_AT_ONCE, decode_aside};

/// A replica reserves so many sequence numbers at a time. A process that ends leaves the rest of them unused, so that the first number after
/// a restart is one more than a multiple of it.
pub const SEQUENCE_BLOCK: u64 = 64;

/// A segment, as its key tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogObject {
    /// Its key.
    pub key: Key,
    /// The hour of its first record.
    pub hour: PartitionHour,
    /// Who wrote it.
    pub replica: Slug,
    /// The replica's number of it.
    pub sequence: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// What a listing of the log shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogListing {
    /// The segments, in the order of their keys: by hour, replica and number.
    pub objects: Vec<LogObject>,
    /// Objects among them whose names are none of this layout.
    pub foreign: Vec<Key>,
}

/// Lists the segments whose hours lie between those of `from` and `to`, both included; `None` is no limit.
///
/// Memory: about 200 bytes a segment.
///
/// # Errors
/// The store's.
pub async fn list_objects(
    store: &dyn BlobStore,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<LogListing, Error> {
    let (first, last) = (from.map(PartitionHour::of), to.map(PartitionHour::of));
    let within = |hour: PartitionHour| first.is_none_or(|first| hour >= first) && last.is_none_or(|last| hour <= last);
    let mut listing = LogListing::default();
    let mut after: Option<Key> = None;
    loop {
        let page = store.list("predictions", after.as_ref(), LISTED_AT_ONCE).await?;
        let full = page.len() >= LISTED_AT_ONCE;
        after = page.last().map(|object| object.key.clone());
        for object in page {
            match Location::parse(&object.key) {
                Some(Location::Prediction(hour, replica, sequence)) if within(hour) => {
                    listing.objects.push(LogObject {
                        key: object.key,
                        hour,
                        replica,
                        sequence,
                        size_bytes: object.size_bytes,
                    });
                }
                Some(Location::Prediction(..)) => {}
                _ => listing.foreign.push(object.key),
            }
        }
        if !full {
            return Ok(listing);
        }
    }
}

/// The records of a segment.
///
/// # Errors
/// [`Error::Format`] when it is damaged; the store's.
pub async fn read_object(
    store: &dyn BlobStore,
    key: &Key,
    schema: &Arc<Schema>,
) -> Result<Vec<PredictionRecord>, Error> {
    let bytes = store.get(key).await?;
    let schema = Arc::clone(schema);
    decode_aside(key, move || decode(bytes, &schema)).await
}

impl Error {
    /// What is wrong with the bytes, where that is the error.
    pub fn format(&self) -> Option<&FormatError> {
        match self {
            Error::Format { source, .. } => Some(source),
            _ => None,
        }
    }
}
