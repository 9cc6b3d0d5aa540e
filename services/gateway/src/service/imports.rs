//! Imports of registered versions: the model file that MLflow's client has logged becomes an artefact of Holdfast.

use std::collections::BTreeMap;

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::ImportState as WireState;
use holdfast_api::training::v1::ImportModelHeader;
use holdfast_chassis::Fault;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::convert::{names_of, promised, text, time};
use super::interchange::{ModelRounds, WantedModel};
use super::tuning::ThresholdRule;
use crate::peers::Peers;

names_of! {
    /// How an import stands.
    ImportState from WireState {
        /// It waits for training.
        Requested,
        /// Training is at it.
        Running,
        /// The version has an artefact and a decision of the gate.
        Done,
        /// It ended without.
        Failed,
    }
}

/// The import of a version.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Import {
    /// The model.
    pub model: String,
    /// The version.
    pub version: u32,
    /// How it stands.
    pub state: ImportState,
    /// Why it failed, and what to do.
    pub why: Option<String>,
    /// The run that does or did it.
    pub run_id: Option<String>,
    /// `xgboost` or `lightgbm`.
    pub library: String,
    /// Path of the model file among the artefacts.
    pub file: String,
    /// Who asked for it; null when the registry did.
    pub requested_by: Option<String>,
    /// When it was asked for last.
    pub requested_at: Option<Timestamp>,
    /// When training took it up last.
    pub claimed_at: Option<Timestamp>,
}

/// What a model file does not say itself, and what is to be done with it.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportWishes {
    /// Digest of labelled rows that the model was not trained on; when absent, those that the champion was calibrated and tested on.
    pub snapshot: Option<String>,
    /// Digest of the rows to test on; then all of `snapshot` calibrates.
    pub test_snapshot: Option<String>,
    /// Share of the rows that test, above 0 and at most 0.5.
    pub test_share: Option<f64>,
    /// Which trees of the file become the model; `best` when absent.
    pub rounds: Option<ModelRounds>,
    /// Names of all columns in the model's order, for a file without names and a model without signature.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Columns that the file calls otherwise: its name, the schema's.
    #[serde(default)]
    pub renamed: BTreeMap<String, String>,
    /// Categories in the order of their codes where the file does not tell, by column.
    #[serde(default)]
    pub categories: BTreeMap<String, Vec<String>>,
    /// Parameter set whose engineered features, calibration and threshold rule hold.
    pub preset: Option<String>,
    /// Seed of every draw of rows.
    pub seed: Option<u64>,
    /// Who asks, for the record.
    pub requested_by: Option<String>,
    /// True: a version that the gate accepts becomes champion.
    #[serde(default)]
    pub promote: bool,
    /// How the decision threshold is chosen.
    pub threshold: Option<ThresholdRule>,
}

impl From<ImportWishes> for ImportModelHeader {
    fn from(wishes: ImportWishes) -> Self {
        let wanted = WantedModel {
            snapshot: wishes.snapshot.unwrap_or_default(),
            test_snapshot: wishes.test_snapshot.unwrap_or_default(),
            test_share: wishes.test_share,
            rounds: wishes.rounds.unwrap_or_default(),
            columns: wishes.columns,
            renamed: wishes.renamed.into_iter().collect(),
            categories: wishes.categories.into_iter().collect(),
            preset: wishes.preset.unwrap_or_default(),
            seed: wishes.seed,
            requested_by: wishes.requested_by,
            promote: Some(wishes.promote),
            threshold: wishes.threshold,
            ..WantedModel::default()
        };
        wanted.into()
    }
}

impl From<wire::Import> for Import {
    fn from(wire: wire::Import) -> Self {
        Self {
            model: wire.model,
            version: wire.version,
            state: wire.state.into(),
            why: text(wire.why),
            run_id: text(wire.run_id),
            library: wire.library,
            file: wire.file,
            requested_by: text(wire.requested_by),
            requested_at: time(wire.requested_at),
            claimed_at: time(wire.claimed_at),
        }
    }
}

/// Asks for the import of a version.
///
/// # Errors
/// The registry's.
pub async fn request(peers: &Peers, model: String, version: u32, wishes: ImportWishes) -> Result<Import, Fault> {
    let message = wire::RequestImportRequest {
        model,
        version,
        wishes: Some(wishes.into()),
    };
    Ok(promised(peers.request_import(message).await?.import, "the import")?.into())
}

/// How the import of a version stands.
///
/// # Errors
/// The registry's.
pub async fn get(peers: &Peers, model: String, version: u32) -> Result<Import, Fault> {
    let answer = peers.get_import(wire::GetImportRequest { model, version }).await?;
    Ok(promised(answer.import, "the import")?.into())
}
