//! What came from what.

use holdfast_api::registry::v1 as registry;

use super::AT;

pub(crate) fn get_lineage(message: registry::GetLineageRequest) -> registry::GetLineageResponse {
    let node = |kind: registry::LineageKind, id: &str, missing: bool| registry::LineageNode {
        kind: kind.into(),
        id: id.to_owned(),
        label: String::new(),
        at: (!missing).then_some(AT),
        missing,
    };
    registry::GetLineageResponse {
        nodes: vec![
            node(registry::LineageKind::Version, &message.thing, false),
            node(registry::LineageKind::Run, "run-1", true),
        ],
        edges: vec![registry::LineageEdge {
            from: 1,
            to: 0,
            relation: "made".to_owned(),
        }],
        truncated: false,
    }
}
