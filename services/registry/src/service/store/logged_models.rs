//! What the store of logged models offers.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::error::Result;
use crate::service::logged_models::{LoggedModel, LoggedModelSearch, LoggedModelStatus, NewLoggedModel};
use crate::service::tracking::KeyValue;

/// Logged models. Every method that writes is one transaction, durable on return. Deleted ones are not there.
#[async_trait]
pub trait LoggedModelStore: Send + Sync + Debug {
    /// Creates one in an active experiment.
    async fn create_logged_model(&self, id: &str, new: &NewLoggedModel, now: Timestamp) -> Result<LoggedModel>;
    /// One of them.
    async fn logged_model(&self, id: &str) -> Result<LoggedModel>;
    /// Changes the state.
    async fn finalize_logged_model(&self, id: &str, status: LoggedModelStatus, now: Timestamp) -> Result<()>;
    /// Marks it deleted.
    async fn delete_logged_model(&self, id: &str, now: Timestamp) -> Result<()>;
    /// Sets tags.
    async fn set_logged_model_tags(&self, id: &str, tags: Vec<KeyValue>, now: Timestamp) -> Result<()>;
    /// Removes one tag.
    async fn delete_logged_model_tag(&self, id: &str, key: &str, now: Timestamp) -> Result<()>;
    /// Logs parameters; one cannot change its value.
    async fn log_logged_model_params(&self, id: &str, params: Vec<KeyValue>, now: Timestamp) -> Result<()>;
    /// Those that a filter selects.
    async fn search_logged_models(&self, search: &LoggedModelSearch) -> Result<Vec<LoggedModel>>;
}
