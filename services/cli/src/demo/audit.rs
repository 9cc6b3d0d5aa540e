//! The books: every answer is in the prediction log, every champion in an unbroken chain.

use std::collections::HashSet;
use std::sync::Arc;

use holdfast_records::prediction::{PredictionFilter, WindowRequest, read_window};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::report::Facts;
use super::{Demo, claim};
use crate::commands::DEFAULT_MODEL;
use crate::failure::{Failure, Result};
use crate::rest::ChampionLog;

/// Beyond what a demo can answer.
const MOST_ROWS: usize = 10_000_000;

/// Reads the Parquet objects of the prediction log and compares them with the answers, name by name: every answer must be there once, and nothing
/// else.
pub(super) async fn prediction_log(demo: &Demo, facts: &mut Facts) -> Result<((), String)> {
    demo.rest.post("api/v1/prediction-log/flush", &json!({})).await?;
    let request = WindowRequest {
        from: facts.began - SignedDuration::from_secs(1),
        to: Timestamp::now() + SignedDuration::from_secs(1),
        filter: PredictionFilter::default(),
        row_cap: MOST_ROWS,
    };
    let window = read_window(Arc::clone(&demo.blobs), demo.schema, request).await?;
    let records = window.records.iter();
    let logged: HashSet<(String, u32)> = records
        .map(|record| (record.request_id.clone(), record.row_index))
        .collect();
    facts.predictions_logged = Some(logged.len() as u64);

    let (answered, names) = (facts.predictions_answered, facts.answers.len() as u64);
    claim(answered == names, || {
        format!("{answered} answers have only {names} names")
    })?;
    let missing = facts.answers.difference(&logged).count();
    let strange = logged.difference(&facts.answers).count();
    let repeats = window.counts.repeats;
    claim(missing == 0 && strange == 0 && repeats == 0, || {
        format!(
            "{missing} answers are not in the log, {strange} records belong to no answer, {repeats} are there twice"
        )
    })?;
    let objects = window.counts.objects;
    Ok((
        (),
        format!(
            "{} records in {objects} Parquet objects, {answered} answers",
            logged.len()
        ),
    ))
}

/// The champion log holds exactly the champions there were, and its chain is intact.
pub(super) async fn champion_log(demo: &Demo, champion: u32, facts: &mut Facts) -> Result<((), String)> {
    let log: ChampionLog = demo
        .rest
        .get_as(&format!("api/v1/models/{DEFAULT_MODEL}/champions"), &[])
        .await?;
    facts.chain_intact = Some(log.chain_intact);
    claim(log.chain_intact, || {
        format!(
            "the champion log's chain is broken: {}",
            log.chain_break.as_deref().unwrap_or("nobody says where")
        )
    })?;
    let versions: Vec<u64> = log
        .entries
        .iter()
        .filter_map(|entry| entry.get("version").and_then(Value::as_u64))
        .collect();
    let last = versions
        .last()
        .copied()
        .ok_or_else(|| Failure::new("the champion log is empty"))?;
    claim(last == u64::from(champion), || {
        format!("the champion log says {last} where {champion} serves")
    })?;
    let generations: Vec<String> = versions.iter().map(u64::to_string).collect();
    Ok((
        (),
        format!(
            "{} generations, versions {}, chain intact",
            versions.len(),
            generations.join(" then ")
        ),
    ))
}
