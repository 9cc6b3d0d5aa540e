//! The search for parameters as a step of a run: its trials in the run's log as they change, and in the registry as child runs.
//!
//! The search works on threads of its own; the log and the registry are written beside it and hold nothing up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use holdfast_domain::{FeatureVector, RunId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::data::Split;
use super::error::StepError;
use super::job::{Job, Made};
use super::learn;
use super::trials::{Child, Children};
use crate::service::recipe::Recipe;
use crate::service::rows::{features, labels};
use crate::service::runs::{StepName, TuningRequest};
use crate::service::trainer::TrainingRows;
use crate::service::tuning::search::{Plan, TrialState};
use crate::service::tuning::tune::{Happening, OuterFold, TuneError, Wanted, tune as search};
use crate::service::tuning::{RecipeSpace, TrialRecord, TuningRecord};

/// What the search tells while it is at work.
enum Told {
    /// A trial changed; with its values as [`Child::Trial`] has them.
    Trial(TrialRecord, Vec<f64>),
    /// So many trials of the search within an outer fold have ended.
    OuterTrials { fold: usize, ended: usize },
    /// An outer fold is done.
    Outer(OuterFold),
}

/// What the search came to.
struct Searched {
    record: TuningRecord,
    recipe: Result<Recipe, TuneError>,
}

/// Searches, and answers the recipe that was found.
pub(super) async fn tune(job: &Job, split: &Arc<Split>, asked: TuningRequest) -> Result<Made<Recipe>, StepError> {
    let recipes = job.parts.presets.search_spaces().around(&learn::recipe(job)?);
    let recipes = Arc::new(recipes.map_err(StepError::NothingToTune)?);
    let (tell, told) = mpsc::unbounded_channel();
    let (child, children) = mpsc::unbounded_channel();
    let stop = Arc::new(AtomicBool::new(false));
    let work = spawn(job, split, asked, &recipes, tell, Arc::clone(&stop));
    let registry = Children::of(job, asked.objective);
    // Whichever fails, the search has no purpose any more.
    let or_stop = |failed: bool| stop.fetch_or(failed, Ordering::Relaxed);
    let searched = async {
        let logged = follow(job, asked, &recipes, told, child).await;
        or_stop(logged.is_err());
        let searched = work.await;
        registry.search_is_over();
        logged.and(searched.map_err(StepError::from))
    };
    let tracked = async {
        let tracked = registry.keep(children, &job.cancel).await;
        or_stop(tracked.is_err());
        tracked
    };
    let (searched, tracked) = tokio::join!(searched, tracked);
    let Searched { record, recipe } = searched?;
    let message = sentence(&record);
    let told_of = record.clone();
    job.note(|result| result.tuning = Some(record)).await?;
    // Why the registry could not be told stands before that the search was stopped for it.
    tracked?;
    let recipe = recipe?;
    registry.sum_up(&told_of).await?;
    Ok(Made { message, value: recipe })
}

/// Starts the search on threads of its own.
fn spawn(
    job: &Job,
    split: &Arc<Split>,
    asked: TuningRequest,
    recipes: &Arc<RecipeSpace>,
    tell: mpsc::UnboundedSender<Told>,
    stop: Arc<AtomicBool>,
) -> JoinHandle<Searched> {
    let (split, recipes, cancel) = (Arc::clone(split), Arc::clone(recipes), job.cancel.clone());
    let (schema, threads, seed) = (job.parts.schema, job.parts.runs.threads, job.request.seed);
    let span = tracing::Span::current();
    job.shutdown.spawn_blocking("tuning", move || {
        let _entered = span.entered();
        let (features, labels): (Vec<FeatureVector>, Vec<bool>) =
            (features(&split.rows.train), labels(&split.rows.train));
        let rows = TrainingRows {
            features: &features,
            labels: &labels,
        };
        let wanted = Wanted {
            recipes: &recipes,
            plan: Plan {
                trials: asked.trials as usize,
                folds: asked.folds as usize,
                workers: asked.workers as usize,
                early_stop: asked.early_stop,
                seed,
            },
            outer_folds: asked.outer_folds as usize,
            objective: asked.objective,
            threads,
            schema,
            go_on: &|| !cancel.is_cancelled() && !stop.load(Ordering::Relaxed),
        };
        let mut runs = BTreeMap::new();
        let tuned = search(rows, wanted, &mut |happening| {
            let news = match happening {
                Happening::Trial(trial) => {
                    let run = runs.entry(trial.number).or_insert_with(RunId::generate);
                    let values = match trial.state {
                        TrialState::Complete => trial.by_fold(),
                        _ => trial.values.clone(),
                    };
                    Told::Trial(TrialRecord::of(trial, &recipes, run.clone()), values)
                }
                // What is measured again has ended before.
                Happening::OuterTrial(_, trial) if trial.state == TrialState::Running || !trial.again.is_empty() => {
                    return;
                }
                Happening::OuterTrial(fold, trial) => Told::OuterTrials {
                    fold,
                    ended: trial.number,
                },
                Happening::Outer(fold) => Told::Outer(fold.clone()),
            };
            // Nobody listens any more when the run is torn down.
            let _ = tell.send(news);
        });
        let trials = tuned.as_ref().map_or_else(TuneError::found, |tuned| Some(&tuned.found));
        let mut record = TuningRecord::of(asked.objective, trials, &recipes, &runs);
        let recipe = tuned.map(|tuned| {
            record.complete(&tuned, &recipes);
            tuned.recipe
        });
        Searched { record, recipe }
    })
}

/// Writes what the search tells into the run's log and passes it on to the registry, until the search tells nothing more.
async fn follow(
    job: &Job,
    asked: TuningRequest,
    recipes: &RecipeSpace,
    mut told: mpsc::UnboundedReceiver<Told>,
    child: mpsc::UnboundedSender<Child>,
) -> Result<(), StepError> {
    let mut ended = 0;
    while let Some(told) = told.recv().await {
        let (progress, message, trial) = match told {
            Told::Trial(trial, values) => {
                ended += usize::from(trial.state != TrialState::Running && trial.value_again.is_none());
                let message = trial.in_words(asked.folds);
                // The registry's part ends only after this one.
                let _ = child.send(Child::Trial(trial.clone(), values));
                (progress(asked, 0, ended), message, Some(trial))
            }
            Told::OuterTrials { fold, ended } => {
                let message = format!("outer fold {fold} of {}: trial {ended}", asked.outer_folds);
                (progress(asked, fold, ended), message, None)
            }
            Told::Outer(fold) => {
                let message = format!("outer fold {} of {}: {:.4}", fold.number, asked.outer_folds, fold.value);
                let progress = progress(asked, fold.number + 1, 0);
                let _ = child.send(Child::Outer(recipes.named(&fold.best.point), fold));
                (progress, message, None)
            }
        };
        match trial {
            Some(trial) => job.trial(progress, message, trial).await?,
            None => job.progress(StepName::Tune, progress, &message).await?,
        }
    }
    Ok(())
}

/// The search itself and that of each outer fold are as much work; one that ends early is done at once.
#[expect(clippy::cast_precision_loss, reason = "some thousand trials at most")]
fn progress(asked: TuningRequest, searches: usize, ended: usize) -> f64 {
    let within = ended as f64 / f64::from(asked.trials.max(1));
    ((searches as f64 + within) / f64::from(asked.outer_folds + 1)).min(0.999)
}

/// What the search came to, for the log.
fn sentence(record: &TuningRecord) -> String {
    let TuningRecord {
        objective,
        trials,
        pruned,
        stopped_by,
        ..
    } = record;
    let ended = format!("{trials} trials, {pruned} of them given up early, ended by {stopped_by}");
    match (&record.best, &record.first) {
        (Some(best), Some(first)) => {
            let again = best
                .value_again
                .map(|again| format!(" ({again:.5} on folds drawn anew)"));
            let again = again.unwrap_or_default();
            format!(
                "best trial {} with {objective} {:.5}{again}, the parameter set's own {:.5}; {ended}",
                best.number, best.value, first.value
            )
        }
        _ => ended,
    }
}
