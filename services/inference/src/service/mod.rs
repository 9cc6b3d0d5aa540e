//! The logic of inference: which model serves, how it is replaced, how predictions are made and logged. No wire types.

pub mod identity;
pub mod last_good;
pub mod loader;
pub mod out_of_domain;
pub mod predict;
pub mod prediction_log;
pub mod preparation;
pub mod registry;
pub mod reporter;
pub mod rollout;
pub mod serving;
pub mod status;
pub mod subscription;
pub mod target;
pub mod threads;
