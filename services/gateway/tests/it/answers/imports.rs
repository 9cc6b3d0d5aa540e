//! Imports of registered versions.

use holdfast_api::registry::v1 as registry;

use super::AT;

fn import(model: String, version: u32, state: registry::ImportState, why: &str) -> Option<registry::Import> {
    Some(registry::Import {
        model,
        version,
        state: state.into(),
        why: why.to_owned(),
        run_id: String::new(),
        library: "xgboost".to_owned(),
        file: "1/run/artifacts/model/model.ubj".to_owned(),
        requested_by: "grace".to_owned(),
        requested_at: Some(AT),
        claimed_at: None,
    })
}

pub(crate) fn request_import(message: registry::RequestImportRequest) -> registry::RequestImportResponse {
    registry::RequestImportResponse {
        import: import(message.model, message.version, registry::ImportState::Requested, ""),
    }
}

pub(crate) fn get_import(message: registry::GetImportRequest) -> registry::GetImportResponse {
    registry::GetImportResponse {
        import: import(message.model, message.version, registry::ImportState::Failed, "no rows"),
    }
}
