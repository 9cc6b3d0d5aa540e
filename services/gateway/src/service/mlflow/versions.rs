//! `model-versions/…`.

use holdfast_api::registry::v1 as wire;
use holdfast_chassis::Fault;
use serde_json::{Value, json};

use super::asked::Asked;
use super::out::{Out, done, tag, wrapped};
use crate::peers::Peers;
use crate::service::convert::promised;

const VERSION: &str = "model_version";

/// `model-versions/create`.
///
/// # Errors
/// As the registry's, or a wrong field; here and below.
pub async fn create(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::CreateVersionRequest {
        name: asked.needed("name")?,
        source: asked.needed("source")?,
        run_id: asked.text("run_id")?,
        run_link: asked.text("run_link")?,
        tags: asked.tags("tags")?,
        description: asked.text("description")?,
        model_id: asked.text("model_id")?,
        user_id: String::new(),
    };
    wrapped(peers.create_version(message).await?.version, VERSION, version)
}

/// `model-versions/get`.
///
/// # Errors
/// See [`create`].
pub async fn get(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let found = read(peers, &asked).await?;
    Ok(json!({VERSION: version(found)}))
}

/// `model-versions/get-download-uri`.
///
/// # Errors
/// See [`create`].
pub async fn download_uri(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let found = read(peers, &asked).await?;
    Ok(json!({"artifact_uri": found.artifact_uri}))
}

/// `model-versions/update`.
///
/// # Errors
/// See [`create`].
pub async fn update(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::UpdateVersionRequest {
        name: asked.needed("name")?,
        version: asked.version()?,
        description: asked.text("description")?,
    };
    wrapped(peers.update_version(message).await?.version, VERSION, version)
}

/// `model-versions/delete`.
///
/// # Errors
/// See [`create`].
pub async fn delete(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::DeleteVersionRequest {
        name: asked.needed("name")?,
        version: asked.version()?,
    };
    peers.delete_version(message).await?;
    Ok(done())
}

/// `model-versions/search`.
///
/// # Errors
/// See [`create`].
pub async fn search(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::SearchVersionsRequest {
        filter: asked.text("filter")?,
        order_by: asked.texts("order_by")?,
        page_size: asked.count("max_results")?,
        page_token: asked.text("page_token")?,
    };
    let found = peers.search_versions(message).await?;
    let out = Out::default().list("model_versions", found.versions, version);
    Ok(out.text("next_page_token", found.next_page_token).done())
}

/// `model-versions/transition-stage`.
///
/// # Errors
/// See [`create`].
pub async fn transition(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::TransitionStageRequest {
        name: asked.needed("name")?,
        version: asked.version()?,
        stage: asked.needed("stage")?,
        archive_existing_versions: asked.truth("archive_existing_versions")?,
    };
    wrapped(peers.transition_stage(message).await?.version, VERSION, version)
}

/// `model-versions/set-tag`.
///
/// # Errors
/// See [`create`].
pub async fn set_tag(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::SetVersionTagRequest {
        name: asked.needed("name")?,
        version: asked.version()?,
        tag: Some(asked.tag()?),
    };
    peers.set_version_tag(message).await?;
    Ok(done())
}

/// `model-versions/delete-tag`.
///
/// # Errors
/// See [`create`].
pub async fn delete_tag(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::DeleteVersionTagRequest {
        name: asked.needed("name")?,
        version: asked.version()?,
        key: asked.needed("key")?,
    };
    peers.delete_version_tag(message).await?;
    Ok(done())
}

async fn read(peers: &Peers, asked: &Asked<'_>) -> Result<wire::RegisteredVersion, Fault> {
    let message = wire::GetVersionRequest {
        name: asked.needed("name")?,
        version: asked.version()?,
    };
    promised(peers.get_version(message).await?.version, VERSION)
}

/// A version.
pub(super) fn version(version: wire::RegisteredVersion) -> Value {
    let status = if version.ready { "READY" } else { "PENDING_REGISTRATION" };
    Out::default()
        .set("name", version.model)
        .set("version", version.version.to_string())
        .time("creation_timestamp", version.created_at)
        .time("last_updated_timestamp", version.updated_at)
        .text("user_id", version.user_id)
        .set("current_stage", version.stage)
        .set("description", version.description)
        .set("source", version.source)
        .set("run_id", version.run_id)
        .set("status", status)
        .text("status_message", version.status_message)
        .set("run_link", version.run_link)
        .text("model_id", version.model_id)
        .list("tags", version.tags, tag)
        .list("aliases", version.aliases, Value::from)
        .done()
}
