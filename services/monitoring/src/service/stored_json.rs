//! The small records this service stores: JSON with a format version, written once.

use bytes::Bytes;
use holdfast_records::FormatError;
use holdfast_storage::{BlobStore, Created, Key, create_resolving};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Result;

/// A record with a `format_version` member.
pub(super) trait Versioned: Serialize + DeserializeOwned {
    /// What it is, in words.
    const KIND: &'static str;
    /// The newest version this build reads, and the one it writes.
    const VERSION: u32;
}

/// The stored bytes.
pub(super) fn encode<T: Versioned>(record: &T) -> Result<Bytes, FormatError> {
    let bytes = serde_json::to_vec(record).map_err(|error| FormatError::Unstorable(error.to_string()))?;
    Ok(bytes.into())
}

/// The record in stored bytes.
pub(super) fn decode<T: Versioned>(bytes: &[u8]) -> Result<T, FormatError> {
    let malformed = |error: serde_json::Error| FormatError::Malformed(error.to_string());
    let value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    let version = value.get("format_version").and_then(Value::as_u64);
    match version.and_then(|version| u32::try_from(version).ok()) {
        Some(found) if found <= T::VERSION => serde_json::from_value(value).map_err(malformed),
        Some(found) => Err(FormatError::UnsupportedVersion {
            kind: T::KIND,
            found,
            newest: T::VERSION,
        }),
        None => Err(FormatError::Malformed("it has no format version".to_owned())),
    }
}

/// Writes a record unless the key is taken. Records of equal bytes are one: whoever wrote them, they say the same.
pub(super) async fn create<T: Versioned>(store: &dyn BlobStore, key: &Key, record: &T) -> Result<Created> {
    let bytes = encode(record).map_err(holdfast_records::Error::Encode)?;
    Ok(create_resolving(store, key, bytes).await?)
}

/// Writes a record unless the key is taken, and answers the one that lies there then.
pub(super) async fn settle<T: Versioned>(store: &dyn BlobStore, key: &Key, record: T) -> Result<T> {
    match create(store, key, &record).await? {
        Created::Yes => Ok(record),
        Created::AlreadyExists => {
            let bytes = store.get(key).await?;
            Ok(decode(&bytes).map_err(|error| error.at(key))?)
        }
    }
}

/// The record at a key; `None` when there is none.
pub(super) async fn read<T: Versioned>(store: &dyn BlobStore, key: &Key) -> Result<Option<T>> {
    match store.get(key).await {
        Ok(bytes) => Ok(Some(decode(&bytes).map_err(|error| error.at(key))?)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
