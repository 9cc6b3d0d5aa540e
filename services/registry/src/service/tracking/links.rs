//! What went into runs and came out of them: data sets and logged models.

use super::texts::{check_count, check_key, check_text};
use super::{KeyValue, MAX_TAG_CHARS, Tracking};
use crate::error::{Result, Violation};

/// Most data sets of one call, and most logged models.
const MAX_LINKS: usize = 1_000;
/// The most experiments whose data sets are looked for at once.
const MAX_EXPERIMENTS: usize = 20;
/// Longest texts of a data set, in characters: MLflow's.
const MAX_DATASET_NAME_CHARS: usize = 500;
const MAX_DATASET_DIGEST_CHARS: usize = 36;
const MAX_DATASET_SOURCE_CHARS: usize = 65_535;
const MAX_DATASET_SCHEMA_CHARS: usize = 1_048_575;
const MAX_DATASET_PROFILE_CHARS: usize = 16_777_215;

/// The tag of a use of a data set that says what for it was read.
pub const DATASET_CONTEXT_TAG: &str = "mlflow.data.context";

/// A set of data, known by name and digest within an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dataset {
    /// Name.
    pub name: String,
    /// What the sender says its content is.
    pub digest: String,
    /// Kind of source.
    pub source_type: String,
    /// Where it is from, usually JSON.
    pub source: String,
    /// Columns, usually JSON; may be empty.
    pub schema: String,
    /// Counts and the like, usually JSON; may be empty.
    pub profile: String,
}

/// A data set that a run has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetInput {
    /// The data set.
    pub dataset: Dataset,
    /// Tags of this use, by key.
    pub tags: Vec<KeyValue>,
}

/// A logged model that a run has made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelOutput {
    /// The logged model.
    pub model_id: String,
    /// Step within the run.
    pub step: i64,
}

/// What went into a run and came out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Data sets that it has read.
    pub datasets: Vec<DatasetInput>,
    /// Logged models that it has read.
    pub model_inputs: Vec<String>,
    /// Logged models that it has made.
    pub model_outputs: Vec<ModelOutput>,
}

/// A data set and a use of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSummary {
    /// The experiment.
    pub experiment_id: i64,
    /// Name.
    pub name: String,
    /// Digest.
    pub digest: String,
    /// What for it was read; may be empty.
    pub context: String,
}

impl Tracking {
    /// Records what went into an active run, or came out of it. The same data set again adds its tags.
    pub async fn link(&self, run_id: &str, links: Links) -> Result<()> {
        let mut found = Vec::new();
        check_count("datasets", links.datasets.len(), MAX_LINKS, &mut found);
        check_count("model_ids", links.model_inputs.len(), MAX_LINKS, &mut found);
        check_count("models", links.model_outputs.len(), MAX_LINKS, &mut found);
        for (index, input) in links.datasets.iter().enumerate() {
            let field = |name: &str| format!("datasets[{index}].{name}");
            let Dataset {
                name,
                digest,
                source_type,
                source,
                schema,
                profile,
            } = &input.dataset;
            check_text(&field("name"), name, 1, MAX_DATASET_NAME_CHARS, &mut found);
            check_text(&field("digest"), digest, 1, MAX_DATASET_DIGEST_CHARS, &mut found);
            check_text(
                &field("source_type"),
                source_type,
                1,
                MAX_DATASET_DIGEST_CHARS,
                &mut found,
            );
            check_text(&field("source"), source, 1, MAX_DATASET_SOURCE_CHARS, &mut found);
            check_text(&field("schema"), schema, 0, MAX_DATASET_SCHEMA_CHARS, &mut found);
            check_text(&field("profile"), profile, 0, MAX_DATASET_PROFILE_CHARS, &mut found);
            for (tag_index, tag) in input.tags.iter().enumerate() {
                check_key(&field(&format!("tags[{tag_index}].key")), &tag.key, &mut found);
                let field = field(&format!("tags[{tag_index}].value"));
                check_text(&field, &tag.value, 0, MAX_TAG_CHARS, &mut found);
            }
        }
        let models = links.model_outputs.iter().map(|output| &output.model_id);
        for model_id in links.model_inputs.iter().chain(models) {
            check_text("model_id", model_id, 1, super::MAX_KEY_CHARS, &mut found);
        }
        Violation::none(found)?;
        self.store.link(run_id, links).await
    }

    /// Data sets that runs of these experiments have read, one for each use; at most 1,000.
    pub async fn datasets(&self, experiments: &[i64]) -> Result<Vec<DatasetSummary>> {
        let mut found = Vec::new();
        if experiments.is_empty() {
            found.push(Violation::new("experiment_ids", "required", "must name an experiment"));
        }
        check_count("experiment_ids", experiments.len(), MAX_EXPERIMENTS, &mut found);
        Violation::none(found)?;
        self.store.datasets(experiments).await
    }
}
