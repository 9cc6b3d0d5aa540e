//! The logic of training. No tonic and no SQL types in its signatures.
//!
//! [`snapshots`] takes tables in, [`pipeline`] runs the steps and [`store`] remembers runs. [`trainer`], [`fitting`], [`evaluation`] and
//! [`rows`] are pure functions of rows, parameters and seeds; [`registry`] is what the pipeline needs of the registry.

pub mod evaluation;
pub mod fitting;
pub mod params;
pub mod pipeline;
pub mod registry;
pub mod rows;
pub mod runs;
pub mod snapshots;
pub mod store;
pub mod trainer;
