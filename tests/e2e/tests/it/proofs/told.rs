//! Callers who name their requests, and remember what they were told of each.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use holdfast_api::common::v1::Customer;
use holdfast_api::inference::v1::PredictRequest;
use holdfast_chassis::error::Fault;

use super::crew::{Client, Crew, Signals, client};

/// What callers were told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Bits of the answered probability, by the caller's id of the request.
    pub(super) acknowledged: HashMap<String, u64>,
    /// Requests whose fate the caller does not know: the replica died.
    pub(super) unknown: HashSet<String>,
    /// Requests that were refused because the spool was full.
    pub(super) refused: HashSet<String>,
}

impl Told {
    /// What a crew was told, when all of it has ended: by a stop, or by the end of the replica.
    pub(super) async fn by(crew: Crew<Self>) -> Self {
        let mut all = Self::default();
        for told in crew.reports().await {
            all.add(told);
        }
        all
    }

    pub(super) fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.unknown.extend(other.unknown);
        self.refused.extend(other.refused);
    }
}

/// `count` callers of a life of the replica. Each ends with the first call that fails.
pub(super) fn start(count: usize, life: u32, url: &str, customers: &Arc<Vec<Customer>>) -> Crew<Told> {
    Crew::start(count, |number, signals| {
        ask(client(url), Arc::clone(customers), format!("{life}-{number}"), signals)
    })
}

async fn ask(mut client: Client, customers: Arc<Vec<Customer>>, name: String, signals: Arc<Signals>) -> Told {
    let mut told = Told::default();
    for (number, customer) in customers.iter().cycle().enumerate() {
        if signals.is_over() {
            break;
        }
        let id = format!("{name}-{number}");
        let request = PredictRequest {
            customer: Some(customer.clone()),
            request_id: id.clone(),
            explain: false,
        };
        match client.predict(request).await {
            Ok(answer) => {
                let probability = answer.into_inner().prediction.unwrap().probability;
                told.acknowledged.insert(id, probability.to_bits());
                signals.answered();
            }
            Err(status) if Fault::from_status(&status).reason == "SPOOL_FULL" => {
                told.refused.insert(id);
                signals.refused();
            }
            Err(_) => {
                told.unknown.insert(id);
                break;
            }
        }
    }
    told
}
