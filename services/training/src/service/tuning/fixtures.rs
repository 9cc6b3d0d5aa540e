//! What tests of the search begin with: the fixture that Optuna and scikit-learn wrote (see `tests/fixtures/tuning/README.md` at the root of the
//! workspace), and recipes to search among.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::space::{Point, Range, Space};
use super::{RecipeSpace, SearchSpaces};
use crate::service::params::Presets;
use crate::service::recipe::EstimatorParams;

const TUNING: &str = include_str!("../../../../../tests/fixtures/tuning/tuning.json");

#[derive(Debug, Deserialize)]
pub(super) struct Fixture {
    space: BTreeMap<String, Range>,
    pub(super) importance: Vec<Importance>,
    pub(super) processes: Vec<Process>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Importance {
    points: Vec<Map<String, Json>>,
    pub(super) values: Vec<f64>,
    pub(super) shares: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Process {
    pub(super) lengths: Vec<f64>,
    pub(super) signal: f64,
    pub(super) noise: f64,
    pub(super) at: Vec<Vec<f64>>,
    pub(super) values: Vec<f64>,
    pub(super) extra_noise: Vec<f64>,
    pub(super) asked: Vec<Vec<f64>>,
    pub(super) mean: Vec<f64>,
    pub(super) deviation: Vec<f64>,
}

pub(super) fn fixture() -> Fixture {
    serde_json::from_str(TUNING).unwrap()
}

impl Fixture {
    pub(super) fn space(&self) -> Space {
        Space::new(self.space.clone()).unwrap()
    }
}

impl Importance {
    pub(super) fn points(&self, space: &Space) -> Vec<Point> {
        let point = |named| space.point_of(named).into_iter().map(Option::unwrap).collect();
        self.points.iter().map(point).collect()
    }
}

/// The recipes around a preset whose members have so many trees, with these ranges of boosted trees, written as in `config/params.yaml`.
pub(super) fn recipes(preset: &str, trees: usize, ranges: &str) -> RecipeSpace {
    let mut recipe = Presets::load(None).unwrap().get(preset).unwrap().recipe.clone();
    for estimator in &mut recipe.estimators {
        if let EstimatorParams::BoostedTrees(params) = estimator {
            params.trees = trees;
        }
    }
    let ranges: BTreeMap<_, _> = [("boosted_trees".to_owned(), serde_saphyr::from_str(ranges).unwrap())].into();
    SearchSpaces::new(ranges).unwrap().around(&recipe).unwrap()
}
