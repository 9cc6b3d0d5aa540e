//! The candidate beside the champion, on the same rows.

use holdfast_domain::Digest;
use holdfast_model::metrics::{self, BootstrapMetric, DEFAULT_INTERVAL_REPLICATES, MetricError, delong};
use holdfast_records::evaluation::{AgainstChampion, Interval, NewestWindow};

use super::{BOOTSTRAP_DRAW, ChampionRows, measured};
use crate::service::evaluation::Scored;

pub(super) fn against_champion(
    labels: &[bool],
    candidate: Scored<'_>,
    champion: ChampionRows<'_>,
    seed: u64,
) -> Result<AgainstChampion, MetricError> {
    let ChampionRows { id, scored } = champion;
    let ranks = delong::paired(labels, candidate.scores, scored.scores)?;
    let average = metrics::paired_bootstrap(
        labels,
        (candidate.scores, scored.scores),
        BootstrapMetric::PrAuc,
        DEFAULT_INTERVAL_REPLICATES,
        seed.wrapping_add(BOOTSTRAP_DRAW),
    )?;
    Ok(AgainstChampion {
        version: id.version,
        artifact_digest: id.artifact_digest,
        measured: measured(labels, scored, seed)?,
        roc_auc_delta: Interval {
            value: ranks.delta,
            lower: ranks.lower,
            upper: ranks.upper,
        },
        roc_auc_p_value: ranks.p_one_sided,
        pr_auc_delta: Interval {
            value: average.delta,
            lower: average.lower,
            upper: average.upper,
        },
    })
}

pub(super) fn newest_window(
    snapshot: Digest,
    rows: &[usize],
    labels: &[bool],
    candidate: Scored<'_>,
    champion: Scored<'_>,
) -> Result<NewestWindow, MetricError> {
    let inside: Vec<bool> = rows.iter().map(|row| labels[*row]).collect();
    let area = |scored: Scored<'_>| {
        let scores: Vec<f64> = rows.iter().map(|row| scored.scores[*row]).collect();
        delong::auc_interval(&inside, &scores).map(|auc| Interval {
            value: auc.auc,
            lower: auc.lower,
            upper: auc.upper,
        })
    };
    Ok(NewestWindow {
        snapshot,
        rows: rows.len() as u64,
        positives: inside.iter().filter(|label| **label).count() as u64,
        roc_auc: area(candidate)?,
        champion_roc_auc: area(champion)?,
    })
}
