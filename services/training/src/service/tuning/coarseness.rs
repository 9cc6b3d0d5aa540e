//! What is coarser while searching than in the recipe that is found: which parameters are good shows with coarser fits as well, and more of them are
//! tried in the same time.

use super::recipes::{RecipeSpace, bare};
use super::space::Range;
use crate::service::recipe::{EstimatorParams, Recipe};
use crate::service::trainer::BoostedTreesParams;

/// Into so many intervals a column is cut at most. Where to split a node is sought among all of them, which takes half of a fit's time with 256.
const BINS: usize = 64;

/// Steps are so many times as long as the recipe's and trees so many times fewer, so that together they go as far. What shorter steps gain they gain
/// for all recipes much alike.
const LONGER: usize = 3;
/// Trees are not made fewer than these: the next number would be another recipe.
const LEAST_TREES: usize = 20;

/// How much coarser the fits of a search are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coarseness {
    bins: usize,
    longer: usize,
}

impl Coarseness {
    /// Of a search among these recipes. Where `max_bin` is searched bins stay as they are, and steps do where there would be too few trees.
    pub(super) fn of(recipes: &RecipeSpace) -> Self {
        let parameters = recipes.space().parameters();
        let fewest_searched = parameters.iter().filter_map(|parameter| match parameter.range {
            Range::Integer { from, .. } if bare(&parameter.name) == "trees" => Some(usize::try_from(from).unwrap_or(0)),
            _ => None,
        });
        let own = recipes.own().estimators.iter().filter_map(|estimator| match estimator {
            EstimatorParams::BoostedTrees(params) => Some(params.trees),
            _ => None,
        });
        let may_be_longer = fewest_searched.chain(own).all(|trees| trees >= LONGER * LEAST_TREES);
        let bins_are_searched = parameters.iter().any(|parameter| bare(&parameter.name) == "max_bin");
        Self {
            bins: if bins_are_searched { usize::MAX } else { BINS },
            longer: if may_be_longer { LONGER } else { 1 },
        }
    }

    /// The recipe that is fitted in the place of this one.
    pub(super) fn recipe(self, mut recipe: Recipe) -> Recipe {
        for estimator in &mut recipe.estimators {
            match estimator {
                EstimatorParams::BoostedTrees(params) => self.coarsen(params),
                EstimatorParams::RandomForest(params) => params.max_bin = params.max_bin.min(self.bins),
                EstimatorParams::LogisticRegression(_) => {}
            }
        }
        recipe
    }

    fn coarsen(self, params: &mut BoostedTreesParams) {
        params.max_bin = params.max_bin.min(self.bins);
        params.trees = self.trees(params.trees);
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let longer = self.longer as f64;
        params.eta = (params.eta * longer).min(1.0);
    }

    /// How many trees stand for so many of a recipe.
    pub(super) fn trees(self, count: usize) -> usize {
        (count + self.longer / 2) / self.longer
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::recipes;
    use super::*;

    /// What is fitted in the place of the only member of a recipe.
    fn fitted(recipes: &RecipeSpace, recipe: Recipe) -> BoostedTreesParams {
        match &Coarseness::of(recipes).recipe(recipe).estimators[..] {
            [EstimatorParams::BoostedTrees(params)] => params.clone(),
            others => panic!("{others:?}"),
        }
    }

    fn own_fitted(trees: usize, ranges: &str) -> BoostedTreesParams {
        let recipes = recipes("fast", trees, ranges);
        fitted(&recipes, recipes.own().clone())
    }

    const ETA: &str = "{eta: {kind: real, from: 0.05, to: 0.5, scale: log}}";

    #[test]
    fn steps_are_longer_and_trees_fewer_and_no_step_is_longer_than_one() {
        let params = own_fitted(130, ETA);
        assert_eq!((params.trees, params.max_bin), (43, 64));
        assert!((params.eta - 0.75).abs() < 1e-12, "{}", params.eta);
        let recipes = recipes("fast", 130, "{eta: {kind: real, from: 0.4, to: 0.5, scale: log}}");
        let long = recipes.recipe(&recipes.space().at(&[0.5])).unwrap();
        assert_eq!(fitted(&recipes, long).eta, 1.0);
    }

    #[test]
    fn few_trees_stay_as_they_are_whether_the_set_has_them_or_the_range() {
        let own = own_fitted(59, ETA);
        assert_eq!((own.trees, own.eta), (59, 0.25));
        let range = "{trees: {kind: integer, from: 30, to: 300, scale: linear}}";
        assert_eq!(own_fitted(130, range).trees, 130);
        assert_eq!(own_fitted(130, &range.replace("30,", "60,")).trees, 43);
    }

    #[test]
    fn what_is_searched_is_not_cut() {
        let bins = "{max_bin: {kind: integer, from: 32, to: 512, scale: log}}";
        assert_eq!(own_fitted(130, bins).max_bin, 256);
    }
}
