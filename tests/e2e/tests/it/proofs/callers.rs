//! Callers who check each answer against what the legal versions score offline.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_api::common::v1::Customer;
use holdfast_api::inference::v1::{PredictRequest, PredictResponse};

use super::crew::{Client, Crew, Signals, client};
use super::offline::Offline;

/// What is asked, and what may be answered.
pub(super) struct Expected {
    pub(super) customers: Vec<Customer>,
    /// The legal versions.
    pub(super) versions: BTreeMap<u32, Offline>,
}

/// What callers were answered.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Good answers by version.
    pub(super) answers: BTreeMap<u32, u64>,
    /// Failed calls and illegal answers.
    pub(super) complaints: Vec<String>,
}

impl Heard {
    /// What a crew heard, when all calls have ended.
    pub(super) async fn by(crew: Crew<Self>) -> Self {
        crew.stop();
        let mut all = Self::default();
        for heard in crew.reports().await {
            for (version, count) in heard.answers {
                *all.answers.entry(version).or_default() += count;
            }
            all.complaints.extend(heard.complaints);
        }
        all
    }

    pub(super) fn total(&self) -> u64 {
        self.answers.values().sum()
    }
}

/// `count` callers of the replica at `url`.
pub(super) fn start(count: usize, url: &str, expected: &Arc<Expected>) -> Crew<Heard> {
    Crew::start(count, |number, signals| {
        let caller = Caller {
            client: client(url),
            expected: Arc::clone(expected),
            // Each begins with another customer.
            place: number * expected.customers.len() / count,
            generation: 0,
            heard: Heard::default(),
        };
        caller.ask(signals)
    })
}

struct Caller {
    client: Client,
    expected: Arc<Expected>,
    place: usize,
    /// Of the last answer.
    generation: u64,
    heard: Heard,
}

impl Caller {
    async fn ask(mut self, signals: Arc<Signals>) -> Heard {
        while !signals.is_over() {
            let request = PredictRequest {
                customer: Some(self.expected.customers[self.place].clone()),
                ..Default::default()
            };
            let verdict = match self.client.predict(request).await {
                Ok(answer) => self.check(&answer.into_inner()),
                Err(status) => Err(format!("failed: {status}")),
            };
            match verdict {
                Ok(version) => *self.heard.answers.entry(version).or_default() += 1,
                Err(complaint) => self.heard.complaints.push(complaint),
            }
            signals.answered();
            self.place = (self.place + 1) % self.expected.customers.len();
        }
        self.heard
    }

    /// The version that gave the answer: a legal one, with its own bits, and none older than the last answer's.
    fn check(&mut self, answer: &PredictResponse) -> Result<u32, String> {
        let illegal = |why: &str| Err(format!("{why}: {answer:?}"));
        let (Some(prediction), Some(served)) = (&answer.prediction, &answer.served_by) else {
            return illegal("no prediction or no version");
        };
        let Some(model) = &served.model else {
            return illegal("no version");
        };
        let Some(version) = self.expected.versions.get(&model.version) else {
            return illegal("no legal version");
        };
        if model.artifact_digest != version.artifact_digest {
            return illegal("another artefact than the version's");
        }
        if !version.gave(self.place, prediction.probability, prediction.label) {
            return illegal("other bits than the version's offline score");
        }
        if served.generation < self.generation {
            return illegal(&format!("after generation {}, an older one", self.generation));
        }
        self.generation = served.generation;
        Ok(model.version)
    }
}
