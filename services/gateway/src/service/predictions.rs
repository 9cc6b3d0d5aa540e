//! Predictions, explanations and the model that answers.

use holdfast_api::customer::checked_to_wire;
use holdfast_api::inference::v1 as wire;
use holdfast_api::inference::v1::out_of_domain::Kind as WireKind;
use holdfast_chassis::Fault;
use holdfast_domain::{CheckedCustomer, Schema};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::convert::{names_of, promised, text, time};
use crate::peers::Peers;

names_of! {
    /// How a value leaves what the model was trained on.
    OutOfDomainKind from WireKind {
        /// Below the smallest value of training.
        BelowTrainingRange,
        /// Above the largest value of training.
        AboveTrainingRange,
        /// A category that training did not see; scored as missing.
        UnknownCategory,
    }
}

impl OutOfDomainKind {
    /// The name, as answers have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::BelowTrainingRange => "below_training_range",
            Self::AboveTrainingRange => "above_training_range",
            Self::UnknownCategory => "unknown_category",
        }
    }
}

/// The answer of `/predict` and `/predict_batch`, in the predecessor's form.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClassicPredictions {
    /// 1.0: expected to leave; 0.0: expected to stay. In the order of the records.
    #[schema(example = json!([0.0]))]
    pub predictions: Vec<f64>,
    /// Calibrated probabilities of leaving, 0 to 1, in the same order.
    #[schema(example = json!([0.031]))]
    pub probabilities: Vec<f64>,
    /// The version that answered.
    #[schema(example = "3")]
    pub model_version: String,
    /// When it answered, UTC.
    pub timestamp: Timestamp,
    /// How many records there were.
    #[schema(example = 1)]
    pub num_samples: usize,
}

/// A value that the model was not trained for. The prediction is given all the same.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OutOfDomain {
    /// Column name.
    #[schema(example = "Credit_Limit")]
    pub feature: String,
    /// How it leaves the domain.
    pub kind: OutOfDomainKind,
}

/// Why a score is what it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Reason {
    /// Column name.
    pub feature: String,
    /// Its share in the margin, in log-odds; positive speaks for leaving.
    pub contribution: f64,
    /// One sentence in plain language.
    pub text: String,
    /// The same from every model version, for programs and translations: `TOTAL_TRANS_CT_LOW`.
    pub code: String,
}

/// One customer's score.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Prediction {
    /// Calibrated probability of leaving, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub probability: f64,
    /// True when `probability >= threshold`: expected to leave.
    pub label: bool,
    /// The version's decision threshold, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub threshold: f64,
    /// Values outside what the model was trained on.
    pub out_of_domain: Vec<OutOfDomain>,
    /// Strongest first; empty unless asked for.
    pub reasons: Vec<Reason>,
}

/// The version that gave an answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServedModel {
    /// The model's name.
    #[schema(example = "churn")]
    pub model: String,
    /// The version.
    #[schema(example = 3)]
    pub version: u32,
    /// SHA-256 of its artefact, in hexadecimal.
    pub artifact_digest: String,
    /// Generation of the champion log under which it serves.
    pub generation: u64,
}

/// Many customers' scores, all by one version.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Predictions {
    /// In the order of the records.
    pub predictions: Vec<Prediction>,
    /// The version that answered.
    #[serde(flatten)]
    pub served_by: ServedModel,
    /// The id under which the prediction log has them: that of the header `x-request-id`.
    pub request_id: String,
}

/// One feature's share in the margin.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Contribution {
    /// Column name.
    pub feature: String,
    /// Its share, in log-odds.
    pub contribution: f64,
}

/// How much each feature moved one customer's score: `base_value` plus all contributions is the margin.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Explanation {
    /// Expected margin over the training rows, in log-odds.
    pub base_value: f64,
    /// The margin before calibration, in log-odds.
    pub margin: f64,
    /// One for each feature.
    pub contributions: Vec<Contribution>,
    /// The score this explains.
    pub prediction: Prediction,
    /// The version that answered.
    #[serde(flatten)]
    pub served_by: ServedModel,
}

/// One input of the model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FeatureSignature {
    /// Column name.
    pub name: String,
    /// `numeric` or `categorical`.
    pub kind: String,
    /// Whether every prediction needs it.
    pub required: bool,
    /// Known categories, for a categorical feature.
    pub categories: Vec<String>,
}

/// The model that answers now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelInService {
    /// Which one.
    #[serde(flatten)]
    pub served: ServedModel,
    /// Family of the estimator, for example `boosted_trees`.
    pub family: String,
    /// Decision threshold, 0 to 1.
    pub threshold: f64,
    /// Its inputs.
    pub signature: Vec<FeatureSignature>,
    /// The training run it came from.
    pub run_id: Option<String>,
    /// Since when the replica that answered serves it.
    pub serving_since: Option<Timestamp>,
}

impl From<wire::Prediction> for Prediction {
    fn from(wire: wire::Prediction) -> Self {
        Self {
            probability: wire.probability,
            label: wire.label,
            threshold: wire.threshold,
            out_of_domain: wire
                .out_of_domain
                .into_iter()
                .map(|flag| OutOfDomain {
                    feature: flag.feature,
                    kind: flag.kind.into(),
                })
                .collect(),
            reasons: wire
                .reasons
                .into_iter()
                .map(|reason| Reason {
                    feature: reason.feature,
                    contribution: reason.contribution,
                    text: reason.text,
                    code: reason.code,
                })
                .collect(),
        }
    }
}

impl TryFrom<Option<wire::ServedModel>> for ServedModel {
    type Error = Fault;

    fn try_from(wire: Option<wire::ServedModel>) -> Result<Self, Fault> {
        let served = promised(wire, "the model that served")?;
        let model = promised(served.model, "the model that served")?;
        Ok(Self {
            model: model.model,
            version: model.version,
            artifact_digest: model.artifact_digest,
            generation: served.generation,
        })
    }
}

/// Scores one customer in the predecessor's form.
///
/// # Errors
/// Inference's.
pub async fn classic(
    peers: &Peers,
    customer: &CheckedCustomer,
    request_id: &str,
    now: Timestamp,
) -> Result<ClassicPredictions, Fault> {
    let message = wire::PredictRequest {
        customer: Some(checked_to_wire(customer, Schema::embedded())),
        request_id: request_id.to_owned(),
        explain: false,
    };
    let answer = peers.predict(message).await?;
    let prediction = promised(answer.prediction, "a prediction")?;
    classic_form(&[prediction], answer.served_by, now)
}

/// Scores many customers in the predecessor's form.
///
/// # Errors
/// Inference's.
pub async fn classic_batch(
    peers: &Peers,
    customers: Vec<CheckedCustomer>,
    request_id: &str,
    now: Timestamp,
) -> Result<ClassicPredictions, Fault> {
    let answer = batch(peers, customers, request_id, false).await?;
    classic_form(&answer.predictions, answer.served_by, now)
}

fn classic_form(
    predictions: &[wire::Prediction],
    served_by: Option<wire::ServedModel>,
    timestamp: Timestamp,
) -> Result<ClassicPredictions, Fault> {
    Ok(ClassicPredictions {
        predictions: predictions
            .iter()
            .map(|prediction| f64::from(u8::from(prediction.label)))
            .collect(),
        probabilities: predictions.iter().map(|prediction| prediction.probability).collect(),
        model_version: ServedModel::try_from(served_by)?.version.to_string(),
        timestamp,
        num_samples: predictions.len(),
    })
}

/// Scores many customers.
///
/// # Errors
/// Inference's.
pub async fn predict(
    peers: &Peers,
    customers: Vec<CheckedCustomer>,
    request_id: &str,
    explain: bool,
) -> Result<Predictions, Fault> {
    let answer = batch(peers, customers, request_id, explain).await?;
    Ok(Predictions {
        predictions: answer.predictions.into_iter().map(Prediction::from).collect(),
        served_by: answer.served_by.try_into()?,
        request_id: answer.request_id,
    })
}

async fn batch(
    peers: &Peers,
    customers: Vec<CheckedCustomer>,
    request_id: &str,
    explain: bool,
) -> Result<wire::PredictBatchResponse, Fault> {
    let asked = customers.len();
    let message = wire::PredictBatchRequest {
        customers: customers.into(),
        request_id: request_id.to_owned(),
        explain,
    };
    let answer = peers.predict_batch(message).await?;
    // A shorter answer would be joined with the wrong customers.
    promised(
        (answer.predictions.len() == asked).then_some(answer),
        "as many predictions as there were records",
    )
}

/// Explains one customer's score.
///
/// # Errors
/// Inference's.
pub async fn explain(peers: &Peers, customer: &CheckedCustomer) -> Result<Explanation, Fault> {
    let answer = peers
        .explain(wire::ExplainRequest {
            customer: Some(checked_to_wire(customer, Schema::embedded())),
        })
        .await?;
    let contributions = answer.contributions.into_iter();
    Ok(Explanation {
        base_value: answer.base_value,
        margin: answer.margin,
        contributions: contributions
            .map(|share| Contribution {
                feature: share.feature,
                contribution: share.contribution,
            })
            .collect(),
        prediction: promised(answer.prediction, "a prediction")?.into(),
        served_by: answer.served_by.try_into()?,
    })
}

/// The model that answers now.
///
/// # Errors
/// Inference's, `NO_CHAMPION` without one.
pub async fn model_in_service(peers: &Peers) -> Result<ModelInService, Fault> {
    let answer = peers.get_model(wire::GetModelRequest {}).await?;
    let signature = answer.signature.into_iter().map(|input| FeatureSignature {
        name: input.name,
        kind: input.kind,
        required: input.required,
        categories: input.categories,
    });
    Ok(ModelInService {
        served: answer.served.try_into()?,
        family: answer.family,
        threshold: answer.threshold,
        signature: signature.collect(),
        run_id: text(answer.run_id),
        serving_since: time(answer.serving_since),
    })
}
