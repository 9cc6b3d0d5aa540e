//! Logged models of MLflow 3: what a run has made, with its parameters, tags, metrics and files, before anybody registers it.
//!
//! Nothing of it is opened or executed here: files are artefacts below [`LoggedModel::artifact_uri`].

use std::sync::Arc;

use holdfast_chassis::clock::Clock;
use jiff::Timestamp;
use uuid::Uuid;

use super::search::{self, LoggedModelClause, LoggedModelOrderField, LoggedModelOrderKey, Order};
use super::store::LoggedModelStore;
use super::tracking::{
    Found, KeyValue, MAX_BATCH_PARAMS, MAX_NAME_CHARS, MAX_PARAM_CHARS, MAX_TAG_CHARS, MAX_USER_CHARS, Metric, Place,
    check_count, check_pairs, check_text,
};
use crate::error::{Error, Result, Violation};

/// Most experiments of one search.
const MAX_EXPERIMENTS: usize = 1_000;
/// Most data sets that narrow one search.
const MAX_DATASETS: usize = 1_000;
/// What a name must not contain: it stands in addresses.
const NOT_IN_NAMES: [char; 6] = ['/', ':', '.', '%', '"', '\''];

/// State of a logged model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedModelStatus {
    /// Its files are on their way.
    Pending,
    /// Complete.
    Ready,
    /// It could not be completed.
    Failed,
}

impl LoggedModelStatus {
    /// As MLflow writes it, and as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::Failed => "FAILED",
        }
    }
}

/// A logged model.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedModel {
    /// `m-` and 32 hexadecimal digits.
    pub id: String,
    /// The experiment it belongs to.
    pub experiment_id: i64,
    /// Name for people; need not be unique.
    pub name: String,
    /// Where its files go, for example `mlflow-artifacts:/7/models/m-…/artifacts`.
    pub artifact_uri: String,
    /// State.
    pub status: LoggedModelStatus,
    /// Kind; may be empty.
    pub model_type: String,
    /// The run that made it; may be empty.
    pub source_run_id: String,
    /// Who created it, as they said; may be empty.
    pub user_id: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Parameters by key.
    pub params: Vec<KeyValue>,
    /// Tags by key.
    pub tags: Vec<KeyValue>,
    /// Last value of each metric measured on it, with the run that measured it, by key, run and data set.
    pub metrics: Vec<(String, Metric)>,
    /// Names and versions it is registered as, oldest first.
    pub registrations: Vec<(String, u32)>,
}

/// What a logged model is created with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewLoggedModel {
    /// The experiment.
    pub experiment_id: i64,
    /// Name for people; one is made when empty.
    pub name: String,
    /// Kind; may be empty.
    pub model_type: String,
    /// The run that makes it; may be empty.
    pub source_run_id: String,
    /// Who creates it, as they say; may be empty.
    pub user_id: String,
    /// Parameters.
    pub params: Vec<KeyValue>,
    /// Tags.
    pub tags: Vec<KeyValue>,
}

/// A data set that is referred to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetRef {
    /// Its name.
    pub name: String,
    /// Its digest; any when empty.
    pub digest: String,
}

/// A search, as text.
#[derive(Clone, Debug, Default)]
pub struct LoggedModelSearchText<'a> {
    /// Of these experiments.
    pub experiments: Vec<i64>,
    /// Clauses joined by `AND`; empty: all.
    pub filter: String,
    /// Metric clauses hold for values measured on one of these; on any when empty.
    pub datasets: Vec<DatasetRef>,
    /// The order; newest first when empty.
    pub order_by: Vec<LoggedModelOrderField<'a>>,
    /// At most so many.
    pub limit: u32,
    /// So many are left out.
    pub offset: u64,
}

/// A search, as the store takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedModelSearch {
    /// Of these experiments.
    pub experiments: Vec<i64>,
    /// All must hold.
    pub clauses: Vec<LoggedModelClause>,
    /// Metric clauses hold for values measured on one of these; on any when empty.
    pub datasets: Vec<DatasetRef>,
    /// The order; ties are broken by creation, newest first, then by id.
    pub order: Vec<Order<LoggedModelOrderKey>>,
    /// At most so many.
    pub limit: u32,
    /// So many are left out.
    pub offset: u64,
}

/// Logged models over a metadata store.
#[derive(Clone, Debug)]
pub struct LoggedModels {
    store: Arc<dyn LoggedModelStore>,
    clock: Arc<dyn Clock>,
}

impl LoggedModels {
    /// Logged models over `store`.
    pub fn new(store: Arc<dyn LoggedModelStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Creates one, pending until it is finalized.
    pub async fn create(&self, mut new: NewLoggedModel) -> Result<LoggedModel> {
        let mut found = Vec::new();
        check_text("name", &new.name, 0, MAX_NAME_CHARS, &mut found);
        if let Some(odd) = new.name.chars().find(|c| NOT_IN_NAMES.contains(c)) {
            let rule = format!("{:?} contains {odd:?}: none of / : . % \" ' is allowed", new.name);
            found.push(Violation::new("name", "logged_model_name", &rule));
        }
        check_text("model_type", &new.model_type, 0, MAX_NAME_CHARS, &mut found);
        check_text("source_run_id", &new.source_run_id, 0, MAX_NAME_CHARS, &mut found);
        check_text("user_id", &new.user_id, 0, MAX_USER_CHARS, &mut found);
        check_count("params", new.params.len(), MAX_BATCH_PARAMS, &mut found);
        check_count("tags", new.tags.len(), MAX_BATCH_PARAMS, &mut found);
        check_pairs("params", &new.params, MAX_PARAM_CHARS, &mut found);
        check_pairs("tags", &new.tags, MAX_TAG_CHARS, &mut found);
        Violation::none(found)?;
        let number = Uuid::now_v7().simple().to_string();
        let id = format!("m-{number}");
        if new.name.is_empty() {
            new.name = format!("model-{}", &number[24..]);
        }
        self.store.create_logged_model(&id, &new, self.clock.now()).await
    }

    /// One that is not deleted.
    pub async fn get(&self, id: &str) -> Result<LoggedModel> {
        self.store.logged_model(id).await
    }

    /// Says that it is ready, or that it failed.
    pub async fn finalize(&self, id: &str, status: LoggedModelStatus) -> Result<LoggedModel> {
        if status == LoggedModelStatus::Pending {
            let rule = "must be READY or FAILED";
            return Err(Violation::new("status", "final", rule).into());
        }
        self.store.finalize_logged_model(id, status, self.clock.now()).await?;
        self.get(id).await
    }

    /// Marks it deleted.
    pub async fn delete(&self, id: &str) -> Result<()> {
        self.store.delete_logged_model(id, self.clock.now()).await
    }

    /// Sets tags.
    pub async fn set_tags(&self, id: &str, tags: Vec<KeyValue>) -> Result<LoggedModel> {
        let mut found = Vec::new();
        check_count("tags", tags.len(), MAX_BATCH_PARAMS, &mut found);
        check_pairs("tags", &tags, MAX_TAG_CHARS, &mut found);
        Violation::none(found)?;
        self.store.set_logged_model_tags(id, tags, self.clock.now()).await?;
        self.get(id).await
    }

    /// Removes one tag.
    pub async fn delete_tag(&self, id: &str, key: &str) -> Result<()> {
        self.store.delete_logged_model_tag(id, key, self.clock.now()).await
    }

    /// Logs parameters. One cannot change its value.
    pub async fn log_params(&self, id: &str, params: Vec<KeyValue>) -> Result<()> {
        let mut found = Vec::new();
        check_count("params", params.len(), MAX_BATCH_PARAMS, &mut found);
        check_pairs("params", &params, MAX_PARAM_CHARS, &mut found);
        Violation::none(found)?;
        self.store.log_logged_model_params(id, params, self.clock.now()).await
    }

    /// Models that a filter selects.
    pub async fn search(&self, asked: LoggedModelSearchText<'_>) -> Result<Found<LoggedModel>> {
        let mut found = Vec::new();
        if asked.experiments.is_empty() {
            found.push(Violation::new("experiment_ids", "required", "must name an experiment"));
        }
        check_count("experiment_ids", asked.experiments.len(), MAX_EXPERIMENTS, &mut found);
        check_count("datasets", asked.datasets.len(), MAX_DATASETS, &mut found);
        for (index, dataset) in asked.datasets.iter().enumerate() {
            check_text(
                &format!("datasets[{index}].name"),
                &dataset.name,
                1,
                MAX_NAME_CHARS,
                &mut found,
            );
        }
        Violation::none(found)?;
        let search = LoggedModelSearch {
            experiments: asked.experiments,
            clauses: search::logged_model_filter(&asked.filter)?,
            datasets: asked.datasets,
            order: search::logged_model_order(&asked.order_by)?,
            limit: asked.limit.saturating_add(1),
            offset: asked.offset,
        };
        let mut items = self.store.search_logged_models(&search).await?;
        let more = items.len() > asked.limit as usize;
        items.truncate(asked.limit as usize);
        let place = |index: usize| Place {
            part: 0,
            offset: asked.offset.saturating_add(index as u64 + 1),
        };
        let items = items.into_iter().enumerate();
        Ok(Found {
            items: items.map(|(index, item)| (item, place(index))).collect(),
            more,
        })
    }
}

/// The error about one that there is not, or not any more.
pub(crate) fn missing(id: &str) -> Error {
    Error::NoSuchLoggedModel(id.to_owned())
}
