//! Measuring the candidate on the test rows: full, with the required features only, against the baseline and against the champion.
//! The work runs on a thread of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_domain::{Customer, Digest, FeatureVector, Schema};
use holdfast_model::Model;
use holdfast_model::metrics::MetricError;
use holdfast_records::evaluation::Evaluation;

use super::data::Split;
use super::error::StepError;
use super::job::{Job, Made};
use crate::service::evaluation::record::{ChampionRows, HeldOutScores, Named, Subjects, record};
use crate::service::evaluation::{Scored, better_p_value, paired, quality, slices};
use crate::service::fitting::Candidate;
use crate::service::plots::{self, Plot};
use crate::service::registry::{Champion, Comparison, Evidence, VersionId};
use crate::service::rows::{features, labels};

/// What the step makes.
pub(super) struct Evaluated {
    /// What the gate decides on.
    pub(super) evidence: Evidence,
    /// Everything that was measured.
    pub(super) record: Evaluation,
    /// Its pictures.
    pub(super) plots: Vec<Plot>,
}

/// Measures the candidate.
pub(super) async fn evaluate(
    job: &Job,
    split: &Arc<Split>,
    candidate: &Arc<Candidate>,
) -> Result<Made<Evaluated>, StepError> {
    let named = Named {
        run_id: job.id.clone(),
        model: job.request.model.clone(),
        artifact_digest: Digest::of(&candidate.artifact),
        test_snapshot: split.test,
        seed: job.request.seed,
    };
    let schema = job.parts.schema;
    let evaluated = measure(job, split, candidate, move |scores, split, candidate| {
        let evidence = scores.evidence(split, candidate, schema)?;
        let record = record(named, &scores.subjects(split, candidate), schema)?;
        let plots = plots::draw(&record);
        Ok(Evaluated {
            evidence,
            record,
            plots,
        })
    });
    let evaluated = evaluated.await?;
    let evidence = &evaluated.evidence;
    let mut metrics = named_metrics(split, candidate, evidence);
    metrics.extend(further_metrics(&evaluated.record));
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
        value: evaluated,
        message,
    })
}

/// The evidence against the champion in force now, and its metrics.
pub(super) async fn evidence_again(
    job: &Job,
    split: &Arc<Split>,
    candidate: &Arc<Candidate>,
) -> Result<(Evidence, BTreeMap<String, f64>), StepError> {
    let schema = job.parts.schema;
    let evidence = measure(job, split, candidate, move |scores, split, candidate| {
        scores.evidence(split, candidate, schema)
    });
    let evidence = evidence.await?;
    let metrics = named_metrics(split, candidate, &evidence);
    Ok((evidence, metrics))
}

/// Scores the test rows with every model, the champion in force now among them, and measures.
async fn measure<T: Send + 'static>(
    job: &Job,
    split: &Arc<Split>,
    candidate: &Arc<Candidate>,
    measure: impl FnOnce(&TestScores, &Split, &Candidate) -> Result<T, MetricError> + Send + 'static,
) -> Result<T, StepError> {
    let champion = match job.parts.registry.champion(&job.request.model).await? {
        Some(champion) => Some((load(job, &champion).await?, champion.id)),
        None => None,
    };
    let (split, candidate, schema) = (Arc::clone(split), Arc::clone(candidate), job.parts.schema);
    let measured = job.shutdown.spawn_blocking("measuring", move || {
        let champion = champion.as_ref().map(|(model, id)| (model, id));
        let scores = TestScores::of(&split, &candidate, champion, schema);
        measure(&scores, &split, &candidate)
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

/// What every model makes of the test rows.
struct TestScores {
    features: Vec<FeatureVector>,
    labels: Vec<bool>,
    full: Vec<f64>,
    required_only: Vec<f64>,
    baseline: Vec<f64>,
    champion: Option<ChampionScores>,
    /// Raw probabilities of the training rows, each by a fit that had not seen the row.
    held_out_raw: Vec<f64>,
}

struct ChampionScores {
    id: VersionId,
    threshold: f64,
    scores: Vec<f64>,
}

impl TestScores {
    fn of(split: &Split, candidate: &Candidate, champion: Option<(&Model, &VersionId)>, schema: &Schema) -> Self {
        let customers: &[Customer] = &split.rows.test;
        let features = features(customers);
        let required: Vec<FeatureVector> = features.iter().map(|row| row.required_only(schema)).collect();
        Self {
            labels: labels(customers),
            full: score(&candidate.model, &features),
            required_only: score(&candidate.model, &required),
            baseline: score(&candidate.baseline, &features),
            champion: champion.map(|(model, id)| ChampionScores {
                id: id.clone(),
                threshold: model.threshold(),
                scores: score(model, &features),
            }),
            features,
            held_out_raw: raw(&candidate.model, &candidate.held_out.margins),
        }
    }

    fn subjects<'a>(&'a self, split: &'a Split, candidate: &'a Candidate) -> Subjects<'a> {
        let scored = |scores, model: &Model| Scored {
            scores,
            threshold: model.threshold(),
        };
        Subjects {
            model: &candidate.model,
            customers: &split.rows.test,
            features: &self.features,
            full: scored(&self.full, &candidate.model),
            required_only: scored(&self.required_only, &candidate.model),
            baseline: scored(&self.baseline, &candidate.baseline),
            champion: self.champion.as_ref().map(|champion| ChampionRows {
                id: &champion.id,
                scored: Scored {
                    scores: &champion.scores,
                    threshold: champion.threshold,
                },
            }),
            newest_window: split
                .newest_window
                .map(|snapshot| (snapshot, split.rows.newest_window.as_slice())),
            held_out: Some(HeldOutScores {
                labels: &candidate.held_out.labels,
                raw: &self.held_out_raw,
                calibrated: &candidate.held_out.probabilities,
            }),
        }
    }

    /// What the gate decides on.
    fn evidence(&self, split: &Split, candidate: &Candidate, schema: &Schema) -> Result<Evidence, MetricError> {
        let labels = &self.labels;
        let subjects = self.subjects(split, candidate);
        let mut evidence = Evidence {
            test_snapshot: split.test,
            full: quality(labels, subjects.full)?,
            required_only: quality(labels, subjects.required_only)?,
            baseline: quality(labels, subjects.baseline)?,
            baseline_p_value: better_p_value(labels, &self.full, &self.baseline)?,
            champion: None,
            newest_window: None,
            slices: slices(subjects.customers, labels, subjects.full, schema)?,
        };
        if let Some(champion) = subjects.champion {
            let comparison = |snapshot, paired| Comparison {
                snapshot,
                champion: champion.id.clone(),
                paired,
            };
            let all = paired(labels, subjects.full, champion.scored)?;
            evidence.champion = Some(comparison(split.test, all));
            if let Some((window, at)) = subjects.newest_window {
                let (ours, theirs) = (pick(&self.full, at), pick(champion.scored.scores, at));
                let ours = Scored {
                    scores: &ours,
                    ..subjects.full
                };
                let theirs = Scored {
                    scores: &theirs,
                    ..champion.scored
                };
                let inside = paired(&pick(labels, at), ours, theirs)?;
                evidence.newest_window = Some(comparison(window, inside));
            }
        }
        Ok(evidence)
    }
}

fn score(model: &Model, rows: &[FeatureVector]) -> Vec<f64> {
    let mut scores = vec![f64::NAN; rows.len()];
    model.score_batch(rows, &mut scores);
    scores
}

fn raw(model: &Model, margins: &[f64]) -> Vec<f64> {
    margins.iter().map(|margin| model.raw_probability(*margin)).collect()
}

fn pick<T: Copy>(values: &[T], at: &[usize]) -> Vec<T> {
    at.iter().map(|index| values[*index]).collect()
}

/// The measured values by the names that results and the registry's runs carry.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn named_metrics(split: &Split, candidate: &Candidate, evidence: &Evidence) -> BTreeMap<String, f64> {
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

/// What the full record adds to them.
fn further_metrics(record: &Evaluation) -> BTreeMap<String, f64> {
    let (full, required) = (&record.full, &record.required_only);
    let mut named = vec![
        ("test_pr_auc_lower", full.pr_auc.lower),
        ("test_pr_auc_upper", full.pr_auc.upper),
        ("test_f1_lower", full.f1.lower),
        ("test_f1_upper", full.f1.upper),
        ("test_log_loss_lower", full.log_loss.lower),
        ("test_log_loss_upper", full.log_loss.upper),
        ("test_calibration_error_by_chance", record.calibration.error_by_chance),
        ("test_calibration_error_before", record.calibration.error_before),
        ("test_calibration_error_required_only", required.calibration_error),
        ("test_top_decile_lift", full.top_decile_lift.value),
        ("test_top_decile_lift_required_only", required.top_decile_lift.value),
    ];
    if let Some(profit) = &record.profit {
        named.push(("test_profit_usd_per_customer", profit.at_threshold[1]));
    }
    named
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
