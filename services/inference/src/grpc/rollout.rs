//! What this replica says of a rollout, to the registry and to whoever asks.

use holdfast_api::common::v1 as wire;
use holdfast_domain::ModelVersion;
use holdfast_records::rollout::Mode;

use crate::service::rollout::tally::{Broken, DELTA_BOUNDS, SideSummary};
use crate::service::status::{RolloutPhase, RolloutReport};

/// The report with its tally as it is now.
pub(crate) fn tally_out(report: &RolloutReport) -> wire::RolloutTally {
    let (start, tally) = (&report.rollout.start, &report.tally);
    let mode = match start.mode {
        Mode::Shadow => wire::RolloutMode::Shadow,
        Mode::Canary => wire::RolloutMode::Canary,
    };
    let state = match report.phase {
        RolloutPhase::Preparing => wire::RolloutState::Preparing,
        RolloutPhase::Running => wire::RolloutState::Running,
        RolloutPhase::LoadFailed => wire::RolloutState::LoadFailed,
        RolloutPhase::Broken(Broken::Errors) => wire::RolloutState::ErrorLimit,
        RolloutPhase::Broken(Broken::Latency) => wire::RolloutState::LatencyLimit,
        RolloutPhase::Ended => wire::RolloutState::Ended,
    };
    let deltas = tally.deltas();
    wire::RolloutTally {
        revision: report.rollout.revision,
        mode: mode.into(),
        state: state.into(),
        message: report.message.clone(),
        challenger: Some(version_out(start.version, &tally.challenger.summary())),
        champion: Some(version_out(start.champion_version, &tally.champion.summary())),
        compared_rows: deltas.rows,
        mean_absolute_delta: deltas.mean_absolute(),
        label_flips: deltas.label_flips,
        deltas: DELTA_BOUNDS
            .into_iter()
            .zip(deltas.buckets)
            .map(|(up_to, rows)| wire::DeltaBucket { up_to, rows })
            .collect(),
        skipped_requests: tally.skipped(),
    }
}

fn version_out(version: ModelVersion, side: &SideSummary) -> wire::VersionTally {
    let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1_000.0;
    wire::VersionTally {
        version: version.0,
        requests: side.requests,
        errors: side.errors,
        mean_ms: ms(side.latency.mean),
        median_ms: ms(side.latency.median),
        p99_ms: ms(side.latency.p99),
    }
}
