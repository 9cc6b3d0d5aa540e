//! The adapter: wire types in, domain types out. One file for each service.

mod artifacts;
mod champion;
mod convert;
mod imports;
mod lineage;
mod logged_models;
mod models;
mod promotion;
mod registered;
mod retention;
mod rollout;
mod tracking;
mod webhooks;

use std::str::FromStr;

use holdfast_chassis::error::Fault;
use holdfast_domain::ModelName;
use tonic::Status;

use crate::error::{Error, Violation};
use crate::service::store::PageRequest;
use crate::service::tracking::{Found, Place};

pub(crate) use artifacts::ArtifactAdapter;
pub(crate) use champion::ChampionAdapter;
pub(crate) use imports::ImportAdapter;
pub(crate) use lineage::LineageAdapter;
pub(crate) use logged_models::LoggedModelAdapter;
pub(crate) use models::ModelAdapter;
pub(crate) use promotion::PromotionAdapter;
pub(crate) use registered::RegisteredModelAdapter;
pub(crate) use retention::RetentionAdapter;
pub(crate) use rollout::RolloutAdapter;
pub(crate) use tracking::TrackingAdapter;
pub(crate) use webhooks::WebhookAdapter;

const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1_000;

fn status(error: Error) -> Status {
    Fault::from(error).into()
}

fn violation(field: &str, rule: &'static str, description: &str) -> Status {
    status(Violation::new(field, rule, description).into())
}

fn model_name(text: &str) -> Result<ModelName, Status> {
    text.parse::<ModelName>().map_err(|invalid| status(invalid.into()))
}

/// The size of a page; 0 stands for `usual`. `rule` tells the caller both bounds.
fn page_size(size: u32, (usual, most): (u32, u32), rule: &str) -> Result<u32, Status> {
    match size {
        0 => Ok(usual),
        size if size <= most => Ok(size),
        _ => Err(violation("page_size", "above_maximum", rule)),
    }
}

/// The number that a page token is; `None` for the first page.
fn token_in<N: FromStr>(token: &str) -> Result<Option<N>, Status> {
    match token {
        "" => Ok(None),
        token => token.parse().map(Some).map_err(|_| unknown_token()),
    }
}

fn unknown_token() -> Status {
    violation("page_token", "page_token", "must be a token of an earlier answer")
}

/// The most bytes that a page of a search puts into its message. A client takes 4 MiB at once unless it is told otherwise.
const MOST_PAGE_BYTES: usize = 3 * 1024 * 1024;

/// The entries of a search that fit a message, one at least, and where to go on if that is not all.
fn fitting<T, M: prost::Message>(found: Found<T>, out: impl Fn(T) -> M) -> (Vec<M>, Option<Place>) {
    let mut bytes = 0;
    let mut entries = Vec::with_capacity(found.items.len());
    let mut last = None;
    for (item, place) in found.items {
        let entry = out(item);
        bytes += entry.encoded_len();
        if bytes > MOST_PAGE_BYTES && !entries.is_empty() {
            return (entries, last);
        }
        entries.push(entry);
        last = Some(place);
    }
    (entries, if found.more { last } else { None })
}

/// A page token is the position to go on from, as text.
fn page_request(size: u32, token: &str) -> Result<PageRequest, Status> {
    let bounds = (DEFAULT_PAGE, LARGEST_PAGE);
    Ok(PageRequest {
        size: page_size(size, bounds, "must be 0 (the default, 100) to 1,000")?,
        before: token_in(token)?,
    })
}

fn page_token(next: Option<i64>) -> String {
    next.map(|position| position.to_string()).unwrap_or_default()
}
