//! `metrics/…`: how values went.

use holdfast_api::registry::v1 as wire;
use holdfast_chassis::Fault;
use serde_json::Value;

use super::asked::{Asked, invalid};
use super::failure::of_run;
use super::out::{Out, metric, timestamp};
use crate::peers::Peers;
use crate::service::convert::promised;

/// Most pages of a history that are gathered for a caller who asks for no page: a million values.
const MOST_PAGES: usize = 40;

/// Most steps of a run in a sample, which are also as many as there are when nothing is said: MLflow's.
const MOST_SAMPLED: u32 = 2_500;

/// `metrics/get-history`. Old clients ask for no page and get all, up to a million values; then there is a token after all.
///
/// # Errors
/// As the registry's, or a wrong field; here and below.
pub async fn history(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let run_id = asked.run_id()?;
    let mut message = wire::GetMetricHistoryRequest {
        run_id: run_id.clone(),
        key: asked.needed("metric_key")?,
        page_size: asked.count("max_results")?,
        page_token: asked.text("page_token")?,
    };
    let pages = if message.page_size == 0 { MOST_PAGES } else { 1 };
    let mut metrics = Vec::new();
    for _ in 0..pages {
        let page = peers.get_metric_history(message.clone()).await;
        let page = page.map_err(of_run(&run_id))?;
        metrics.extend(page.metrics);
        message.page_token = page.next_page_token;
        if message.page_token.is_empty() {
            break;
        }
    }
    let out = Out::default().list("metrics", metrics, |value| metric(value, None));
    Ok(out.text("next_page_token", message.page_token).done())
}

/// `metrics/get-history-bulk-interval`.
///
/// # Errors
/// See [`history`].
pub async fn sampled(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let run_ids = asked.texts("run_ids")?;
    if run_ids.is_empty() {
        return Err(asked.missing("run_ids"));
    }
    let (start_step, end_step) = (asked.whole("start_step")?, asked.whole("end_step")?);
    match (start_step, end_step) {
        (Some(start), Some(end)) if start > end => {
            return Err(invalid(format!(
                "end_step must be greater than start_step. Found start_step={start} and end_step={end}."
            )));
        }
        (Some(_), None) | (None, Some(_)) => {
            return Err(invalid(
                "If either start step or end step are specified, both must be specified.",
            ));
        }
        _ => {}
    }
    let max_results = match asked.count("max_results")? {
        0 => MOST_SAMPLED,
        most if most <= MOST_SAMPLED => most,
        _ => return Err(invalid(format!("max_results must be between 1 and {MOST_SAMPLED}."))),
    };
    let message = wire::SampleMetricHistoryRequest {
        run_ids,
        key: asked.needed("metric_key")?,
        start_step,
        end_step,
        max_results,
    };
    let found = peers.sample_metric_history(message).await?;
    let metrics = found.metrics.into_iter();
    let metrics = metrics.map(|of_run| Ok(metric(promised(of_run.metric, "metric")?, Some(of_run.run_id))));
    let metrics = metrics.collect::<Result<Vec<_>, Fault>>()?;
    Ok(Out::default().list("metrics", metrics, |value| value).done())
}

/// A value that a caller has measured.
pub(super) fn measured(asked: &Asked<'_>) -> Result<wire::Metric, Fault> {
    Ok(wire::Metric {
        key: asked.needed("key")?,
        value: asked.needed_real("value")?,
        measured_at: Some(timestamp(asked.needed_whole("timestamp")?)),
        step: asked.whole("step")?.unwrap_or_default(),
        model_id: asked.text("model_id")?,
        dataset_name: asked.text("dataset_name")?,
        dataset_digest: asked.text("dataset_digest")?,
    })
}
