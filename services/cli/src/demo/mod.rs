//! `holdfast demo`: the whole loop in one process, every claim about it checked.
//!
//! A bank is imported, a model trained, judged, promoted and served; customers it never saw are asked about, first as they are, then changed by a
//! scenario; drift is found, outcomes arrive, a new model is trained on them, judged, promoted and served without a restart; and in the end every
//! answer is found in the prediction log and the champion log's chain is intact. Each step is a module; [`report`] is what is said about them.

mod audit;
mod bank;
mod learn;
mod renew;
mod report;
mod traffic;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use holdfast_api::inference::v1::GetReplicaStatusRequest;
use holdfast_api::inference::v1::GetReplicaStatusResponse;
use holdfast_api::inference::v1::inference_service_client::InferenceServiceClient;
use holdfast_chassis::client::{Channel, ClientBuilder};
use holdfast_chassis::settings::SettingsSources;
use holdfast_chassis::{Shutdown, telemetry};
use holdfast_domain::Schema;
use holdfast_simulator::Scenario;
use holdfast_storage::BlobStore;
use serde_json::Value;

use crate::commands::reported;
use crate::failure::{Failure, Result};
use crate::output::{Output, note};
use crate::rest::Rest;
use crate::stack::{Ports, Stack, StackOptions};
use report::{Facts, Journal};

const EXAMPLES: &str = "\
Examples:
  holdfast demo                                    run the loop on a simulated bank, then keep serving
  holdfast demo --once --json                      run it, print one JSON object, end; exit code 1 if any claim fails
  holdfast demo --once --csv BankChurners.csv      on the bank's own file
  holdfast demo --once --scenario none             nothing changes: no drift may be found, nothing may be retrained";

/// What `demo` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// End after the loop instead of serving on
    #[arg(long)]
    once: bool,
    /// Customers in the form of BankChurners.csv, instead of simulated ones
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[arg(long, default_value_t = Scenario::Sudden, value_name = "NAME", help = "How customers change: none, gradual, sudden, one-feature, seasonal or broken-column")]
    scenario: Scenario,
    /// Seed of the simulated bank, its changes and the training
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How many customers the simulated bank has
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1_000..), conflicts_with = "csv")]
    rows: u32,
    /// Where REST listens
    #[arg(long, default_value = "127.0.0.1:0", value_name = "HOST:PORT")]
    http: SocketAddr,
    /// Keep the data when the demo ends, and say where
    #[arg(long)]
    keep_data: bool,
}

/// Runs the demo to its end.
pub(crate) fn main(args: DemoArgs, output: Output) -> ExitCode {
    holdfast_chassis::run("holdfast", |shutdown| demo(args, output, shutdown))
}

/// The running stack and what the steps need of it.
struct Demo {
    args: DemoArgs,
    stack: Stack,
    rest: Rest,
    inference: InferenceServiceClient<Channel>,
    blobs: Arc<dyn BlobStore>,
    schema: &'static Schema,
}

async fn demo(args: DemoArgs, output: Output, shutdown: Shutdown) -> anyhow::Result<()> {
    let data = tempfile::Builder::new().prefix("holdfast-demo-").tempdir()?;
    let directory = data.path().to_owned();
    if args.keep_data {
        let _ = data.keep();
        note(format!("data: {}", directory.display()));
        return in_directory(args, output, shutdown, directory).await;
    }
    // The directory goes with `data`, after everything that writes to it has ended.
    let outcome = in_directory(args, output, shutdown.clone(), directory).await;
    shutdown.trigger("the demo has ended");
    shutdown.finish().await;
    drop(data);
    outcome
}

async fn in_directory(args: DemoArgs, output: Output, shutdown: Shutdown, directory: PathBuf) -> anyhow::Result<()> {
    let mut journal = Journal::default();
    let mut facts = Facts::new(&args);
    let looped = tokio::select! {
        looped = whole_loop(&args, &mut journal, &mut facts, (&shutdown, directory)) => looped,
        () = shutdown.stopping() => Err(Failure::new("interrupted")),
    };
    let report = facts.report(looped.is_ok(), &journal);
    output
        .emit(&report, || report.people())
        .map_err(|failure| reported(&failure))?;
    let stack = looped.map_err(|failure| {
        if !failure.violations.is_empty() {
            note(failure.render());
        }
        reported(&failure.while_doing("the demo failed"))
    })?;
    if !args.once {
        note(format!(
            "{}\nHoldfast serves on at {}: Ctrl-C ends it",
            stack.addresses().table(),
            stack.url()
        ));
        stack.join().await;
    }
    Ok(())
}

/// The steps in their order.
async fn whole_loop(
    args: &DemoArgs,
    journal: &mut Journal,
    facts: &mut Facts,
    place: (&Shutdown, PathBuf),
) -> Result<Stack> {
    let demo = journal
        .step("start", "starting five services", start(args.clone(), place))
        .await?;
    let (first, serving) = learn(&demo, journal, facts).await?;
    let customers = bank::held_out(&demo, &first.run);
    let halves = journal
        .step("held_out", "reading customers it never saw", customers)
        .await?;
    let retraining = watch(&demo, journal, facts, (&halves, first.version)).await?;
    let champion = match retraining {
        Some(run_id) => renew(&demo, journal, facts, (&run_id, &serving))
            .await?
            .unwrap_or(first.version),
        None => first.version,
    };
    let again = renew::predict_again(&demo, &halves.shifted, champion);
    let again = journal
        .step("predict_again", "asking the champion of now", again)
        .await?;
    facts.answered(&again);
    let same = renew::not_restarted(&demo, &serving);
    let same = journal.step("no_restart", "asking how long inference runs", same).await;
    facts.restarted = Some(same.is_err());
    same?;
    journal
        .step(
            "prediction_log",
            "counting the prediction log",
            audit::prediction_log(&demo, facts),
        )
        .await?;
    journal
        .step(
            "champion_log",
            "checking the champion log",
            audit::champion_log(&demo, champion, facts),
        )
        .await?;
    Ok(demo.stack)
}

/// The first champion, trained and served.
async fn learn(
    demo: &Demo,
    journal: &mut Journal,
    facts: &mut Facts,
) -> Result<(learn::Champion, GetReplicaStatusResponse)> {
    let snapshot = journal.step("import", "importing the bank", bank::import(demo)).await?;
    let first = journal
        .step("train", "training the first model", learn::first(demo, &snapshot))
        .await?;
    facts.first_champion(&first);
    let serving = journal
        .step("serve", "waiting for inference", learn::served(demo, first.version))
        .await?;
    Ok((first, serving))
}

/// Traffic about both halves and the verdicts on it; answers the training run that was asked for, if any.
async fn watch(
    demo: &Demo,
    journal: &mut Journal,
    facts: &mut Facts,
    (halves, version): (&bank::Halves, u32),
) -> Result<Option<String>> {
    let quiet = traffic::send(demo, &halves.quiet, version);
    let quiet = journal
        .step("quiet_traffic", "asking about them as they are", quiet)
        .await?;
    facts.answered(&quiet);
    let check = watch::quiet(demo, &quiet, facts);
    journal
        .step("quiet_check", "comparing them with the training rows", check)
        .await?;

    let shifted = traffic::send(demo, &halves.shifted, version);
    let shifted = journal
        .step("shifted_traffic", "asking about changed ones", shifted)
        .await?;
    facts.answered(&shifted);
    journal
        .step("outcomes", "telling who left", watch::outcomes(demo, &halves.shifted))
        .await?;
    let check = watch::shifted(demo, &shifted, facts);
    let check = journal
        .step("shifted_check", "comparing the changed ones", check)
        .await?;
    Ok(check.run_id.filter(|id| !id.is_empty()))
}

/// The second model; answers its version if it took over.
async fn renew(
    demo: &Demo,
    journal: &mut Journal,
    facts: &mut Facts,
    (run_id, serving): (&str, &GetReplicaStatusResponse),
) -> Result<Option<u32>> {
    let second = renew::retrain(demo, run_id, facts);
    let second = journal
        .step("retrain", "training on the drifted window", second)
        .await?;
    let Some(version) = second.promoted_version() else {
        return Ok(None);
    };
    let reload = renew::reloaded(demo, version, serving);
    let reload = journal.step("reload", "waiting for the new model", reload).await?;
    facts.reload_ms = Some(reload);
    Ok(Some(version))
}

async fn start(args: DemoArgs, (shutdown, directory): (&Shutdown, PathBuf)) -> Result<(Demo, String)> {
    // The demo shows the defaults: neither a settings file nor the environment changes it, but for the log's verbosity.
    let log_filter = std::env::var("HOLDFAST_LOG").unwrap_or_else(|_| "warn".to_owned());
    let overrides = [
        ("data_dir", directory.to_string_lossy().into_owned()),
        ("telemetry.log_format", "text".to_owned()),
        ("telemetry.log_filter", log_filter),
    ];
    let sources = SettingsSources {
        overrides: overrides
            .into_iter()
            .map(|(path, value)| (path.to_owned(), Value::from(value)))
            .collect(),
        ..SettingsSources::default()
    };
    let options = StackOptions {
        sources,
        http: Some(args.http),
        ports: Ports::Free,
    };
    let failed = |error: anyhow::Error| Failure::new(format!("{error:#}"));
    telemetry::init_once(&options.common().map_err(failed)?.telemetry, "holdfast")
        .map_err(|error| failed(error.into()))?;
    let stack = Stack::start(options, shutdown).await.map_err(failed)?;
    let common = stack.common();
    let blobs = common.blob_store.open(&common.data_dir).await?;
    let channel = ClientBuilder::new(&common.peers.inference, &common.client)
        .channel()
        .map_err(|error| failed(error.into()))?;
    let (rest, inference) = (Rest::new(&stack.url())?, InferenceServiceClient::new(channel));
    let detail = format!("REST at {}", rest.address());
    Ok((
        Demo {
            args,
            stack,
            rest,
            inference,
            blobs,
            schema: Schema::embedded(),
        },
        detail,
    ))
}

impl Demo {
    /// What the one replica of inference says of itself.
    async fn replica(&self) -> Result<GetReplicaStatusResponse> {
        Ok(self
            .inference
            .clone()
            .get_replica_status(GetReplicaStatusRequest {})
            .await?
            .into_inner())
    }

    /// How far the scenario has gone when it is looked at: to its end, but for the wave, which is back at its start there.
    fn progress(&self) -> f64 {
        if self.args.scenario == Scenario::Seasonal {
            0.75
        } else {
            1.0
        }
    }
}

/// Turns a claim that does not hold into the failure that names it.
fn claim(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Failure::new(what())) }
}
