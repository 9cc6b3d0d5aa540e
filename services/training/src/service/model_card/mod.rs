//! Model cards (Mitchell et al., "Model Cards for Model Reporting", 2019): what somebody who answers for a model has to know of it.
//!
//! A card is made from the record alone: the registry's version, run and decisions, the artefact, the evaluation and the manifests of the
//! snapshots. It holds no figure that is not on record, says what is missing, and the same record gives the same card. The
//! sections are pure functions in [`sections`]; [`document`] is what they are made of.

mod document;
mod html;
mod markdown;
mod sections;

use std::collections::BTreeSet;

use holdfast_domain::{Digest, ModelName, ModelVersion, Schema};
use holdfast_model::Model;
use holdfast_records::evaluation::Evaluation;
use holdfast_records::snapshot::SnapshotManifest;

use super::plots::{self, Plot};
use super::registry::{Champion, RunFacts, VersionFacts};
use super::versions::Versions;
use crate::error::{Error, Result};
use document::Document;

/// How a card is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardFormat {
    /// Markdown; plots are named.
    Markdown,
    /// One self-contained HTML page with the plots.
    Html,
    /// JSON: the sections as data; plots are named.
    Json,
}

impl CardFormat {
    /// Its media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            CardFormat::Markdown => "text/markdown",
            CardFormat::Html => "text/html",
            CardFormat::Json => "application/json",
        }
    }
}

/// Everything on record that a card is made of.
#[derive(Debug)]
pub struct CardFacts {
    /// The registry's version with the gate's decisions.
    pub version: VersionFacts,
    /// The run that made it.
    pub run: Option<RunFacts>,
    /// The champion in force.
    pub champion: Option<Champion>,
    /// The artefact's model.
    pub model: Model,
    /// What was measured.
    pub evaluation: Option<Evaluation>,
    /// The training snapshot's manifest.
    pub training: Option<SnapshotManifest>,
    /// The test snapshot's manifest.
    pub test: Option<SnapshotManifest>,
    /// Manifests of the snapshots that these were made from.
    pub parents: Vec<SnapshotManifest>,
}

/// The card of a version.
///
/// # Errors
/// [`Error::NoSuchVersion`], [`Error::VersionPending`], [`Error::Damaged`]; the stores'.
pub async fn card(versions: &Versions, model: &ModelName, version: ModelVersion, format: CardFormat) -> Result<String> {
    let facts = versions.facts(model, version).await?;
    let schema = versions.schema;
    let training = versions.snapshot(facts.snapshots.training).await?;
    let test = versions.snapshot(facts.snapshots.test).await?;
    let facts = CardFacts {
        parents: parents(versions, [&training, &test]).await?,
        run: versions.run(&facts).await?,
        champion: versions.champion(model).await?,
        model: versions.artifact(&facts).await?.model,
        evaluation: versions.evaluation(&facts).await?,
        training,
        test,
        version: facts,
    };
    tokio::task::spawn_blocking(move || render(&facts, schema, format))
        .await
        .map_err(|_| Error::Panicked)
}

/// What is known of the snapshots that these were made from, each once.
async fn parents(versions: &Versions, of: [&Option<SnapshotManifest>; 2]) -> Result<Vec<SnapshotManifest>> {
    let digests: BTreeSet<Digest> = of
        .into_iter()
        .flatten()
        .flat_map(|manifest| manifest.parents.iter().copied())
        .collect();
    let mut found = Vec::new();
    for digest in digests {
        found.extend(versions.snapshot(Some(digest)).await?);
    }
    Ok(found)
}

/// The card of these facts.
pub fn render(facts: &CardFacts, schema: &Schema, format: CardFormat) -> String {
    let plots: Vec<Plot> = facts.evaluation.as_ref().map(plots::draw).unwrap_or_default();
    let document = Document {
        title: format!("Model card: {}, version {}", facts.version.model, facts.version.version),
        sections: sections::all(facts, &plots, schema),
    };
    match format {
        CardFormat::Markdown => markdown::render(&document),
        CardFormat::Html => html::render(&document),
        // Texts and lists alone: writing them cannot fail.
        CardFormat::Json => serde_json::to_string(&document).unwrap_or_default(),
    }
}
