//! Late labels of simulated customers, posted or written.

use std::path::PathBuf;

use clap::Args;
use holdfast_domain::Schema;
use holdfast_simulator::OutcomePlan;
use serde_json::json;

use super::{Population, share};
use crate::commands::Context;
use crate::commands::outcomes::{Outcome, post};
use crate::failure::{Failure, Result};

/// What `simulate outcomes` takes.
#[derive(Args, Debug)]
pub(crate) struct OutcomesArgs {
    #[command(flatten)]
    population: Population,
    /// Share of the outcomes that never become known
    #[arg(long, default_value_t = OutcomePlan::default().never_share, value_name = "SHARE", value_parser = share)]
    never_share: f64,
    /// Write a CSV file for `outcomes import` instead of posting
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(args: OutcomesArgs, context: &Context) -> Result<()> {
    let customers = args.population.customers();
    let plan = OutcomePlan {
        never_share: args.never_share,
        ..OutcomePlan::default()
    };
    let known: Vec<Outcome> = holdfast_simulator::outcomes(&customers, &plan, args.population.seed)
        .into_iter()
        .map(|outcome| Outcome {
            key: outcome.key.0,
            attrited: outcome.label,
            event_time: None,
        })
        .collect();
    let left = known.iter().filter(|outcome| outcome.attrited).count();
    let Some(path) = args.out else {
        let recorded = post(&context.rest, &known).await?;
        let result = json!({"recorded": recorded, "left": left, "customers": customers.len()});
        return context.output.emit(&result, || {
            format!(
                "{recorded} outcomes of {} customers stored, {left} left",
                customers.len()
            )
        });
    };
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("{} cannot be written: {error}", path.display()));
    let bytes = csv(&known, Schema::embedded()).map_err(|error| failed(&error))?;
    tokio::fs::write(&path, bytes).await.map_err(|error| failed(&error))?;
    let result = json!({"out": path, "rows": known.len(), "left": left, "customers": customers.len()});
    context.output.emit(&result, || {
        format!(
            "{} outcomes of {} customers: {}",
            known.len(),
            customers.len(),
            path.display()
        )
    })
}

fn csv(outcomes: &[Outcome], schema: &Schema) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([&schema.key().name, &schema.target().name])?;
    for outcome in outcomes {
        writer.write_record([outcome.key.to_string().as_str(), schema.label_text(outcome.attrited)])?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}
