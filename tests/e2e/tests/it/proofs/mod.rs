//! What is promised of serving, proved under load: small by every test run, in full by `make prove-swap` and `make prove-log`.

mod callers;
mod crew;
mod log;
mod memory;
mod offline;
mod replica;
mod swap;
mod told;
mod tracking;

/// Shows a figure of a full proof to whoever ran it.
#[expect(clippy::print_stdout, reason = "the figures of a proof are its output")]
fn show(line: &str) {
    println!("{line}");
}
