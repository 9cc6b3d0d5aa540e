//! Answers that are worked out away from the thread of their connection ([`super::connection_threads`]), bodies included.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::{Response, StatusCode};
use axum::body::{Body, Bytes};
use axum::response::IntoResponse as _;
use http_body::{Body as _, Frame};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// An answer that a task makes; dropping it ends the task.
pub(super) struct Away(AbortOnDropHandle<Result<Response<Body>, Infallible>>);

impl Away {
    /// Has it worked out by a task of `runtime`.
    pub(super) fn on(
        runtime: &Handle,
        answering: impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    ) -> Self {
        let work = async move { answering.await.map(|answer| answer.map(brought)) };
        Self(AbortOnDropHandle::new(runtime.spawn(work)))
    }
}

impl Future for Away {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(answered) => answered,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends.
                Err(_) => Ok(StatusCode::SERVICE_UNAVAILABLE.into_response()),
            },
        })
    }
}

/// A body that is there already goes as it is. What still has to be made, or compressed, is made by a task, a piece ahead.
fn brought(body: Body) -> Body {
    if body.size_hint().exact().is_some() {
        return body;
    }
    let (pieces, made) = mpsc::channel(1);
    let work = tokio::spawn(bring(body, pieces));
    Body::new(Brought {
        made,
        _work: AbortOnDropHandle::new(work),
    })
}

async fn bring(mut body: Body, pieces: mpsc::Sender<Result<Frame<Bytes>, axum::Error>>) {
    while let Some(piece) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if pieces.send(piece).await.is_err() {
            return;
        }
    }
}

struct Brought {
    made: mpsc::Receiver<Result<Frame<Bytes>, axum::Error>>,
    _work: AbortOnDropHandle<()>,
}

impl http_body::Body for Brought {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.made.poll_recv(cx)
    }
}
