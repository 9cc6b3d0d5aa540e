//! The command line `holdfast`, and the whole stack in one process.
//!
//! - [`stack`] starts all five services in this process and wires them together; `holdfast up` and `holdfast demo` run on it.
//! - `demo` is the loop from customers to a retrained champion, every claim checked.
//! - `commands` has a module for each of the other commands. They know the gateway's REST surface (`rest`) and nothing of the services behind it.
//! - `output`, `progress` and `failure` are how all of them speak: results on stdout, progress and failures on stderr, exit codes 0, 1 and 2.

mod args;
mod commands;
mod demo;
mod failure;
mod output;
mod progress;
mod record;
mod rest;
mod settings;
pub mod stack;
mod unfinished;

use std::process::ExitCode;

use clap::Parser as _;

/// Does what the process's arguments ask for.
pub fn main() -> ExitCode {
    commands::dispatch(args::Cli::parse())
}
