//! Searches, as the store takes them.

use std::fmt;
use std::str::FromStr;

use super::super::search::{ExperimentClause, ExperimentOrderKey, Order, RunClause, RunOrderKey};

/// Which of active and deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LifecycleView {
    /// Active ones.
    #[default]
    Active,
    /// Deleted ones.
    Deleted,
    /// Both.
    All,
}

/// What a caller looks for, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchText {
    /// Clauses joined by `AND`; empty: all.
    pub filter: String,
    /// Keys with directions.
    pub order_by: Vec<String>,
    /// Which of active and deleted.
    pub view: LifecycleView,
    /// At most so many entries, at least 1.
    pub limit: u32,
}

/// A search for experiments.
#[derive(Clone, Debug, PartialEq)]
pub struct ExperimentSearch {
    /// All must hold.
    pub clauses: Vec<ExperimentClause>,
    /// The order; newest first when empty.
    pub order: Vec<Order<ExperimentOrderKey>>,
    /// Which of active and deleted.
    pub view: LifecycleView,
    /// At most so many.
    pub limit: u32,
    /// So many are left out at the beginning.
    pub offset: u64,
}

/// A search for runs.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSearch {
    /// Of these experiments.
    pub experiments: Vec<i64>,
    /// All must hold.
    pub clauses: Vec<RunClause>,
    /// The order; ties are broken by start, newest first, then by id.
    pub order: Vec<Order<RunOrderKey>>,
    /// Which of active and deleted.
    pub view: LifecycleView,
    /// At most so many.
    pub limit: u32,
    /// Where to go on.
    pub from: Place,
}

/// A place in an ordered result. Where the first key of the order is a metric, runs come in three parts: those with a number,
/// those with NaN, those without the metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The part, 0 to 2.
    pub part: u8,
    /// So many of the part are left out.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.part, self.offset)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (part, offset) = text.split_once('.').ok_or(())?;
        let part = part.parse().map_err(|_| ())?;
        let offset = offset.parse().map_err(|_| ())?;
        if part > 2 {
            return Err(());
        }
        Ok(Self { part, offset })
    }
}

/// Entries that a search found, each with the place just after it, so that a page can end after any of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<T> {
    /// The entries in order.
    pub items: Vec<(T, Place)>,
    /// True when there are more.
    pub more: bool,
}
