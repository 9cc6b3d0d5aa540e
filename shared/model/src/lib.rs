//! The model artefact: everything a prediction needs and nothing that executes.
//!
//! * [`Model`] is a decoded, checked artefact, ready to score, explain and give reasons. It is immutable and pure: no I/O, no clock,
//!   no randomness, and the same row gives the same bits on every machine, in a batch or alone.
//! * [`ModelDraft`] is what training hands over; [`ModelDraft::encode`] turns it into the bytes of `model.hfm`, the same bytes every time.
//! * [`UnverifiedArtifact`] is the lifecycle in between: bytes whose digest holds, but whose content nobody has checked yet.
//!
//! Inside: [`preprocess`] makes columns of a customer's features, [`ensemble`] says what estimators are, the private `scoring` module
//! runs them on flat arrays, [`explain`] is TreeSHAP and plain-language reasons, [`profile`] is what drift is measured against, and
//! [`metrics`] measures quality. The format is `proto/holdfast/model/v1/model.proto`; `tests/samples` holds frozen artefacts that
//! every later version must read.

mod artifact;
mod bare;
mod calibration;
mod domain_check;
pub mod ensemble;
mod error;
pub mod explain;
mod golden;
mod math;
pub mod metrics;
mod model;
mod origin;
pub mod preprocess;
pub mod profile;
mod scoring;
mod signature;
mod threshold;
mod wire;

pub use artifact::{FORMAT_VERSION, MAX_ARTIFACT_BYTES, ModelDraft, UnverifiedArtifact};
pub use bare::BareModel;
pub use calibration::{Calibration, IsotonicBlock, isotonic_regression};
pub use ensemble::{
    Aggregation, Comparison, Ensemble, Estimator, Link, LogisticCoefficients, Member, MissingRule, Node, SplitRule,
    Tree, TreeEnsemble, UnlistedCode,
};
pub use error::{DecodeError, EncodeError, GoldenMismatch, InvalidPart};
pub use explain::{Direction, Explanation, Level, Reason};
pub use golden::GoldenRow;
pub use model::Model;
pub use origin::{Family, Origin, Provenance};
pub use preprocess::{MAX_COLUMNS, Preprocessing, Preprocessor, Step, UnlistedCategory};
pub use profile::{
    CategoricalProfile, Distribution, FeatureProfile, NumericProfile, ProfileMismatch, ReferenceProfile,
};
pub use signature::{Input, InputKind, Signature};
pub use threshold::{Offer, ProfitPoint, Threshold, ThresholdPolicy, profit_curve};
