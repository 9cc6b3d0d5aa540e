//! The one core that every surface predicts through: check, score with one version, log, answer.

mod on_trial;
mod scorer;

use std::sync::Arc;
use std::time::Instant;

use holdfast_chassis::clock::Clock;
use holdfast_chassis::error::FieldViolation;
use holdfast_domain::{CheckedCustomer, Feature, FeatureVector, Refused, Schema, Violation};
use holdfast_model::{Explanation, Reason};
use uuid::Uuid;

use super::out_of_domain::Kind;
use super::prediction_log::{Frames, PredictionLog};
use super::serving::{Serving, ServingModel};
use super::threads::Threads;
use crate::error::{Error, Result};
use crate::metrics::{Metrics, Outcome};
use crate::settings::PredictSettings;
use scorer::{ScoredRows, Scorer};

/// Longest request id, in bytes.
const LONGEST_REQUEST_ID: usize = 128;

/// Rows of a large batch that one thread scores at a time: so many take about a millisecond.
const PART_ROWS: usize = 2_048;

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
    rows: Vec<CheckedCustomer>,
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
    /// Where large batches are scored.
    threads: Threads,
    model: String,
}

/// A scored request, ready to be logged.
struct Scored {
    predictions: Vec<Prediction>,
    frames: Frames,
    request_id: String,
}

impl Scored {
    fn of(rows: ScoredRows, request_id: String) -> Self {
        Self {
            predictions: rows.predictions,
            frames: rows.frames,
            request_id,
        }
    }
}

impl Predictor {
    /// A predictor of `model`, over what serves and what logs.
    pub fn new(
        model: &str,
        serving: Arc<Serving>,
        log: Arc<PredictionLog>,
        (metrics, clock): (Metrics, Arc<dyn Clock>),
        settings: &PredictSettings,
        threads: Threads,
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
            threads,
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

    /// Checks a request about `count` customers, of whom `customers` gives so many as it is asked for, the first ones. A category that the schema does
    /// not list is none of the errors: it is scored as missing, flagged, and logged as it was sent.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every broken rule of every customer.
    pub fn check(
        &self,
        count: usize,
        customers: impl FnOnce(usize) -> Result<Vec<CheckedCustomer>, Vec<Refused>>,
        envelope: Envelope,
    ) -> Result<Checked> {
        let received = Instant::now();
        let mut violations = Vec::new();
        if envelope.request_id.len() > LONGEST_REQUEST_ID {
            let description = format!(
                "has {} bytes, allowed are {LONGEST_REQUEST_ID}",
                envelope.request_id.len()
            );
            violations.push(FieldViolation::new("request_id", "too_long", description));
        }
        let most = self.settings.max_batch_rows;
        violations.extend(wrong_number("records", count, most));
        let rows = customers(most).unwrap_or_else(|refused| {
            let named = |(place, broken): Refused| {
                let broken = broken.into_iter();
                broken.map(move |violation| name(violation, place, envelope.naming))
            };
            violations.extend(refused.into_iter().flat_map(named));
            Vec::new()
        });
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
            rows,
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
                let scores = answer.predictions.iter().map(|prediction| prediction.probability);
                self.metrics.score.observe(scores);
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
            let rows = self.scorer.score(serving, &request, 0..request.rows.len());
            return Ok(Scored::of(rows, request.request_id));
        }
        // Boxed for the same reason.
        let aside = Box::pin(self.score_aside(serving, request));
        aside.await.ok_or(Error::Ending)
    }

    /// Scores a large batch part by part, on as many threads as there are; `None` when one of them panicked.
    async fn score_aside(&self, serving: &Arc<ServingModel>, request: Checked) -> Option<Scored> {
        let (rows, request) = (request.rows.len(), Arc::new(request));
        let parts = (0..rows).step_by(PART_ROWS).map(|start| {
            let (scorer, serving, request) = (Arc::clone(&self.scorer), Arc::clone(serving), Arc::clone(&request));
            let part = start..rows.min(start + PART_ROWS);
            self.threads.run(move || scorer.score(&serving, &request, part))
        });
        // All of them are under way before the first is waited for.
        let mut parts = parts.collect::<Vec<_>>().into_iter();
        let mut whole = parts.next()?.await.ok()?.with_room_for(rows);
        for part in parts {
            whole.append(part.await.ok()?);
        }
        Some(Scored::of(whole, request.request_id.clone()))
    }

    /// It is answered when its records are in the spool.
    async fn log_and_answer(&self, serving: Arc<ServingModel>, scored: Scored) -> Result<Answer> {
        self.log.append(scored.frames).await?;
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
            .map_or(FeatureVector::MISSING, |row| *row.features());
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

/// What is wrong with `count` items of a field; nothing when there are 1 to `most`.
pub(crate) fn wrong_number(field: &str, count: usize, most: usize) -> Option<FieldViolation> {
    let rule = match count {
        0 => "required",
        _ if count > most => "too_many",
        _ => return None,
    };
    let description = format!("there are {count}, allowed are 1 to {most}");
    Some(FieldViolation::new(field, rule, description))
}

fn name(violation: Violation, index: usize, naming: Naming) -> FieldViolation {
    let field = match naming {
        Naming::Single => violation.column,
        Naming::Indexed => format!("records[{index}].{}", violation.column),
    };
    FieldViolation::new(field, violation.rule.code(), violation.message)
}
