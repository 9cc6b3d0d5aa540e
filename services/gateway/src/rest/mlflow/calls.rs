//! The calls that are JSON in and JSON out.

use futures::future::BoxFuture;
use holdfast_chassis::Fault;
use http::Method;
use serde_json::Value;

use crate::peers::Peers;
use crate::service::mlflow::{
    Asked, artifacts, experiments, inputs, logged_models, metrics, registered, runs, versions, webhooks,
};

type Answer = for<'a> fn(&'a Peers, Asked<'a>) -> BoxFuture<'a, Result<Value, Fault>>;

/// A call of MLflow's API.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Below `/api` and `/ajax-api`.
    pub(super) path: &'static str,
    pub(super) answer: Answer,
}

macro_rules! calls {
    ($($method:ident $path:literal => $answer:path;)+) => {
        &[$(Call {
            method: Method::$method,
            path: concat!("/2.0/", $path),
            answer: |peers, asked| Box::pin($answer(peers, asked)),
        }),+]
    };
}

pub(super) static CALLS: &[Call] = calls! {
    POST "mlflow/experiments/create" => experiments::create;
    GET "mlflow/experiments/get" => experiments::get;
    GET "mlflow/experiments/get-by-name" => experiments::get_by_name;
    POST "mlflow/experiments/search" => experiments::search;
    GET "mlflow/experiments/search" => experiments::search;
    POST "mlflow/experiments/update" => experiments::update;
    POST "mlflow/experiments/delete" => experiments::delete;
    POST "mlflow/experiments/restore" => experiments::restore;
    POST "mlflow/experiments/set-experiment-tag" => experiments::set_tag;
    POST "mlflow/experiments/delete-experiment-tag" => experiments::delete_tag;
    POST "mlflow/experiments/search-datasets" => inputs::search;
    POST "mlflow/runs/create" => runs::create;
    GET "mlflow/runs/get" => runs::get;
    POST "mlflow/runs/search" => runs::search;
    POST "mlflow/runs/update" => runs::update;
    POST "mlflow/runs/delete" => runs::delete;
    POST "mlflow/runs/restore" => runs::restore;
    POST "mlflow/runs/log-parameter" => runs::log_parameter;
    POST "mlflow/runs/log-metric" => runs::log_metric;
    POST "mlflow/runs/set-tag" => runs::set_tag;
    POST "mlflow/runs/delete-tag" => runs::delete_tag;
    POST "mlflow/runs/log-batch" => runs::log_batch;
    POST "mlflow/runs/log-model" => runs::log_model;
    POST "mlflow/runs/log-inputs" => inputs::log;
    POST "mlflow/runs/outputs" => inputs::log_outputs;
    GET "mlflow/metrics/get-history" => metrics::history;
    GET "mlflow/metrics/get-history-bulk-interval" => metrics::sampled;
    GET "mlflow/artifacts/list" => artifacts::list_of_run;
    POST "mlflow/logged-models" => logged_models::create;
    POST "mlflow/logged-models/search" => logged_models::search;
    GET "mlflow/logged-models/{model_id}" => logged_models::get;
    PATCH "mlflow/logged-models/{model_id}" => logged_models::finalize;
    DELETE "mlflow/logged-models/{model_id}" => logged_models::delete;
    POST "mlflow/logged-models/{model_id}/params" => logged_models::log_params;
    PATCH "mlflow/logged-models/{model_id}/tags" => logged_models::set_tags;
    DELETE "mlflow/logged-models/{model_id}/tags/{tag_key}" => logged_models::delete_tag;
    GET "mlflow/logged-models/{model_id}/artifacts/directories" => logged_models::list_artifacts;
    POST "mlflow/registered-models/create" => registered::create;
    GET "mlflow/registered-models/get" => registered::get;
    GET "mlflow/registered-models/search" => registered::search;
    PATCH "mlflow/registered-models/update" => registered::update;
    POST "mlflow/registered-models/rename" => registered::rename;
    DELETE "mlflow/registered-models/delete" => registered::delete;
    GET "mlflow/registered-models/get-latest-versions" => registered::latest_versions;
    POST "mlflow/registered-models/get-latest-versions" => registered::latest_versions;
    POST "mlflow/registered-models/set-tag" => registered::set_tag;
    DELETE "mlflow/registered-models/delete-tag" => registered::delete_tag;
    GET "mlflow/registered-models/alias" => registered::by_alias;
    POST "mlflow/registered-models/alias" => registered::set_alias;
    DELETE "mlflow/registered-models/alias" => registered::delete_alias;
    POST "mlflow/model-versions/create" => versions::create;
    GET "mlflow/model-versions/get" => versions::get;
    GET "mlflow/model-versions/get-download-uri" => versions::download_uri;
    GET "mlflow/model-versions/search" => versions::search;
    PATCH "mlflow/model-versions/update" => versions::update;
    DELETE "mlflow/model-versions/delete" => versions::delete;
    POST "mlflow/model-versions/transition-stage" => versions::transition;
    POST "mlflow/model-versions/set-tag" => versions::set_tag;
    DELETE "mlflow/model-versions/delete-tag" => versions::delete_tag;
    POST "mlflow/webhooks" => webhooks::create;
    GET "mlflow/webhooks" => webhooks::list;
    GET "mlflow/webhooks/{webhook_id}" => webhooks::get;
    PATCH "mlflow/webhooks/{webhook_id}" => webhooks::update;
    DELETE "mlflow/webhooks/{webhook_id}" => webhooks::delete;
    POST "mlflow/webhooks/{webhook_id}/test" => webhooks::test;
    GET "mlflow-artifacts/artifacts" => artifacts::list;
};
