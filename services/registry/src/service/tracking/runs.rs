//! Rules of runs and of what is logged to them.

use std::collections::HashMap;

use uuid::Uuid;

use super::texts::{check_count, check_key, check_pairs, check_text};
use super::{
    Batch, Found, KeyValue, MAX_BATCH_METRICS, MAX_BATCH_PARAMS, MAX_KEY_CHARS, MAX_NAME_CHARS, MAX_PARAM_CHARS,
    MAX_TAG_CHARS, MAX_USER_CHARS, Metric, NOBODY, NewRun, Place, REQUESTED_BY_TAG, RUN_NAME_TAG, Run, RunChange,
    RunSearch, RunStatus, SearchText, Tracking, USER_TAG,
};
use crate::error::{Result, Violation};
use crate::service::search;
use crate::service::store::{Page, PageRequest};

impl Run {
    /// Who started it, as far as it says so itself: its `user_id`, which never changes, before its tags, which anybody may change.
    pub fn started_by(&self) -> Option<&str> {
        let told = [
            Some(self.user_id.as_str()),
            tag(&self.tags, REQUESTED_BY_TAG),
            tag(&self.tags, USER_TAG),
        ];
        told.into_iter()
            .flatten()
            .find(|name| !name.trim().is_empty() && name.trim() != NOBODY)
    }
}

impl Tracking {
    /// Opens a run. The same id again answers the run that exists, so that a retry is safe.
    pub async fn create_run(&self, mut new: NewRun) -> Result<Run> {
        let mut found = Vec::new();
        check_text("name", &new.name, 0, MAX_NAME_CHARS, &mut found);
        check_text("user_id", &new.user_id, 0, MAX_USER_CHARS, &mut found);
        check_pairs("tags", &new.tags, MAX_TAG_CHARS, &mut found);
        if let Some(id) = &new.id
            && Uuid::parse_str(id).is_err()
        {
            found.push(Violation::new("run_id", "uuid", "must be a UUID"));
        }
        let named = tag(&new.tags, RUN_NAME_TAG).unwrap_or_default();
        if !new.name.is_empty() && !named.is_empty() && new.name != named {
            let rule = format!("is {:?}, but the tag mlflow.runName is {named:?}", new.name);
            found.push(Violation::new("name", "two_names", &rule));
        }
        Violation::none(found)?;
        // As MLflow's server makes them: time-ordered, and without dashes.
        let id = new.id.take().unwrap_or_else(|| Uuid::now_v7().simple().to_string());
        if new.name.is_empty() {
            new.name = match named {
                "" => format!("run-{}", &id[id.len().saturating_sub(8)..]),
                named => named.to_owned(),
            };
        }
        if new.user_id.is_empty() {
            new.user_id = tag(&new.tags, USER_TAG).unwrap_or_default().to_owned();
        }
        if tag(&new.tags, RUN_NAME_TAG).is_none() {
            new.tags.push(KeyValue {
                key: RUN_NAME_TAG.to_owned(),
                value: new.name.clone(),
            });
        }
        new.started_at.get_or_insert_with(|| self.clock.now());
        self.store.create_run(&id, &new).await
    }

    /// Changes an active run.
    pub async fn update_run(&self, run_id: &str, mut change: RunChange) -> Result<Run> {
        let mut found = Vec::new();
        if let Some(name) = &change.name {
            check_text("name", name, 1, MAX_NAME_CHARS, &mut found);
        }
        Violation::none(found)?;
        if change.status.is_some_and(RunStatus::is_final) && change.ended_at.is_none() {
            change.ended_at = Some(self.clock.now());
        }
        self.store.update_run(run_id, &change).await
    }

    /// One run, active or deleted.
    pub async fn run(&self, run_id: &str) -> Result<Run> {
        self.store.run(run_id).await
    }

    /// Active runs, newest first.
    pub async fn runs(&self, experiment: Option<i64>, page: &PageRequest) -> Result<Page<Run>> {
        self.store.runs(experiment, page).await
    }

    /// Runs that a filter selects, from a place on.
    pub async fn search_runs(&self, experiments: Vec<i64>, asked: &SearchText, from: Place) -> Result<Found<Run>> {
        let search = RunSearch {
            experiments,
            clauses: search::run_filter(&asked.filter)?,
            order: search::run_order(&asked.order_by)?,
            view: asked.view,
            limit: asked.limit,
            from,
        };
        if search.experiments.is_empty() {
            return Ok(Found {
                items: Vec::new(),
                more: false,
            });
        }
        self.store.search_runs(&search).await
    }

    /// Marks a run deleted.
    pub async fn delete_run(&self, run_id: &str) -> Result<()> {
        self.store.delete_run(run_id, self.clock.now()).await
    }

    /// Takes a deleted run back.
    pub async fn restore_run(&self, run_id: &str) -> Result<()> {
        self.store.restore_run(run_id).await
    }

    /// Logs a batch: all of it or nothing. A parameter cannot change its value.
    pub async fn log_batch(&self, run_id: &str, batch: Batch) -> Result<()> {
        let mut found = Vec::new();
        check_count("metrics", batch.metrics.len(), MAX_BATCH_METRICS, &mut found);
        check_count("params", batch.params.len(), MAX_BATCH_PARAMS, &mut found);
        check_count("tags", batch.tags.len(), MAX_BATCH_PARAMS, &mut found);
        for (index, metric) in batch.metrics.iter().enumerate() {
            // The name of the field is made for keys that are not plainly right, which are few.
            let plain = !metric.key.is_empty() && metric.key.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !plain || metric.key.len() > MAX_KEY_CHARS {
                check_key(&format!("metrics[{index}].key"), &metric.key, &mut found);
            }
        }
        check_pairs("params", &batch.params, MAX_PARAM_CHARS, &mut found);
        check_pairs("tags", &batch.tags, MAX_TAG_CHARS, &mut found);
        check_once(&batch.params, &mut found);
        Violation::none(found)?;
        self.store.log_batch(run_id, batch).await
    }

    /// Removes one tag of an active run.
    pub async fn delete_tag(&self, run_id: &str, key: &str) -> Result<()> {
        self.store.delete_tag(run_id, key).await
    }

    /// Values of a metric, by time, then step, then value, from an offset on; one more than `limit` when there are more.
    pub async fn metric_history(&self, run_id: &str, key: &str, limit: u32, offset: u64) -> Result<Vec<Metric>> {
        self.store
            .metric_history(run_id, key, limit.saturating_add(1), offset)
            .await
    }

    /// At most `most` values of a metric, evenly apart, the first and the last among them, by step, time and value; of the
    /// steps of a range, both ends included, if there is one.
    pub async fn sample_metric_history(
        &self,
        run_id: &str,
        key: &str,
        steps: Option<(i64, i64)>,
        most: u32,
    ) -> Result<Vec<Metric>> {
        self.store.sample_metric_history(run_id, key, steps, most).await
    }
}

fn tag<'a>(tags: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = tags.iter().rev().find(|tag| tag.key == key)?;
    Some(&found.value)
}

/// A parameter twice in one batch is a mistake, unless both say the same.
fn check_once(params: &[KeyValue], found: &mut Vec<Violation>) {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for (index, param) in params.iter().enumerate() {
        if let Some(before) = seen.insert(&param.key, &param.value) {
            let rule = if before == param.value {
                format!("parameter {:?} is there twice in this batch", param.key)
            } else {
                format!(
                    "parameter {:?} is there twice in this batch, as {before:?} and {:?}",
                    param.key, param.value
                )
            };
            found.push(Violation::new(&format!("params[{index}].key"), "duplicate", &rule));
        }
    }
}
