//! Requests for predictions, at a rate or as fast as they are answered.

use std::time::{Duration, Instant};

use clap::Args;
use futures::StreamExt as _;
use holdfast_domain::Schema;
use serde_json::{Value, json};

use super::{Change, Population};
use crate::commands::Context;
use crate::failure::{Failure, Result};
use crate::output::{self, tenths};
use crate::progress::Work;
use crate::record;

/// What `simulate traffic` takes.
#[derive(Args, Debug)]
pub(crate) struct TrafficArgs {
    /// How many requests; without it, one for each customer
    #[arg(long, value_name = "N")]
    requests: Option<usize>,
    /// Requests a second, on average; without it, as fast as they are answered
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Most requests under way at once
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    #[command(flatten)]
    population: Population,
    #[command(flatten)]
    change: Change,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err(format!("{text:?} is not a number above 0")),
    }
}

#[derive(Debug, Default)]
struct Tally {
    latencies: Vec<Duration>,
    failed: u64,
    first_failure: Option<Failure>,
    expected_to_leave: u64,
}

pub(super) async fn run(args: TrafficArgs, context: &Context) -> Result<()> {
    let seed = args.population.seed;
    let customers = args.change.apply(&args.population.customers(), seed);
    let requests = args.requests.unwrap_or(customers.len());
    let arrivals = holdfast_simulator::traffic(customers.len(), requests, seed);
    let schema = Schema::embedded();
    let work = Work::bar(
        requests as u64,
        "requests",
        format!("asking {}", context.rest.address()),
    );
    let started = tokio::time::Instant::now();
    let calls = futures::stream::iter(arrivals).map(|arrival| {
        let body = json!({"records": [record::record(&customers[arrival.customer], schema)]});
        async move {
            if let Some(rate) = args.rate {
                tokio::time::sleep_until(started + Duration::from_secs_f64(arrival.offset / rate)).await;
            }
            let asked = Instant::now();
            let answer = context.rest.post("api/v1/predictions", &body).await;
            (asked.elapsed(), answer)
        }
    });
    let mut calls = calls.buffer_unordered(usize::from(args.concurrency));
    let mut tally = Tally::default();
    while let Some((latency, answer)) = calls.next().await {
        work.advance(1);
        match answer {
            Ok(answer) => {
                tally.latencies.push(latency);
                let label = answer.pointer("/predictions/0/label").and_then(Value::as_bool);
                tally.expected_to_leave += u64::from(label == Some(true));
            }
            Err(failure) => {
                tally.failed += 1;
                tally.first_failure.get_or_insert(failure);
            }
        }
    }
    drop(work);
    report(tally, started.elapsed(), context)
}

fn report(mut tally: Tally, elapsed: Duration, context: &Context) -> Result<()> {
    tally.latencies.sort_unstable();
    let answered = tally.latencies.len();
    if let (0, Some(failure)) = (answered, tally.first_failure.take()) {
        return Err(failure.while_doing("no request was answered"));
    }
    let (p50, p99) = (
        milliseconds(&tally.latencies, 0.50),
        milliseconds(&tally.latencies, 0.99),
    );
    let per_second = answered as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    let result = json!({
        "answered": answered,
        "failed": tally.failed,
        "expected_to_leave": tally.expected_to_leave,
        "seconds": elapsed.as_secs_f64(),
        "per_second": per_second,
        "latency_ms": {"p50": p50, "p99": p99},
    });
    context.output.emit(&result, || {
        let mut table = output::table([
            "answered",
            "failed",
            "expected to leave",
            "a second",
            "p50 ms",
            "p99 ms",
        ]);
        let counts = [answered as u64, tally.failed, tally.expected_to_leave].map(|count| count.to_string());
        table.add_row(counts.into_iter().chain([per_second, p50, p99].map(tenths)));
        table.to_string()
    })?;
    match tally.first_failure {
        Some(failure) => Err(failure.while_doing(&format!("{} requests failed, the first because", tally.failed))),
        None => Ok(()),
    }
}

/// The latency that this share of the sorted latencies does not exceed.
fn milliseconds(sorted: &[Duration], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(place.saturating_sub(1))
        .map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
}
