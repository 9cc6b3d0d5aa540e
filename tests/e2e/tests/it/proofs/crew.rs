//! Callers at work: tasks that ask one thing after the other until they are told to stop, and what they count together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use holdfast_api::inference::v1::inference_service_client::InferenceServiceClient;
use holdfast_chassis::client::{Channel, ClientBuilder};
use holdfast_chassis::settings::ClientSettings;
use holdfast_testkit::eventually;
use tokio::task::JoinHandle;

use crate::support::PATIENCE;

pub(super) type Client = InferenceServiceClient<Channel>;

/// A client of a replica with a connection of its own. It repeats nothing by itself.
pub(super) fn client(url: &str) -> Client {
    let channel = ClientBuilder::new(url, &ClientSettings::default()).channel();
    InferenceServiceClient::new(channel.unwrap())
}

/// What callers and whoever watches them share.
#[derive(Debug, Default)]
pub(super) struct Signals {
    stop: AtomicBool,
    answered: AtomicU64,
    refused: AtomicU64,
}

impl Signals {
    /// Whether to ask no more.
    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Callers, each of whom ends with a report.
pub(super) struct Crew<R> {
    tasks: Vec<JoinHandle<R>>,
    signals: Arc<Signals>,
}

impl<R: Send + 'static> Crew<R> {
    /// `count` callers, by number.
    pub(super) fn start<F>(count: usize, caller: impl Fn(usize, Arc<Signals>) -> F) -> Self
    where
        F: Future<Output = R> + Send + 'static,
    {
        let signals = Arc::<Signals>::default();
        let tasks = (0..count).map(|number| tokio::spawn(caller(number, Arc::clone(&signals))));
        Self {
            tasks: tasks.collect(),
            signals,
        }
    }

    /// Waits until so many more calls were answered.
    pub(super) async fn more_answers(&self, more: u64) {
        let enough = self.signals.answered.load(Ordering::Relaxed) + more;
        reach("answers", &self.signals.answered, enough).await;
    }

    /// Waits until so many calls were refused.
    pub(super) async fn refusals(&self, enough: u64) {
        reach("refusals", &self.signals.refused, enough).await;
    }

    /// Lets every caller end its call and ask no more.
    pub(super) fn stop(&self) {
        self.signals.stop.store(true, Ordering::Relaxed);
    }

    /// The reports, when all callers have ended.
    pub(super) async fn reports(self) -> Vec<R> {
        let mut reports = Vec::new();
        for task in self.tasks {
            reports.push(task.await.unwrap());
        }
        reports
    }
}

async fn reach(what: &str, count: &AtomicU64, enough: u64) {
    eventually(what, PATIENCE, async || count.load(Ordering::Relaxed) >= enough).await;
}
