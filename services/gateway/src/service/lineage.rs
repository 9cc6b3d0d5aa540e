//! What came from what.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::LineageKind as WireKind;
use holdfast_chassis::Fault;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::convert::{names_of, text, time};
use crate::peers::Peers;

names_of! {
    /// Kind of a thing.
    LineageKind from WireKind {
        /// A span of the prediction log that a snapshot was made of.
        Window,
        /// A snapshot of data.
        Snapshot,
        /// A run.
        Run,
        /// A version of a model.
        Version,
        /// An evaluation at the gate.
        Evaluation,
        /// A generation of the champion.
        Generation,
        /// All predictions of a generation.
        Predictions,
        /// One answered request.
        Prediction,
        /// A segment of the prediction log.
        Segment,
    }
}

/// One thing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LineageNode {
    /// Its kind.
    pub kind: LineageKind,
    /// Its id within the kind.
    pub id: String,
    /// What it is, in words.
    pub label: Option<String>,
    /// When it came to be.
    pub at: Option<Timestamp>,
    /// True when something refers to it and it is not on record itself.
    pub missing: bool,
}

/// One thing that came from another. Read it as a sentence: `from` `relation` `to`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LineageEdge {
    /// Position in `nodes` of what was there first.
    pub from: u32,
    /// Position in `nodes` of what came of it.
    pub to: u32,
    /// How.
    #[schema(example = "promoted to")]
    pub relation: String,
}

/// Everything that a thing came from and everything that came from it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Lineage {
    /// What was asked for is the first.
    pub nodes: Vec<LineageNode>,
    /// Edges between them.
    pub edges: Vec<LineageEdge>,
    /// True when there is more than the nearest 500 things.
    pub truncated: bool,
}

/// What a thing came from and what came from it.
///
/// # Errors
/// The registry's.
pub async fn of(peers: &Peers, thing: String, model: Option<String>) -> Result<Lineage, Fault> {
    let message = wire::GetLineageRequest {
        thing,
        model: model.unwrap_or_default(),
    };
    let answer = peers.get_lineage(message).await?;
    let nodes = answer.nodes.into_iter().map(|node| LineageNode {
        kind: node.kind.into(),
        id: node.id,
        label: text(node.label),
        at: time(node.at),
        missing: node.missing,
    });
    let edges = answer.edges.into_iter().map(|edge| LineageEdge {
        from: edge.from,
        to: edge.to,
        relation: edge.relation,
    });
    Ok(Lineage {
        nodes: nodes.collect(),
        edges: edges.collect(),
        truncated: answer.truncated,
    })
}
