//! Collections.

use holdfast_api::registry::v1 as registry;

use super::AT;

pub(crate) fn collect(message: registry::CollectRequest) -> registry::CollectResponse {
    registry::CollectResponse {
        garbage: vec![registry::Garbage {
            kind: registry::GarbageKind::Blob.into(),
            id: "aa11".to_owned(),
            size_bytes: 7,
            reason: "no file has these bytes".to_owned(),
        }],
        total: 1,
        total_bytes: 7,
        kept: vec![registry::Kept {
            kind: registry::GarbageKind::Run.into(),
            id: "run-1".to_owned(),
            reason: "version 3 of churn was made of it".to_owned(),
        }],
        removed: message.remove,
        cutoff: Some(AT),
    }
}
