//! What the store offers to a collection.

use std::fmt::Debug;

use async_trait::async_trait;
use holdfast_domain::Digest;
use jiff::Timestamp;

use super::StoredBytes;
use crate::error::Result;

/// A deleted run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedRun {
    /// Its id.
    pub run_id: String,
    /// The folder of its files; `None` when they lie elsewhere.
    pub folder: Option<String>,
}

/// A logged model that was deleted, itself or with its experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedModel {
    /// Its id.
    pub model_id: String,
    /// The folder of its files; `None` when they lie elsewhere.
    pub folder: Option<String>,
}

/// A run or logged model that refers to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Id of what refers.
    pub by: String,
    /// Id of what it refers to.
    pub to: String,
    /// How.
    pub how: How,
}

/// How a run or logged model refers to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A run is nested in a run.
    Nested,
    /// A logged model came from a run, or was measured by it.
    CameFrom,
    /// A run has read or made a logged model, which is not deleted itself.
    Uses,
}

/// What may need files, by any of its names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Of<'a> {
    /// The run.
    pub run_id: Option<&'a str>,
    /// The logged model.
    pub model_id: Option<&'a str>,
    /// The folder of its files.
    pub folder: Option<&'a str>,
}

/// A deleted experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedExperiment {
    /// Its id.
    pub id: i64,
    /// Its runs.
    pub runs: Vec<String>,
    /// Its logged models.
    pub models: Vec<String>,
}

/// A file's path and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPath {
    /// The path.
    pub path: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// When it was written last.
    pub updated_at: Timestamp,
}

/// Bytes that files have, or had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptBytes {
    /// The bytes.
    pub bytes: StoredBytes,
    /// When a file last came to have them or ceased to.
    pub touched_at: Timestamp,
    /// How many files have them.
    pub paths: u64,
    /// Whether a collection has begun to remove them.
    pub is_condemned: bool,
}

/// What a collection looks at and removes. Every method that removes looks again whether it may, in the same transaction, and answers whether
/// it did.
#[async_trait]
pub trait RetentionStore: Send + Sync + Debug {
    /// Begins a collection that lasts until then, unless another is at work.
    async fn begin_collection(&self, now: Timestamp, until: Timestamp) -> Result<bool>;
    /// Prolongs the collection at work.
    async fn keep_collection(&self, until: Timestamp) -> Result<()>;

    /// Runs that were deleted before then, by id.
    async fn deleted_runs(&self, before: Timestamp) -> Result<Vec<DeletedRun>>;
    /// Logged models that were deleted before then, or whose experiment was, by id.
    async fn deleted_logged_models(&self, before: Timestamp) -> Result<Vec<DeletedModel>>;
    /// How runs and logged models refer to each other.
    async fn references(&self) -> Result<Vec<Reference>>;
    /// Whether there is a run or logged model of this id, active or deleted.
    async fn has_owner(&self, id: &str) -> Result<bool>;
    /// Experiments that were deleted before then, by id.
    async fn deleted_experiments(&self, before: Timestamp) -> Result<Vec<DeletedExperiment>>;
    /// A version that was made from or by one of these, or whose files lie there.
    async fn version_of(&self, of: Of<'_>) -> Result<Option<(String, u32)>>;
    /// At most `limit` files behind a path, in order.
    async fn stored_paths(&self, after: &str, limit: u32) -> Result<Vec<StoredPath>>;
    /// Bytes by their digest.
    async fn kept_bytes(&self, digest: &Digest) -> Result<Option<KeptBytes>>;
    /// Bytes that no file has, or whose removal has begun, if they were touched before then.
    async fn unused_bytes(&self, before: Timestamp) -> Result<Vec<KeptBytes>>;

    /// Removes a run that was deleted before then, with what was logged to it and its files, unless a version or logged model needs it.
    async fn remove_run(&self, run: &DeletedRun, before: Timestamp) -> Result<bool>;
    /// Removes a logged model that was deleted before then, itself or with its experiment, with its files, unless a version needs it.
    async fn remove_logged_model(&self, model: &DeletedModel, before: Timestamp) -> Result<bool>;
    /// Removes an experiment that was deleted before then and has neither runs nor logged models.
    async fn remove_experiment(&self, id: i64, before: Timestamp) -> Result<bool>;
    /// Removes a file that was written before then, and whose run or logged model there is not any more, unless a version's files lie in the
    /// folder.
    async fn remove_stray(&self, path: &str, owner: &str, folder: &str, before: Timestamp) -> Result<bool>;
    /// Says that bytes are about to be removed, if no file has them and they were touched before then.
    async fn condemn(&self, bytes: &StoredBytes, before: Timestamp) -> Result<bool>;
    /// Says that condemned bytes are removed. Who brings them again stores them as another edition.
    async fn bury(&self, bytes: &StoredBytes) -> Result<()>;
}
