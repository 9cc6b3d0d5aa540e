//! W3C trace context over every hop: HTTP headers (gRPC metadata are HTTP headers on the wire) and, as text, stored job records, so that drift →
//! retrain → promote → reload is one trace.

use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt as _, TraceId};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::is_tracing;

/// A trace context as text (`traceparent`, W3C Trace Context, version 00), to be kept in a job record and picked up when the job runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceContext(String);

impl TraceContext {
    /// The `traceparent`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes `span` a child of this context; anything that is not a `traceparent` is ignored.
    pub fn adopt(&self, span: &Span) {
        if !is_tracing() {
            return;
        }
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            adopt_parent(
                span,
                &HeaderMap::from_iter([(HeaderName::from_static("traceparent"), value)]),
            );
        }
    }
}

impl From<String> for TraceContext {
    fn from(traceparent: String) -> Self {
        Self(traceparent)
    }
}

/// The trace id of the current span, 32 lower-case hex digits; `None`, at the price of one atomic load, when no collector is set.
#[must_use]
pub fn current_trace_id() -> Option<String> {
    if !is_tracing() {
        return None;
    }
    trace_id(&Span::current().context()).map(|id| id.to_string())
}

/// The current span's context for a job record; `None` when no collector is set.
#[must_use]
pub fn current_trace_context() -> Option<TraceContext> {
    let mut headers = HeaderMap::new();
    inject(&mut headers);
    headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok())
        .map(|text| TraceContext(text.to_owned()))
}

/// Writes the current span's context into outgoing headers. Clients of the chassis do this by themselves.
pub fn inject(headers: &mut HeaderMap) {
    inject_span(&Span::current(), headers);
}

/// Writes `span`'s context into outgoing headers; without a collector nothing is written.
pub fn inject_span(span: &Span, headers: &mut HeaderMap) {
    if is_tracing() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut Carrier(headers));
    }
}

/// The caller's context in incoming headers; an empty context if there is none.
#[must_use]
pub fn remote_parent(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Source(headers))
}

/// Makes `span` a child of the caller's context, if the headers carry one. Must come before the span is entered.
pub fn adopt_parent(span: &Span, headers: &HeaderMap) {
    if is_tracing() && headers.contains_key("traceparent") {
        // A span that the filter switched off cannot have a parent, and needs none.
        let _ = span.set_parent(remote_parent(headers));
    }
}

/// The trace id of `span`, to be recorded in its fields.
pub(crate) fn trace_id_of(span: &Span) -> Option<TraceId> {
    trace_id(&span.context())
}

fn trace_id(context: &Context) -> Option<TraceId> {
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id())
}

struct Carrier<'a>(&'a mut HeaderMap);

impl Injector for Carrier<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_str(key), HeaderValue::from_str(&value)) {
            self.0.insert(name, value);
        }
    }
}

struct Source<'a>(&'a HeaderMap);

impl Extractor for Source<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
