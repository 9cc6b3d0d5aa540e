//! `LineageService`.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::lineage_service_server::LineageService;
use holdfast_api::time;
use tonic::{Request, Response, Status};

use super::{model_name, status};
use crate::service::lineage::{Kind, Lineage, Node};

/// `LineageService` over [`Lineage`].
#[derive(Clone, Debug)]
pub(crate) struct LineageAdapter {
    lineage: Lineage,
}

impl LineageAdapter {
    /// The adapter.
    pub(crate) fn new(lineage: Lineage) -> Self {
        Self { lineage }
    }
}

#[tonic::async_trait]
impl LineageService for LineageAdapter {
    async fn get_lineage(
        &self,
        request: Request<wire::GetLineageRequest>,
    ) -> Result<Response<wire::GetLineageResponse>, Status> {
        let request = request.into_inner();
        let model = match request.model.as_str() {
            "" => None,
            name => Some(model_name(name)?),
        };
        let graph = self.lineage.of(&request.thing, model.as_ref()).await.map_err(status)?;
        let place = |position: usize| u32::try_from(position).unwrap_or(u32::MAX);
        let edges = graph.edges.iter().map(|edge| wire::LineageEdge {
            from: place(edge.from),
            to: place(edge.to),
            relation: edge.relation.to_owned(),
        });
        Ok(Response::new(wire::GetLineageResponse {
            edges: edges.collect(),
            nodes: graph.nodes.into_iter().map(node_out).collect(),
            truncated: graph.truncated,
        }))
    }
}

fn node_out(node: Node) -> wire::LineageNode {
    let kind = match node.kind {
        Kind::Window => wire::LineageKind::Window,
        Kind::Snapshot => wire::LineageKind::Snapshot,
        Kind::Run => wire::LineageKind::Run,
        Kind::Version => wire::LineageKind::Version,
        Kind::Evaluation => wire::LineageKind::Evaluation,
        Kind::Generation => wire::LineageKind::Generation,
        Kind::Predictions => wire::LineageKind::Predictions,
        Kind::Prediction => wire::LineageKind::Prediction,
        Kind::Segment => wire::LineageKind::Segment,
    };
    wire::LineageNode {
        kind: kind.into(),
        id: node.id,
        label: node.label,
        at: node.at.map(time::to_wire),
        missing: !node.found,
    }
}
