//! `holdfast log`: the prediction log checked and scored again, from the blob store alone.

mod replay;
mod sample;
mod verify;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::Context;
use crate::failure::Result;
use crate::settings::BlobStoreArgs;

/// The prediction log in the blob store.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Check every object and record of the log; exit code 1 if something is wrong
    #[command(after_help = verify::EXAMPLES)]
    Verify(LogArgs),
    /// Score logged customers again and compare the bits; exit code 1 if one differs
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::ReplayArgs),
}

/// Which part of which log.
#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    store: BlobStoreArgs,
    /// From when on, as 2026-03-01T12:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Until when
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
}

/// Runs the command.
pub(crate) async fn run(command: LogCommand, context: &Context) -> Result<()> {
    match command {
        LogCommand::Verify(args) => verify::run(args, context).await,
        LogCommand::Replay(args) => replay::run(args, context).await,
    }
}
