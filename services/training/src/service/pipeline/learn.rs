//! Fitting. The work runs on threads of its own; the run's task only looks how far it is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use holdfast_domain::{Customer, Digest, Schema};
use holdfast_records::model_file;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::data::Split;
use super::error::StepError;
use super::job::{Job, Made};
use crate::service::fitting::{Candidate, FitError, ImportedPlan, Plan, fit, fit_imported};
use crate::service::imported::ImportPlan;
use crate::service::recipe::Recipe;
use crate::service::runs::StepName;
use crate::service::trainer::Progress;

/// Fits candidate and baseline; of a model file, only calibration, threshold and baseline.
pub(super) async fn train(job: &Job, split: &Arc<Split>) -> Result<Made<Candidate>, StepError> {
    let recipe = recipe(job)?;
    let Some(file) = &job.request.import else {
        let candidate = aside(job, split, "fitting", move |train, conditions, schema, progress| {
            fit(train, &conditions.plan(&recipe), schema, progress)
        });
        return Ok(made(candidate.await?, ""));
    };
    let bytes = model_file::read(&*job.parts.blobs, &file.digest).await?;
    let plan = ImportPlan::new(file, &recipe);
    let assumed = plan
        .read(&bytes, job.parts.schema)
        .map_err(FitError::from)?
        .bound
        .assumed_orders;
    let candidate = aside(job, split, "calibrating", move |train, conditions, schema, progress| {
        let imported = ImportedPlan {
            plan: &plan,
            file: &bytes,
            seed: conditions.seed,
            training_snapshot: conditions.training,
            test_snapshot: conditions.test,
        };
        fit_imported(train, &imported, &conditions.plan(&recipe), schema, progress)
    });
    let note = if assumed.is_empty() {
        String::new()
    } else {
        format!(
            "; codes of {} are taken to be in the schema's order",
            assumed.join(", ")
        )
    };
    Ok(made(candidate.await?, &note))
}

fn made(candidate: Candidate, note: &str) -> Made<Candidate> {
    Made {
        message: format!(
            "an artefact of {} bytes, threshold {:.4}{note}",
            candidate.artifact.len(),
            candidate.model.threshold()
        ),
        value: candidate,
    }
}

/// What every fit is told beside its recipe.
struct Conditions {
    seed: u64,
    threads: usize,
    training: Digest,
    test: Digest,
}

impl Conditions {
    fn plan<'a>(&self, recipe: &'a Recipe) -> Plan<'a> {
        Plan {
            recipe,
            seed: self.seed,
            threads: self.threads,
            training_snapshot: self.training,
            test_snapshot: self.test,
        }
    }
}

/// Fits on a thread of its own and logs how far it is.
async fn aside(
    job: &Job,
    split: &Arc<Split>,
    what: &'static str,
    fit: impl FnOnce(&[Customer], &Conditions, &Schema, Progress<'_>) -> Result<Candidate, FitError> + Send + 'static,
) -> Result<Candidate, StepError> {
    let (sender, progress) = watch::channel(0.0);
    let (cancel, schema, split) = (job.cancel.clone(), job.parts.schema, Arc::clone(split));
    let conditions = Conditions {
        seed: job.request.seed,
        threads: job.parts.runs.threads,
        training: split.training,
        test: split.test,
    };
    let span = tracing::Span::current();
    let mut work = job.shutdown.spawn_blocking(what, move || {
        let _entered = span.entered();
        fit(&split.rows.train, &conditions, schema, &mut |done| {
            sender.send_replace(done);
            if cancel.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    });
    let mut ticks = tokio::time::interval(job.parts.runs.progress_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = 0.0;
    loop {
        tokio::select! {
            biased;
            fitted = &mut work => return Ok(fitted??),
            _ = ticks.tick() => {
                let now = *progress.borrow();
                if now > last {
                    last = now;
                    job.progress(StepName::Train, now, what).await?;
                }
            }
        }
    }
}

/// The recipe that the run's search found; before it, or without one, that of the parameter set, with the threshold rule that the run asks for in
/// its place.
pub(super) fn recipe(job: &Job) -> Result<Recipe, StepError> {
    if let Some(tuned) = job.tuned() {
        return Ok(tuned.clone());
    }
    let preset = job
        .parts
        .presets
        .get(&job.request.preset)
        .map_err(|error| StepError::Service(error.into()))?;
    let mut recipe = preset.recipe.clone();
    if let Some(rule) = job.request.threshold {
        recipe.threshold = rule;
    }
    Ok(recipe)
}

/// Every parameter of the run, for the registry: those of the artefact's origin, and the run's own.
pub(super) fn parameters(job: &Job, candidate: &Candidate) -> BTreeMap<String, String> {
    let origin = candidate.model.origin();
    let mut all: BTreeMap<String, String> = origin.parameters.iter().cloned().collect();
    let own = [
        ("family", origin.family.name().to_owned()),
        ("preset", job.request.preset.clone()),
        ("seed", job.request.seed.to_string()),
        ("test_share", job.request.test_share.to_string()),
    ];
    all.extend(own.map(|(name, value)| (name.to_owned(), value)));
    all
}
