//! From the ranges of `config/params.yaml` to recipes that are tried.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::search::Trial;
use super::space::{Point, Range, Space, Value, text_of};
use crate::service::recipe::{EstimatorParams, Recipe};
use crate::service::trainer::{BoostedTreesParams, LogisticParams, RandomForestParams};

/// The ranges of each family's parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchSpaces(BTreeMap<String, BTreeMap<String, Range>>);

/// Recipes that differ from one of a parameter set in the parameters of its estimators.
#[derive(Clone, Debug, PartialEq)]
pub struct RecipeSpace {
    recipe: Recipe,
    space: Space,
    /// For each parameter of the space, the estimator it belongs to.
    owners: Vec<usize>,
    first: Point,
}

impl SearchSpaces {
    /// Ranges by family and parameter.
    ///
    /// # Errors
    /// A sentence for each family and parameter that there is not, each range that is none, and each range that reaches beyond what the parameter
    /// may be, each beginning with its path.
    pub fn new(families: BTreeMap<String, BTreeMap<String, Range>>) -> Result<Self, Vec<String>> {
        let problems = families.iter().flat_map(|(family, ranges)| {
            let Some(sample) = sample_of(family) else {
                return vec![format!("{family} is no family of estimators")];
            };
            let of_family = ranges.iter().filter_map(|(name, range)| problem(&sample, name, range));
            of_family.map(|problem| format!("{family}.{problem}")).collect()
        });
        let problems: Vec<String> = problems.collect();
        if problems.is_empty() {
            Ok(Self(families))
        } else {
            Err(problems)
        }
    }

    /// The recipes to search among, beginning with `recipe`. Parameters of several estimators are told apart by the estimator's place in front of
    /// the name, `0.eta`.
    ///
    /// # Errors
    /// A sentence, when none of the estimators' families has ranges.
    pub fn around(&self, recipe: &Recipe) -> Result<RecipeSpace, String> {
        let several = recipe.estimators.len() > 1;
        let mut ranges = BTreeMap::new();
        let mut owner_of = BTreeMap::new();
        let mut own = Map::new();
        for (place, estimator) in recipe.estimators.iter().enumerate() {
            let Some(of_family) = self.0.get(estimator.family().name()) else {
                continue;
            };
            let values = fields(estimator);
            for (name, range) in of_family {
                let full = if several {
                    format!("{place}.{name}")
                } else {
                    name.clone()
                };
                ranges.insert(full.clone(), range.clone());
                owner_of.insert(full.clone(), place);
                own.insert(full, values.get(name).cloned().unwrap_or_default());
            }
        }
        if ranges.is_empty() {
            return Err("no family of the parameter set has ranges to search".to_owned());
        }
        let space = Space::new(ranges).map_err(|problems| problems.join("; "))?;
        // Members' margins are averaged, and each has its own number of trees: then it is a parameter like the others.
        let space = match recipe.estimators.as_slice() {
            [EstimatorParams::BoostedTrees(_)] if recipe.seeds == 1 => space.passing("trees"),
            _ => space,
        };
        let middle = space.at(&vec![0.5; space.parameters().len()]);
        let known = space.point_of(&own).into_iter().zip(middle);
        let first = known.map(|(value, middle)| value.unwrap_or(middle)).collect();
        let owners = space.parameters().iter().map(|parameter| owner_of[&parameter.name]);
        Ok(RecipeSpace {
            owners: owners.collect(),
            recipe: recipe.clone(),
            space,
            first,
        })
    }
}

impl RecipeSpace {
    /// The parameters and their ranges.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The recipe that the search begins with.
    pub fn own(&self) -> &Recipe {
        &self.recipe
    }

    /// Where the recipe stands that the search begins with. A parameter that has a value outside of its kind (null, or a choice that is not among
    /// those to be tried) stands in the middle of its range; the recipe is tried as it is nonetheless.
    pub fn first(&self) -> &Point {
        &self.first
    }

    /// The recipe at a point.
    ///
    /// # Errors
    /// A sentence for what breaks a rule of recipes.
    pub fn recipe(&self, point: &[Value]) -> Result<Recipe, String> {
        if point == self.first.as_slice() {
            return Ok(self.recipe.clone());
        }
        let mut changed: Vec<Map<String, Json>> = self.recipe.estimators.iter().map(fields).collect();
        for ((name, value), owner) in self.space.named(point).into_iter().zip(&self.owners) {
            changed[*owner].insert(bare(&name).to_owned(), value);
        }
        let estimators = changed
            .into_iter()
            .map(|fields| serde_json::from_value(Json::Object(fields)));
        let estimators: Result<Vec<EstimatorParams>, _> = estimators.collect();
        let recipe = Recipe {
            estimators: estimators.map_err(|error| error.to_string())?,
            ..self.recipe.clone()
        };
        let broken = recipe.violations();
        if broken.is_empty() {
            return Ok(recipe);
        }
        let sentences = broken.into_iter().map(|(path, problem)| format!("{path} {problem}"));
        Err(sentences.collect::<Vec<_>>().join("; "))
    }

    /// The values of a point by the parameters' names, as people read them.
    pub fn named(&self, point: &[Value]) -> BTreeMap<String, String> {
        let mut named = self.space.named(point);
        if point == self.first.as_slice() {
            for ((name, value), owner) in named.iter_mut().zip(&self.owners) {
                let own = fields(&self.recipe.estimators[*owner]);
                *value = own.get(bare(name)).cloned().unwrap_or_default();
            }
        }
        named.into_iter().map(|(name, value)| (name, text_of(&value))).collect()
    }

    /// The same of a trial, as far as it is known: what the trial passes through is found only by its folds.
    pub fn named_of(&self, trial: &Trial) -> BTreeMap<String, String> {
        let mut named = self.named(&trial.point);
        if let Some((place, ..)) = self.space.passed()
            && trial.values.is_empty()
            && trial.point != self.first
        {
            named.remove(&self.space.parameters()[place].name);
        }
        named
    }
}

/// A parameter's name without its estimator's place.
pub(super) fn bare(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, bare)| bare)
}

/// The parameters of an estimator by name, its family among them.
fn fields(estimator: &EstimatorParams) -> Map<String, Json> {
    match serde_json::to_value(estimator) {
        Ok(Json::Object(fields)) => fields,
        // Parameters are structs of numbers and names: they have no other form.
        _ => Map::new(),
    }
}

/// Parameters of a family to try ranges on.
fn sample_of(family: &str) -> Option<EstimatorParams> {
    let samples = [
        EstimatorParams::BoostedTrees(BoostedTreesParams::default()),
        EstimatorParams::RandomForest(RandomForestParams::default()),
        EstimatorParams::LogisticRegression(LogisticParams::default()),
    ];
    samples.into_iter().find(|sample| sample.family().name() == family)
}

fn violations(params: &EstimatorParams) -> Vec<(&'static str, String)> {
    match params {
        EstimatorParams::BoostedTrees(params) => params.violations(),
        EstimatorParams::RandomForest(params) => params.violations(),
        EstimatorParams::LogisticRegression(params) => params.violations(),
    }
}

/// What is wrong with a range of a parameter: each end and each choice must be a value of that parameter.
fn problem(sample: &EstimatorParams, name: &str, range: &Range) -> Option<String> {
    let own = fields(sample);
    let known: BTreeSet<&str> = own.keys().map(String::as_str).filter(|key| *key != "family").collect();
    if !known.contains(name) {
        return Some(format!(
            "{name} is no parameter; there are {}",
            known.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    let space = match Space::new([(name.to_owned(), range.clone())].into()) {
        Ok(space) => space,
        Err(problems) => return problems.into_iter().next(),
    };
    let choices = match range {
        Range::Choice { of } => of.len(),
        _ => 2,
    };
    (0..choices).find_map(|choice| {
        #[expect(clippy::cast_precision_loss, reason = "a handful of choices")]
        let place = match range {
            Range::Choice { .. } => (choice as f64 + 0.5) / choices as f64,
            _ => choice as f64,
        };
        let mut fields = own.clone();
        let value = space.named(&space.at(&[place])).remove(name).unwrap_or_default();
        fields.insert(name.to_owned(), value.clone());
        match serde_json::from_value::<EstimatorParams>(Json::Object(fields)) {
            Err(error) => Some(format!("{name} cannot be {}: {error}", text_of(&value))),
            Ok(params) => violations(&params)
                .into_iter()
                .find(|(field, _)| *field == name)
                .map(|(field, problem)| format!("{field} {problem}")),
        }
    })
}
