//! Statistics of samples and counts: pure functions, one statistic per file, each with its source, a worked number in its tests and
//! its usual threshold as a constant beside the formula. Quality of scores against labels is in `holdfast_model::metrics`.
//!
//! Nothing here knows of windows, features or reports. Reference distributions come in the form in which the model
//! artefact stores them: an [`Ecdf`] of distinct values with counts, or counts per bin or category.
//!
//! | question | statistic | default threshold |
//! |---|---|---|
//! | do two numeric samples differ? | [`ks::two_sample`] | [`ks::DEFAULT_ALPHA`], together with [`ks::DEFAULT_MINIMUM_D`] |
//! | what could these sample sizes have seen at all? | [`power`] | |
//! | which of many features drifted? | [`benjamini_hochberg`](benjamini_hochberg()) | [`DEFAULT_FALSE_DISCOVERY_RATE`] |
//! | do two sets of category counts differ? | [`chi_squared::two_sample`] | [`chi_squared::DEFAULT_ALPHA`] |
//! | does one sample tend to larger values? | [`mann_whitney`](mann_whitney()), [`EffectSize`] | |
//! | do two columns say the same? | [`spearman`], [`pearson`], [`association`] | [`DEFAULT_NEAR_DUPLICATE`] |
//! | how much does a column say about a class? | [`information_value`](information_value()) | [`DEFAULT_SUSPICIOUS`] |
//! | is one learner better than another in cross-validation? | [`corrected_resampled_t`] | [`DEFAULT_ALPHA`] |
//! | by how much? | [`psi`](psi()), [`jensen_shannon`](jensen_shannon()), [`wasserstein`](wasserstein()) | beside each |
//!
//! Every p-value agrees with scipy's to 1e-9; `tests/fixtures/statistics` at the root of the workspace holds the numbers
//! and the script that made them.

mod benjamini_hochberg;
mod bisection;
pub mod chi_squared;
mod correlation;
mod counts;
mod cramers_v;
mod ecdf;
mod error;
#[cfg(test)]
mod fixtures;
mod information_value;
mod jensen_shannon;
pub mod kolmogorov;
pub mod ks;
mod ks_exact;
mod mann_whitney;
pub mod power;
mod psi;
mod quantile;
mod ranks;
mod resampled_t;
mod students_t;
mod wasserstein;

pub use benjamini_hochberg::{DEFAULT_FALSE_DISCOVERY_RATE, benjamini_hochberg};
pub use correlation::{DEFAULT_NEAR_DUPLICATE, pearson, spearman};
pub use cramers_v::{Association, association};
pub use ecdf::Ecdf;
pub use error::StatisticsError;
pub use information_value::{DEFAULT_SUSPICIOUS, SMOOTHING, information_value};
pub use jensen_shannon::{DEFAULT_JENSEN_SHANNON_THRESHOLD, jensen_shannon};
pub use mann_whitney::{EffectSize, MannWhitney, mann_whitney};
pub use psi::{DEFAULT_PSI_THRESHOLD, PSI_SHARE_FLOOR, psi};
pub use quantile::quantile_of_sorted;
pub use ranks::mid_ranks;
pub use resampled_t::{DEFAULT_ALPHA, ResampledT, corrected_resampled_t};
pub use wasserstein::{DEFAULT_NORMED_WASSERSTEIN_THRESHOLD, Wasserstein, wasserstein};
