//! `holdfast`: the one command for people and scripts.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_cli::main()
}
