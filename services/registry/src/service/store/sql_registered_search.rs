//! Registered models and their versions in SQL: what reads and searches them.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::conditions::{Conditions, comparator, order_by};
use super::database::{SqlStore, count, timestamp};
use super::statement::{Dialect, Value, values};
use crate::error::{Error, Result};
use crate::service::registered::{
    Alias, ModelSearch, Readiness, Refusal, RegisteredModel, RegisteredVersion, Stage, VersionSearch,
};
use crate::service::search::{
    Direction, IS_PROMPT_TAG, Order, RegisteredModelClause, RegisteredModelOrderKey, TextTest, VersionClause,
    VersionOrderKey, VersionText, asks_for_prompts,
};
use crate::service::tracking::KeyValue;

/// Name, times of creation and change, description, tags, aliases, and 1 when a version has an artefact.
type ModelRow = (String, i64, i64, String, String, String, i64);

/// Model, number, readiness (see `version_columns`), run, times of creation and change, user, stage, description, source,
/// location, run link, logged model, tags, aliases, import.
type VersionRow = (
    String,
    i64,
    i64,
    String,
    i64,
    i64,
    String,
    String,
    String,
    String,
    String,
    String,
    String,
    String,
    String,
    String,
);

impl SqlStore {
    pub(super) async fn select_registered_model(&self, name: &str) -> Result<RegisteredModel> {
        let sql = format!(
            "SELECT {} FROM models m WHERE m.name = $1",
            model_columns(self.dialect())
        );
        let row = self
            .readers
            .fetch_optional::<ModelRow>(AssertSqlSafe(sql), values![name])
            .await?;
        let row = row.ok_or_else(|| Refusal::NoModel(name.to_owned()))?;
        let found = self.with_latest(vec![row]).await?.pop();
        found.ok_or_else(|| Refusal::NoModel(name.to_owned()).into())
    }

    pub(super) async fn select_registered_models(&self, search: &ModelSearch) -> Result<Vec<RegisteredModel>> {
        let mut query = Conditions::new(self.dialect());
        query.model_clauses(&search.clauses);
        let order = order_by(&search.order, "m.name", |key| match key {
            RegisteredModelOrderKey::Name => "m.name",
            RegisteredModelOrderKey::CreatedAt => "m.created_at_us",
            RegisteredModelOrderKey::UpdatedAt => "m.updated_at_us",
        });
        let columns = model_columns(self.dialect());
        let (sql, values) = query.finish(&format!("{columns} FROM models m"), &order, search.limit, search.offset);
        let rows = self.readers.fetch_all::<ModelRow>(AssertSqlSafe(sql), values).await?;
        self.with_latest(rows).await
    }

    /// Models with the newest version of each of their stages.
    async fn with_latest(&self, rows: Vec<ModelRow>) -> Result<Vec<RegisteredModel>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<Value> = rows.iter().map(|row| Value::from(&row.0)).collect();
        let list: Vec<String> = (1..=names.len()).map(|number| format!("${number}")).collect();
        let sql = format!(
            "SELECT {} FROM model_versions v JOIN (
                 SELECT model, max(version) AS newest FROM model_versions WHERE model IN ({}) GROUP BY model, stage
             ) n ON n.model = v.model AND n.newest = v.version ORDER BY v.version",
            version_columns(self.dialect()),
            list.join(", ")
        );
        let latest = self.readers.fetch_all::<VersionRow>(AssertSqlSafe(sql), names).await?;
        let mut newest: HashMap<String, Vec<RegisteredVersion>> = HashMap::new();
        for row in &latest {
            let version = version_of(row)?;
            newest.entry(version.model.clone()).or_default().push(version);
        }
        let with_newest = |row: ModelRow| {
            let model = model_of(row)?;
            let latest = newest.remove(&model.name).unwrap_or_default();
            Ok(RegisteredModel { latest, ..model })
        };
        rows.into_iter().map(with_newest).collect()
    }

    pub(super) async fn select_registered_version(&self, name: &str, version: u32) -> Result<RegisteredVersion> {
        let columns = version_columns(self.dialect());
        let sql = format!("SELECT {columns} FROM model_versions v WHERE v.model = $1 AND v.version = $2");
        let row = self
            .readers
            .fetch_optional::<VersionRow>(AssertSqlSafe(sql), values![name, version])
            .await?;
        let missing = || Refusal::NoVersion {
            name: name.to_owned(),
            version,
        };
        version_of(&row.ok_or_else(missing)?)
    }

    pub(super) async fn select_registered_versions(&self, search: &VersionSearch) -> Result<Vec<RegisteredVersion>> {
        let mut query = Conditions::new(self.dialect());
        query.version_clauses(&search.clauses);
        let newest_first = [Order {
            by: VersionOrderKey::UpdatedAt,
            direction: Direction::Descending,
        }];
        let wanted = if search.order.is_empty() {
            &newest_first
        } else {
            &*search.order
        };
        let order = order_by(wanted, "v.model, v.version DESC", |key| match key {
            VersionOrderKey::ModelName => "v.model",
            VersionOrderKey::Number => "v.version",
            VersionOrderKey::CreatedAt => "v.created_at_us",
            VersionOrderKey::UpdatedAt => "v.updated_at_us",
        });
        let columns = version_columns(self.dialect());
        let (sql, values) = query.finish(
            &format!("{columns} FROM model_versions v"),
            &order,
            search.limit,
            search.offset,
        );
        let rows = self.readers.fetch_all::<VersionRow>(AssertSqlSafe(sql), values).await?;
        rows.iter().map(version_of).collect()
    }
}

impl Conditions {
    fn model_clauses(&mut self, clauses: &[RegisteredModelClause]) {
        let tags = "model_tags t WHERE t.model = m.name";
        for clause in clauses {
            match clause {
                RegisteredModelClause::Name(test) => {
                    let condition = self.text("m.name", test);
                    self.conditions.push(condition);
                }
                RegisteredModelClause::Tag { key, test } => self.tag(tags, key, test),
            }
        }
        let wanted = clauses.iter().any(|clause| match clause {
            RegisteredModelClause::Tag { key, test } => asks_for_prompts(key, test),
            RegisteredModelClause::Name(_) => false,
        });
        if !wanted {
            self.no_prompts(tags);
        }
    }

    fn version_clauses(&mut self, clauses: &[VersionClause]) {
        for clause in clauses {
            match clause {
                VersionClause::Text { attribute, test } => {
                    let column = match attribute {
                        VersionText::ModelName => "v.model",
                        VersionText::RunId => "v.run_id",
                        VersionText::Source => "v.source",
                    };
                    let condition = self.text(column, test);
                    self.conditions.push(condition);
                }
                VersionClause::Number { op, value } => {
                    let value = self.bind(*value);
                    self.conditions.push(format!("v.version {} {value}", comparator(*op)));
                }
                VersionClause::Tag { key, test } => {
                    let tags = "model_version_tags t WHERE t.model = v.model AND t.version = v.version";
                    self.tag(tags, key, test);
                }
            }
        }
        let wanted = clauses.iter().any(|clause| match clause {
            VersionClause::Tag { key, test } => asks_for_prompts(key, test),
            VersionClause::Text { .. } | VersionClause::Number { .. } => false,
        });
        if !wanted {
            // One version with the tag makes prompts of all.
            self.no_prompts("model_version_tags t WHERE t.model = v.model");
        }
    }

    /// A test of a tag, which is absent from most.
    fn tag(&mut self, of: &str, key: &str, test: &TextTest) {
        if key == IS_PROMPT_TAG && !asks_for_prompts(key, test) {
            // It asks for models, as does a filter without it.
            return;
        }
        let key = self.bind(key);
        let passes = self.text("t.value", test);
        self.conditions
            .push(format!("EXISTS (SELECT 1 FROM {of} AND t.key = {key} AND {passes})"));
    }

    fn no_prompts(&mut self, of: &str) {
        let key = self.bind(IS_PROMPT_TAG);
        self.conditions.push(format!(
            "NOT EXISTS (SELECT 1 FROM {of} AND t.key = {key} AND t.value = 'true')"
        ));
    }
}

/// A JSON array of pairs out of rows, as a text.
fn pairs(dialect: Dialect, first: &str, second: &str, from: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("(SELECT json_group_array(json_array({first}, {second})) FROM {from})"),
        Dialect::Postgres => {
            format!("(SELECT coalesce(json_agg(json_build_array({first}, {second})), '[]')::text FROM {from})")
        }
    }
}

fn model_columns(dialect: Dialect) -> String {
    let tags = pairs(dialect, "t.key", "t.value", "model_tags t WHERE t.model = m.name");
    let aliases = pairs(
        dialect,
        "a.alias",
        "a.version",
        "model_aliases a WHERE a.model = m.name",
    );
    format!(
        "m.name, m.created_at_us, m.updated_at_us, m.description, {tags}, {aliases},
         (SELECT count(*) FROM (
             SELECT 1 FROM model_versions v WHERE v.model = m.name AND v.artifact_digest IS NOT NULL LIMIT 1
         ) able)"
    )
}

/// Readiness: 2 with an artefact, 1 with the files it was made from, 0 without either.
fn version_columns(dialect: Dialect) -> String {
    let tags = pairs(
        dialect,
        "t.key",
        "t.value",
        "model_version_tags t WHERE t.model = v.model AND t.version = v.version",
    );
    let aliases = pairs(
        dialect,
        "a.alias",
        "a.version",
        "model_aliases a WHERE a.model = v.model AND a.version = v.version",
    );
    format!(
        "v.model, v.version,
         CAST(CASE WHEN v.artifact_digest IS NOT NULL THEN 2 WHEN v.origin = 'registered' THEN 1 ELSE 0 END AS BIGINT),
         v.run_id, v.created_at_us, v.updated_at_us, v.created_by, v.stage, v.description, v.source, v.location,
         v.run_link, v.model_id, {tags}, {aliases},
         coalesce((SELECT CASE WHEN i.why = '' THEN i.state ELSE i.state || ': ' || i.why END
                   FROM imports i WHERE i.model = v.model AND i.version = v.version), '')"
    )
}

fn model_of(row: ModelRow) -> Result<RegisteredModel> {
    let (name, created_at, updated_at, description, tags, aliases, able) = row;
    Ok(RegisteredModel {
        name,
        created_at: timestamp(created_at)?,
        updated_at: timestamp(updated_at)?,
        description,
        tags: tags_of(&tags)?,
        aliases: aliases_of(&aliases)?,
        latest: Vec::new(),
        has_artifact: able > 0,
    })
}

fn version_of(row: &VersionRow) -> Result<RegisteredVersion> {
    let (model, number, readiness, run_id, created_at, updated_at, user_id, stage, ..) = row;
    let (.., description, source, location, run_link, model_id, tags, aliases, import) = row;
    let version = count(*number)?;
    let stage = Stage::ALL.into_iter().find(|known| known.as_str() == stage);
    Ok(RegisteredVersion {
        model: model.clone(),
        version,
        readiness: match readiness {
            2 => Readiness::Artifact,
            1 => Readiness::Files,
            _ => Readiness::Reserved,
        },
        created_at: timestamp(*created_at)?,
        updated_at: timestamp(*updated_at)?,
        user_id: user_id.clone(),
        stage: stage.ok_or_else(|| Error::Corrupt(format!("stage of version {version} of {model:?}")))?,
        description: description.clone(),
        source: source.clone(),
        location: location.clone(),
        run_id: run_id.clone(),
        run_link: run_link.clone(),
        model_id: model_id.clone(),
        tags: tags_of(tags)?,
        aliases: aliases_of(aliases)?.into_iter().map(|alias| alias.name).collect(),
        import: import.clone(),
    })
}

fn tags_of(json: &str) -> Result<Vec<KeyValue>> {
    let pairs: Vec<(String, String)> = parsed(json)?;
    let mut tags: Vec<KeyValue> = pairs.into_iter().map(|(key, value)| KeyValue { key, value }).collect();
    tags.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    Ok(tags)
}

fn aliases_of(json: &str) -> Result<Vec<Alias>> {
    let pairs: Vec<(String, u32)> = parsed(json)?;
    let mut aliases: Vec<Alias> = pairs
        .into_iter()
        .map(|(name, version)| Alias { name, version })
        .collect();
    aliases.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(aliases)
}

fn parsed<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|source| Error::Corrupt(format!("tags or aliases: {source}")))
}
