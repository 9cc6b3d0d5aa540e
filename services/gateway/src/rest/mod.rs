//! REST: routes, bodies, problem documents, server-sent events. Handlers are thin; what they do is in [`crate::service`].

mod body;
mod classic;
mod compression;
pub(crate) mod context;
pub(crate) mod cors;
mod decompression;
mod docs;
mod drift;
mod evidence;
mod extract;
mod follow;
mod imports;
mod interchange;
mod lineage;
pub(crate) mod mlflow;
mod models;
mod open_inference;
pub mod openapi;
mod predictions;
mod promotions;
mod registration;
mod retention;
mod rollouts;
mod runs;
mod snapshots;
mod status;
mod stream;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use holdfast_chassis::server::DirectAnswer;
use http::Method;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{ApiError, Gateway};
use registration::{Named, Register};

/// What handlers get.
type App = Arc<Gateway>;

/// REST as it is served.
pub struct Rest {
    /// The routes with everything around them.
    pub router: Router,
    /// The one that is answered without the router.
    pub direct: (Method, &'static str, DirectAnswer),
    /// Every route that is described: method and template.
    pub named: Vec<(Method, String)>,
}

/// The routes with everything around them. A route is registered and described by one attribute, so neither can
/// lack the other; MLflow's API alone is not described.
pub fn router(gateway: Gateway) -> Rest {
    let app = Arc::new(gateway);
    let direct = classic::directly(app.clone());
    let Named { router, names } = described();
    let router = router
        .merge(mlflow::routes())
        .fallback(async || ApiError::no_such_route())
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        // As one layer: each one added by itself would be boxed, with its future.
        .layer((context::InContext, decompression::Decompressed))
        .with_state(app);
    Rest {
        router,
        direct,
        named: names,
    }
}

/// Whether a path is one of predictions, whose work their bodies bound.
pub(crate) fn predicts(path: &str) -> bool {
    matches!(
        path,
        "/predict" | "/predict_batch" | "/api/v1/predictions" | "/api/v1/explanations"
    ) || (path.starts_with("/v2/models/") && path.ends_with("/infer"))
}

/// The description alone.
pub fn description() -> utoipa::openapi::OpenApi {
    let about = OpenApiRouter::with_openapi(openapi::about());
    openapi::completed(about.merge(described()).into_openapi())
}

fn described<R: Register>() -> R {
    // Answers that are small, and those that are written line by line, are never compressed, so they need not even be asked.
    R::default()
        .routes(routes!(classic::index))
        .routes(routes!(classic::health))
        .routes(routes!(classic::predict))
        .routes(routes!(stream::predict))
        .merge(compressed::<R>().compressed())
}

fn compressed<R: Register>() -> R {
    R::default()
        .routes(routes!(classic::predict_batch))
        .merge(open_inference_routes())
        .routes(routes!(predictions::predict))
        .routes(routes!(predictions::explain))
        .routes(routes!(predictions::model))
        .routes(routes!(predictions::flush))
        .routes(routes!(snapshots::import, snapshots::list))
        .routes(routes!(snapshots::get))
        .routes(routes!(runs::start, runs::list))
        .routes(routes!(runs::get))
        .routes(routes!(runs::events))
        .routes(routes!(runs::cancel))
        .routes(routes!(models::list))
        .routes(routes!(models::versions))
        .routes(routes!(models::version))
        .routes(routes!(evidence::card))
        .routes(routes!(evidence::files))
        .routes(routes!(evidence::file))
        .routes(routes!(evidence::reproduce))
        .routes(routes!(interchange::import))
        .routes(routes!(interchange::export))
        .routes(routes!(imports::request, imports::get))
        .routes(routes!(models::promote))
        .routes(routes!(models::rollback))
        .routes(routes!(models::champion))
        .routes(routes!(models::champions))
        .routes(routes!(models::replicas))
        .routes(routes!(lineage::get))
        .routes(routes!(promotions::list))
        .routes(routes!(promotions::approve))
        .routes(routes!(promotions::reject))
        .routes(routes!(rollouts::get, rollouts::start, rollouts::end))
        .routes(routes!(rollouts::history))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::get, webhooks::update, webhooks::remove))
        .routes(routes!(webhooks::test))
        .routes(routes!(drift::record_outcomes))
        .routes(routes!(drift::check))
        .routes(routes!(drift::list))
        .routes(routes!(drift::get))
        .routes(routes!(drift::retrain))
        .routes(routes!(retention::collect))
        .routes(routes!(status::status))
        .routes(routes!(openapi::document))
        .routes(routes!(docs::page))
}

/// The paths of the protocol, versioned and not.
fn open_inference_routes<R: Register>() -> R {
    R::default()
        .routes(routes!(open_inference::server))
        .routes(routes!(open_inference::live))
        .routes(routes!(open_inference::ready))
        .routes(routes!(open_inference::model))
        .routes(routes!(open_inference::model_ready))
        .routes(routes!(open_inference::infer))
        .routes(routes!(open_inference::version))
        .routes(routes!(open_inference::version_ready))
        .routes(routes!(open_inference::infer_version))
        .routes(routes!(open_inference::index))
}
