//! The metrics of an HTTP server, by route template: `/models/{name}`, never by path.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use ::http::{Method, Request};
use arc_swap::ArcSwap;
use axum::extract::MatchedPath;
use prometheus_client::encoding::EncodeLabelSet;

use super::direct::DirectPath;
use super::layers::Meter;
use crate::metrics::{Gauge, Histogram, Histograms, MetricsRegistry, Unit};

/// The route of requests that no route matches.
const UNMATCHED: &str = "unmatched";

const OK: u16 = 200;

/// The methods that have a label of their own; anything else is `OTHER`, since callers can invent methods.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::HEAD,
    Method::OPTIONS,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

type Routes = HashMap<Arc<str>, Vec<Arc<RouteSeries>>>;

/// `http_server_request_duration_seconds{method,route,status}` and `http_server_requests_in_flight`.
///
/// Series with status 200 exist from the start for the routes named to the server; other statuses appear when first answered.
pub(super) struct HttpMeter {
    // Read on every request, replaced when a method meets a route for the first time.
    routes: ArcSwap<Routes>,
    durations: Histograms<RequestLabels>,
    in_flight: Gauge,
}

pub(super) struct RouteSeries {
    method: &'static str,
    route: Arc<str>,
    /// Status 200: nearly all.
    ok: OnceLock<Histogram>,
    statuses: RwLock<HashMap<u16, Histogram>>,
    family: Histograms<RequestLabels>,
}

impl HttpMeter {
    pub(super) fn new(metrics: &MetricsRegistry, routes: &[(Method, String)]) -> Self {
        let meter = Self {
            routes: ArcSwap::default(),
            durations: metrics.histograms(
                "http_server_request_duration",
                "Time to answer HTTP requests, by method, route and status, in seconds",
                [],
            ),
            in_flight: metrics.gauge(
                "http_server_requests_in_flight",
                "HTTP requests being answered",
                Unit::None,
            ),
        };
        for (method, route) in routes {
            meter.add(label_of(method), route).histogram(OK);
        }
        meter
    }

    fn known(&self, method: &str, route: &str) -> Option<Arc<RouteSeries>> {
        let routes = self.routes.load();
        let mut methods = routes.get(route)?.iter();
        methods.find(|series| series.method == method).cloned()
    }

    fn add(&self, method: &'static str, route: &str) -> Arc<RouteSeries> {
        let route: Arc<str> = Arc::from(route);
        let new = Arc::new(RouteSeries {
            method,
            route: route.clone(),
            ok: OnceLock::new(),
            statuses: RwLock::default(),
            family: self.durations.clone(),
        });
        // Two first requests may both get here. The one added later may shadow the other, but both lead to the same family members.
        self.routes.rcu(|routes| {
            let mut routes = Routes::clone(routes);
            routes.entry(route.clone()).or_default().push(new.clone());
            routes
        });
        new
    }
}

impl RouteSeries {
    fn observe(&self, status: u16, elapsed: Duration) {
        if status == OK {
            self.ok.get_or_init(|| self.histogram(OK)).observe(elapsed);
        } else {
            self.histogram(status).observe(elapsed);
        }
    }

    fn histogram(&self, status: u16) -> Histogram {
        if let Some(known) = self
            .statuses
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&status)
        {
            return known.clone();
        }
        let labels = RequestLabels {
            method: self.method,
            route: self.route.clone(),
            status,
        };
        let histogram = self.family.get_or_create_owned(&labels);
        self.statuses
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(status, histogram.clone());
        histogram
    }
}

impl Meter for HttpMeter {
    type Series = Arc<RouteSeries>;

    const CANCELLED: u16 = 499;
    const PANICKED: u16 = 500;

    fn series<B>(&self, request: &Request<B>) -> Self::Series {
        let (method, route) = (label_of(request.method()), route_of(request));
        self.known(method, route).unwrap_or_else(|| self.add(method, route))
    }

    fn in_flight(&self) -> &Gauge {
        &self.in_flight
    }

    fn record(series: &Self::Series, outcome: u16, elapsed: Duration) {
        series.observe(outcome, elapsed);
    }

    fn label(series: &Self::Series) -> String {
        format!("{} {}", series.method, series.route)
    }
}

/// The template that the request's path follows.
pub(super) fn route_of<B>(request: &Request<B>) -> &str {
    let known = request.extensions();
    let direct = || known.get::<DirectPath>().map(|path| path.0);
    known
        .get::<MatchedPath>()
        .map(MatchedPath::as_str)
        .or_else(direct)
        .unwrap_or(UNMATCHED)
}

fn label_of(method: &Method) -> &'static str {
    METHODS
        .iter()
        .position(|known| known == method)
        .map_or("OTHER", |index| {
            ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"][index]
        })
}
