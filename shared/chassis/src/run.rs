//! The one way a process runs: runtime, signals, panic hook, ordered end, exit code. Every main is a call of [`run`] or [`crate::service_main`].
//!
//! Exit codes: 0 a clean end (signals included), 1 a failure, 2 wrong settings or usage, 130 a second signal while shutting down.
//!
//! # Panics
//! Every panic is logged with its place. Who contains it decides what follows: a request handler's becomes `INTERNAL`, a background task's is logged, a
//! critical task's or the main future's ends the process in order, with code 1.

use std::future::Future;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Fault;
use crate::settings::SettingsError;
use crate::shutdown::{Outcome, Shutdown, panic_text};
use crate::{metrics, telemetry};

/// How long blocking work that nobody could stop may hold up the exit.
const RUNTIME_DEADLINE: Duration = Duration::from_secs(1);

/// How long the main future may take to return once everything it started has ended.
const MAIN_DEADLINE: Duration = Duration::from_secs(5);

/// The code of a second signal: 128 + SIGINT, as shells count.
const KILLED: i32 = 130;

/// The command line was wrong: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The main function of a process.
type Main<'a> = Box<dyn FnOnce(Shutdown) -> LocalBoxFuture<'a, anyhow::Result<()>> + 'a>;

/// Runs `main` to its end and gives the exit code. SIGINT and SIGTERM trigger the [`Shutdown`] that `main` gets; `main` should return when it triggers (or
/// when its work is done, which triggers it). A second signal exits at once.
pub fn run<F, Fut>(name: &'static str, main: F) -> ExitCode
where
    F: FnOnce(Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    metrics::start_time();
    install_panic_hook();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("holdfast")
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return report(name, &anyhow::Error::new(error).context("cannot start the runtime")),
    };
    // Boxed, or the runtime's several ways to wait would each have the code of the whole program in them.
    let main: Main<'_> = Box::new(|shutdown| Box::pin(main(shutdown)));
    let code = match runtime.block_on(supervise(name, main)) {
        Ok(Outcome { failure: None, .. }) => ExitCode::SUCCESS,
        Ok(Outcome {
            failure: Some(failure), ..
        }) => report(name, &anyhow::Error::msg(failure)),
        Err(error) => report(name, &error),
    };
    telemetry::close();
    runtime.shutdown_timeout(RUNTIME_DEADLINE);
    code
}

async fn supervise(name: &'static str, main: Main<'_>) -> anyhow::Result<Outcome> {
    let shutdown = Shutdown::new(name);
    let interrupt = signal(SignalKind::interrupt())?;
    let terminate = signal(SignalKind::terminate())?;
    // Not tracked: it must outlive the whole procedure, for the second signal.
    let signals = tokio::spawn(obey(interrupt, terminate, shutdown.clone()));

    let mut work = std::pin::pin!(AssertUnwindSafe(main(shutdown.clone())).catch_unwind());
    let early = tokio::select! {
        ended = &mut work => Some(ended),
        () = shutdown.stopping() => None,
    };
    if early.is_some() {
        shutdown.trigger("done");
    }
    // The main future may itself be waiting for the outcome, so both run at once.
    let (outcome, ended) = match early {
        Some(ended) => (shutdown.finish().await, Some(ended)),
        None => {
            let late = async {
                let outcome = shutdown.finish().await;
                tokio::time::sleep(MAIN_DEADLINE).await;
                outcome
            };
            tokio::select! {
                ended = &mut work => (shutdown.finish().await, Some(ended)),
                outcome = late => {
                    tracing::warn!(deadline_ms = MAIN_DEADLINE.as_millis(), "main did not return after shutdown");
                    (outcome, None)
                }
            }
        }
    };
    signals.abort();
    match ended {
        Some(Ok(Ok(()))) | None => Ok(outcome),
        Some(Ok(Err(error))) => Err(error),
        Some(Err(panic)) => Err(anyhow::anyhow!("panicked: {}", panic_text(&*panic))),
    }
}

async fn obey(mut interrupt: Signal, mut terminate: Signal, shutdown: Shutdown) {
    shutdown.trigger(next(&mut interrupt, &mut terminate).await);
    let second = next(&mut interrupt, &mut terminate).await;
    tracing::warn!(signal = second, "second signal, exiting at once");
    std::process::exit(KILLED);
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

/// Says what went wrong, once, and gives the exit code for it.
pub(crate) fn report(name: &str, error: &anyhow::Error) -> ExitCode {
    let text = explain(error);
    let usage = error
        .chain()
        .any(|cause| cause.is::<UsageError>() || cause.is::<SettingsError>());
    if telemetry::is_installed() {
        tracing::error!(error = text, "failed");
    } else {
        // Before telemetry there is only the terminal; if that is gone, too, the exit code says enough.
        let _ = writeln!(std::io::stderr(), "{name}: {text}");
    }
    ExitCode::from(if usage { 2 } else { 1 })
}

fn explain(error: &anyhow::Error) -> String {
    // A Fault's Display is its message alone; the reason helps whoever searches.
    match error.downcast_ref::<Fault>() {
        Some(fault) => format!("{} ({} {})", fault.message, fault.code, fault.reason),
        None => format!("{error:#}"),
    }
}

fn install_panic_hook() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !telemetry::is_installed() {
            default(info);
            return;
        }
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(
            panic = panic_text(info.payload()),
            place,
            thread = thread.name().unwrap_or("unnamed"),
            backtrace =
                (backtrace.status() == std::backtrace::BacktraceStatus::Captured).then(|| backtrace.to_string()),
            "panic"
        );
    }));
}
