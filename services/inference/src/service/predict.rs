//! The one core that every surface predicts through: check, score with one version, log, answer.

mod on_trial;

use std::sync::Arc;
use std::time::Instant;

use holdfast_chassis::clock::Clock;
use holdfast_chassis::error::FieldViolation;
use holdfast_domain::{
    Customer, Feature, FeatureKind, FeatureVector, FieldValue, Schema, Strictness, UNKNOWN_CATEGORY, Violation,
};
use holdfast_model::{Direction, Explanation, Reason};
use holdfast_records::prediction::{PredictionRecord, UnlistedCategory};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::out_of_domain::{self, Kind};
use super::prediction_log::{Frames, PredictionLog};
use super::serving::{Serving, ServingModel};
use crate::error::{Error, Result};
use crate::metrics::{Metrics, Outcome};
use crate::settings::PredictSettings;

/// Longest request id, in bytes.
const LONGEST_REQUEST_ID: usize = 128;

/// What a caller says about a request beside the customers.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// The caller's id of the request; empty for one of ours.
    pub request_id: String,
    /// Whether reasons are wanted.
    pub explain: bool,
    /// The trace that the request belongs to.
    pub trace_id: Option<String>,
    /// How violations name their fields.
    pub naming: Naming,
}

/// How violations name their fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// `Credit_Limit`: there is one customer.
    #[default]
    Single,
    /// `records[3].Credit_Limit`.
    Indexed,
}

/// A request that breaks no rule.
#[derive(Clone, Debug)]
pub struct Checked {
    rows: Vec<Row>,
    request_id: String,
    explain: bool,
    trace_id: Option<String>,
    received: Instant,
    /// Whether no version on trial may answer.
    by_champion: bool,
}

impl Checked {
    /// The champion answers, whatever is on trial: the caller asked for its version.
    pub fn by_champion(&mut self) {
        self.by_champion = true;
    }
}

/// One customer of a request.
#[derive(Clone, Debug)]
struct Row {
    customer: Customer,
    unlisted: Vec<UnlistedCategory>,
}

/// One customer's score.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Calibrated probability of attrition, 0 to 1.
    pub probability: f64,
    /// Whether it reaches the threshold.
    pub label: bool,
    /// Values that training did not see.
    pub out_of_domain: Vec<(Feature, Kind)>,
    /// Strongest first; only when asked for.
    pub reasons: Vec<Reason>,
}

/// What a request is answered with: one version gave all of it.
#[derive(Debug)]
pub struct Answer {
    /// One for each customer, in their order.
    pub predictions: Vec<Prediction>,
    /// The version that gave them.
    pub served_by: Arc<ServingModel>,
    /// The request's id.
    pub request_id: String,
}

/// A score taken apart.
#[derive(Debug)]
pub struct Explained {
    /// Margin, base and contributions.
    pub explanation: Explanation,
    /// The score it explains.
    pub prediction: Prediction,
    /// The version that gave both.
    pub served_by: Arc<ServingModel>,
}

/// Makes predictions.
#[derive(Debug)]
pub struct Predictor {
    scorer: Arc<Scorer>,
    serving: Arc<Serving>,
    log: Arc<PredictionLog>,
    metrics: Metrics,
    settings: PredictSettings,
    /// One permit a thread for large batches.
    batch_threads: Semaphore,
    model: String,
}

/// What scoring needs, on whatever thread it runs.
#[derive(Debug)]
struct Scorer {
    schema: &'static Schema,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    reasons: usize,
}

impl Predictor {
    /// A predictor of `model`, over what serves and what logs.
    pub fn new(
        model: &str,
        serving: Arc<Serving>,
        log: Arc<PredictionLog>,
        (metrics, clock): (Metrics, Arc<dyn Clock>),
        settings: &PredictSettings,
    ) -> Self {
        let scorer = Scorer {
            schema: Schema::embedded(),
            clock,
            metrics: metrics.clone(),
            reasons: settings.reasons,
        };
        Self {
            scorer: Arc::new(scorer),
            serving,
            log,
            metrics,
            settings: settings.clone(),
            batch_threads: Semaphore::new(settings.threads()),
            model: model.to_owned(),
        }
    }

    /// The model in service.
    ///
    /// # Errors
    /// [`Error::NoChampion`].
    pub fn serving(&self) -> Result<Arc<ServingModel>> {
        self.serving.current().ok_or_else(|| Error::NoChampion {
            model: self.model.clone(),
        })
    }

    /// The name of the model that is served here.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Counts a request that was refused before it came to [`Predictor::check`].
    pub fn refused(&self, error: &Error, rows: usize) {
        self.metrics.answered(error.outcome(), rows.max(1));
    }

    /// Checks the customers of a request, given as named fields. A category that the schema does not list is none of
    /// the errors: it is scored as missing, flagged, and logged as it was sent.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every broken rule of every customer.
    pub fn check<'a, F>(&self, rows: impl ExactSizeIterator<Item = F>, envelope: Envelope) -> Result<Checked>
    where
        F: Iterator<Item = (&'a str, FieldValue<'a>)>,
    {
        let received = Instant::now();
        let mut violations = Vec::new();
        if envelope.request_id.len() > LONGEST_REQUEST_ID {
            let description = format!(
                "has {} bytes, allowed are {LONGEST_REQUEST_ID}",
                envelope.request_id.len()
            );
            violations.push(FieldViolation::new("request_id", "too_long", description));
        }
        let (count, most) = (rows.len(), self.settings.max_batch_rows);
        if count == 0 || count > most {
            let rule = if count == 0 { "required" } else { "too_many" };
            violations.push(FieldViolation::new(
                "records",
                rule,
                format!("there are {count}, allowed are 1 to {most}"),
            ));
        }
        let mut checked = Vec::with_capacity(count.min(most));
        for (index, fields) in rows.take(most).enumerate() {
            match check_row(self.scorer.schema, fields) {
                Ok(row) => checked.push(row),
                Err(broken) => violations.extend(
                    broken
                        .into_iter()
                        .map(|violation| name(violation, index, envelope.naming)),
                ),
            }
        }
        if !violations.is_empty() {
            self.metrics.answered(Outcome::Invalid, count.max(1));
            return Err(Error::Invalid(violations));
        }
        let request_id = if envelope.request_id.is_empty() {
            Uuid::now_v7().hyphenated().to_string()
        } else {
            envelope.request_id
        };
        Ok(Checked {
            rows: checked,
            request_id,
            explain: envelope.explain,
            trace_id: envelope.trace_id,
            received,
            by_champion: false,
        })
    }

    /// Scores a request with one version and logs it. It is answered when its records are in the spool.
    ///
    /// # Errors
    /// [`Error::NoChampion`]; [`Error::Append`] when the log refuses it.
    pub async fn predict(&self, request: Checked) -> Result<Answer> {
        let (rows, received) = (request.rows.len(), request.received);
        let outcome = self.score_and_log(request).await;
        match &outcome {
            Ok(answer) => {
                self.metrics.answered(Outcome::Ok, rows);
                answer
                    .predictions
                    .iter()
                    .for_each(|prediction| self.metrics.score.observe(prediction.probability));
                self.metrics.duration.observe(received.elapsed());
            }
            Err(error) => self.metrics.answered(error.outcome(), rows),
        }
        outcome
    }

    async fn score_and_log(&self, request: Checked) -> Result<Answer> {
        let serving = self.serving()?;
        if let Some(trial) = &serving.trial {
            // Boxed: most requests meet no trial, and should not carry its state.
            return Box::pin(self.answer_on_trial(&serving, trial, request)).await;
        }
        let scored = self.score(&serving, request).await?;
        self.log_and_answer(serving, scored).await
    }

    async fn score(&self, serving: &Arc<ServingModel>, request: Checked) -> Result<Scored> {
        if request.rows.len() <= self.settings.inline_rows {
            return Ok(self.scorer.score(serving, request));
        }
        let _permit = self.batch_threads.acquire().await.map_err(|_| Error::Ending)?;
        let (scorer, serving) = (Arc::clone(&self.scorer), Arc::clone(serving));
        let scoring = tokio::task::spawn_blocking(move || scorer.score(&serving, request));
        scoring.await.map_err(|_| Error::Ending)
    }

    /// It is answered when its records are in the spool.
    async fn log_and_answer(&self, serving: Arc<ServingModel>, scored: Scored) -> Result<Answer> {
        if let Some(frames) = scored.frames {
            self.log.append(frames).await?;
        }
        Ok(Answer {
            predictions: scored.predictions,
            served_by: serving,
            request_id: scored.request_id,
        })
    }

    /// Explains the first customer of a request. Nothing is logged.
    ///
    /// # Errors
    /// [`Error::NoChampion`].
    pub fn explain(&self, request: &Checked) -> Result<Explained> {
        let served_by = self.serving()?;
        let features = request
            .rows
            .first()
            .map_or(FeatureVector::MISSING, |row| row.customer.features);
        let explanation = served_by.model.explain(&features);
        let probability = served_by.model.score(&features);
        let prediction = self
            .scorer
            .prediction(&served_by, &features, probability, Some(&explanation));
        Ok(Explained {
            explanation,
            prediction,
            served_by,
        })
    }
}

/// A scored request, ready to be logged.
struct Scored {
    predictions: Vec<Prediction>,
    frames: Option<Frames>,
    request_id: String,
}

impl Scorer {
    fn score(&self, serving: &ServingModel, request: Checked) -> Scored {
        let vectors: Vec<FeatureVector> = request.rows.iter().map(|row| row.customer.features).collect();
        let mut scores = vec![f64::NAN; vectors.len()];
        serving.model.score_batch(&vectors, &mut scores);
        let explanations = if request.explain {
            serving.model.explain_batch(&vectors)
        } else {
            Vec::new()
        };
        let predictions: Vec<Prediction> = vectors
            .iter()
            .zip(&scores)
            .enumerate()
            .map(|(index, (features, score))| self.prediction(serving, features, *score, explanations.get(index)))
            .collect();
        for (feature, _) in predictions.iter().flat_map(|prediction| &prediction.out_of_domain) {
            self.metrics.out_of_domain(*feature);
        }
        let records = self.records(serving, &request, &predictions);
        Scored {
            predictions,
            frames: Frames::encode(&records, self.schema),
            request_id: request.request_id,
        }
    }

    fn prediction(
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

    fn records(&self, serving: &ServingModel, request: &Checked, predictions: &[Prediction]) -> Vec<PredictionRecord> {
        let event_time = self.clock.now();
        let latency_us = u32::try_from(request.received.elapsed().as_micros()).unwrap_or(u32::MAX);
        let target = &serving.target;
        let record = |(index, (row, prediction)): (usize, (&Row, &Prediction))| PredictionRecord {
            request_id: request.request_id.clone(),
            row_index: u32::try_from(index).unwrap_or(u32::MAX),
            event_time,
            customer_key: row.customer.key,
            model: target.model.clone(),
            version: target.version,
            generation: target.generation,
            features: row.customer.features,
            unlisted: row.unlisted.clone(),
            score: prediction.probability,
            label: prediction.label,
            threshold: serving.model.threshold(),
            latency_us,
            trace_id: request.trace_id.clone(),
        };
        request.rows.iter().zip(predictions).enumerate().map(record).collect()
    }
}

fn check_row<'a>(
    schema: &Schema,
    fields: impl Iterator<Item = (&'a str, FieldValue<'a>)>,
) -> Result<Row, Vec<Violation>> {
    let mut texts: Vec<(&str, &str)> = Vec::new();
    let fields = fields.inspect(|(name, value)| {
        if let FieldValue::Text(text) = value {
            texts.push((name, text));
        }
    });
    let customer = schema.customer(fields, Strictness::Serving)?;
    let is_unlisted = |feature: &Feature| {
        let code = customer.features.get(*feature);
        feature.kind() == FeatureKind::Categorical
            && code.is_some_and(|code| code.to_bits() == UNKNOWN_CATEGORY.to_bits())
    };
    let text_of = |feature: Feature| {
        texts
            .iter()
            .find(|(name, _)| *name == feature.name())
            .map_or("?", |(_, text)| text)
    };
    let unlisted = Feature::ALL.into_iter().filter(is_unlisted);
    let unlisted = unlisted
        .map(|feature| UnlistedCategory {
            feature,
            text: text_of(feature).to_owned(),
        })
        .collect();
    Ok(Row { customer, unlisted })
}

fn name(violation: Violation, index: usize, naming: Naming) -> FieldViolation {
    let field = match naming {
        Naming::Single => violation.column,
        Naming::Indexed => format!("records[{index}].{}", violation.column),
    };
    FieldViolation::new(field, violation.rule.code(), violation.message)
}
