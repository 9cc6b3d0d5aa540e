//! The sections of a card, each a pure function of what is on record.

mod data;
mod explanation;
mod gate;
mod groups;
mod labels;
mod limits;
mod overview;
mod quality;
mod reproduction;

use holdfast_domain::Schema;

use super::CardFacts;
use super::document::{Line, Section};
use crate::service::plots::Plot;

/// All sections in their order.
pub(super) fn all(facts: &CardFacts, plots: &[Plot], schema: &Schema) -> Vec<Section> {
    vec![
        overview::summary(facts),
        overview::purpose(facts, schema),
        data::section(facts),
        quality::ranking(facts, plots),
        quality::probabilities(facts, plots),
        labels::section(facts, plots),
        groups::section(facts, plots),
        explanation::section(facts, plots),
        limits::section(facts, schema),
        gate::section(facts),
        reproduction::section(facts),
    ]
}

/// What a card says where the record says nothing.
const NOT_RECORDED: &str = "not recorded";

/// What a section says when the run left no evaluation.
const NO_EVALUATION: &str = "No evaluation is on record for this version: it was made before evaluations were stored, or by other means. The gate's decision below \
                             holds the figures it was judged by.";

/// A text, or that there is none.
fn recorded(text: &str) -> Line {
    if text.is_empty() {
        NOT_RECORDED.into()
    } else {
        text.into()
    }
}

/// A time to the second, in UTC.
fn moment(at: Option<jiff::Timestamp>) -> Line {
    at.map_or_else(
        || NOT_RECORDED.into(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string().into(),
    )
}
