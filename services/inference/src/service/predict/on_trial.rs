//! Answering while a version is on trial beside the champion.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::{Answer, Checked, Predictor, Scored};
use crate::error::Result;
use crate::service::rollout::choice::Known;
use crate::service::rollout::shadow::{Answered, Comparison};
use crate::service::rollout::trial::{Part, Trial};
use crate::service::serving::ServingModel;

impl Checked {
    /// The one customer it asks about, so that the same customer meets the same version; else its id.
    fn known(&self) -> Known<'_> {
        match self.rows.as_slice() {
            [row] => row.key().map_or(Known::Request(&self.request_id), Known::Customer),
            _ => Known::Request(&self.request_id),
        }
    }
}

impl Predictor {
    /// Answers a request by the champion or by the version on trial, as its part in the trial is. Whatever the version on
    /// trial does, the request is answered as if there were none, or better.
    pub(super) async fn answer_on_trial(
        &self,
        serving: &Arc<ServingModel>,
        trial: &Arc<Trial>,
        request: Checked,
    ) -> Result<Answer> {
        let part = match trial.part(request.known()) {
            Part::Canary if request.by_champion => Part::Measured,
            part => part,
        };
        match part {
            Part::None => {
                let scored = self.score(serving, request).await?;
                self.log_and_answer(Arc::clone(serving), scored).await
            }
            Part::Measured => self.answer_measured(serving, trial, request).await,
            Part::Shadow => self.answer_and_compare(serving, trial, request).await,
            Part::Canary => {
                let began = Instant::now();
                match self.try_score(&trial.challenger, request.clone()).await {
                    Some(scored) => {
                        trial.scored(began.elapsed());
                        self.log_and_answer(Arc::clone(&trial.challenger), scored).await
                    }
                    None => {
                        trial.failed();
                        self.answer_measured(serving, trial, request).await
                    }
                }
            }
        }
    }

    async fn answer_measured(&self, serving: &Arc<ServingModel>, trial: &Trial, request: Checked) -> Result<Answer> {
        let began = Instant::now();
        let scored = self.score(serving, request).await?;
        trial.champion_scored(began.elapsed());
        self.log_and_answer(Arc::clone(serving), scored).await
    }

    /// The champion answers; what the challenger says of the same rows is found out after that.
    async fn answer_and_compare(
        &self,
        serving: &Arc<ServingModel>,
        trial: &Arc<Trial>,
        request: Checked,
    ) -> Result<Answer> {
        let customers: Vec<_> = request.rows.iter().map(|row| (row.key(), *row.features())).collect();
        let scored = self.score(serving, request).await?;
        let answer = self.log_and_answer(Arc::clone(serving), scored).await?;
        let rows = customers
            .iter()
            .zip(&answer.predictions)
            .map(|((customer_key, features), prediction)| Answered {
                customer_key: *customer_key,
                features: *features,
                score: prediction.probability,
                label: prediction.label,
            });
        trial.compare(Comparison {
            trial: Arc::clone(trial),
            champion: Arc::clone(serving),
            request_id: answer.request_id.clone(),
            event_time: self.scorer.clock.now(),
            rows: rows.collect(),
        });
        Ok(answer)
    }

    /// Scores with the version on trial; `None` when it panics or answers what is no probability.
    async fn try_score(&self, challenger: &Arc<ServingModel>, request: Checked) -> Option<Scored> {
        let rows = request.rows.len();
        let scored = if rows <= self.settings.inline_rows {
            // Scoring changes nothing that a panic could leave half-changed.
            let attempt = catch_unwind(AssertUnwindSafe(|| self.scorer.score(challenger, &request, 0..rows)));
            attempt.ok().map(|scored| Scored::of(scored, request.request_id))
        } else {
            self.score_aside(challenger, request).await
        };
        let is_sound = |scored: &Scored| {
            let probabilities = scored.predictions.iter().map(|prediction| prediction.probability);
            scored.predictions.len() == rows && probabilities.into_iter().all(|score| (0.0..=1.0).contains(&score))
        };
        scored.filter(is_sound)
    }
}
