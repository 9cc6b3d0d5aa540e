//! Models of other libraries become ours, and ours theirs.
//!
//! * [`import`] reads XGBoost's JSON and UBJSON (1.7 to 3.x) and LightGBM's text (3.x and 4.x), as their `save_model` writes them, into [`Imported`]:
//!   trees, and what the file says of its columns.
//! * [`bind`] connects the columns to a schema **by name** and gives the two parts that a model needs, a `Preprocessing` and an
//!   `Ensemble`. With calibration, threshold, profile and golden rows beside them they are an artefact like any other.
//! * [`MlModel`] reads what MLflow's client writes beside a model it logs: which library saved which file.
//! * [`export_xgboost_json`] writes boosted trees of ours as XGBoost JSON.
//!
//! Pure: bytes in, values out. No I/O, no clock.
//!
//! # What is guaranteed
//!
//! * Probabilities equal the library's within 1e-6, contributions (TreeSHAP) within 1e-5: checked on fixtures that the real libraries wrote
//!   (`tests/fixtures/interchange`), with missing values, unknown categories, native categories of every kind, early stopping, `dart`, forests.
//! * Whatever the bytes are, reading them ends with a model or an error that names the field; memory is bounded by a small multiple of the
//!   file, a file by 256 MiB, trees by 100,000, their depth by 64, columns and the categories of a column by 64.
//! * What is not understood is refused: other objectives and boosters, several outputs, linear leaves.
//!
//! # What is not
//!
//! * A file has no checksum. A damaged one that still reads as a model is a model; golden rows and the gate are what tells.
//! * XGBoost adds up in 32 bits and we do in 64: margins agree to about 1e-6 of their size, not to the bit.
//! * **Early stopping**: of an XGBoost file the trees up to the best iteration are taken, as its scikit-learn interface predicts; `Booster.predict` itself
//!   takes all of them ([`Rounds::All`]). A LightGBM file holds what LightGBM saved: the trees up to its best iteration, by default.
//! * **Categories**: XGBoost before 3.1 does not name them, and no library names those it was given as numbers. The order is then assumed
//!   ([`AssumedOrder`]), and [`Bound::assumed_orders`] says where; a wrong assumption is a wrong model that nothing but its quality gives away.
//! * **Unknown categories**: XGBoost from 3.1 on refuses a data frame with a category that training did not have; here it takes the way
//!   that XGBoost's trees have for such codes.
//! * **LightGBM's `rf`**: its raw scores and contributions are sums over the trees, its probabilities use their mean. Here all three use the mean.
//! * **LightGBM's `sigmoid`**: margins and contributions are log-odds, that is LightGBM's times `sigmoid`.
//! * **LightGBM before 3.3** sent a missing value in a categorical column where the machine's conversion of NaN to an integer sent it; here it goes right, as
//!   on every x86 machine and in all later versions.
//! * Whatever was done to rows before the library saw them is not in the file: engineered columns, imputation and scaling are the caller's
//!   [`steps`](BindOptions::steps).

mod bind;
mod error;
mod export;
mod format;
mod imported;
mod lightgbm;
mod mlmodel;
mod xgboost;

pub use bind::{AssumedOrder, BindOptions, Bound, bind};
pub use error::{BindError, ExportError, ImportError, MlModelError};
pub use export::xgboost_json as export_xgboost_json;
pub use format::{Format, MAX_FILE_BYTES};
pub use imported::{ColumnNames, Imported, ImportedColumn, ImportedKind, Library, MAX_CATEGORIES, MAX_TREES, Rounds};
pub use mlmodel::{MAX_MLMODEL_BYTES, MLMODEL, MlModel};

/// Reads a model, of the format that its first bytes say.
///
/// # Errors
/// [`ImportError`] names the field and the rule. No bytes make it panic.
pub fn import(bytes: &[u8], rounds: Rounds) -> Result<Imported, ImportError> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge {
            bytes: bytes.len(),
            limit: MAX_FILE_BYTES,
        });
    }
    match Format::detect(bytes)? {
        Format::LightgbmText => lightgbm::import(bytes),
        format => xgboost::import(bytes, format, rounds),
    }
}
