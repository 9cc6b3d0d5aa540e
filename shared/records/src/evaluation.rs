//! Evaluations: what was measured of a candidate on the test rows, in full. `runs/{run_id}/artifacts/evaluation.json`, and the plots
//! that were drawn of it beside it.
//!
//! The gate's evidence is a part of this and is kept by the registry; this is what people look at, and what a model card is made
//! of. Curves are thinned and rounded to six decimals; figures are as they were computed.

use bytes::Bytes;
use holdfast_domain::{Digest, ModelName, ModelVersion, RunId};
use holdfast_storage::{BlobStore, Created, Key};
use serde::{Deserialize, Serialize};

use crate::error::{Error, FormatError};
use crate::layout::{Location, Slug, run_artifact_key};
use crate::sealed_json;
use crate::stored::create_same;

/// The format version written today.
pub const FORMAT_VERSION: u32 = 1;

/// Name of the record among the run's files.
pub const FILE_NAME: &str = "evaluation.json";

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// What was measured.
    pub value: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// A point of a curve.
pub type Point = [f64; 2];

/// Rows by what they are and what they were called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// Leaving customers who are labelled so.
    pub true_positives: u64,
    /// Staying customers who are labelled as leaving.
    pub false_positives: u64,
    /// Staying customers who are labelled so.
    pub true_negatives: u64,
    /// Leaving customers who are labelled as staying.
    pub false_negatives: u64,
}

/// One bin of a reliability curve: scores in (lower, upper], the first bin also 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReliabilityBin {
    /// Lower edge.
    pub lower: f64,
    /// Upper edge.
    pub upper: f64,
    /// Rows in the bin.
    pub rows: u64,
    /// Mean score of these rows.
    pub mean_score: f64,
    /// Share of them who left, with Wilson's interval.
    pub share_left: Interval,
}

/// Customers of each kind whose score lies in one bin of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreBin {
    /// Customers who left.
    pub left: u64,
    /// Customers who stayed.
    pub stayed: u64,
}

/// One model on one set of rows. Areas, rates, shares and errors are 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Rows.
    pub rows: u64,
    /// Rows of customers who left.
    pub positives: u64,
    /// The model's threshold: figures below that need labels are at it.
    pub threshold: f64,
    /// Area under the ROC curve, DeLong's interval.
    pub roc_auc: Interval,
    /// Average precision, bootstrap interval.
    pub pr_auc: Interval,
    /// Bootstrap interval.
    pub f1: Interval,
    /// Wilson's interval; 0 of 0 to 1 when nobody is labelled as leaving.
    pub precision: Interval,
    /// Wilson's interval.
    pub recall: Interval,
    /// Wilson's interval.
    pub accuracy: Interval,
    /// Mean negative log-likelihood in nats, bootstrap interval.
    pub log_loss: Interval,
    /// Mean squared error of the probability, bootstrap interval.
    pub brier: Interval,
    /// Expected calibration error over ten bins of equal width.
    pub calibration_error: f64,
    /// Share of leaving customers in the tenth with the highest scores, over their share among all; bootstrap interval.
    pub top_decile_lift: Interval,
    /// At the threshold.
    pub confusion: Confusion,
    /// (false positive rate, true positive rate) from (0, 0) to (1, 1).
    pub roc_curve: Vec<Point>,
    /// (recall, precision) by rising recall.
    pub precision_recall_curve: Vec<Point>,
    /// (share of customers called, share of leaving customers among them) from (0, 0) to (1, 1).
    pub gain_curve: Vec<Point>,
    /// The bins of the calibration error that hold rows.
    pub reliability: Vec<ReliabilityBin>,
    /// Scores by bins of equal width from 0 to 1.
    pub score_histogram: Vec<ScoreBin>,
}

/// The champion of that time on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgainstChampion {
    /// Its version.
    pub version: ModelVersion,
    /// SHA-256 of its artefact.
    pub artifact_digest: Digest,
    /// Its quality.
    pub measured: Measured,
    /// ROC-AUC of the candidate minus that of the champion, DeLong's interval.
    pub roc_auc_delta: Interval,
    /// One-sided p-value of "the candidate ranks better".
    pub roc_auc_p_value: f64,
    /// PR-AUC of the candidate minus that of the champion, paired bootstrap interval.
    pub pr_auc_delta: Interval,
}

/// Candidate and champion on the held-out part of the newest labelled window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewestWindow {
    /// The snapshot with these rows.
    pub snapshot: Digest,
    /// Rows.
    pub rows: u64,
    /// Rows of customers who left.
    pub positives: u64,
    /// ROC-AUC of the candidate, DeLong's interval.
    pub roc_auc: Interval,
    /// ROC-AUC of the champion, DeLong's interval.
    pub champion_roc_auc: Interval,
}

/// The candidate within one group of customers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// Column that makes the groups.
    pub column: String,
    /// The group.
    pub group: String,
    /// Rows in it.
    pub rows: u64,
    /// Rows of customers who left.
    pub positives: u64,
    /// What was measured; absent where the group is too small to judge.
    #[serde(default)]
    pub measured: Option<MeasuredSlice>,
}

/// Figures of a group; intervals are DeLong's for the area and Wilson's for shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredSlice {
    /// Area under the ROC curve within the group.
    pub roc_auc: Interval,
    /// Share of those labelled as leaving who left; absent when nobody is.
    #[serde(default)]
    pub precision: Option<Interval>,
    /// Share of leaving customers who are labelled so.
    pub recall: Interval,
    /// Share of staying customers who are labelled as leaving.
    pub false_positive_rate: Interval,
    /// Share of the group that is labelled as leaving.
    pub call_rate: Interval,
    /// Share of the group who left.
    pub share_left: Interval,
    /// Mean score.
    pub mean_score: f64,
    /// Mean score less share who left: above 0 where the group is scored too high.
    pub calibration_gap: Interval,
}

/// Whether probabilities can be taken at their word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationCheck {
    /// `none`, `platt` or `isotonic`.
    pub method: String,
    /// Expected calibration error of the model's raw probabilities on the test rows.
    pub error_before: f64,
    /// Their reliability curve.
    pub reliability_before: Vec<ReliabilityBin>,
    /// Mean calibration error that chance alone gives perfectly calibrated probabilities on as many rows.
    pub error_by_chance: f64,
    /// The error that chance alone exceeds in one of twenty tests.
    pub error_by_chance_upper: f64,
    /// The same on the training side: on rows held out of the fits that scored them.
    #[serde(default)]
    pub held_out: Option<HeldOutCalibration>,
}

/// Calibration on rows held out of the fits that scored them: what the calibration was chosen on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOutCalibration {
    /// Rows.
    pub rows: u64,
    /// Expected calibration error of the raw probabilities.
    pub error_before: f64,
    /// Of the calibrated ones.
    pub error_after: f64,
    /// Log-loss of the raw probabilities.
    pub log_loss_before: f64,
    /// Of the calibrated ones.
    pub log_loss_after: f64,
    /// Reliability curve of the raw probabilities.
    pub reliability_before: Vec<ReliabilityBin>,
    /// Of the calibrated ones.
    pub reliability_after: Vec<ReliabilityBin>,
}

/// Expected profit of an offer to every customer above a threshold, US dollars per customer scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profit {
    /// Cost of one offer, US dollars.
    pub offer_cost: f64,
    /// Margin lost with a customer who leaves, US dollars.
    pub lost_margin: f64,
    /// Share of leaving customers whom an offer keeps.
    pub success_rate: f64,
    /// (share of customers called, profit) at the candidate's threshold.
    pub at_threshold: Point,
    /// The candidate's curve of (share of customers called, profit).
    pub curve: Vec<Point>,
    /// The baseline's.
    pub baseline_curve: Vec<Point>,
    /// The champion's; empty when there was none.
    pub champion_curve: Vec<Point>,
}

/// Which features matter, over a seeded draw of the test rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Importance {
    /// Rows drawn.
    pub rows: u64,
    /// Unit of the contributions: `log_odds` or `probability`.
    pub unit: String,
    /// The strongest first; features that contribute nothing are left out.
    pub features: Vec<FeatureImportance>,
}

/// How much a feature moves the margin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureImportance {
    /// Column name.
    pub feature: String,
    /// Mean absolute contribution.
    pub mean_absolute: f64,
    /// Standard error of that mean.
    pub standard_error: f64,
    /// As a share of all features'.
    pub share: f64,
}

/// How the probability depends on one feature, the others as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependence {
    /// Column name.
    pub feature: String,
    /// Numbers in order, or categories.
    pub points: Vec<DependencePoint>,
}

/// The probability when the feature has one value in every row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DependencePoint {
    /// The value; the place in the schema for a category.
    pub value: f64,
    /// The value as people write it.
    pub label: String,
    /// Mean over the rows drawn.
    pub mean: f64,
    /// What a tenth of the rows stays below.
    pub lower: f64,
    /// What a tenth of the rows exceeds.
    pub upper: f64,
}

/// Everything measured of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Version of this format: [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The run that made the candidate.
    pub run_id: RunId,
    /// The model.
    pub model: ModelName,
    /// SHA-256 of the candidate's artefact.
    pub artifact_digest: Digest,
    /// The untouched test snapshot.
    pub test_snapshot: Digest,
    /// Seed of bootstrap and draws of rows.
    pub seed: u64,
    /// Replicates of each bootstrap.
    pub replicates: u64,
    /// On full rows.
    pub full: Measured,
    /// On the same rows with the required features only.
    pub required_only: Measured,
    /// The baseline on full rows.
    pub baseline: Measured,
    /// One-sided DeLong p-value of "ranks better than the baseline".
    pub baseline_p_value: f64,
    /// The champion on full rows.
    #[serde(default)]
    pub champion: Option<AgainstChampion>,
    /// On the newest labelled window.
    #[serde(default)]
    pub newest_window: Option<NewestWindow>,
    /// Groups of customers.
    pub slices: Vec<Slice>,
    /// Probabilities.
    pub calibration: CalibrationCheck,
    /// Money, when the threshold rests on it.
    #[serde(default)]
    pub profit: Option<Profit>,
    /// Which features matter.
    pub importance: Importance,
    /// How the probability depends on the strongest of them.
    pub dependence: Vec<Dependence>,
}

impl Evaluation {
    /// The stored bytes.
    ///
    /// # Errors
    /// [`FormatError::Unstorable`] for a figure that is not finite: JSON has none.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        let bytes = sealed_json::encode(self)?;
        // What is not finite was written as null, and does not read back.
        match Self::decode(&bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(FormatError::Unstorable(format!("a figure is not finite: {error}"))),
        }
    }

    /// The evaluation in stored bytes.
    ///
    /// # Errors
    /// [`FormatError`] when the bytes are damaged, no evaluation, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        sealed_json::decode(bytes, "evaluation", FORMAT_VERSION)
    }
}

/// Key of a file of a run's evaluation: the record itself, or a plot.
///
/// # Errors
/// [`Error::Key`] when the name is not one segment of letters, digits, `.`, `_` and `-`.
pub fn file_key(run: &RunId, name: &str) -> Result<Key, Error> {
    let name = Slug::parse(name)?;
    let path = Key::parse(name.as_str()).map_err(|error| Error::Key(error.to_string()))?;
    run_artifact_key(run, &path)
}

/// Stores a file of a run's evaluation. Storing the same bytes again is fine.
///
/// # Errors
/// [`Error::Key`] as [`file_key`]; [`Error::Conflict`] when the run has another file of this name; the store's.
pub async fn write_file(store: &dyn BlobStore, run: &RunId, name: &str, bytes: Bytes) -> Result<Created, Error> {
    create_same(store, &file_key(run, name)?, bytes).await
}

/// Stores the record of a run's evaluation. Storing the same one again is fine.
///
/// # Errors
/// [`Error::Encode`] when a figure is not finite; [`Error::Conflict`] when the run has another evaluation; the store's.
pub async fn write(store: &dyn BlobStore, evaluation: &Evaluation) -> Result<Created, Error> {
    let bytes = evaluation.encode().map_err(Error::Encode)?;
    write_file(store, &evaluation.run_id, FILE_NAME, bytes).await
}

/// The evaluation of a run.
///
/// # Errors
/// The store's `NotFound` when it left none; [`Error::Format`] when the record is damaged or another run's.
pub async fn read(store: &dyn BlobStore, run: &RunId) -> Result<Evaluation, Error> {
    let key = file_key(run, FILE_NAME)?;
    let evaluation = Evaluation::decode(&store.get(&key).await?).map_err(|error| error.at(&key))?;
    if evaluation.run_id != *run {
        let why = format!("it is the evaluation of run {}", evaluation.run_id);
        return Err(FormatError::Malformed(why).at(&key));
    }
    Ok(evaluation)
}

/// The files that a run's evaluation left, with their sizes in bytes, by name: the record and the plots.
///
/// # Errors
/// The store's.
pub async fn files(store: &dyn BlobStore, run: &RunId) -> Result<Vec<(String, u64)>, Error> {
    let objects = holdfast_storage::list_all(store, &format!("runs/{run}/artifacts")).await?;
    let files = objects
        .into_iter()
        .filter_map(|object| match Location::parse(&object.key)? {
            Location::RunArtifact(_, path) if is_file(path.as_str()) => {
                Some((path.as_str().to_owned(), object.size_bytes))
            }
            _ => None,
        });
    Ok(files.collect())
}

/// Whether a file of a run is one of its evaluation: other steps may leave files as well.
pub fn is_file(name: &str) -> bool {
    name == FILE_NAME || (name.ends_with(".svg") && Slug::parse(name).is_ok())
}
