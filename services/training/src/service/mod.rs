//! The logic of training. No tonic and no SQL types in its signatures.
//!
//! [`snapshots`] takes tables in, [`pipeline`] runs the steps and [`store`] remembers runs. [`trainer`], [`tuning`], [`fitting`], [`evaluation`],
//! [`plots`] and [`rows`] are pure functions of rows, parameters and seeds; [`registry`] is what the pipeline needs of the registry.
//! [`imported`] reads model files of other libraries, [`export`] writes one. [`versions`] reads what is on record of a version, [`model_card`]
//! writes it down for people, [`reproduction`] makes it again.

pub mod evaluation;
pub mod exploration;
pub mod export;
mod figures;
pub mod fitting;
pub mod imported;
pub mod imports;
pub mod model_card;
mod naming;
pub mod params;
pub mod pipeline;
pub mod plots;
pub mod recipe;
pub mod registry;
pub mod reproduction;
pub mod rows;
pub mod runs;
pub mod snapshots;
pub mod store;
pub mod trainer;
pub mod tuning;
pub mod versions;
