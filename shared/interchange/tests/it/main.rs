//! Models that the real libraries wrote, against what these say of the same rows; ours, as XGBoost reads them; damaged files.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose fixture cannot be read has failed"
)]

mod bind;
mod corruption;
mod export;
mod lightgbm;
mod mlmodel;
mod support;
mod unsupported;
mod xgboost;
