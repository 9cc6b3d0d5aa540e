//! Recipes that see what the peers see: each row once, all features, categories as codes.

use anyhow::{Context as _, Result};
use holdfast_training::service::params::Presets;
use holdfast_training::service::recipe::{EstimatorParams, Recipe};
use serde_json::{Map, Value};

/// Boosted trees with these parameters in place of the built-in ones; everything that the peers do not do is off.
///
/// # Errors
/// The parameters are no object, or break a rule of recipes.
pub fn boosted_trees(parameters: &Value) -> Result<Recipe> {
    let parameters = parameters.as_object().context("parameters are no object")?;
    let mut recipe = Presets::load(None)?.get("default")?.recipe.clone();
    let mut fields = Map::from_iter([("family".to_owned(), Value::from("boosted_trees"))]);
    if let Value::Object(own) = serde_json::to_value(EstimatorParams::BoostedTrees(Default::default()))? {
        fields.extend(own);
    }
    fields.extend(parameters.clone());
    recipe.estimators = vec![serde_json::from_value(Value::Object(fields)).context("the parameters")?];
    recipe.seeds = 1;
    recipe.features.engineered.clear();
    recipe.features.drop.clear();
    recipe.optional_features.masked_copies = false;
    let broken = recipe.violations();
    anyhow::ensure!(broken.is_empty(), "the parameters break rules: {broken:?}");
    Ok(recipe)
}
