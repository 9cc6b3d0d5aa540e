//! Rules of experiments.

use super::texts::{check_count, check_key, check_pairs, check_text};
use super::{
    Experiment, ExperimentBy, ExperimentSearch, Found, KeyValue, MAX_BATCH_PARAMS, MAX_EXPERIMENT_TAG_CHARS,
    MAX_LOCATION_CHARS, MAX_NAME_CHARS, NewExperiment, Place, SearchText, Tracking,
};
use crate::error::{Result, Violation};
use crate::service::search;
use crate::service::store::{Page, PageRequest};

impl Tracking {
    /// Creates an experiment; [`crate::Error::ExperimentExists`] when the name is taken, by a deleted one too.
    pub async fn create_experiment(&self, new: &NewExperiment) -> Result<Experiment> {
        let mut found = Vec::new();
        check_text("name", &new.name, 1, MAX_NAME_CHARS, &mut found);
        check_location(&new.artifact_location, &mut found);
        check_count("tags", new.tags.len(), MAX_BATCH_PARAMS, &mut found);
        check_pairs("tags", &new.tags, MAX_EXPERIMENT_TAG_CHARS, &mut found);
        Violation::none(found)?;
        self.store.create_experiment(new, self.clock.now()).await
    }

    /// One experiment, active or deleted.
    pub async fn experiment(&self, by: &ExperimentBy) -> Result<Experiment> {
        self.store.experiment(by).await
    }

    /// Active experiments, newest first.
    pub async fn experiments(&self, page: &PageRequest) -> Result<Page<Experiment>> {
        self.store.experiments(page).await
    }

    /// Experiments that a filter selects, from an offset on.
    pub async fn search_experiments(&self, asked: &SearchText, offset: u64) -> Result<Found<Experiment>> {
        let search = ExperimentSearch {
            clauses: search::experiment_filter(&asked.filter)?,
            order: search::experiment_order(&asked.order_by)?,
            view: asked.view,
            limit: asked.limit.saturating_add(1),
            offset,
        };
        let mut items = self.store.search_experiments(&search).await?;
        let more = items.len() > asked.limit as usize;
        items.truncate(asked.limit as usize);
        let place = |index: usize| Place {
            part: 0,
            offset: offset.saturating_add(index as u64 + 1),
        };
        let items = items.into_iter().enumerate();
        Ok(Found {
            items: items.map(|(index, item)| (item, place(index))).collect(),
            more,
        })
    }

    /// Gives an active experiment another name.
    pub async fn rename_experiment(&self, id: i64, name: &str) -> Result<Experiment> {
        let mut found = Vec::new();
        check_text("name", name, 1, MAX_NAME_CHARS, &mut found);
        Violation::none(found)?;
        self.store.rename_experiment(id, name, self.clock.now()).await
    }

    /// Marks an active experiment deleted, and its active runs with it.
    pub async fn delete_experiment(&self, id: i64) -> Result<()> {
        self.store.delete_experiment(id, self.clock.now()).await
    }

    /// Takes a deleted experiment back, and the runs that went with it.
    pub async fn restore_experiment(&self, id: i64) -> Result<()> {
        self.store.restore_experiment(id, self.clock.now()).await
    }

    /// Sets one tag of an active experiment.
    pub async fn set_experiment_tag(&self, id: i64, tag: &KeyValue) -> Result<()> {
        let mut found = Vec::new();
        check_key("tag.key", &tag.key, &mut found);
        check_text("tag.value", &tag.value, 0, MAX_EXPERIMENT_TAG_CHARS, &mut found);
        Violation::none(found)?;
        self.store.set_experiment_tag(id, tag, self.clock.now()).await
    }

    /// Removes one tag of an active experiment.
    pub async fn delete_experiment_tag(&self, id: i64, key: &str) -> Result<()> {
        self.store.delete_experiment_tag(id, key, self.clock.now()).await
    }
}

/// A location is kept as text and joined with names below it. One that leads elsewhere, or to a disk of whoever reads it,
/// is none.
fn check_location(location: &str, found: &mut Vec<Violation>) {
    if location.is_empty() {
        return;
    }
    check_text("artifact_location", location, 1, MAX_LOCATION_CHARS, found);
    let mut refuse = |rule: &'static str, why: &str| found.push(Violation::new("artifact_location", rule, why));
    if location.contains(['?', '#']) {
        refuse("location_query", "must have no query and no fragment");
    }
    let decoded = location.replace("%2e", ".").replace("%2E", ".");
    if decoded.split(['/', '\\']).any(|part| part == "..") {
        refuse("location_parent", "must not contain \"..\"");
    }
    match location.split_once(":/") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") || scheme.len() < 2 => {
            refuse(
                "location_disk",
                "must not be a path of a disk: leave it empty, or name a remote store",
            );
        }
        Some(_) => {}
        None => refuse(
            "location_scheme",
            "must be a URI, for example \"s3://bucket/experiments\"",
        ),
    }
}
