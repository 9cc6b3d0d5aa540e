//! Bytes of a caller on their way into a streaming call of a peer, in bounded memory.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{self, Either};
use futures::{Stream, StreamExt as _, stream};
use holdfast_chassis::{Code, Fault, Shutdown};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

/// Largest part passed on at once: what the wire contract allows.
const PART_BYTES: usize = 1 << 20;

/// Why an upload came to nothing.
#[derive(Debug)]
pub enum UploadError<E> {
    /// The peer refused it.
    Refused(Fault),
    /// It is larger than allowed.
    TooLarge,
    /// It broke off on the caller's side.
    Broken(E),
}

/// Bytes on their way.
#[derive(Debug)]
pub struct Upload<S> {
    /// The bytes.
    pub body: S,
    /// Most bytes it may have.
    pub limit: u64,
    /// Counts the bytes passed on.
    pub passed_on: Counter,
    /// Keeps the call to the peer alive until it has ended.
    pub tasks: Shutdown,
    /// How long the peer may leave a part untaken.
    pub part_within: Duration,
    /// How long the peer may take to answer after the last part.
    pub answer_within: Duration,
}

/// A message of the call behind its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadPart {
    /// Small enough to be passed on.
    Chunk(Vec<u8>),
    /// Nothing is missing.
    End {
        /// Bytes of all chunks.
        size_bytes: u64,
    },
}

impl<S, E> Upload<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// Passes the bytes on as they come, `message` around each part: what the peer does not take is not read.
    ///
    /// Only bytes that came to their end are ended towards the peer, so that half of them never become anything. The call runs as a task of its own: it
    /// hears of the end, or that there is none, also when the caller goes away.
    ///
    /// # Errors
    /// [`UploadError`]; then nothing was made of the part that was passed on.
    pub async fn pass_on<A, M, F>(
        self,
        message: fn(UploadPart) -> M,
        call: impl FnOnce(mpsc::Receiver<M>) -> F,
    ) -> Result<A, UploadError<E>>
    where
        A: Send + 'static,
        F: Future<Output = Result<A, Fault>> + Send + 'static,
    {
        let Self {
            body,
            limit,
            passed_on,
            tasks,
            part_within,
            answer_within,
        } = self;
        let (parts, arriving) = mpsc::channel(1);
        let (answered, answer) = oneshot::channel();
        let work = call(arriving);
        let work = async move {
            // Nobody listening means the caller has gone away.
            let _ = answered.send(work.await);
        };
        tasks.spawn("upload", work.in_current_span());
        let parts = Parts { parts, part_within };
        let feeding = pin!(feed(body, parts, message, limit, passed_on));
        let answered = match future::select(answer, feeding).await {
            Either::Left((answered, _)) => answered,
            Either::Right((Ok(()), answer)) => match tokio::time::timeout(answer_within, answer).await {
                Ok(answered) => answered,
                Err(_) => return Err(late()),
            },
            Either::Right((Err(why), _)) => return Err(why),
        };
        let ended = |_| Fault::unavailable("ENDING", "the gateway is shutting down");
        answered.map_err(ended).flatten().map_err(UploadError::Refused)
    }
}

/// Where parts go.
struct Parts<M> {
    parts: mpsc::Sender<M>,
    part_within: Duration,
}

impl<M> Parts<M> {
    async fn send<E>(&self, part: M) -> Result<(), UploadError<E>> {
        match self.parts.send_timeout(part, self.part_within).await {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Timeout(_)) => Err(late()),
            // The peer wants no more: its answer is on the way.
            Err(SendTimeoutError::Closed(_)) => future::pending().await,
        }
    }
}

fn late<E>() -> UploadError<E> {
    let message = "a service did not take the upload in time";
    UploadError::Refused(Fault::new(Code::DeadlineExceeded, "PEER_SILENT", message))
}

/// Sends the parts. A channel that closes before the end means that the bytes broke off.
async fn feed<S, E, M>(
    mut body: S,
    parts: Parts<M>,
    message: fn(UploadPart) -> M,
    limit: u64,
    passed_on: Counter,
) -> Result<(), UploadError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut size_bytes = 0_u64;
    while let Some(piece) = body.next().await {
        let mut piece = piece.map_err(UploadError::Broken)?;
        let size = piece.len() as u64;
        size_bytes += size;
        if size_bytes > limit {
            return Err(UploadError::TooLarge);
        }
        while !piece.is_empty() {
            let part = piece.split_to(piece.len().min(PART_BYTES));
            parts.send(message(UploadPart::Chunk(part.into()))).await?;
        }
        passed_on.inc_by(size);
    }
    parts.send(message(UploadPart::End { size_bytes })).await
}

/// The messages of a call: the first, then what arrives.
pub(super) fn messages<M: Send + 'static>(
    first: M,
    arriving: mpsc::Receiver<M>,
) -> impl Stream<Item = M> + Send + 'static {
    let rest = stream::unfold(arriving, async |mut arriving| Some((arriving.recv().await?, arriving)));
    stream::once(future::ready(first)).chain(rest)
}
