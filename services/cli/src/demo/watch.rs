//! Monitoring's part: windows of traffic against the training rows, and who left in the end.

use holdfast_domain::Customer;
use holdfast_simulator::Scenario;
use serde_json::json;

use super::report::Facts;
use super::traffic::Answered;
use super::{Demo, claim};
use crate::commands::outcomes::{self, Outcome};
use crate::failure::Result;
use crate::output::optional;
use crate::rest::DriftCheck;

/// Customers as they are: no drift may be found.
pub(super) async fn quiet(demo: &Demo, window: &Answered, facts: &mut Facts) -> Result<((), String)> {
    let check = check(demo, window, false).await?;
    facts.quiet_window_drift = Some(check.report.is_drift());
    claim(!check.report.is_drift(), || {
        format!("drift was found among customers as they are: {}", drifted(&check))
    })?;
    Ok((
        (),
        format!(
            "no drift in {} predictions, report {}",
            check.report.rows, check.report.report_id
        ),
    ))
}

/// Changed customers: drift must be found under the scenario that is a shock, must not be where nothing changed, and may be otherwise. Where it is
/// found, training must have been asked for.
pub(super) async fn shifted(demo: &Demo, window: &Answered, facts: &mut Facts) -> Result<(DriftCheck, String)> {
    let check = check(demo, window, true).await?;
    facts.shifted_window_drift = Some(check.report.is_drift());
    let (drift, scenario) = (check.report.is_drift(), demo.args.scenario);
    match scenario {
        Scenario::Sudden => claim(drift, || {
            format!("scenario {scenario} was not noticed: {}", drifted(&check))
        })?,
        Scenario::None => claim(!drift, || {
            format!("drift was found where nothing changed: {}", drifted(&check))
        })?,
        _ => {}
    }
    let asked = check.run_id.as_deref().is_some_and(|run| !run.is_empty());
    let why = check.retrain_skipped.as_deref().unwrap_or("nobody said why");
    claim(asked == drift, || {
        if drift {
            format!("drift, and no training was asked for: {why}")
        } else {
            "training was asked for without drift".to_owned()
        }
    })?;
    let share = optional(check.report.drift_share);
    let detail = if drift {
        format!("drift, share {share}: {}", drifted(&check))
    } else {
        format!("no drift, share {share}")
    };
    Ok((check, detail))
}

async fn check(demo: &Demo, window: &Answered, retrain: bool) -> Result<DriftCheck> {
    // A window is read from the blob store: what is still in the spool would be missing.
    demo.rest.post("api/v1/prediction-log/flush", &json!({})).await?;
    let body = json!({"from": window.from, "to": window.to, "retrain": retrain});
    let check: DriftCheck = demo.rest.post_as("api/v1/drift/checks", &body).await?;
    let (sent, read) = (window.names.len() as u64, check.report.rows);
    claim(read == sent, || {
        format!("the window has {read} predictions where {sent} were answered")
    })?;
    Ok(check)
}

fn drifted(check: &DriftCheck) -> String {
    let drifted = check.report.features.iter().filter(|feature| feature.drifted);
    let names: Vec<String> = drifted
        .map(|feature| format!("{} by {}", feature.feature, optional(feature.effect_size)))
        .collect();
    if names.is_empty() {
        "no feature drifted".to_owned()
    } else {
        names.join(", ")
    }
}

/// Posts what the customers did in the end.
pub(super) async fn outcomes(demo: &Demo, customers: &[Customer]) -> Result<((), String)> {
    let known: Vec<Outcome> = customers
        .iter()
        .filter_map(|customer| {
            Some(Outcome {
                key: customer.key?.0,
                attrited: customer.label?,
                event_time: None,
            })
        })
        .collect();
    let recorded = outcomes::post(&demo.rest, &known).await?;
    claim(recorded == known.len() as u64, || {
        format!("{recorded} of {} outcomes were stored", known.len())
    })?;
    let left = known.iter().filter(|outcome| outcome.attrited).count();
    Ok(((), format!("{recorded} outcomes stored, {left} customers left")))
}
