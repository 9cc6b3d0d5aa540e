//! What the table is: size, churn rate, columns, gaps, and what an import would refuse.

use std::collections::HashSet;

use holdfast_domain::{Feature, FeatureKind, Schema};
use holdfast_model::metrics::{Proportion, wilson};
use serde::Serialize;

use super::ExploreError;
use super::frame::{Frame, FrameColumn, Role, Values};

/// The table at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// Rows of the table.
    pub rows_read: usize,
    /// Rows with a usable target, of each customer the first: everything below is about these.
    pub rows: usize,
    /// Rows left out because the target is missing or neither of its two values.
    pub without_label: usize,
    /// Rows left out because their customer is in an earlier row.
    pub repeated_keys: usize,
    /// Rows whose nineteen features are those of an earlier row. They stay in.
    pub repeated_features: usize,
    /// Customers who left.
    pub left: usize,
    /// Share of customers who left, with its Wilson interval.
    pub churn: Share,
    /// The table's columns but for the target, in its order.
    pub columns: Vec<ColumnSummary>,
    /// Features of the schema that the table has not.
    pub absent: Vec<AbsentFeature>,
    /// What an import would refuse, by column and rule.
    pub problems: Vec<Problem>,
}

/// A share with its 95 % interval (Wilson), all 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The share.
    pub value: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

impl From<Proportion> for Share {
    fn from(proportion: Proportion) -> Self {
        Self {
            value: proportion.value,
            lower: proportion.lower,
            upper: proportion.upper,
        }
    }
}

/// A column of the table.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnSummary {
    /// Its name.
    pub name: String,
    /// What the schema makes of it.
    pub role: ColumnUse,
    /// Numbers or categories.
    pub kind: &'static str,
    /// Different values.
    pub distinct: usize,
    /// Rows without a value, values that the schema refuses among them.
    pub missing: usize,
    /// Share of such rows among customers who stayed, 0 to 1.
    pub missing_share_stayed: f64,
    /// Share of such rows among customers who left, 0 to 1.
    pub missing_share_left: f64,
}

/// What the schema makes of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnUse {
    /// It tells customers apart.
    Key,
    /// A feature that every prediction needs.
    Required,
    /// A feature that predictions can do without.
    Optional,
    /// It is dropped on import.
    Dropped,
    /// An import refuses it.
    Unknown,
}

/// A feature of the schema that the table has no column for.
#[derive(Clone, Debug, Serialize)]
pub struct AbsentFeature {
    /// Its name.
    pub name: &'static str,
    /// Whether training needs it.
    pub needed: bool,
}

/// A rule that the table breaks.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// The column; empty where rows or the table as a whole are meant.
    pub column: String,
    /// The rule's stable name.
    pub rule: &'static str,
    /// How often.
    pub count: u64,
    /// The first case, in words.
    pub example: String,
}

pub(super) fn overview(frame: &Frame, problems: Vec<Problem>, schema: &Schema) -> Result<Overview, ExploreError> {
    let left = frame.left();
    let absent = Feature::ALL
        .into_iter()
        .filter(|feature| frame.feature(*feature).is_none());
    Ok(Overview {
        rows_read: frame.rows_read,
        rows: frame.labels.len(),
        without_label: frame.without_label,
        repeated_keys: frame.repeated_keys,
        repeated_features: repeated_features(frame),
        left,
        churn: wilson(left as u64, frame.labels.len() as u64)?.into(),
        columns: frame
            .columns
            .iter()
            .map(|column| summary(column, frame, schema))
            .collect(),
        absent: absent
            .map(|feature| AbsentFeature {
                name: feature.name(),
                needed: !schema.column(feature).nullable,
            })
            .collect(),
        problems,
    })
}

fn repeated_features(frame: &Frame) -> usize {
    let mut seen = HashSet::new();
    let bits = frame
        .customers
        .iter()
        .map(|customer| customer.features.0.map(f64::to_bits));
    bits.filter(|bits| !seen.insert(*bits)).count()
}

fn summary(column: &FrameColumn, frame: &Frame, schema: &Schema) -> ColumnSummary {
    let mut missing = [0_usize; 2];
    for (row, label) in frame.labels.iter().enumerate() {
        missing[usize::from(*label)] += usize::from(column.values.missing(row));
    }
    let left = frame.left();
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    ColumnSummary {
        name: column.name.clone(),
        role: match column.role {
            Role::Key => ColumnUse::Key,
            Role::Feature(feature) if schema.column(feature).required => ColumnUse::Required,
            Role::Feature(_) => ColumnUse::Optional,
            Role::Dropped => ColumnUse::Dropped,
            Role::Unknown => ColumnUse::Unknown,
        },
        kind: match column.values {
            Values::Numbers(_) => FeatureKind::Numeric.name(),
            Values::Categories { .. } => FeatureKind::Categorical.name(),
        },
        distinct: column.values.distinct(),
        missing: missing[0] + missing[1],
        missing_share_stayed: share(missing[0], frame.labels.len() - left),
        missing_share_left: share(missing[1], left),
    }
}
