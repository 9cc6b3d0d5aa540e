//! `holdfast simulate`: a bank to practise on.

mod customers;
mod outcomes;
mod traffic;

use clap::{Args, Subcommand};
use holdfast_domain::Customer;
use holdfast_simulator::Scenario;

use super::Context;
use crate::failure::Result;

const CUSTOMERS_EXAMPLES: &str = "\
Examples:
  holdfast simulate customers --rows 10000 --seed 1 --out bank.csv
  holdfast simulate customers --rows 10000 --out 'bank.db?table=customers'
  holdfast simulate customers --rows 10000 --out shifted.csv --scenario sudden";

const TRAFFIC_EXAMPLES: &str = "\
Examples:
  holdfast simulate traffic --requests 2000 --rate 200          about simulated customers, 200 requests a second
  holdfast simulate traffic --requests 2000 --scenario gradual --progress 0.8";

const OUTCOMES_EXAMPLES: &str = "\
Rows and seed name the customers: give the same as for the traffic.

Examples:
  holdfast simulate outcomes --rows 2000 --seed 1
  holdfast simulate outcomes --rows 2000 --seed 1 --out outcomes.csv";

const SCENARIOS: &str = "none, gradual, sudden, one-feature, seasonal or broken-column";

/// What to simulate.
#[derive(Debug, Subcommand)]
pub(crate) enum SimulateCommand {
    /// Write labelled customers to a .csv file or an SQLite table
    #[command(after_help = CUSTOMERS_EXAMPLES)]
    Customers(customers::CustomersArgs),
    /// Ask a running stack for predictions about simulated customers
    #[command(after_help = TRAFFIC_EXAMPLES)]
    Traffic(traffic::TrafficArgs),
    /// Tell a running stack what simulated customers did in the end
    #[command(after_help = OUTCOMES_EXAMPLES)]
    Outcomes(outcomes::OutcomesArgs),
}

/// Which customers.
#[derive(Args, Debug)]
struct Population {
    /// How many customers
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    rows: usize,
    /// Seed; the same seed gives the same customers on any machine
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

/// How they have changed.
#[derive(Args, Debug)]
struct Change {
    #[arg(long, default_value_t = Scenario::None, value_name = "NAME", help = format!("How customers change: {SCENARIOS}"))]
    scenario: Scenario,
    /// How far the scenario has gone, from 0 to 1
    #[arg(long, default_value_t = 1.0, value_name = "SHARE", value_parser = share)]
    progress: f64,
}

impl Population {
    fn customers(&self) -> Vec<Customer> {
        holdfast_simulator::customers(self.rows, self.seed)
    }
}

impl Change {
    fn apply(&self, customers: &[Customer], seed: u64) -> Vec<Customer> {
        self.scenario.apply(customers, self.progress, seed)
    }
}

/// Runs the command.
pub(crate) async fn run(command: SimulateCommand, context: &Context) -> Result<()> {
    match command {
        SimulateCommand::Customers(args) => customers::run(args, context).await,
        SimulateCommand::Traffic(args) => traffic::run(args, context).await,
        SimulateCommand::Outcomes(args) => outcomes::run(args, context).await,
    }
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("{text:?} is not a number from 0 to 1")),
    }
}
