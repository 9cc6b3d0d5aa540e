//! What the command line accepts.

use clap::{Args, Parser, Subcommand};

use crate::commands;
use crate::demo::DemoArgs;

const EXAMPLES: &str = "\
Examples:
  holdfast demo --once                       the whole loop, from customers to a retrained champion
  holdfast up                                start everything in this process
  holdfast simulate customers --rows 5000 --out bank.csv
  holdfast train --source bank.csv           import, train, judge, promote
  holdfast tune --source bank.csv            the same, after a search for better parameters
  holdfast score --source bank.csv --out scores.csv
  holdfast status

Exit codes: 0 done, 1 failed, 2 wrong usage. Results go to stdout, progress and logs to stderr.";

/// Holdfast keeps a bank's customers: predicts who is about to leave, watches the data, retrains itself.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// The gateway of a running stack
    #[arg(
        long,
        global = true,
        env = "HOLDFAST_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub(crate) url: String,
    /// Print one JSON value on stdout and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start all services in this process and serve until SIGINT or SIGTERM
    Up(commands::up::UpArgs),
    /// Start the gateway and inference in this process, for predictions only; the other services run elsewhere
    Serve(commands::serve::ServeArgs),
    /// Run the whole loop on a simulated or real bank: train, serve, drift, retrain, every claim checked
    Demo(DemoArgs),
    /// Tables of customers
    #[command(subcommand)]
    Data(commands::data::DataCommand),
    /// A bank to practise on: customers, traffic and late outcomes
    #[command(subcommand)]
    Simulate(commands::simulate::SimulateCommand),
    /// Train a model, have it judged, and promote it if it passes
    Train(commands::train::TrainArgs),
    /// Search for better parameters by cross-validation, then train with them, have the model judged, and promote it if it passes
    Tune(commands::tune::TuneArgs),
    /// Score a whole table into a CSV or Parquet file, with reasons and a list of whom to call
    Score(commands::score::ScoreArgs),
    /// Predict single customers
    Predict(commands::predict::PredictArgs),
    /// Model versions and the evidence about them
    Models(commands::models::ModelsArgs),
    /// Make a version champion
    Promote(commands::promote::PromoteArgs),
    /// Go back to an earlier champion
    Rollback(commands::promote::RollbackArgs),
    /// Promotions that wait for approvers, and those that did
    Promotions(commands::promotions::PromotionsArgs),
    /// Say yes to a promotion
    Approve(commands::promotions::ApproveArgs),
    /// Say no to a promotion
    Reject(commands::promotions::RejectArgs),
    /// What every replica of inference serves, prepares, or could not load
    Replicas(commands::replicas::ReplicasArgs),
    /// Who is champion, who was, and by whose word
    #[command(subcommand)]
    Champion(commands::champion::ChampionCommand),
    /// What a thing came from, and what came from it: data, runs, versions, champions, predictions
    Lineage(commands::lineage::LineageArgs),
    /// Try a version on live traffic beside the champion
    #[command(subcommand)]
    Rollout(commands::rollout::RolloutCommand),
    /// Addresses that are told when a champion changes, and what they were told
    #[command(subcommand)]
    Webhooks(commands::webhooks::WebhooksCommand),
    /// The prediction log, checked and scored again from the blob store
    #[command(subcommand)]
    Log(commands::log::LogCommand),
    /// Compare recent predictions with what the champion was trained on
    Drift(commands::drift::DriftArgs),
    /// What customers did in the end
    #[command(subcommand)]
    Outcomes(commands::outcomes::OutcomesCommand),
    /// What nothing refers to any more: deleted runs and experiments, files without a run, bytes without a file
    Gc(commands::gc::GcArgs),
    /// What runs, who is champion, what went wrong
    Status(commands::status::StatusArgs),
}
