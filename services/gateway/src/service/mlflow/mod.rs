//! MLflow's REST API over the registry: its JSON in and out, without HTTP. Every call is one function of [`Peers`](crate::peers::Peers) and what was
//! [`Asked`]; the rules (limits, immutable parameters, the search language) are the registry's.

pub mod artifacts;
mod asked;
pub mod experiments;
mod failure;
pub mod inputs;
pub mod logged_models;
pub mod metrics;
mod out;
pub mod registered;
pub mod runs;
mod uri;
pub mod versions;
pub mod webhooks;

use serde_json::{Value, json};

pub use asked::{Asked, Request};
pub use failure::{Failure, failure};

/// What a server of MLflow says it can do: none of the parts that bypass it. `SqlStore` is what clients take for "searches are done by a database".
pub fn server_info() -> Value {
    json!({
        "store_type": "SqlStore",
        "workspaces_enabled": false,
        "trace_archival_enabled": false,
        "multipart_uploads_enabled": false,
        "multipart_downloads_enabled": false,
        "presigned_upload_run_id_supported": false,
        "presigned_upload_model_id_supported": false,
        "features_enabled": {"gateway": false},
    })
}
