//! The schema of the customer table, as `config/schema.yaml` states it.

mod document;
mod rules;

use std::sync::LazyLock;

use crate::digest::Digest;
use crate::feature::{Feature, FeatureKind};

pub use document::SchemaError;
pub(crate) use rules::Rules;

static EMBEDDED: LazyLock<Schema> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "the text is a part of the program, and a test parses it"
    )]
    Schema::parse(include_str!("../../../config/schema.yaml")).expect("the embedded schema is valid")
});

/// What the columns are called and what they may hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    pub(crate) version: u32,
    pub(crate) key: KeyColumn,
    pub(crate) target: TargetColumn,
    /// Exactly one per feature, in the order of [`Feature::ALL`].
    pub(crate) columns: Vec<Column>,
    pub(crate) drop: Vec<String>,
    pub(crate) digest: Digest,
    /// The columns' rules once more, for rows that keep them.
    pub(crate) rules: Rules,
}

/// The column that tells customers apart.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    /// What it means, for an analyst.
    pub description: String,
}

/// The column to be predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetColumn {
    /// Its name.
    pub name: String,
    /// The text that stands for `true`: the customer left.
    pub positive: String,
    /// The text that stands for `false`: the customer stayed.
    pub negative: String,
    /// What it means, for an analyst.
    pub description: String,
}

/// One feature's column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The feature it holds.
    pub feature: Feature,
    /// Number or category.
    pub kind: FeatureKind,
    /// Unit of the value ("US dollars"), for people.
    pub unit: Option<String>,
    /// The smallest value that is possible at all; `None` for categories.
    pub minimum: Option<f64>,
    /// The largest value that is possible at all; `None` for categories.
    pub maximum: Option<f64>,
    /// Whether only whole numbers are allowed.
    pub integer: bool,
    /// The categories in the order of their codes; empty for numbers.
    pub categories: Vec<String>,
    /// Whether training data may lack it.
    pub nullable: bool,
    /// Whether a prediction needs it.
    pub required: bool,
    /// What it means, for an analyst.
    pub description: String,
}

impl Column {
    /// The column's name in files, tables and APIs.
    pub const fn name(&self) -> &'static str {
        self.feature.name()
    }
}

/// What a column of a source is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnRole {
    /// The customer key.
    Key,
    /// The target.
    Target,
    /// A feature.
    Feature(Feature),
    /// To be left out.
    Dropped,
}

impl Schema {
    /// The schema this program was built with.
    pub fn embedded() -> &'static Schema {
        &EMBEDDED
    }

    /// Reads a schema from the text of a `schema.yaml`.
    ///
    /// # Errors
    /// [`SchemaError`] with the path of the entry that is wrong: unknown or missing keys, a feature missing, unknown or listed
    /// twice, categories missing or repeated, a range out of order.
    pub fn parse(text: &str) -> Result<Schema, SchemaError> {
        document::parse(text)
    }

    /// The version of the schema file's format.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The nineteen feature columns in the order of [`Feature::ALL`].
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of `feature`.
    pub fn column(&self, feature: Feature) -> &Column {
        &self.columns[feature.index()]
    }

    /// The key column.
    pub fn key(&self) -> &KeyColumn {
        &self.key
    }

    /// The target column.
    pub fn target(&self) -> &TargetColumn {
        &self.target
    }

    /// Digest of everything in the schema that decides what a value means; units' and descriptions' wording does not change it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The features every prediction needs, in index order.
    pub fn required(&self) -> impl Iterator<Item = Feature> + '_ {
        self.columns
            .iter()
            .filter(|column| column.required)
            .map(|column| column.feature)
    }

    /// The features a prediction can do without, in index order.
    pub fn optional(&self) -> impl Iterator<Item = Feature> + '_ {
        self.columns
            .iter()
            .filter(|column| !column.required)
            .map(|column| column.feature)
    }

    /// Whether an import leaves this column out.
    pub fn dropped(&self, column: &str) -> bool {
        self.drop.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => column.starts_with(prefix),
            None => column == pattern,
        })
    }

    /// What a column of this name is for; `None` when the schema does not know it.
    pub fn role(&self, column: &str) -> Option<ColumnRole> {
        if let Some(feature) = Feature::from_name(column) {
            Some(ColumnRole::Feature(feature))
        } else if column == self.key.name {
            Some(ColumnRole::Key)
        } else if column == self.target.name {
            Some(ColumnRole::Target)
        } else if self.dropped(column) {
            Some(ColumnRole::Dropped)
        } else {
            None
        }
    }

    /// The code of `category` of `feature`: its place in the list.
    pub fn category_code(&self, feature: Feature, category: &str) -> Option<usize> {
        self.column(feature)
            .categories
            .iter()
            .position(|known| known == category)
    }

    /// The name of the category that has `code`.
    pub fn category_name(&self, feature: Feature, code: usize) -> Option<&str> {
        self.column(feature).categories.get(code).map(String::as_str)
    }

    /// The text of a label in the target column.
    pub fn label_text(&self, label: bool) -> &str {
        if label {
            &self.target.positive
        } else {
            &self.target.negative
        }
    }

    /// Every column name a source may carry: key, target, features.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        let head: [&str; 2] = [&self.key.name, &self.target.name];
        head.into_iter()
            .chain(self.columns.iter().map(|column| -> &str { column.name() }))
    }
}

#[cfg(test)]
mod tests;
