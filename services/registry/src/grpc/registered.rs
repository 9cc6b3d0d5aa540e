//! `RegisteredModelService`.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::registered_model_service_server::RegisteredModelService;
use holdfast_api::time;
use tonic::{Request, Response, Status};

use super::convert::{tag_in, tag_out};
use super::{MOST_PAGE_BYTES, page_size, status, token_in, violation};
use crate::service::registered::{
    Alias, Found, NewVersion, Others, Readiness, RegisteredModel, RegisteredModels, RegisteredVersion, Search,
};
use crate::service::search;
use crate::service::tracking::KeyValue;

/// Usual and largest size of a page of models.
const MODELS: (u32, u32) = (100, 1_000);
/// Usual and largest size of a page of versions.
const VERSIONS: (u32, u32) = (10_000, 200_000);

type Answer<T> = Result<Response<T>, Status>;

/// `RegisteredModelService` over [`RegisteredModels`].
#[derive(Clone, Debug)]
pub(crate) struct RegisteredModelAdapter {
    models: RegisteredModels,
}

impl RegisteredModelAdapter {
    /// The adapter.
    pub(crate) fn new(models: RegisteredModels) -> Self {
        Self { models }
    }
}

#[tonic::async_trait]
impl RegisteredModelService for RegisteredModelAdapter {
    async fn create_registered_model(
        &self,
        request: Request<wire::CreateRegisteredModelRequest>,
    ) -> Answer<wire::CreateRegisteredModelResponse> {
        let request = request.into_inner();
        let tags = tags_in(request.tags);
        let made = self.models.create(&request.name, &request.description, tags).await;
        let model = Some(made.map_err(status)?.into());
        Ok(Response::new(wire::CreateRegisteredModelResponse { model }))
    }

    async fn get_registered_model(
        &self,
        request: Request<wire::GetRegisteredModelRequest>,
    ) -> Answer<wire::GetRegisteredModelResponse> {
        let got = self.models.get(&request.into_inner().name).await;
        let model = Some(got.map_err(status)?.into());
        Ok(Response::new(wire::GetRegisteredModelResponse { model }))
    }

    async fn update_registered_model(
        &self,
        request: Request<wire::UpdateRegisteredModelRequest>,
    ) -> Answer<wire::UpdateRegisteredModelResponse> {
        let request = request.into_inner();
        let changed = self.models.describe(&request.name, &request.description).await;
        let model = Some(changed.map_err(status)?.into());
        Ok(Response::new(wire::UpdateRegisteredModelResponse { model }))
    }

    async fn rename_registered_model(
        &self,
        request: Request<wire::RenameRegisteredModelRequest>,
    ) -> Answer<wire::RenameRegisteredModelResponse> {
        let request = request.into_inner();
        let renamed = self.models.rename(&request.name, &request.new_name).await;
        let model = Some(renamed.map_err(status)?.into());
        Ok(Response::new(wire::RenameRegisteredModelResponse { model }))
    }

    async fn delete_registered_model(
        &self,
        request: Request<wire::DeleteRegisteredModelRequest>,
    ) -> Answer<wire::DeleteRegisteredModelResponse> {
        let deleted = self.models.delete(&request.into_inner().name).await;
        deleted.map_err(status)?;
        Ok(Response::new(wire::DeleteRegisteredModelResponse {}))
    }

    async fn search_registered_models(
        &self,
        request: Request<wire::SearchRegisteredModelsRequest>,
    ) -> Answer<wire::SearchRegisteredModelsResponse> {
        let request = request.into_inner();
        let search = Search {
            clauses: search::registered_model_filter(&request.filter).map_err(|wrong| status(wrong.into()))?,
            order: search::registered_model_order(&request.order_by).map_err(|wrong| status(wrong.into()))?,
            offset: offset(&request.page_token)?,
            limit: page_size(request.page_size, MODELS, "must be 0 (the default, 100) to 1000")?,
        };
        let offset = search.offset;
        let found = self.models.search(search).await.map_err(status)?;
        let (models, next_page_token) = page(found, offset);
        Ok(Response::new(wire::SearchRegisteredModelsResponse {
            models,
            next_page_token,
        }))
    }

    async fn set_registered_model_tag(
        &self,
        request: Request<wire::SetRegisteredModelTagRequest>,
    ) -> Answer<wire::SetRegisteredModelTagResponse> {
        let request = request.into_inner();
        let tag = required(request.tag)?;
        let set = self.models.set_tag(&request.name, &tag).await;
        set.map_err(status)?;
        Ok(Response::new(wire::SetRegisteredModelTagResponse {}))
    }

    async fn delete_registered_model_tag(
        &self,
        request: Request<wire::DeleteRegisteredModelTagRequest>,
    ) -> Answer<wire::DeleteRegisteredModelTagResponse> {
        let request = request.into_inner();
        let deleted = self.models.delete_tag(&request.name, &request.key).await;
        deleted.map_err(status)?;
        Ok(Response::new(wire::DeleteRegisteredModelTagResponse {}))
    }

    async fn set_alias(&self, request: Request<wire::SetAliasRequest>) -> Answer<wire::SetAliasResponse> {
        let request = request.into_inner();
        let set = self
            .models
            .set_alias(&request.name, &request.alias, request.version)
            .await;
        set.map_err(status)?;
        Ok(Response::new(wire::SetAliasResponse {}))
    }

    async fn delete_alias(&self, request: Request<wire::DeleteAliasRequest>) -> Answer<wire::DeleteAliasResponse> {
        let request = request.into_inner();
        let deleted = self.models.delete_alias(&request.name, &request.alias).await;
        deleted.map_err(status)?;
        Ok(Response::new(wire::DeleteAliasResponse {}))
    }

    async fn get_version_by_alias(
        &self,
        request: Request<wire::GetVersionByAliasRequest>,
    ) -> Answer<wire::GetVersionByAliasResponse> {
        let request = request.into_inner();
        let got = self.models.by_alias(&request.name, &request.alias).await;
        let version = Some(got.map_err(status)?.into());
        Ok(Response::new(wire::GetVersionByAliasResponse { version }))
    }

    async fn create_version(
        &self,
        request: Request<wire::CreateVersionRequest>,
    ) -> Answer<wire::CreateVersionResponse> {
        let request = request.into_inner();
        let new = NewVersion {
            source: request.source,
            run_id: request.run_id,
            run_link: request.run_link,
            model_id: request.model_id,
            description: request.description,
            user_id: request.user_id,
            tags: tags_in(request.tags),
            import: None,
        };
        let made = self.models.create_version(&request.name, new).await;
        let version = Some(made.map_err(status)?.into());
        Ok(Response::new(wire::CreateVersionResponse { version }))
    }

    async fn get_version(&self, request: Request<wire::GetVersionRequest>) -> Answer<wire::GetVersionResponse> {
        let request = request.into_inner();
        let got = self.models.version(&request.name, request.version).await;
        let version = Some(got.map_err(status)?.into());
        Ok(Response::new(wire::GetVersionResponse { version }))
    }

    async fn update_version(
        &self,
        request: Request<wire::UpdateVersionRequest>,
    ) -> Answer<wire::UpdateVersionResponse> {
        let request = request.into_inner();
        let changed = self
            .models
            .describe_version(&request.name, request.version, &request.description)
            .await;
        let version = Some(changed.map_err(status)?.into());
        Ok(Response::new(wire::UpdateVersionResponse { version }))
    }

    async fn delete_version(
        &self,
        request: Request<wire::DeleteVersionRequest>,
    ) -> Answer<wire::DeleteVersionResponse> {
        let request = request.into_inner();
        let deleted = self.models.delete_version(&request.name, request.version).await;
        deleted.map_err(status)?;
        Ok(Response::new(wire::DeleteVersionResponse {}))
    }

    async fn search_versions(
        &self,
        request: Request<wire::SearchVersionsRequest>,
    ) -> Answer<wire::SearchVersionsResponse> {
        let request = request.into_inner();
        let search = Search {
            clauses: search::version_filter(&request.filter).map_err(|wrong| status(wrong.into()))?,
            order: search::version_order(&request.order_by).map_err(|wrong| status(wrong.into()))?,
            offset: offset(&request.page_token)?,
            limit: page_size(request.page_size, VERSIONS, "must be 0 (the default, 10000) to 200000")?,
        };
        let offset = search.offset;
        let found = self.models.search_versions(search).await.map_err(status)?;
        let (versions, next_page_token) = page(found, offset);
        Ok(Response::new(wire::SearchVersionsResponse {
            versions,
            next_page_token,
        }))
    }

    async fn set_version_tag(
        &self,
        request: Request<wire::SetVersionTagRequest>,
    ) -> Answer<wire::SetVersionTagResponse> {
        let request = request.into_inner();
        let tag = required(request.tag)?;
        let set = self.models.set_version_tag(&request.name, request.version, &tag).await;
        set.map_err(status)?;
        Ok(Response::new(wire::SetVersionTagResponse {}))
    }

    async fn delete_version_tag(
        &self,
        request: Request<wire::DeleteVersionTagRequest>,
    ) -> Answer<wire::DeleteVersionTagResponse> {
        let request = request.into_inner();
        let deleted = self
            .models
            .delete_version_tag(&request.name, request.version, &request.key)
            .await;
        deleted.map_err(status)?;
        Ok(Response::new(wire::DeleteVersionTagResponse {}))
    }

    async fn transition_stage(
        &self,
        request: Request<wire::TransitionStageRequest>,
    ) -> Answer<wire::TransitionStageResponse> {
        let request = request.into_inner();
        let others = if request.archive_existing_versions {
            Others::AreArchived
        } else {
            Others::Stay
        };
        let moved = self
            .models
            .transition(&request.name, request.version, &request.stage, others)
            .await;
        let version = Some(moved.map_err(status)?.into());
        Ok(Response::new(wire::TransitionStageResponse { version }))
    }

    async fn get_latest_versions(
        &self,
        request: Request<wire::GetLatestVersionsRequest>,
    ) -> Answer<wire::GetLatestVersionsResponse> {
        let request = request.into_inner();
        let latest = self.models.latest_versions(&request.name, &request.stages).await;
        let versions = latest.map_err(status)?.into_iter().map(Into::into).collect();
        Ok(Response::new(wire::GetLatestVersionsResponse { versions }))
    }
}

/// The entries of a page that fit a message, one at least, and the token of the next page.
fn page<T, M: prost::Message + From<T>>(found: Found<T>, offset: u64) -> (Vec<M>, String) {
    let mut bytes = 0;
    let mut entries: Vec<M> = Vec::new();
    for item in found.items {
        let entry = M::from(item);
        bytes += entry.encoded_len();
        if bytes > MOST_PAGE_BYTES && !entries.is_empty() {
            let next = offset.saturating_add(entries.len() as u64);
            return (entries, next.to_string());
        }
        entries.push(entry);
    }
    (entries, found.next.map(|next| next.to_string()).unwrap_or_default())
}

/// A page token says how many entries come before its page.
fn offset(token: &str) -> Result<u64, Status> {
    Ok(token_in(token)?.unwrap_or_default())
}

fn required(tag: Option<wire::Tag>) -> Result<KeyValue, Status> {
    let tag = tag.ok_or_else(|| violation("tag", "required", "must have key and value"))?;
    Ok(tag_in(tag))
}

fn tags_in(tags: Vec<wire::Tag>) -> Vec<KeyValue> {
    tags.into_iter().map(tag_in).collect()
}

fn tags_out(tags: Vec<KeyValue>) -> Vec<wire::Tag> {
    tags.into_iter().map(tag_out).collect()
}

impl From<Alias> for wire::Alias {
    fn from(alias: Alias) -> Self {
        Self {
            name: alias.name,
            version: alias.version,
        }
    }
}

impl From<RegisteredModel> for wire::RegisteredModel {
    fn from(model: RegisteredModel) -> Self {
        Self {
            name: model.name,
            created_at: Some(time::to_wire(model.created_at)),
            updated_at: Some(time::to_wire(model.updated_at)),
            description: model.description,
            tags: tags_out(model.tags),
            aliases: model.aliases.into_iter().map(Into::into).collect(),
            latest_versions: model.latest.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<RegisteredVersion> for wire::RegisteredVersion {
    fn from(version: RegisteredVersion) -> Self {
        let ready = version.readiness != Readiness::Reserved;
        let status_message = match version.readiness {
            Readiness::Reserved => "its training has not finished it".to_owned(),
            Readiness::Files if !version.import.is_empty() => format!("import {}", version.import),
            Readiness::Files | Readiness::Artifact => String::new(),
        };
        Self {
            model: version.model,
            version: version.version,
            created_at: Some(time::to_wire(version.created_at)),
            updated_at: Some(time::to_wire(version.updated_at)),
            user_id: version.user_id,
            stage: version.stage.as_str().to_owned(),
            description: version.description,
            source: version.source,
            run_id: version.run_id,
            run_link: version.run_link,
            ready,
            status_message,
            tags: tags_out(version.tags),
            aliases: version.aliases,
            model_id: version.model_id,
            artifact_uri: version.location,
            promotable: version.readiness == Readiness::Artifact,
            import: version.import,
        }
    }
}
