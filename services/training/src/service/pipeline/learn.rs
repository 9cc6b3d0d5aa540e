//! Fitting and measuring. The work runs on threads of its own; the run's task only looks how far it is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use holdfast_domain::{Customer, Digest, FeatureVector, Schema};
use holdfast_model::Model;
use holdfast_model::metrics::MetricError;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::data::Split;
use super::error::StepError;
use super::job::{Job, Made};
use crate::service::evaluation::{Scored, better_p_value, paired, quality, slices};
use crate::service::fitting::{Candidate, Plan, fit};
use crate::service::registry::{Champion, Comparison, Evidence};
use crate::service::rows::{features, labels};
use crate::service::runs::StepName;
use crate::service::trainer::{BoostedTrees, Logistic, Trainer};

/// Fits candidate and baseline.
pub(super) async fn train(job: &Job, split: &Arc<Split>) -> Result<Made<Candidate>, StepError> {
    let (sender, progress) = watch::channel(0.0);
    let (cancel, schema, split) = (job.cancel.clone(), job.parts.schema, Arc::clone(split));
    let (candidate, baseline) = trainers(job)?;
    let (seed, threshold_share) = (job.request.seed, job.parts.tuning.threshold_share);
    let span = tracing::Span::current();
    let mut work = job.shutdown.spawn_blocking("fitting", move || {
        let _entered = span.entered();
        let plan = Plan {
            candidate: &candidate,
            baseline: &baseline,
            threshold_share,
            seed,
            training_snapshot: split.training,
            test_snapshot: split.test,
        };
        fit(&split.rows.train, &plan, schema, &mut |done| {
            sender.send_replace(done);
            if cancel.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    });
    let mut ticks = tokio::time::interval(job.parts.tuning.progress_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = 0.0;
    let candidate = loop {
        tokio::select! {
            biased;
            fitted = &mut work => break fitted??,
            _ = ticks.tick() => {
                let now = *progress.borrow();
                if now > last {
                    last = now;
                    job.progress(StepName::Train, now, "fitting").await?;
                }
            }
        }
    };
    Ok(Made {
        message: format!(
            "an artefact of {} bytes, threshold {:.4}",
            candidate.artifact.len(),
            candidate.model.threshold()
        ),
        value: candidate,
    })
}

/// The trainers of the run's parameter set.
pub(super) fn trainers(job: &Job) -> Result<(BoostedTrees, Logistic), StepError> {
    let preset = job
        .parts
        .presets
        .get(&job.request.preset)
        .map_err(|error| StepError::Service(error.into()))?;
    let candidate = BoostedTrees {
        params: preset.boosted_trees.clone(),
        seed: job.request.seed,
        threads: job.parts.tuning.threads,
    };
    let baseline = Logistic {
        params: preset.baseline.clone(),
    };
    Ok((candidate, baseline))
}

/// Every parameter of the run, for the registry.
pub(super) fn parameters(job: &Job) -> Result<BTreeMap<String, String>, StepError> {
    let (candidate, baseline) = trainers(job)?;
    let mut all: BTreeMap<String, String> = candidate.parameters().into_iter().collect();
    all.extend(
        baseline
            .parameters()
            .into_iter()
            .map(|(name, value)| (format!("baseline_{name}"), value)),
    );
    let own = [
        ("family", candidate.family().name().to_owned()),
        ("preset", job.request.preset.clone()),
        ("seed", job.request.seed.to_string()),
        ("test_share", job.request.test_share.to_string()),
        ("threshold_share", job.parts.tuning.threshold_share.to_string()),
    ];
    all.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Ok(all)
}

/// Measures the candidate on the test rows: full, with the required features only, against the baseline and against the champion.
pub(super) async fn evaluate(
    job: &Job,
    split: &Arc<Split>,
    candidate: &Arc<Candidate>,
) -> Result<Made<Evidence>, StepError> {
    let evidence = evidence(job, split, candidate).await?;
    let metrics = named_metrics(split, candidate, &evidence);
    job.parts.metrics.last_roc_auc.set(evidence.full.roc_auc);
    let against = evidence.champion.as_ref().map_or_else(
        || "no champion to compare with".to_owned(),
        |comparison| {
            let (version, paired) = (comparison.champion.version, &comparison.paired);
            format!(
                "champion version {version} {:.4} (p {:.4})",
                paired.champion.roc_auc, paired.p_value
            )
        },
    );
    let message = format!(
        "ROC-AUC {:.4}, required features only {:.4}, baseline {:.4}, {against}",
        evidence.full.roc_auc, evidence.required_only.roc_auc, evidence.baseline.roc_auc
    );
    job.note(|result| result.metrics = metrics).await?;
    Ok(Made {
        value: evidence,
        message,
    })
}

/// The evidence against the champion in force now.
pub(super) async fn evidence(job: &Job, split: &Arc<Split>, candidate: &Arc<Candidate>) -> Result<Evidence, StepError> {
    let champion = match job.parts.registry.champion(&job.request.model).await? {
        Some(champion) => Some((load(job, &champion).await?, champion)),
        None => None,
    };
    let (split, candidate, schema) = (Arc::clone(split), Arc::clone(candidate), job.parts.schema);
    let measured = job.shutdown.spawn_blocking("measuring", move || {
        let champion = champion.as_ref().map(|(model, champion)| (model, champion));
        measure(&split, &candidate, champion, schema)
    });
    Ok(measured.await??)
}

/// The champion's model, from the blob store, by its digest.
async fn load(job: &Job, champion: &Champion) -> Result<Model, StepError> {
    let version = champion.id.version;
    let broken = |why: String| StepError::BrokenChampion { version, why };
    let bytes = match job.parts.blobs.get(&champion.artifact_key).await {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Err(broken("it is not in the blob store".to_owned())),
        Err(error) => return Err(error.into()),
    };
    let (expected, schema) = (champion.id.artifact_digest, job.parts.schema);
    let decoded = tokio::task::spawn_blocking(move || {
        let found = Digest::of(&bytes);
        if found != expected {
            return Err(format!("its digest is {found}, not {expected}"));
        }
        Model::decode(&bytes, schema).map_err(|error| error.to_string())
    });
    decoded.await?.map_err(broken)
}

fn measure(
    split: &Split,
    candidate: &Candidate,
    champion: Option<(&Model, &Champion)>,
    schema: &Schema,
) -> Result<Evidence, MetricError> {
    let customers: &[Customer] = &split.rows.test;
    let (rows, labels) = (features(customers), labels(customers));
    let required: Vec<FeatureVector> = rows.iter().map(|row| row.required_only(schema)).collect();
    let (model, baseline) = (&candidate.model, &candidate.baseline);
    let scores = score(model, &rows);
    let scored = Scored {
        scores: &scores,
        threshold: model.threshold(),
    };
    let required_scores = score(model, &required);
    let baseline_scores = score(baseline, &rows);
    let mut evidence = Evidence {
        test_snapshot: split.test,
        full: quality(&labels, scored)?,
        required_only: quality(
            &labels,
            Scored {
                scores: &required_scores,
                ..scored
            },
        )?,
        baseline: quality(
            &labels,
            Scored {
                scores: &baseline_scores,
                threshold: baseline.threshold(),
            },
        )?,
        baseline_p_value: better_p_value(&labels, &scores, &baseline_scores)?,
        champion: None,
        newest_window: None,
        slices: slices(customers, &labels, scored, schema)?,
    };
    if let Some((champion_model, champion)) = champion {
        let champion_scores = score(champion_model, &rows);
        let champion_scored = Scored {
            scores: &champion_scores,
            threshold: champion_model.threshold(),
        };
        let comparison = |snapshot, paired| Comparison {
            snapshot,
            champion: champion.id.clone(),
            paired,
        };
        evidence.champion = Some(comparison(split.test, paired(&labels, scored, champion_scored)?));
        if let Some(window) = split.newest_window {
            let at = &split.rows.newest_window;
            let (ours, theirs) = (pick(&scores, at), pick(&champion_scores, at));
            let labels = pick(&labels, at);
            let ours = Scored {
                scores: &ours,
                ..scored
            };
            let theirs = Scored {
                scores: &theirs,
                ..champion_scored
            };
            evidence.newest_window = Some(comparison(window, paired(&labels, ours, theirs)?));
        }
    }
    Ok(evidence)
}

fn score(model: &Model, rows: &[FeatureVector]) -> Vec<f64> {
    let mut scores = vec![f64::NAN; rows.len()];
    model.score_batch(rows, &mut scores);
    scores
}

fn pick<T: Copy>(values: &[T], at: &[usize]) -> Vec<T> {
    at.iter().map(|index| values[*index]).collect()
}

/// The measured values by the names that results and the registry's runs carry.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
pub(super) fn named_metrics(split: &Split, candidate: &Candidate, evidence: &Evidence) -> BTreeMap<String, f64> {
    let (full, required) = (&evidence.full, &evidence.required_only);
    let mut named = vec![
        ("test_roc_auc", full.roc_auc),
        ("test_roc_auc_lower", full.roc_auc_lower),
        ("test_roc_auc_upper", full.roc_auc_upper),
        ("test_pr_auc", full.pr_auc),
        ("test_f1", full.f1),
        ("test_precision", full.precision),
        ("test_recall", full.recall),
        ("test_accuracy", full.accuracy),
        ("test_log_loss", full.log_loss),
        ("test_brier", full.brier),
        ("test_calibration_error", full.calibration_error),
        ("test_roc_auc_required_only", required.roc_auc),
        ("test_pr_auc_required_only", required.pr_auc),
        ("test_f1_required_only", required.f1),
        ("test_log_loss_required_only", required.log_loss),
        ("baseline_roc_auc", evidence.baseline.roc_auc),
        ("baseline_p_value", evidence.baseline_p_value),
        ("threshold", candidate.model.threshold()),
        ("train_rows", split.rows.train.len() as f64),
        ("test_rows", split.rows.test.len() as f64),
    ];
    if let Some(Comparison { paired, .. }) = &evidence.champion {
        named.push(("champion_roc_auc", paired.champion.roc_auc));
        named.push(("auc_delta", paired.delta));
        named.push(("auc_delta_p_value", paired.p_value));
    }
    if let Some(Comparison { paired, .. }) = &evidence.newest_window {
        named.push(("window_roc_auc", paired.candidate.roc_auc));
        named.push(("window_champion_roc_auc", paired.champion.roc_auc));
        named.push(("window_rows", paired.candidate.rows as f64));
    }
    named
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
