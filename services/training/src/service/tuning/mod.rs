//! The search for parameters: Bayesian, by cross-validation on the training rows, with the same trials for any number of workers.
//!
//! [`space`] says what may be tried, [`sampler`] chooses what is tried next ([`gaussian_process`]), [`search`] runs the trials, [`stages`]
//! finds the best value of a parameter that one fit passes through, and [`pruning`] gives up trials without hope; these know nothing of models.
//! [`recipes`] makes recipes of points, [`objective`] measures them, as coarsely as [`coarseness`] says, [`tune`] puts it all together,
//! [`importance`] says which parameters mattered and [`record`] what is kept.
//!
//! The sampler is our own. The crate that was tried for it (`optimizer` 1.0, its Gaussian process) leaves choices out of its model, takes one fixed
//! noise for all observations, knows no points that are still at work, and tells parameters with equal ranges apart by nothing; and with `nalgebra`
//! it would add more code to the build than the four hundred lines here.

mod coarseness;
#[cfg(test)]
mod fixtures;
mod gaussian_process;
pub mod importance;
mod linear_algebra;
mod normal;
pub mod objective;
pub mod pruning;
pub mod recipes;
pub mod record;
pub mod sampler;
pub mod search;
pub mod space;
mod stages;
pub mod tune;

pub use objective::TuningObjective;
pub use recipes::{RecipeSpace, SearchSpaces};
pub use record::{TrialRecord, TuningRecord};
