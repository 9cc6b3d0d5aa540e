//! Rows scored and made ready for the log, on whatever thread it runs.

use std::ops::Range;
use std::sync::Arc;

use holdfast_chassis::clock::Clock;
use holdfast_domain::{CheckedCustomer, FeatureVector, Schema};
use holdfast_model::{Direction, Explanation};

use super::{Checked, Prediction};
use crate::metrics::Metrics;
use crate::service::out_of_domain;
use crate::service::prediction_log::{Answered, Frames, Row};
use crate::service::serving::ServingModel;

/// What scoring needs.
#[derive(Debug)]
pub(super) struct Scorer {
    pub(super) schema: &'static Schema,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    /// Reasons given with a prediction that asks for them.
    pub(super) reasons: usize,
}

/// Scored rows of a request, ready to be logged.
pub(super) struct ScoredRows {
    pub(super) predictions: Vec<Prediction>,
    pub(super) frames: Frames,
}

impl ScoredRows {
    /// Itself, with room for all rows of the request.
    pub(super) fn with_room_for(mut self, rows: usize) -> Self {
        let more = rows.saturating_sub(self.predictions.len());
        self.predictions.reserve(more);
        self
    }

    /// Adds the rows behind.
    pub(super) fn append(&mut self, mut other: Self) {
        self.predictions.append(&mut other.predictions);
        self.frames.append(other.frames);
    }
}

impl Scorer {
    /// Scores some rows of a request.
    pub(super) fn score(&self, serving: &ServingModel, request: &Checked, part: Range<usize>) -> ScoredRows {
        let first = part.start;
        let rows = request.rows.get(part).unwrap_or_default();
        let predictions = match rows {
            // Most requests have one, and need no lists.
            [row] if !request.explain => {
                let features = row.features();
                vec![self.prediction(serving, features, serving.model.score(features), None)]
            }
            rows => self.predictions(serving, rows, request.explain),
        };
        for (feature, _) in predictions.iter().flat_map(|prediction| &prediction.out_of_domain) {
            self.metrics.out_of_domain(*feature);
        }
        let frames = self.frames(serving, request, first, &predictions);
        ScoredRows { predictions, frames }
    }

    fn predictions(&self, serving: &ServingModel, rows: &[CheckedCustomer], explain: bool) -> Vec<Prediction> {
        let mut scores = vec![f64::NAN; rows.len()];
        serving.model.score_batch(rows, &mut scores);
        let explanations = if explain {
            serving.model.explain_batch(rows)
        } else {
            Vec::new()
        };
        let rows = rows.iter().zip(&scores).enumerate();
        rows.map(|(index, (row, score))| self.prediction(serving, row.features(), *score, explanations.get(index)))
            .collect()
    }

    /// What is known about a score.
    pub(super) fn prediction(
        &self,
        serving: &ServingModel,
        features: &FeatureVector,
        probability: f64,
        explanation: Option<&Explanation>,
    ) -> Prediction {
        let model = &serving.model;
        let reasons = explanation
            .map(|explanation| model.reasons_of(explanation, features, Direction::TowardsAttrition, self.reasons))
            .unwrap_or_default();
        Prediction {
            probability,
            label: model.label(probability),
            out_of_domain: out_of_domain::of(model, features),
            reasons,
        }
    }

    /// The records of the rows from `first` on.
    fn frames(&self, serving: &ServingModel, request: &Checked, first: usize, predictions: &[Prediction]) -> Frames {
        let target = &serving.target;
        let answered = Answered {
            request_id: &request.request_id,
            event_time: self.clock.now(),
            model: &target.model,
            version: target.version,
            generation: target.generation,
            threshold: serving.model.threshold(),
            latency_us: u32::try_from(request.received.elapsed().as_micros()).unwrap_or(u32::MAX),
            trace_id: request.trace_id.as_deref(),
        };
        let mut frames = Frames::of(answered.event_time, predictions.len());
        let rows = request.rows.iter().enumerate().skip(first);
        for ((index, row), prediction) in rows.zip(predictions) {
            let row = Row {
                index: u32::try_from(index).unwrap_or(u32::MAX),
                customer_key: row.key(),
                features: row.features(),
                unlisted: row.unlisted(),
                score: prediction.probability,
                label: prediction.label,
            };
            frames.push(&answered, &row, self.schema);
        }
        frames
    }
}
