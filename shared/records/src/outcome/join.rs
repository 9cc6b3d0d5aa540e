//! Joining predictions with what became of the customers.

use std::collections::BTreeMap;

use holdfast_domain::{Customer, CustomerKey};
use jiff::Timestamp;

use super::OutcomeRecord;
use crate::prediction::PredictionRecord;

/// The latest prediction of each customer, built up from a window read in pieces. Memory grows with the number of customers, not
/// with the number of predictions.
#[derive(Clone, Debug, Default)]
pub struct LatestPredictions {
    latest: BTreeMap<CustomerKey, PredictionRecord>,
    without_key: u64,
}

/// A prediction whose outcome is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The prediction.
    pub prediction: PredictionRecord,
    /// What became of the customer.
    pub outcome: OutcomeRecord,
}

impl Labelled {
    /// The customer as predicted, with the label that turned out.
    pub fn customer(&self) -> Customer {
        Customer {
            key: Some(self.outcome.customer_key),
            label: Some(self.outcome.label),
            features: self.prediction.features,
        }
    }
}

/// The labelled customers of a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Joined {
    /// By customer key, lowest first.
    pub rows: Vec<Labelled>,
    /// Customers with a prediction and no outcome yet.
    pub without_outcome: u64,
    /// Customers with an outcome and no prediction.
    pub without_prediction: u64,
    /// Predictions that named no customer.
    pub without_key: u64,
    /// Rows whose prediction is later than the outcome's event: their features may already show it.
    pub predicted_after_event: u64,
}

impl Joined {
    /// The rows as customers for training and measuring.
    pub fn customers(&self) -> Vec<Customer> {
        self.rows.iter().map(Labelled::customer).collect()
    }
}

impl LatestPredictions {
    /// Takes further predictions, in any order.
    pub fn extend(&mut self, predictions: impl IntoIterator<Item = PredictionRecord>) {
        for prediction in predictions {
            let Some(key) = prediction.customer_key else {
                self.without_key += 1;
                continue;
            };
            match self.latest.get(&key) {
                Some(known) if age(known) >= age(&prediction) => {}
                _ => {
                    self.latest.insert(key, prediction);
                }
            }
        }
    }

    /// How many customers have a prediction.
    pub fn customers(&self) -> usize {
        self.latest.len()
    }

    /// Joins each customer's latest prediction with the last word about that customer.
    pub fn join(self, outcomes: &[OutcomeRecord]) -> Joined {
        let mut last_words: BTreeMap<CustomerKey, OutcomeRecord> = BTreeMap::new();
        for outcome in outcomes {
            match last_words.get(&outcome.customer_key) {
                Some(known) if word(known) >= word(outcome) => {}
                _ => {
                    last_words.insert(outcome.customer_key, *outcome);
                }
            }
        }
        let mut joined = Joined {
            without_key: self.without_key,
            ..Joined::default()
        };
        for (key, prediction) in self.latest {
            let Some(outcome) = last_words.remove(&key) else {
                joined.without_outcome += 1;
                continue;
            };
            joined.predicted_after_event += u64::from(prediction.event_time > outcome.event_time);
            joined.rows.push(Labelled { prediction, outcome });
        }
        joined.without_prediction = last_words.len() as u64;
        joined
    }
}

/// The latest prediction per customer joined with its outcome. The result does not depend on the order of either.
pub fn join(predictions: impl IntoIterator<Item = PredictionRecord>, outcomes: &[OutcomeRecord]) -> Joined {
    let mut latest = LatestPredictions::default();
    latest.extend(predictions);
    latest.join(outcomes)
}

/// What makes a prediction later than another; the name decides between equal times.
fn age(prediction: &PredictionRecord) -> (Timestamp, &str, u32) {
    (prediction.event_time, &prediction.request_id, prediction.row_index)
}

/// What makes a word about a customer later than another.
fn word(outcome: &OutcomeRecord) -> (Timestamp, Timestamp, bool) {
    (outcome.recorded_at, outcome.event_time, outcome.label)
}
