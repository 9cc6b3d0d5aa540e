//! Snapshots: immutable tables of customers, named by the digest of their bytes.
//!
//! Columns of format 1: `CLIENTNUM` int64, `Attrition_Flag` text, then the nineteen features (float64, or text for categories),
//! all nullable; rows in the order given. A snapshot exists once its manifest does: the manifest is written last.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, SchemaRef};
use bytes::Bytes;
use holdfast_domain::{Customer, CustomerKey, Digest, Generation, ModelName, Schema};
use holdfast_storage::{BlobStore, Created, create_resolving};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, FormatError};
use crate::features::{self, FeatureReader};
use crate::layout::{Location, snapshot_key, snapshot_manifest_key};
use crate::sealed_json;
use crate::stored::{create_same, decode_aside, encode_aside};
use crate::table::{ROW_GROUP_ROWS, TableFormat, column};

/// The format version written today.
pub const FORMAT_VERSION: u32 = 1;

const FORMAT: TableFormat = TableFormat {
    kind: "snapshot",
    version: FORMAT_VERSION,
    without_dictionary: &["CLIENTNUM"],
    row_group_rows: ROW_GROUP_ROWS,
};
/// The newest version of manifests. One without a window is written as version 1, which readers of before know.
pub const MANIFEST_VERSION: u32 = 2;
const KEY: &str = "CLIENTNUM";
const LABEL: &str = "Attrition_Flag";
// The file's own words, which are a part of the format whatever a schema says.
const LEFT: &str = "Attrited Customer";
const STAYED: &str = "Existing Customer";

static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let own = [
        Field::new(KEY, DataType::Int64, true),
        Field::new(LABEL, DataType::Utf8, true),
    ];
    Arc::new(arrow_schema::Schema::new(
        own.into_iter().chain(features::fields()).collect::<Vec<_>>(),
    ))
});

/// Where rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSource {
    /// What they were read from, for people: a file name, a table, the prediction log. No secrets, no machine paths.
    pub source: String,
    /// The query or window they were selected by.
    pub query_or_window: Option<String>,
    /// Snapshots they were made of.
    pub parents: Vec<Digest>,
    /// The span of the prediction log they were taken from, for rows that were predictions once.
    pub window: Option<PredictionWindow>,
    /// When they were taken.
    pub created_at: Timestamp,
}

/// A span of the prediction log that rows were taken from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictionWindow {
    /// The model that made the predictions.
    pub model: ModelName,
    /// First instant in it.
    pub from: Timestamp,
    /// First instant behind it.
    pub to: Timestamp,
    /// The drift report that asked for it.
    pub report_id: String,
    /// Generations of the champion that made the predictions taken, lowest first. `None` in manifests from before they
    /// were recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generations: Option<BTreeSet<Generation>>,
}

impl PredictionWindow {
    /// Source of rows that were predictions once.
    pub const SOURCE: &'static str = "prediction log and outcomes";

    /// In words, as manifests of version 1 have it.
    pub fn in_words(&self) -> String {
        format!(
            "{}, {} to {}, report {}",
            self.model, self.from, self.to, self.report_id
        )
    }

    /// The window in the words of a manifest of version 1.
    fn from_words(words: &str) -> Option<Self> {
        let (model, rest) = words.split_once(", ")?;
        let (span, report_id) = rest.split_once(", report ")?;
        let (from, to) = span.split_once(" to ")?;
        Some(Self {
            model: model.parse().ok()?,
            from: from.parse().ok()?,
            to: to.parse().ok()?,
            report_id: report_id.to_owned(),
            generations: None,
        })
    }
}

/// What is known about a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotManifest {
    /// Version of this manifest's format.
    pub format_version: u32,
    /// The snapshot's name: SHA-256 of its Parquet bytes.
    pub digest: Digest,
    /// What the rows were read from.
    pub source: String,
    /// The query or window they were selected by.
    pub query_or_window: Option<String>,
    /// How many rows.
    pub rows: u64,
    /// How many of them are customers who left.
    pub positives: u64,
    /// Size of the Parquet object in bytes.
    pub size_bytes: u64,
    /// Digest of the schema the rows were checked with.
    pub schema_digest: Digest,
    /// When the snapshot was first taken. Taking the same rows again changes nothing.
    pub created_at: Timestamp,
    /// Snapshots it was made of.
    pub parents: Vec<Digest>,
    /// The span of the prediction log it was taken from. Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<PredictionWindow>,
}

impl SnapshotManifest {
    /// The version to write a manifest with: the oldest that can say what it says.
    const fn version_for(window: Option<&PredictionWindow>) -> u32 {
        if window.is_some() { 2 } else { 1 }
    }

    /// The span of the prediction log it was taken from, also where a manifest of version 1 says it in words.
    pub fn prediction_window(&self) -> Option<PredictionWindow> {
        let in_words = || {
            let words = self.query_or_window.as_ref()?;
            (self.source == PredictionWindow::SOURCE).then(|| PredictionWindow::from_words(words))?
        };
        self.window.clone().or_else(in_words)
    }
}

/// The bytes of a snapshot: a function of the rows, their order and the schema alone.
///
/// # Errors
/// [`FormatError::Unstorable`] when a row has a category code that the schema does not list.
pub fn encode(customers: &[Customer], schema: &Schema) -> Result<Bytes, FormatError> {
    FORMAT.encode(
        Arc::clone(&COLUMNS),
        customers.chunks(ROW_GROUP_ROWS).map(|rows| batch(rows, schema)),
    )
}

fn batch(rows: &[Customer], schema: &Schema) -> Result<RecordBatch, FormatError> {
    let keys: Int64Array = rows.iter().map(|row| row.key.map(|key| key.0)).collect();
    let labels: StringArray = rows
        .iter()
        .map(|row| row.label.map(|left| if left { LEFT } else { STAYED }))
        .collect();
    let mut columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(labels)];
    columns.extend(features::columns(rows, schema)?);
    RecordBatch::try_new(Arc::clone(&COLUMNS), columns).map_err(|error| FormatError::Unstorable(error.to_string()))
}

/// The rows of a snapshot, in their order. A category that `schema` does not list reads as unknown.
///
/// # Errors
/// [`FormatError`] for bytes that are damaged, of another kind or of a newer version. Never panics.
pub fn decode(bytes: Bytes, schema: &Schema) -> Result<Vec<Customer>, FormatError> {
    let table = FORMAT.open(bytes)?;
    match table.version {
        1 => {
            let mut customers = Vec::with_capacity(table.rows);
            for batch in table {
                decode_v1(&batch?, schema, &mut customers)?;
            }
            Ok(customers)
        }
        found => Err(FormatError::UnsupportedVersion {
            kind: FORMAT.kind,
            found,
            newest: FORMAT_VERSION,
        }),
    }
}

fn decode_v1(batch: &RecordBatch, schema: &Schema, customers: &mut Vec<Customer>) -> Result<(), FormatError> {
    let keys = column::<Int64Array>(batch, KEY)?;
    let labels = column::<StringArray>(batch, LABEL)?;
    let features = FeatureReader::new(batch, schema)?;
    for row in 0..batch.num_rows() {
        let label = match labels.is_valid(row).then(|| labels.value(row)) {
            None => None,
            Some(LEFT) => Some(true),
            Some(STAYED) => Some(false),
            Some(other) => return Err(FormatError::Malformed(format!("its column {LABEL} holds {other:?}"))),
        };
        let key = keys.is_valid(row).then(|| CustomerKey(keys.value(row)));
        customers.push(Customer {
            key,
            label,
            features: features.row(row).0,
        });
    }
    Ok(())
}

/// Stores rows: first the table, then its manifest. Rows stored before keep the manifest they got then, which is returned.
///
/// # Errors
/// [`Error::Encode`] for rows that cannot be stored, [`Error::Conflict`] when other bytes lie under the digest, and the store's.
pub async fn write(
    store: &dyn BlobStore,
    customers: &[Customer],
    schema: &Schema,
    source: SnapshotSource,
) -> Result<SnapshotManifest, Error> {
    let (rows, schema_digest) = (customers.to_vec(), schema.digest());
    let positives = rows.iter().filter(|row| row.label == Some(true)).count() as u64;
    let schema = schema.clone();
    let (row_count, bytes) = encode_aside(move || Ok((rows.len() as u64, encode(&rows, &schema)?))).await?;
    let digest = Digest::of(&bytes);
    let manifest = SnapshotManifest {
        format_version: SnapshotManifest::version_for(source.window.as_ref()),
        digest,
        source: source.source,
        query_or_window: source.query_or_window,
        rows: row_count,
        positives,
        size_bytes: bytes.len() as u64,
        schema_digest,
        created_at: source.created_at,
        parents: source.parents,
        window: source.window,
    };
    let (Created::Yes | Created::AlreadyExists) = create_same(store, &snapshot_key(&digest), bytes).await?;
    let manifest_bytes = sealed_json::encode(&manifest).map_err(Error::Encode)?;
    match create_resolving(store, &snapshot_manifest_key(&digest), manifest_bytes).await? {
        Created::Yes => Ok(manifest),
        Created::AlreadyExists => read_manifest(store, &digest).await,
    }
}

/// What is known about a snapshot.
///
/// # Errors
/// The store's `NotFound` when there is no such snapshot; [`Error::Format`] when the manifest is damaged.
pub async fn read_manifest(store: &dyn BlobStore, digest: &Digest) -> Result<SnapshotManifest, Error> {
    let key = snapshot_manifest_key(digest);
    let manifest = decode_manifest(&store.get(&key).await?).map_err(|error| error.at(&key))?;
    if manifest.digest != *digest {
        return Err(FormatError::Malformed(format!("it is the manifest of {}", manifest.digest)).at(&key));
    }
    Ok(manifest)
}

/// The manifest in stored bytes.
///
/// # Errors
/// [`FormatError`] for bytes that are damaged or of a newer version.
pub fn decode_manifest(bytes: &[u8]) -> Result<SnapshotManifest, FormatError> {
    let opened = sealed_json::open(bytes)?;
    let manifest: SnapshotManifest = match opened.version {
        1 | 2 => serde_json::from_value(opened.body).map_err(FormatError::malformed)?,
        found => {
            return Err(FormatError::UnsupportedVersion {
                kind: "snapshot manifest",
                found,
                newest: MANIFEST_VERSION,
            });
        }
    };
    if manifest.format_version != SnapshotManifest::version_for(manifest.window.as_ref()) {
        return Err(FormatError::malformed(format!(
            "a snapshot manifest of version {} {} a window",
            manifest.format_version,
            if manifest.window.is_some() { "has" } else { "lacks" }
        )));
    }
    Ok(manifest)
}

/// A snapshot with its rows. The bytes are checked against the digest first.
///
/// # Errors
/// The store's `NotFound` when there is no such snapshot; [`Error::Format`], naming the key, when it is damaged.
pub async fn read(
    store: &dyn BlobStore,
    digest: &Digest,
    schema: &Schema,
) -> Result<(SnapshotManifest, Vec<Customer>), Error> {
    let manifest = read_manifest(store, digest).await?;
    let key = snapshot_key(digest);
    let bytes = store.get(&key).await?;
    let (expected, schema) = (*digest, schema.clone());
    let customers = decode_aside(&key, move || {
        let found = Digest::of(&bytes);
        if found != expected {
            return Err(FormatError::Digest { found });
        }
        decode(bytes, &schema)
    });
    Ok((manifest, customers.await?))
}

/// The digests of all snapshots that have a manifest, in their order.
///
/// # Errors
/// The store's.
pub async fn list(store: &dyn BlobStore) -> Result<Vec<Digest>, Error> {
    let objects = holdfast_storage::list_all(store, "datasets").await?;
    let digests = objects.iter().filter_map(|object| match Location::parse(&object.key) {
        Some(Location::SnapshotManifest(digest)) => Some(digest),
        _ => None,
    });
    Ok(digests.collect())
}
