//! Models of other libraries: what a run is told of a model file, and the parts that come out of it.
//!
//! A file is kept as it was sent. [`ImportPlan`] is to an imported model what a recipe is to a trained one: with the file, the rows and the seed it
//! determines the artefact, and the artefact carries it in its origin.

use std::collections::BTreeSet;

use holdfast_domain::{Digest, Schema};
use holdfast_interchange::{BindError, BindOptions, Bound, ImportError, Imported, Rounds, bind, import};
use holdfast_model::Step;
use serde::{Deserialize, Serialize};

use super::recipe::{CalibrationPlan, EngineeredFeature, NoRecipe, Recipe, ThresholdRule, from_flat, to_flat};
use super::trainer::engineered_step;

/// The most columns, renamed columns or lists of categories that a caller may name: a model has no more columns.
pub const MAX_LISTED: usize = 64;

/// A model file, and how it is to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// SHA-256 of its bytes, by which it lies in the blob store.
    pub digest: Digest,
    /// Where it came from, for people.
    pub source: String,
    /// What it does not say itself.
    pub reading: Reading,
}

/// What a file does not say itself. The default is right for a file that names columns and categories as the schema does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Which trees become the model.
    pub rounds: TreeRounds,
    /// Names of all columns in the model's order; empty when the file names them.
    pub columns: Vec<String>,
    /// Columns that the file calls otherwise.
    pub renamed: Vec<RenamedColumn>,
    /// Orders of category codes that the file does not tell.
    pub categories: Vec<CategoryOrder>,
}

/// Which trees of a file become the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeRounds {
    /// Those up to the best iteration, where early stopping recorded one.
    #[default]
    Best,
    /// All of them.
    All,
}

/// A column that a file calls otherwise than the schema does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenamedColumn {
    /// Its name in the file.
    pub from: String,
    /// Its name here.
    pub to: String,
}

/// The categories of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryOrder {
    /// The column's name here.
    pub column: String,
    /// Its categories in the order of their codes.
    pub categories: Vec<String>,
}

/// Everything that determines an imported artefact beside the file, the rows and the seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportPlan {
    /// SHA-256 of the file.
    pub file: Digest,
    /// How it is read.
    #[serde(flatten)]
    pub reading: Reading,
    /// Columns that the model may want and the schema does not have.
    pub engineered: Vec<EngineeredFeature>,
    /// How the probabilities are calibrated; `best` leaves those alone that calibration does not make better.
    pub calibration: CalibrationPlan,
    /// How the threshold is chosen.
    pub threshold: ThresholdRule,
}

/// A file that was read and bound to the schema.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignModel {
    /// What the file says.
    pub imported: Imported,
    /// The parts of a model.
    pub bound: Bound,
}

/// Why a file does not become a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignModelError {
    /// The file is no model that is understood.
    #[error(transparent)]
    File(#[from] ImportError),
    /// The model does not fit the schema.
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl ImportPlan {
    /// The plan for a file by a parameter set's recipe.
    pub fn new(file: &ModelFile, recipe: &Recipe) -> Self {
        Self {
            file: file.digest,
            reading: file.reading.clone(),
            engineered: recipe.features.engineered.clone(),
            calibration: recipe.calibration.clone(),
            threshold: recipe.threshold,
        }
    }

    /// Every parameter by its path, sorted by name, with what the file says of itself.
    pub fn to_parameters(&self, imported: &Imported) -> Vec<(String, String)> {
        let mut all = to_flat(self);
        all.extend(imported.parameters());
        all.into_iter().collect()
    }

    /// The plan among the parameters of an imported artefact.
    ///
    /// # Errors
    /// [`NoRecipe`] names what is missing or of the wrong kind.
    pub fn from_parameters(parameters: &[(String, String)]) -> Result<Self, NoRecipe> {
        from_flat(parameters)
    }

    /// Reads the file and binds its columns to the schema.
    ///
    /// # Errors
    /// [`ForeignModelError`] names the field of the file, or the column.
    pub fn read(&self, bytes: &[u8], schema: &Schema) -> Result<ForeignModel, ForeignModelError> {
        let rounds = match self.reading.rounds {
            TreeRounds::Best => Rounds::Best,
            TreeRounds::All => Rounds::All,
        };
        let imported = import(bytes, rounds)?;
        let bound = bind(&imported, &self.options(&imported), schema)?;
        Ok(ForeignModel { imported, bound })
    }

    fn options(&self, imported: &Imported) -> BindOptions {
        let reading = &self.reading;
        let renamed = reading
            .renamed
            .iter()
            .map(|column| (column.from.clone(), column.to.clone()));
        let categories = reading.categories.iter();
        let mut options = BindOptions {
            columns: reading.columns.clone(),
            rename: renamed.collect(),
            categories: categories
                .map(|order| (order.column.clone(), order.categories.clone()))
                .collect(),
            ..BindOptions::default()
        };
        options.steps = self.steps(imported, &options);
        options
    }

    /// The engineered columns that the model wants, and those that they are made of.
    fn steps(&self, imported: &Imported, options: &BindOptions) -> Vec<Step> {
        let of_file = imported.columns.iter().map(|column| &column.name);
        let renamed = options.rename.iter().map(|(_, to)| to);
        let mut wanted: BTreeSet<String> = of_file.chain(&options.columns).chain(renamed).cloned().collect();
        let mut steps = Vec::new();
        // A column may be made of columns that stand before it.
        for made in self.engineered.iter().rev() {
            if wanted.contains(&made.name) {
                wanted.extend(made.formula.inputs().map(str::to_owned));
                steps.push(engineered_step(&made.name, &made.formula));
            }
        }
        steps.reverse();
        steps
    }
}
