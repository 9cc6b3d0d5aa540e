//! One fit of boosted trees, measured at many numbers of trees on the way: the first so many trees of a fit are the fit of so many trees.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use holdfast_domain::Schema;
use holdfast_model::{BareModel, Ensemble};

use super::{Fold, Folds, HeldOutMargins};
use crate::service::recipe::{EstimatorParams, Recipe};
use crate::service::trainer::boosted_trees::{self, BoostedTreesParams};
use crate::service::trainer::members::Conditions;
use crate::service::trainer::sample::Sample;
use crate::service::trainer::watch::Watch;
use crate::service::trainer::{TrainError, TrainingRows, columns};

/// At which numbers of trees a fit is measured.
pub struct Stages<'a> {
    /// The numbers, ascending. The fit ends with the last.
    pub counts: &'a [usize],
    /// Told the number of trees and the ROC-AUC of the rows held out, as soon as there are so many; answers whether to go on. Watching costs about
    /// a tenth of the fit.
    pub watch: Option<StageWatch<'a>>,
}

/// What came of a fit in stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Staged {
    /// Margins at each stage.
    pub margins: Vec<HeldOutMargins>,
    /// Nodes of all its trees: what the fit cost, nearly.
    pub work: f64,
}

/// Who watches a fit.
pub struct StageWatch<'a> {
    /// Whether the ROC-AUC is the mean of that of full rows and that of the same rows with the required features only.
    pub required_too: bool,
    /// Told trees and ROC-AUC; answers whether to go on.
    pub look: &'a mut (dyn FnMut(usize, f64) -> ControlFlow<()> + Send),
}

/// What is watched of a fold, made on first use.
#[derive(Debug, Default)]
pub(super) struct Watched {
    full: OnceLock<Vec<Sample>>,
    full_and_required: OnceLock<Vec<Sample>>,
}

impl Folds {
    /// Fits `recipe`, of one estimator of boosted trees, on the training part of fold `index`, and scores what it holds out with the first trees, as
    /// many as each stage says. Stages that the fit did not come to are missing.
    ///
    /// # Errors
    /// [`TrainError`] says why nothing was learnt.
    pub fn fit_in_stages(
        &self,
        index: usize,
        recipe: &Recipe,
        stages: Stages<'_>,
        schema: &Schema,
        conditions: Conditions<'_>,
    ) -> Result<Staged, TrainError> {
        let fold = self.fold(index)?;
        let params = one_of_trees(recipe)?;
        let last = stages.counts.last().unwrap_or(&params.trees);
        let params = BoostedTreesParams {
            trees: *last,
            ..params.clone()
        };
        let watch = match stages.watch {
            Some(watch) => Some(Watch {
                rows: fold.watched(recipe, watch.required_too, schema)?,
                counts: stages.counts,
                look: watch.look,
            }),
            None => None,
        };
        let grown = boosted_trees::grow(&params, &fold.part.sample, conditions, watch)?;
        let mut begin = 0;
        let mut margins: Vec<HeldOutMargins> = Vec::new();
        for end in stages.counts.iter().copied().take_while(|count| *count <= grown.len()) {
            let ensemble = Ensemble::average(vec![grown.part(begin..end)?], recipe.link());
            let model = BareModel::new(&fold.part.preprocessing, &ensemble, schema)
                .map_err(|problem| TrainError::Rows(format!("the fitted model breaks a rule: {problem}")))?;
            let mut so_far = HeldOutMargins {
                rows: fold.held_out.clone(),
                full: model.margins(&fold.full),
                required_only: model.margins(&fold.required_only),
            };
            if let Some(before) = margins.last() {
                add(&mut so_far.full, &before.full);
                add(&mut so_far.required_only, &before.required_only);
            }
            margins.push(so_far);
            begin = end;
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 nodes")]
        let work = grown.nodes() as f64;
        Ok(Staged { margins, work })
    }
}

fn add(to: &mut [f64], more: &[f64]) {
    to.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// The boosted trees of a recipe that has nothing else.
fn one_of_trees(recipe: &Recipe) -> Result<&BoostedTreesParams, TrainError> {
    match recipe.estimators.as_slice() {
        [EstimatorParams::BoostedTrees(params)] if recipe.seeds == 1 => Ok(params),
        _ => Err(TrainError::Rows(
            "only one estimator of boosted trees grows in stages".to_owned(),
        )),
    }
}

impl Fold {
    fn watched(&self, recipe: &Recipe, required_too: bool, schema: &Schema) -> Result<&[Sample], TrainError> {
        let preprocessor = columns::bind(&self.part.preprocessing, schema)?;
        let sample = |features| {
            let labels = &self.labels;
            Sample::plain(TrainingRows { features, labels }, recipe, &preprocessor)
        };
        let made = if required_too {
            self.watched
                .full_and_required
                .get_or_init(|| vec![sample(&self.full), sample(&self.required_only)])
        } else {
            self.watched.full.get_or_init(|| vec![sample(&self.full)])
        };
        Ok(made)
    }
}
