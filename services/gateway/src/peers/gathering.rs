//! Predictions of one customer each, gathered: what is asked while calls are under way goes out together with the next call.
//!
//! A call costs the gateway and the replica many times what the score does, so under load the cost of a call is shared by all who ask at the same
//! time; a request that comes alone goes out at once and alone. Nobody waits behind a replica that hangs: what a call takes longer than [`HELD_UP`]
//! keeps nobody back.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdfast_api::inference::v1 as inference;
use holdfast_api::inference::v1::inference_service_client::InferenceServiceClient;
use holdfast_api::inference::v1::predict_each_request::Item;
use holdfast_api::inference::v1::predict_each_response::item::Outcome;
use holdfast_chassis::error::Code;
use holdfast_chassis::telemetry::current_trace_context;
use holdfast_chassis::{Fault, deadline};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tonic::Status;
use tracing::{Instrument as _, Span};

use super::{MAX_ANSWER_BYTES, Peer};
use crate::service::convert::promised;

/// Calls that go out before others wait for one of them to come back. More of them would carry fewer predictions each.
const CALLS: usize = 2;

/// Predictions of one call: about as many customers as fit into one frame.
const MOST_TOGETHER: usize = 64;

/// How long a call may keep others back.
const HELD_UP: Duration = Duration::from_millis(5);

/// Asks one peer for predictions. Clones share what waits.
#[derive(Clone, Debug)]
pub(super) struct Gathering {
    peer: Peer,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    asked: Vec<Asked>,
    /// Calls that keep others back.
    calls: usize,
}

/// One request, and who asked.
#[derive(Debug)]
struct Asked {
    request: inference::PredictRequest,
    span: Span,
    deadline: Option<Instant>,
    answer: oneshot::Sender<Result<inference::PredictResponse, Fault>>,
}

impl Gathering {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            waiting: Arc::default(),
        }
    }

    /// One prediction, together with others or alone.
    pub(super) async fn predict(
        &self,
        request: &inference::PredictRequest,
    ) -> Result<inference::PredictResponse, Fault> {
        match self.ask(request.clone()).await {
            // A replica of a version before there was such a call.
            Err(fault) if fault.code == Code::Unimplemented => self.alone(request.clone(), deadline::remaining()).await,
            outcome => outcome,
        }
    }

    async fn ask(&self, request: inference::PredictRequest) -> Result<inference::PredictResponse, Fault> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            request,
            span: Span::current(),
            deadline: deadline::current(),
            answer,
        };
        let turn = {
            let mut waiting = self.waiting();
            waiting.asked.push(asked);
            (waiting.calls < CALLS).then(|| self.turn(&mut waiting))
        };
        if let Some(turn) = turn {
            tokio::spawn(turn.take());
        }
        answered.await.unwrap_or_else(|_| {
            Err(Fault::unavailable(
                "PEER_UNAVAILABLE",
                "the call was given up: the gateway is ending",
            ))
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, waiting: &mut Waiting) -> Turn {
        waiting.calls += 1;
        Turn {
            gathering: self.clone(),
            over: false,
        }
    }

    async fn send(&self, mut asked: Vec<Asked>) {
        // As long as anybody wants an answer.
        let latest = asked
            .iter()
            .map(|asked| asked.deadline)
            .reduce(|one, other| Some(one?.max(other?)));
        let left = latest.flatten().map(|at| at.saturating_duration_since(Instant::now()));
        if asked.len() > 1 {
            self.together(asked, left).await;
        } else if let Some(Asked {
            request, span, answer, ..
        }) = asked.pop()
        {
            // Who asked may be gone.
            let _ = answer.send(self.alone(request, left).instrument(span).await);
        }
    }

    async fn alone(
        &self,
        request: inference::PredictRequest,
        left: Option<Duration>,
    ) -> Result<inference::PredictResponse, Fault> {
        let call = |request| {
            let mut client = self.client();
            // Boxed for the reason given in `rpcs`.
            Box::pin(async move { client.predict(request).await })
        };
        self.peer.within(left, request, call).await
    }

    async fn together(&self, asked: Vec<Asked>, left: Option<Duration>) {
        let of = |asked: Asked| {
            let trace = asked.span.in_scope(current_trace_context);
            let item = Item {
                predict: Some(asked.request),
                traceparent: trace.map(|trace| trace.as_str().to_owned()).unwrap_or_default(),
            };
            (item, asked.answer)
        };
        let (items, answers): (Vec<_>, Vec<_>) = asked.into_iter().map(of).unzip();
        let call = |request| {
            let mut client = self.client();
            Box::pin(async move { client.predict_each(request).await })
        };
        let answered = self
            .peer
            .within(left, inference::PredictEachRequest { items }, call)
            .await;
        let whole = answered.and_then(|answer| {
            let whole = (answer.items.len() == answers.len()).then_some(answer.items);
            promised(whole, "as many predictions as were asked for")
        });
        match whole {
            Ok(items) => {
                for (item, answer) in items.into_iter().zip(answers) {
                    let _ = answer.send(self.outcome(item.outcome));
                }
            }
            Err(fault) => {
                for answer in answers {
                    let _ = answer.send(Err(fault.clone()));
                }
            }
        }
    }

    fn outcome(&self, outcome: Option<Outcome>) -> Result<inference::PredictResponse, Fault> {
        match promised(outcome, "a prediction")? {
            Outcome::Answer(answer) => Ok(answer),
            Outcome::Failure(failure) => {
                let code = tonic::Code::from_i32(failure.code);
                let status = Status::with_details(code, failure.message, failure.details.into());
                Err(self.peer.failed(&status))
            }
        }
    }

    fn client(&self) -> InferenceServiceClient<holdfast_chassis::client::Channel> {
        InferenceServiceClient::new(self.peer.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }
}

/// The right to make calls that keep others back.
struct Turn {
    gathering: Gathering,
    over: bool,
}

impl Turn {
    /// Calls until nobody waits.
    async fn take(mut self) {
        loop {
            // Whoever is ready to ask comes along.
            tokio::task::yield_now().await;
            let Some(asked) = self.next() else { return };
            let gathering = self.gathering.clone();
            let mut call = pin!(gathering.send(asked));
            if timeout(HELD_UP, &mut call).await.is_err() {
                self.pass_on();
                return call.await;
            }
        }
    }

    /// Who comes along with the next call; `None` ends the turn.
    fn next(&mut self) -> Option<Vec<Asked>> {
        let mut waiting = self.gathering.waiting();
        waiting.asked.retain(|asked| !asked.answer.is_closed());
        if waiting.asked.is_empty() {
            // Before the lock is free: who asks next has a turn of their own.
            waiting.calls -= 1;
            self.over = true;
            return None;
        }
        let many = waiting.asked.len().min(MOST_TOGETHER);
        Some(waiting.asked.drain(..many).collect())
    }

    /// Somebody else's turn, if anybody waits.
    fn pass_on(&mut self) {
        let next = {
            let mut waiting = self.gathering.waiting();
            waiting.calls -= 1;
            self.over = true;
            (!waiting.asked.is_empty()).then(|| self.gathering.turn(&mut waiting))
        };
        if let Some(next) = next {
            tokio::spawn(next.take());
        }
    }
}

impl Drop for Turn {
    /// A turn that breaks off makes room for another.
    fn drop(&mut self) {
        if !self.over {
            self.gathering.waiting().calls -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
