//! `registered-models/…`: models, their tags and their aliases.

use holdfast_api::registry::v1 as wire;
use holdfast_chassis::Fault;
use serde_json::{Value, json};

use super::asked::Asked;
use super::out::{Out, done, tag, wrapped};
use super::versions::version;
use crate::peers::Peers;

const MODEL: &str = "registered_model";

/// `registered-models/create`.
///
/// # Errors
/// As the registry's, or a wrong field; here and below.
pub async fn create(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::CreateRegisteredModelRequest {
        name: asked.needed("name")?,
        tags: asked.tags("tags")?,
        description: asked.text("description")?,
    };
    wrapped(peers.create_registered_model(message).await?.model, MODEL, model)
}

/// `registered-models/get`.
///
/// # Errors
/// See [`create`].
pub async fn get(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::GetRegisteredModelRequest {
        name: asked.needed("name")?,
    };
    wrapped(peers.get_registered_model(message).await?.model, MODEL, model)
}

/// `registered-models/update`.
///
/// # Errors
/// See [`create`].
pub async fn update(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::UpdateRegisteredModelRequest {
        name: asked.needed("name")?,
        description: asked.text("description")?,
    };
    wrapped(peers.update_registered_model(message).await?.model, MODEL, model)
}

/// `registered-models/rename`.
///
/// # Errors
/// See [`create`].
pub async fn rename(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::RenameRegisteredModelRequest {
        name: asked.needed("name")?,
        new_name: asked.needed("new_name")?,
    };
    wrapped(peers.rename_registered_model(message).await?.model, MODEL, model)
}

/// `registered-models/delete`.
///
/// # Errors
/// See [`create`].
pub async fn delete(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::DeleteRegisteredModelRequest {
        name: asked.needed("name")?,
    };
    peers.delete_registered_model(message).await?;
    Ok(done())
}

/// `registered-models/search`.
///
/// # Errors
/// See [`create`].
pub async fn search(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::SearchRegisteredModelsRequest {
        filter: asked.text("filter")?,
        order_by: asked.texts("order_by")?,
        page_size: asked.count("max_results")?,
        page_token: asked.text("page_token")?,
    };
    let found = peers.search_registered_models(message).await?;
    let out = Out::default().list("registered_models", found.models, model);
    Ok(out.text("next_page_token", found.next_page_token).done())
}

/// `registered-models/get-latest-versions`.
///
/// # Errors
/// See [`create`].
pub async fn latest_versions(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::GetLatestVersionsRequest {
        name: asked.needed("name")?,
        stages: asked.texts("stages")?,
    };
    let found = peers.get_latest_versions(message).await?;
    Ok(Out::default().list("model_versions", found.versions, version).done())
}

/// `registered-models/set-tag`.
///
/// # Errors
/// See [`create`].
pub async fn set_tag(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::SetRegisteredModelTagRequest {
        name: asked.needed("name")?,
        tag: Some(asked.tag()?),
    };
    peers.set_registered_model_tag(message).await?;
    Ok(done())
}

/// `registered-models/delete-tag`.
///
/// # Errors
/// See [`create`].
pub async fn delete_tag(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::DeleteRegisteredModelTagRequest {
        name: asked.needed("name")?,
        key: asked.needed("key")?,
    };
    peers.delete_registered_model_tag(message).await?;
    Ok(done())
}

/// `POST registered-models/alias`.
///
/// # Errors
/// See [`create`].
pub async fn set_alias(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::SetAliasRequest {
        name: asked.needed("name")?,
        alias: asked.needed("alias")?,
        version: asked.version()?,
    };
    peers.set_alias(message).await?;
    Ok(done())
}

/// `DELETE registered-models/alias`.
///
/// # Errors
/// See [`create`].
pub async fn delete_alias(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::DeleteAliasRequest {
        name: asked.needed("name")?,
        alias: asked.needed("alias")?,
    };
    peers.delete_alias(message).await?;
    Ok(done())
}

/// `GET registered-models/alias`.
///
/// # Errors
/// See [`create`].
pub async fn by_alias(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::GetVersionByAliasRequest {
        name: asked.needed("name")?,
        alias: asked.needed("alias")?,
    };
    wrapped(
        peers.get_version_by_alias(message).await?.version,
        "model_version",
        version,
    )
}

fn model(model: wire::RegisteredModel) -> Value {
    Out::default()
        .set("name", model.name)
        .time("creation_timestamp", model.created_at)
        .time("last_updated_timestamp", model.updated_at)
        .text("description", model.description)
        .list("latest_versions", model.latest_versions, version)
        .list("tags", model.tags, tag)
        .list(
            "aliases",
            model.aliases,
            |alias| json!({"alias": alias.name, "version": alias.version.to_string()}),
        )
        .done()
}
