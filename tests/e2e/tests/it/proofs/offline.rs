//! What a version scores, read from its artefact: no server takes part.

use bytes::Bytes;
use holdfast_api::common::v1 as wire;
use holdfast_api::customer::to_wire;
use holdfast_domain::{Customer, Digest, Schema};
use holdfast_model::Model;

/// A version's score of each customer, and how an answer names it.
pub(super) struct Offline {
    pub(super) artifact_digest: String,
    /// Bits of the probability, by place of the customer.
    scores: Vec<u64>,
    threshold: f64,
}

impl Offline {
    /// Scores all customers with an artefact.
    pub(super) fn score(artifact: &Bytes, customers: &[Customer]) -> Self {
        let model = Model::decode(artifact, Schema::embedded()).unwrap();
        let score = |customer: &Customer| model.score(&customer.features).to_bits();
        Self {
            artifact_digest: Digest::of(artifact).to_string(),
            scores: customers.iter().map(score).collect(),
            threshold: model.threshold(),
        }
    }

    /// Whether an answer about the customer at `place` has this version's bits.
    pub(super) fn gave(&self, place: usize, probability: f64, label: bool) -> bool {
        probability.to_bits() == self.scores[place] && label == (probability >= self.threshold)
    }

    /// For how many customers another version's score differs.
    pub(super) fn differences(&self, other: &Self) -> usize {
        self.scores
            .iter()
            .zip(&other.scores)
            .filter(|(one, two)| one != two)
            .count()
    }
}

/// Customers as callers send them.
pub(super) fn on_the_wire(customers: &[Customer]) -> Vec<wire::Customer> {
    let schema = Schema::embedded();
    customers.iter().map(|customer| to_wire(customer, schema)).collect()
}
