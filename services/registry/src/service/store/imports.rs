//! What the store of imports offers.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::error::Result;
use crate::service::imports::{ClaimId, ImportClaim, ImportEnd, ImportRecord, NewImport};

/// Imports of registered versions. Every method that writes is one transaction, durable on return.
#[async_trait]
pub trait ImportStore: Send + Sync + Debug {
    /// Asks for an import, anew if it has failed or still waits; answers it as it stands.
    async fn request_import(&self, model: &str, version: u32, new: &NewImport, now: Timestamp) -> Result<ImportRecord>;
    /// The import of a version.
    async fn import(&self, model: &str, version: u32) -> Result<Option<ImportRecord>>;
    /// Hands out the one that was handed out least lately of those that wait or whose lease has run out. One that has ended
    /// without a word `most_tries` times has failed.
    async fn claim_import(&self, now: Timestamp, lease: Duration, most_tries: u32) -> Result<Option<ImportClaim>>;
    /// Prolongs a claim; answers the plan that holds.
    async fn keep_import(&self, claim: &ClaimId, run_id: &str, plan: &str, until: Timestamp) -> Result<String>;
    /// Ends a claim; answers the import as it stands then.
    async fn end_import(&self, claim: &ClaimId, end: &ImportEnd) -> Result<ImportRecord>;
}
