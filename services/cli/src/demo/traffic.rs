//! Requests for predictions on every way there is: single and batch, REST and gRPC.

use futures::{StreamExt as _, TryStreamExt as _};
use holdfast_api::customer::to_wire;
use holdfast_api::inference::v1::{PredictBatchRequest, PredictRequest, Prediction as WirePrediction, ServedModel};
use holdfast_domain::Customer;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Demo, claim};
use crate::failure::{Failure, Result};
use crate::record;
use crate::rest::Predictions;

/// Most customers asked about one by one, on each of the two ways.
const SINGLES: usize = 120;

/// Customers in one batch.
const BATCH: usize = 250;

/// Requests under way at once.
const AT_ONCE: usize = 4;

/// Answers, by the names under which the prediction log has them, and the window of time that holds them.
pub(super) struct Answered {
    pub(super) names: Vec<(String, u32)>,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// One answer to a request: who answered, and the scores in the order of the request.
struct Answer {
    request_id: String,
    version: u32,
    scores: Vec<(f64, bool, f64)>,
}

#[derive(Clone, Copy)]
enum Way {
    Rest,
    Grpc,
    GrpcBatch,
}

/// Asks about all customers, each once, and checks that `version` alone answers.
pub(super) async fn send(demo: &Demo, customers: &[Customer], version: u32) -> Result<(Answered, String)> {
    let singles = SINGLES.min(customers.len() / 4);
    let (by_rest, rest) = customers.split_at(singles);
    let (by_grpc, rest) = rest.split_at(singles);
    let (in_rest_batches, in_grpc_batches) = rest.split_at(rest.len() / 2);
    let requests = by_rest
        .chunks(1)
        .map(|chunk| (Way::Rest, chunk))
        .chain(by_grpc.chunks(1).map(|chunk| (Way::Grpc, chunk)))
        .chain(in_rest_batches.chunks(BATCH).map(|chunk| (Way::Rest, chunk)))
        .chain(in_grpc_batches.chunks(BATCH).map(|chunk| (Way::GrpcBatch, chunk)));

    let from = whole_microseconds(Timestamp::now());
    let calls = futures::stream::iter(requests).map(|(way, chunk)| async move {
        let answer = ask(demo, way, chunk).await?;
        check(&answer, chunk.len(), version)?;
        Ok::<_, Failure>(answer)
    });
    let answers: Vec<Answer> = calls.buffer_unordered(AT_ONCE).try_collect().await?;
    let to = whole_microseconds(Timestamp::now()) + SignedDuration::from_micros(1);

    let mut names = Vec::with_capacity(customers.len());
    for answer in &answers {
        names.extend(
            (0_u32..)
                .take(answer.scores.len())
                .map(|row| (answer.request_id.clone(), row)),
        );
    }
    let leaving = answers
        .iter()
        .flat_map(|answer| &answer.scores)
        .filter(|(_, label, _)| *label)
        .count();
    let detail = format!(
        "{} answers by version {version} over REST and gRPC, {leaving} expected to leave",
        names.len()
    );
    Ok((Answered { names, from, to }, detail))
}

/// The prediction log keeps times to the microsecond, cut.
fn whole_microseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

async fn ask(demo: &Demo, way: Way, customers: &[Customer]) -> Result<Answer> {
    let mut inference = demo.inference.clone();
    match way {
        Way::Rest => {
            let body = json!({"records": record::records(customers, demo.schema)});
            let answer: Predictions = demo.rest.post_as("api/v1/predictions", &body).await?;
            let scores = answer
                .predictions
                .iter()
                .map(|one| (one.probability, one.label, one.threshold))
                .collect();
            Ok(Answer {
                request_id: answer.request_id,
                version: answer.version,
                scores,
            })
        }
        Way::Grpc => {
            let customer = customers.first().map(|customer| to_wire(customer, demo.schema));
            let answer = inference
                .predict(PredictRequest {
                    customer,
                    ..Default::default()
                })
                .await?
                .into_inner();
            Ok(Answer {
                request_id: answer.request_id,
                version: version(answer.served_by),
                scores: scores(answer.prediction),
            })
        }
        Way::GrpcBatch => {
            let customers = customers
                .iter()
                .map(|customer| to_wire(customer, demo.schema))
                .collect();
            let answer = inference
                .predict_batch(PredictBatchRequest {
                    customers,
                    ..Default::default()
                })
                .await?
                .into_inner();
            Ok(Answer {
                request_id: answer.request_id,
                version: version(answer.served_by),
                scores: scores(answer.predictions),
            })
        }
    }
}

fn version(served_by: Option<ServedModel>) -> u32 {
    served_by
        .and_then(|served| served.model)
        .map_or(0, |model| model.version)
}

fn scores(predictions: impl IntoIterator<Item = WirePrediction>) -> Vec<(f64, bool, f64)> {
    predictions
        .into_iter()
        .map(|one| (one.probability, one.label, one.threshold))
        .collect()
}

fn check(answer: &Answer, asked: usize, version: u32) -> Result<()> {
    claim(answer.version == version, || {
        format!("version {} answered where {version} serves", answer.version)
    })?;
    claim(!answer.request_id.is_empty(), || {
        "an answer does not name its request".to_owned()
    })?;
    claim(answer.scores.len() == asked, || {
        format!("{} answers came for {asked} customers", answer.scores.len())
    })?;
    let sound = |(probability, label, threshold): &(f64, bool, f64)| {
        (0.0..=1.0).contains(probability) && *label == (probability >= threshold)
    };
    claim(answer.scores.iter().all(sound), || {
        "an answer's label does not follow from its probability".to_owned()
    })
}

/// Asks about one customer over REST and over gRPC; both must give the same bits.
pub(super) async fn ask_both_ways(demo: &Demo, customer: &Customer, version: u32) -> Result<(Answered, f64)> {
    let from = whole_microseconds(Timestamp::now());
    let customers = std::slice::from_ref(customer);
    let (over_rest, over_grpc) = (
        ask(demo, Way::Rest, customers).await?,
        ask(demo, Way::Grpc, customers).await?,
    );
    for answer in [&over_rest, &over_grpc] {
        check(answer, 1, version)?;
    }
    let probabilities =
        [&over_rest, &over_grpc].map(|answer| answer.scores.first().map_or(f64::NAN, |(probability, ..)| *probability));
    let same = probabilities[0].to_bits() == probabilities[1].to_bits();
    claim(same, || {
        format!(
            "REST answers {} and gRPC {} for the same customer",
            probabilities[0], probabilities[1]
        )
    })?;
    let to = whole_microseconds(Timestamp::now()) + SignedDuration::from_micros(1);
    let names = vec![(over_rest.request_id, 0), (over_grpc.request_id, 0)];
    Ok((Answered { names, from, to }, probabilities[0]))
}
