//! What the registry has on record, as its answers carry it.

use holdfast_api::registry::v1 as wire;
use holdfast_api::time;
use holdfast_domain::{Digest, Generation, InvalidId, ModelVersion};

use crate::service::registry::{CheckFacts, DecisionFacts, RunFacts, VersionFacts, VersionSnapshots};

pub(super) fn snapshots_in(version: &wire::ModelVersion) -> Result<VersionSnapshots, InvalidId> {
    Ok(VersionSnapshots {
        training: digest(&version.training_snapshot)?,
        test: digest(&version.test_snapshot)?,
    })
}

fn digest(text: &str) -> Result<Option<Digest>, InvalidId> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some),
    }
}

pub(super) fn version_in(version: wire::ModelVersion) -> Result<VersionFacts, InvalidId> {
    let snapshots = snapshots_in(&version)?;
    let named = version.r#ref.unwrap_or_default();
    Ok(VersionFacts {
        model: named.model.parse()?,
        version: ModelVersion(named.version),
        artifact_digest: digest(&named.artifact_digest)?,
        artifact_size_bytes: version.artifact_size_bytes,
        run_id: version.run_id.parse()?,
        family: version.family,
        snapshots,
        created_at: version.created_at.as_ref().and_then(time::from_wire),
        created_by: version.created_by,
        decisions: version.decisions.into_iter().map(decision_in).collect(),
    })
}

fn decision_in(decision: wire::GateDecision) -> DecisionFacts {
    let evaluation = decision.evaluation.unwrap_or_default();
    let champion = evaluation.champion.and_then(|paired| paired.champion);
    let checks = decision.checks.into_iter().map(|check| CheckFacts {
        name: check.name,
        passed: check.passed,
        message: check.message,
    });
    DecisionFacts {
        evaluation_digest: decision.evaluation_digest,
        accepted: decision.accepted,
        checks: checks.collect(),
        decided_at: decision.decided_at.as_ref().and_then(time::from_wire),
        champion_generation: Generation(decision.champion_generation),
        champion_version: champion.map(|champion| ModelVersion(champion.version)),
        test_snapshot: evaluation.test_snapshot,
        test_snapshot_uses: (decision.test_snapshot_uses > 0).then_some(decision.test_snapshot_uses),
    }
}

pub(super) fn run_in(run: wire::Run) -> RunFacts {
    RunFacts {
        name: run.name,
        params: run.params.into_iter().map(|param| (param.key, param.value)).collect(),
        tags: run.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
    }
}
