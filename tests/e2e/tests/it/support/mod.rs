//! Starting what is tested, and asking it.

mod cluster;
mod command;
mod customers;

pub(crate) use cluster::{Cluster, Name};
pub(crate) use command::{Finished, binary, holdfast, run};
pub(crate) use customers::{customers, record};

use std::time::Duration;

/// Longer than anything takes on a machine that does other things as well; only a hang gets here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
