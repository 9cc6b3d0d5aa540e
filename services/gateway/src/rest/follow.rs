//! Server-sent events: what every stream of them has in common.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use holdfast_chassis::Fault;
use holdfast_chassis::metrics::Gauge;
use serde::Serialize;

use super::App;
use crate::ApiError;

/// Tells clients and proxies on the way that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client whose stream ended early should wait before it comes back.
const RECONNECT: Duration = Duration::from_secs(1);

/// The answer: these events, counted while they are followed, ended early when the gateway ends.
pub(super) fn respond<S>(app: &App, events: S) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<S>>
where
    S: Stream<Item = Event> + Send + 'static,
{
    let following = Following::new(app.metrics.event_streams.clone());
    let farewell = Event::default()
        .retry(RECONNECT)
        .comment("the gateway is shutting down");
    let events = app.shutdown.end_with(events, farewell).map(move |event| {
        // Lives as long as the stream does.
        let _ = &following;
        Ok(event)
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// An event with its data.
pub(super) fn event(name: &str, data: &impl Serialize) -> Event {
    // Our shapes have no map with keys other than text, the one thing that cannot be written as JSON.
    let made = Event::default().event(name).json_data(data);
    made.unwrap_or_else(|error| Event::default().event("error").data(error.to_string()))
}

/// The event `error` with a problem document.
pub(super) fn failed(fault: Fault) -> Event {
    event("error", &ApiError::from(fault).problem(""))
}

/// Counts a stream while it lives.
pub(super) struct Following(Gauge);

impl Following {
    pub(super) fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.dec();
    }
}
