//! Load on a server: connections that ask again as soon as they are answered, and every answer checked.
//!
//! Requests are bytes made beforehand and answers are looked at no further than to know that they are good, so that one core of load is
//! worth more than one core of server. Latencies are those of closed loops: the next request waits for the answer to the last.

pub mod grpc;
pub mod rest;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::worker;

/// How long an answer may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much load, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where the server listens.
    pub address: SocketAddr,
    /// Connections at once.
    pub connections: usize,
    /// Threads that share them: one takes the least of the processor, several are needed when a request takes one of them long.
    pub threads: usize,
    /// Time at the beginning that is not counted.
    pub warm_up: Duration,
    /// Time that is counted.
    pub measured: Duration,
}

impl Plan {
    /// The plan of a request to a worker: `address`, `connections`, `threads`, which is 1 when it is absent, and `warm_up` and `seconds` in seconds.
    ///
    /// # Errors
    /// When one of the others is missing.
    pub fn asked(request: &Value) -> Result<Self> {
        let seconds = |name: &str| {
            let seconds = request[name].as_f64().with_context(|| format!("{name:?} is missing"))?;
            Ok::<_, anyhow::Error>(Duration::try_from_secs_f64(seconds)?)
        };
        Ok(Self {
            address: worker::text(request, "address")?.parse()?,
            connections: worker::count(request, "connections")?,
            threads: if request["threads"].is_null() {
                1
            } else {
                worker::count(request, "threads")?
            },
            warm_up: seconds("warm_up")?,
            measured: seconds("seconds")?,
        })
    }
}

/// When answers count, and when to stop asking.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    start: Instant,
    end: Instant,
}

impl Window {
    /// Whether to go on asking.
    pub fn is_open(&self) -> bool {
        self.is_open_at(Instant::now())
    }

    /// Whether to go on asking at that moment.
    pub fn is_open_at(&self, now: Instant) -> bool {
        now < self.end
    }
}

/// What one thread saw.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Nanoseconds that each answer took to what was asked in the window.
    latencies: Vec<u64>,
    /// Answers that came in the window.
    within: u64,
    answer_bytes: u64,
    failed: u64,
    first_failure: Option<String>,
}

impl Tally {
    /// A good answer of `bytes` bytes to what was asked at `began`.
    pub fn answered(&mut self, window: &Window, began: Instant, bytes: usize) {
        let now = Instant::now();
        if now >= window.start && now <= window.end {
            self.within += 1;
        }
        if began >= window.start {
            let took = now.duration_since(began).as_nanos();
            self.latencies.push(u64::try_from(took).unwrap_or(u64::MAX));
            self.answer_bytes += bytes as u64;
        }
    }

    /// An answer that is none. It counts at any time.
    pub fn failed(&mut self, why: impl FnOnce() -> String) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(why);
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.within += other.within;
        self.answer_bytes += other.answer_bytes;
        self.failed += other.failed;
        if self.first_failure.is_none() {
            self.first_failure = other.first_failure;
        }
    }

    /// The figures: answers a second, latencies in milliseconds, mean size of an answer.
    #[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of a few seconds")]
    fn figures(mut self, measured: Duration) -> Value {
        self.latencies.sort_unstable();
        let count = self.latencies.len();
        let percentile = |per_cent: usize| {
            let place = (count * per_cent / 100).min(count.saturating_sub(1));
            self.latencies.get(place).map(|nanoseconds| *nanoseconds as f64 / 1e6)
        };
        json!({
            "answered": self.within,
            "failed": self.failed,
            "first_failure": self.first_failure,
            "per_second": self.within as f64 / measured.as_secs_f64(),
            "mean_ms": self.latencies.iter().sum::<u64>() as f64 / 1e6 / count.max(1) as f64,
            "p50_ms": percentile(50),
            "p99_ms": percentile(99),
            "answer_bytes": self.answer_bytes / (count as u64).max(1),
        })
    }
}

/// Runs `thread` so many times at once, each with its number, and answers the figures of all of them.
///
/// # Errors
/// The first that broke.
pub fn drive(plan: &Plan, threads: usize, thread: impl Fn(usize, &Window) -> Result<Tally> + Sync) -> Result<Value> {
    let start = Instant::now() + plan.warm_up;
    let window = Window {
        start,
        end: start + plan.measured,
    };
    let tallies = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads)
            .map(|place| {
                let thread = &thread;
                scope.spawn(move || thread(place, &window))
            })
            .collect();
        started
            .into_iter()
            .map(|thread| thread.join().ok().context("a thread panicked")?)
            .collect::<Result<Vec<Tally>>>()
    })?;
    let mut all = Tally::default();
    tallies.into_iter().for_each(|tally| all.add(tally));
    Ok(all.figures(plan.measured))
}

fn connect(address: SocketAddr) -> Result<std::net::TcpStream> {
    let socket = std::net::TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}
