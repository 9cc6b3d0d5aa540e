//! Customers into a file.

use clap::Args;
use holdfast_domain::Schema;
use holdfast_sources::SourceSpec;
use serde_json::json;

use super::{Change, Population};
use crate::commands::Context;
use crate::failure::Result;
use crate::progress::Work;

/// What `simulate customers` takes.
#[derive(Args, Debug)]
pub(crate) struct CustomersArgs {
    /// A .csv file, which is replaced, or a new table such as bank.db?table=customers
    #[arg(long, value_name = "FILE")]
    out: String,
    #[command(flatten)]
    population: Population,
    #[command(flatten)]
    change: Change,
}

pub(super) async fn run(args: CustomersArgs, context: &Context) -> Result<()> {
    let spec = SourceSpec::parse(&args.out)?;
    let customers = {
        let work = Work::spinner(format!("making {} customers", args.population.rows));
        let customers = args.change.apply(&args.population.customers(), args.population.seed);
        work.say(format!("writing {spec}"));
        holdfast_sources::write(&spec, &customers, Schema::embedded()).await?;
        customers
    };
    let left = customers.iter().filter(|customer| customer.label == Some(true)).count();
    let scenario = args.change.scenario;
    let result = json!({
        "out": args.out,
        "rows": customers.len(),
        "left": left,
        "seed": args.population.seed,
        "scenario": scenario.name(),
    });
    context.output.emit(&result, || {
        format!(
            "{} customers, {left} of them left, scenario {scenario}: {spec}",
            customers.len()
        )
    })
}
