//! A stream of records, answered line by line while it still comes, in memory that does not grow with it.
//!
//! Records go to inference in chunks of a fixed size, two at a time, and a chunk that is not full as soon as the upload pauses. Nothing is read that
//! cannot be passed on: a caller who does not read his answers is not read from, and neither is one who is faster than inference. Each chunk is
//! answered by one version of the model, which every line names; a new champion takes over between two chunks.

use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, Stream, StreamExt as _, future, stream};
use holdfast_api::inference::v1 as wire;
use holdfast_chassis::client::retry::RetryPolicy;
use holdfast_chassis::metrics::Counter;
use holdfast_chassis::{Code, Fault, Shutdown};
use holdfast_domain::CheckedCustomer;
use tokio::time::timeout;

use super::answers::{AnswerWriter, StreamedPrediction, problem};
use super::lines::NdjsonReader;
use super::table::CsvReader;
use super::{Form, Line};
use crate::peers::Peers;
use crate::service::convert::promised;
use crate::service::predictions::{Prediction, ServedModel};

/// Chunks at inference at once: one is scored while the next is read.
const CHUNKS_AHEAD: usize = 2;

/// How often a chunk is sent again when inference has too much to do. It sheds load at once, so waiting costs nobody else anything.
const PATIENCE: usize = 20;

/// Longest id to which a line can be added: inference takes 128 bytes.
pub const LONGEST_ID: usize = 100;

/// What happens after a bad record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// It is answered with what is wrong, and the rest goes on.
    Continue,
    /// It is answered with what is wrong, and the stream ends.
    Stop,
}

/// Limits of a stream.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Records sent to inference at once.
    pub chunk_records: usize,
    /// Longest record, in bytes.
    pub max_record_bytes: usize,
    /// Most bytes of a stream.
    pub max_bytes: u64,
    /// How long the upload may pause.
    pub idle: Duration,
}

/// How a stream is to be answered.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How answers are written.
    pub answers: Form,
    /// Adds reasons to every score.
    pub explain: bool,
    /// What happens after a bad record.
    pub on_error: OnError,
    /// The request's id, at most [`LONGEST_ID`] bytes.
    pub request_id: String,
    /// The limits.
    pub limits: Limits,
}

/// What scores the records.
#[derive(Clone, Debug)]
pub struct Scorer {
    /// The other services.
    pub peers: Peers,
    /// Waits between attempts when inference has too much to do.
    pub retry: RetryPolicy,
    /// Counts records that break rules.
    pub refused: Counter,
    /// Counts records that were scored.
    pub scored: Counter,
}

#[derive(Debug)]
enum Reader {
    Ndjson(NdjsonReader),
    Csv(Box<CsvReader>),
}

/// An upload that is being read.
#[derive(Debug)]
pub struct Upload<S> {
    body: S,
    reader: Reader,
    limits: Limits,
    on_error: OnError,
    stopping: Shutdown,
    received: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Arriving,
    /// All bytes are there.
    Complete,
    /// Nothing more is read.
    Ended,
}

/// Records that are sent together, and what is to be said after them.
#[derive(Debug, Default)]
struct Chunk {
    lines: Vec<Line>,
    /// Why the stream ends here.
    ending: Option<(u64, Box<Fault>)>,
}

impl<S, E> Upload<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    /// An upload in that form.
    pub fn new(body: S, form: Form, wanted: &Wanted, stopping: Shutdown) -> Self {
        let limit = wanted.limits.max_record_bytes;
        Self {
            body,
            reader: match form {
                Form::Ndjson => Reader::Ndjson(NdjsonReader::new(limit)),
                Form::Csv => Reader::Csv(Box::new(CsvReader::new(limit))),
            },
            limits: wanted.limits.clone(),
            on_error: wanted.on_error,
            stopping,
            received: 0,
            phase: Phase::Arriving,
        }
    }

    /// Reads the header of a table; NDJSON has none.
    ///
    /// # Errors
    /// That of [`CsvReader::header`]; that the body broke off, does not come or is too large.
    pub async fn header(&mut self) -> Result<(), Fault> {
        loop {
            let last = matches!(self.phase, Phase::Complete);
            let read = match &mut self.reader {
                Reader::Ndjson(_) => true,
                Reader::Csv(reader) => reader.header(last)?,
            };
            if read {
                return Ok(());
            }
            self.read().await?;
        }
    }

    /// Takes more bytes.
    async fn read(&mut self) -> Result<(), Fault> {
        let came = tokio::select! {
            came = timeout(self.limits.idle, self.body.next()) => came,
            () = self.stopping.stopping() => {
                return Err(Fault::unavailable("ENDING", "the gateway is shutting down"));
            }
        };
        match came {
            Ok(came) => self.take(came),
            Err(_) => Err(Fault::new(
                Code::DeadlineExceeded,
                "BODY_TIMEOUT",
                format!("nothing arrived for {} ms", self.limits.idle.as_millis()),
            )),
        }
    }

    fn take(&mut self, came: Option<Result<Bytes, E>>) -> Result<(), Fault> {
        let Some(came) = came else {
            self.phase = Phase::Complete;
            return Ok(());
        };
        let bytes = came.map_err(|error| {
            let message = format!("the body broke off: {error}");
            Fault::new(Code::InvalidArgument, "BODY_BROKEN", message)
        })?;
        self.received += bytes.len() as u64;
        let limit = self.limits.max_bytes;
        if self.received > limit {
            let message = format!("the body is larger than {limit} bytes");
            return Err(Fault::new(Code::ResourceExhausted, "BODY_TOO_LARGE", message).with("limit_bytes", limit));
        }
        match &mut self.reader {
            Reader::Ndjson(reader) => reader.push(&bytes),
            Reader::Csv(reader) => reader.push(&bytes),
        }
        Ok(())
    }

    fn next_line(&mut self) -> Option<Line> {
        let last = matches!(self.phase, Phase::Complete);
        match &mut self.reader {
            Reader::Ndjson(reader) => reader.next(last),
            Reader::Csv(reader) => reader.next(last),
        }
    }

    fn number(&self) -> u64 {
        match &self.reader {
            Reader::Ndjson(reader) => reader.number(),
            Reader::Csv(reader) => reader.number(),
        }
    }

    /// The next records: a full chunk, or what has come when the upload pauses.
    async fn chunk(&mut self) -> Option<Chunk> {
        let mut chunk = Chunk::default();
        while !matches!(self.phase, Phase::Ended) {
            while chunk.lines.len() < self.limits.chunk_records
                && let Some(line) = self.next_line()
            {
                let stop = line.customer.is_err() && self.on_error == OnError::Stop;
                chunk.lines.push(line);
                if stop {
                    self.phase = Phase::Ended;
                    return Some(chunk);
                }
            }
            if chunk.lines.len() == self.limits.chunk_records {
                return Some(chunk);
            }
            if matches!(self.phase, Phase::Complete) {
                self.phase = Phase::Ended;
                break;
            }
            let read = if chunk.lines.is_empty() {
                self.read().await
            } else {
                match self.body.next().now_or_never() {
                    Some(came) => self.take(came),
                    None => return Some(chunk),
                }
            };
            if let Err(fault) = read {
                chunk.ending = Some((self.number(), Box::new(fault)));
                self.phase = Phase::Ended;
            }
        }
        (!chunk.lines.is_empty() || chunk.ending.is_some()).then_some(chunk)
    }
}

/// The answer to an upload whose header has been read: pieces of whole lines, in order. Dropping it ends the work.
pub fn answers<S, E>(upload: Upload<S>, wanted: Wanted, scorer: Scorer) -> impl Stream<Item = Bytes> + Send
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: std::fmt::Display + Send,
{
    let head = AnswerWriter::headed(wanted.answers).finish();
    let head = stream::iter((!head.is_empty()).then_some(head));
    let chunks = stream::unfold(upload, async |mut upload| Some((upload.chunk().await?, upload)));
    let scored = chunks
        .map(move |chunk| answer(chunk, wanted.clone(), scorer.clone()))
        .buffered(CHUNKS_AHEAD);
    // After the end of a stream nothing follows, whatever was already under way.
    let until_ended = scored.scan(false, |ended, (piece, ending)| {
        let piece = (!*ended).then_some(piece);
        *ended |= ending;
        future::ready(piece)
    });
    head.chain(until_ended)
}

/// Scores a chunk and writes its lines; answers them, and whether the stream ends with them.
async fn answer(chunk: Chunk, wanted: Wanted, scorer: Scorer) -> (Bytes, bool) {
    let mut writer = AnswerWriter::new(wanted.answers);
    let first = chunk.lines.first().map_or(0, |line| line.number);
    let mut customers = Vec::with_capacity(chunk.lines.len());
    // Of each line the key of its customer, or what is wrong.
    let mut lines = Vec::with_capacity(chunk.lines.len());
    for Line { number, customer } in chunk.lines {
        let key = customer.map(|customer| {
            let key = customer.key().map(|key| key.0);
            customers.push(customer);
            key
        });
        lines.push((number, key));
    }
    scorer.refused.inc_by((lines.len() - customers.len()) as u64);
    let mut scored = match score(customers, line_id(&wanted.request_id, first), &wanted, &scorer).await {
        Ok(scored) => scored,
        Err(fault) => {
            // The service failed, not the records: the first of them is where a caller may go on.
            writer.error(first, problem(fault));
            return (writer.finish(), true);
        }
    };
    for (line, key) in lines {
        match (key, &mut scored) {
            (Err(fault), _) => writer.error(line, problem(*fault)),
            (Ok(customer_key), Some(scored)) => {
                // As many as there were customers.
                let Some(prediction) = scored.predictions.next() else {
                    continue;
                };
                writer.score(&StreamedPrediction {
                    line,
                    customer_key,
                    prediction,
                    served_by: &scored.served_by,
                    request_id: &scored.request_id,
                });
            }
            (Ok(_), None) => {}
        }
    }
    let ended = chunk.ending.is_some();
    if let Some((line, fault)) = chunk.ending {
        writer.error(line, problem(*fault));
    }
    (writer.finish(), ended)
}

/// The scores of a chunk.
struct Scored {
    predictions: std::vec::IntoIter<Prediction>,
    served_by: ServedModel,
    request_id: String,
}

/// Scores the customers of a chunk; `None` when it has none.
async fn score(
    customers: Vec<CheckedCustomer>,
    request_id: String,
    wanted: &Wanted,
    scorer: &Scorer,
) -> Result<Option<Scored>, Fault> {
    if customers.is_empty() {
        return Ok(None);
    }
    let asked = customers.len();
    let message = wire::PredictBatchRequest {
        customers: customers.into(),
        request_id,
        explain: wanted.explain,
    };
    let mut waits = scorer.retry.waits().take(PATIENCE);
    let answer = loop {
        match scorer.peers.predict_batch(message.clone()).await {
            Err(fault) if fault.code == Code::ResourceExhausted => match waits.next() {
                Some(wait) => tokio::time::sleep(wait.max(fault.retry_after.unwrap_or_default())).await,
                None => return Err(fault),
            },
            answered => break answered?,
        }
    };
    let answer = promised(
        (answer.predictions.len() == asked).then_some(answer),
        "as many predictions as there were records",
    )?;
    scorer.scored.inc_by(asked as u64);
    let predictions: Vec<Prediction> = answer.predictions.into_iter().map(Into::into).collect();
    Ok(Some(Scored {
        predictions: predictions.into_iter(),
        served_by: answer.served_by.try_into()?,
        request_id: answer.request_id,
    }))
}

/// Readers of the prediction log take a second batch with the same id for a repeat, so each chunk has its own: the request's, and the line on which it
/// begins.
fn line_id(request_id: &str, line: u64) -> String {
    format!("{request_id}/{line}")
}
