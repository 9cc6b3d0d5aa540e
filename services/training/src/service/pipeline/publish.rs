//! The last steps: the artefact becomes a version, and the gate says whether the version becomes champion.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use holdfast_domain::ModelVersion;
use holdfast_records::{evaluation, layout, model_manifest};
use holdfast_storage::Created;

use super::data::Split;
use super::error::StepError;
use super::evaluate::{self, Evaluated};
use super::job::{Job, Made};
use super::learn;
use crate::service::fitting::Candidate;
use crate::service::registry::{
    Batch, Decision, Evidence, FinishedVersion, Promotion, RegistryError, TrackedEnd, TrackedRun, VersionId,
};
use crate::service::runs::{Input, StepName};

/// What the champion log says of a promotion.
const NOTE: &str = "accepted by the gate";

/// Brings the run, its parameters and metrics to the registry, and the artefact to the blob store as the run's version. What was
/// measured is stored before the version is made ready: whoever sees the version finds its evaluation.
pub(super) async fn register(
    job: &Job,
    split: &Split,
    candidate: &Candidate,
    evaluated: &Evaluated,
) -> Result<Made<VersionId>, StepError> {
    let (registry, model) = (&job.parts.registry, &job.request.model);
    registry.open_run(&tracked(job)).await?;
    let batch = Batch {
        params: learn::parameters(job, candidate),
        metrics: job.result().metrics,
        series: BTreeMap::new(),
        tags: [
            ("holdfast.training_snapshot", split.training.to_string()),
            ("holdfast.test_snapshot", split.test.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into(),
        at: job.parts.clock.now(),
    };
    registry.log(&job.id, &batch).await?;
    job.progress(StepName::Register, 0.2, "parameters and metrics are logged")
        .await?;
    store_evaluation(job, evaluated).await?;
    job.progress(StepName::Register, 0.5, "the evaluation is stored")
        .await?;

    let version = version(job).await?;
    let bytes = Bytes::from(candidate.artifact.clone());
    let written = model_manifest::write_artifact(&*job.parts.blobs, model, version, bytes).await;
    let digest = written.map_err(|error| conflict(job, version, error))?;
    job.progress(StepName::Register, 0.7, "the artefact is stored").await?;
    let finished = FinishedVersion {
        id: VersionId {
            model: model.clone(),
            version,
            artifact_digest: digest,
        },
        family: candidate.model.origin().family.name(),
        training: split.training,
        test: split.test,
    };
    registry.finish(&finished).await?;
    job.note(|result| {
        result.version = Some(version.0);
        result.artifact_digest = Some(digest);
    })
    .await?;
    Ok(Made {
        message: format!("version {version} of {model}"),
        value: finished.id,
    })
}

/// The version that the artefact is for: the registered one that is imported, or the next.
async fn version(job: &Job) -> Result<ModelVersion, StepError> {
    let (registry, model) = (&job.parts.registry, &job.request.model);
    if let Some(target) = job.request.target {
        registry.adopt(model, target, &job.id).await?;
        return Ok(target.version);
    }
    let reserved = registry.reserve(model, &job.id, &job.request.requested_by).await?;
    let expected = layout::model_key(model, reserved.version);
    if reserved.artifact_key != expected {
        return Err(StepError::Registry(RegistryError::Refused {
            doing: "reserve a version",
            why: format!("the artefact is to go to {}, not to {expected}", reserved.artifact_key),
        }));
    }
    Ok(reserved.version)
}

/// An artefact is written once. One that an earlier try of an import has left is the same, unless the import was asked for with
/// other wishes since, or Holdfast was updated in between.
fn conflict(job: &Job, version: ModelVersion, error: holdfast_records::Error) -> StepError {
    if job.request.target.is_none() || !matches!(error, holdfast_records::Error::Conflict { .. }) {
        return error.into();
    }
    StepError::Registry(RegistryError::Refused {
        doing: "take the artefact",
        why: format!(
            "an earlier try has left another one for version {version}, and none is ever replaced: register the files as a new version"
        ),
    })
}

/// Plots first, the record last.
async fn store_evaluation(job: &Job, evaluated: &Evaluated) -> Result<(), StepError> {
    let blobs = &*job.parts.blobs;
    for plot in &evaluated.plots {
        let bytes = Bytes::from(plot.svg.clone());
        // Written now, or by the same call before its answer was lost.
        let (Created::Yes | Created::AlreadyExists) = evaluation::write_file(blobs, &job.id, &plot.file, bytes).await?;
    }
    let (Created::Yes | Created::AlreadyExists) = evaluation::write(blobs, &evaluated.record).await?;
    Ok(())
}

/// The run as the registry knows it.
pub(super) fn tracked(job: &Job) -> TrackedRun {
    let request = &job.request;
    let input = match request.input {
        Input::Snapshot { .. } => "snapshot",
        Input::Database => "database",
        Input::Window { .. } => "window",
    };
    let tags = [
        ("holdfast.trigger", request.trigger.name()),
        ("holdfast.requested_by", request.requested_by.as_str()),
        ("holdfast.report_id", request.report_id.as_str()),
        ("holdfast.input", input),
        ("holdfast.model", request.model.as_str()),
    ];
    let tags = tags.into_iter().filter(|(_, value)| !value.is_empty());
    let file = request.import.iter();
    let file = file.map(|file| ("holdfast.imported_from".to_owned(), file.source.clone()));
    // The end of an id is its random part.
    let short: String = job.id.as_str().chars().skip(28).collect();
    TrackedRun {
        id: job.id.clone(),
        experiment: request.model.to_string(),
        name: match &request.import {
            Some(_) => format!("import-{short}"),
            None => format!("{}-{short}", request.preset),
        },
        user: request.asker().unwrap_or_default().to_owned(),
        tags: tags
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .chain(file)
            .collect(),
    }
}

/// Brings the evidence before the gate and, if it accepts and that is wanted, makes the version champion. When another version became champion
/// meanwhile, the candidate is measured against that one, once.
pub(super) async fn gate(
    job: &Job,
    split: &Arc<Split>,
    candidate: &Arc<Candidate>,
    evidence: Evidence,
    id: &VersionId,
) -> Result<Made<()>, StepError> {
    let mut measured_again = BTreeMap::new();
    let mut decision = decide(job, id, &evidence).await?;
    let mut promotion = promote(job, id, &decision).await?;
    if promotion == Some(Promotion::LostRace) {
        tracing::info!(
            generation = decision.champion_generation.0,
            "champion changed meanwhile, measuring against the new one"
        );
        job.progress(
            StepName::Gate,
            0.5,
            "the champion changed meanwhile: measured against the new one",
        )
        .await?;
        let (again, metrics) = evaluate::evidence_again(job, split, candidate).await?;
        measured_again = metrics;
        job.note(|result| result.metrics.extend(measured_again.clone())).await?;
        decision = decide(job, id, &again).await?;
        promotion = promote(job, id, &decision).await?;
    }
    let message = conclude(job, id, &decision, promotion).await?;
    let result = job.result();
    let tags = [
        ("holdfast.version", id.version.to_string()),
        ("holdfast.accepted", result.accepted.to_string()),
        ("holdfast.promoted", result.promoted.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value));
    let waits = match promotion {
        Some(Promotion::Waiting { promotion, .. }) => Some(("holdfast.promotion".to_owned(), promotion.to_string())),
        _ => None,
    };
    let batch = Batch {
        metrics: measured_again,
        tags: tags.into_iter().chain(waits).collect(),
        at: job.parts.clock.now(),
        ..Batch::default()
    };
    job.parts.registry.log(&job.id, &batch).await?;
    job.parts.registry.close_run(&job.id, TrackedEnd::Finished).await?;
    Ok(Made { value: (), message })
}

async fn decide(job: &Job, id: &VersionId, evidence: &Evidence) -> Result<Decision, StepError> {
    let decision = job.parts.registry.evaluate(id, evidence).await?;
    let (accepted, failed_checks) = (decision.accepted, decision.failed_checks.clone());
    job.note(|result| {
        result.accepted = accepted;
        result.failed_checks = failed_checks;
    })
    .await?;
    Ok(decision)
}

/// `None` when nothing is to be promoted.
async fn promote(job: &Job, id: &VersionId, decision: &Decision) -> Result<Option<Promotion>, StepError> {
    if !(decision.accepted && job.request.promote) {
        return Ok(None);
    }
    let promoted = job
        .parts
        .registry
        .promote(id, decision.champion_generation, NOTE)
        .await?;
    Ok(Some(promoted))
}

/// Notes how it ended, and says so.
async fn conclude(
    job: &Job,
    id: &VersionId,
    decision: &Decision,
    promotion: Option<Promotion>,
) -> Result<String, StepError> {
    let version = id.version;
    let ended = match promotion {
        Some(Promotion::Won(generation)) => {
            job.note(|result| {
                result.promoted = true;
                result.generation = generation.0;
            })
            .await?;
            format!("version {version} is champion, generation {generation}")
        }
        Some(Promotion::Waiting { promotion, approvers }) => {
            let people = if approvers == 1 { "approver" } else { "approvers" };
            format!("version {version} is accepted and waits for {approvers} {people}: promotion {promotion}")
        }
        Some(Promotion::LostRace) => {
            // It is still good; whoever wants it can promote it by hand.
            format!("version {version} is accepted and not champion: the champion changed twice meanwhile")
        }
        None if decision.accepted => format!("version {version} is accepted and not promoted, as asked for"),
        None => format!("version {version} is rejected: {}", decision.failed_checks.join("; ")),
    };
    Ok(ended + &uses_in_words(decision.test_snapshot_uses))
}

/// How often the test rows have served, for the log: the more versions were judged on them, the less untouched they are.
fn uses_in_words(uses: Option<u32>) -> String {
    match uses {
        None => String::new(),
        Some(0 | 1) => "; the first version judged on these test rows".to_owned(),
        Some(uses) => format!("; {uses} versions, this one included, have been judged on these test rows"),
    }
}
