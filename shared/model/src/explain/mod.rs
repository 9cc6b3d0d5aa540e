//! Why a row got its margin: a base value plus one contribution a feature.
//!
//! Contributions are computed per column of the estimator and then credited to features. A column that is a feature, or one of its
//! one-hot columns, is credited to it whole; an engineered column is credited **in equal shares to the columns it is made of**, so that
//! a call agent only ever hears of things the bank recorded. Shares add up to 1, so the sum is the margin either way.

mod phrases;
mod reasons;
mod treeshap;

use holdfast_domain::{FEATURE_COUNT, Feature};

use crate::ensemble::Ensemble;
use crate::ensemble::Estimator;
use crate::preprocess::{MAX_COLUMNS, Preprocessor, Row};
use crate::scoring::{Machine, Scorer};

pub(crate) use reasons::ReasonContext;
pub use reasons::{Direction, Level, Reason};
use treeshap::{PathBuffer, TreeExplainer};

/// A margin taken apart. `base` plus all contributions is `margin`, within 1e-6.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Explanation {
    /// The margin expected over the training rows, before anything is known about the customer.
    pub base: f64,
    /// The margin of this row.
    pub margin: f64,
    /// What each feature adds to the margin, by feature index; above zero pushes towards attrition.
    pub contributions: [f64; FEATURE_COUNT],
}

impl Explanation {
    /// What `feature` adds to the margin.
    pub fn contribution(&self, feature: Feature) -> f64 {
        self.contributions[feature.index()]
    }
}

/// What explaining needs beside the scorer: prepared once, when the model is loaded.
#[derive(Debug)]
pub(crate) struct Explainer {
    /// One a member; `None` for linear ones, which explain themselves.
    members: Vec<Option<TreeExplainer>>,
    base: f64,
}

/// Memory that explaining one row after the other reuses.
pub(crate) struct Scratch {
    path: PathBuffer,
}

impl Explainer {
    pub(crate) fn new(ensemble: &Ensemble, scorer: &Scorer) -> Self {
        let mut base = 0.0;
        let mut members = Vec::with_capacity(ensemble.members.len());
        for (member, (weight, machine)) in ensemble.members.iter().zip(scorer.members()) {
            let explainer = match (&member.estimator, machine) {
                (Estimator::Trees(trees), Machine::Trees(flat)) => Some(TreeExplainer::new(trees, flat)),
                _ => None,
            };
            let own = match (&explainer, machine) {
                (Some(explainer), _) => explainer.base(),
                (None, Machine::Linear(linear)) => linear.base(),
                (None, Machine::Trees(flat)) => flat.base_margin(),
            };
            base += weight * own;
            members.push(explainer);
        }
        Self { members, base }
    }

    /// The expected margin.
    pub(crate) fn base(&self) -> f64 {
        self.base
    }

    pub(crate) fn scratch(&self) -> Scratch {
        let depth = self
            .members
            .iter()
            .flatten()
            .map(TreeExplainer::depth)
            .max()
            .unwrap_or(0);
        Scratch {
            path: PathBuffer::for_depth(depth),
        }
    }

    /// The contribution of each column.
    pub(crate) fn columns(&self, scorer: &Scorer, row: &Row, scratch: &mut Scratch) -> Row {
        let mut contributions = [0.0; MAX_COLUMNS];
        for ((weight, machine), explainer) in scorer.members().iter().zip(&self.members) {
            match (machine, explainer) {
                (Machine::Trees(flat), Some(explainer)) => {
                    explainer.contribute(flat, row, *weight, &mut contributions, &mut scratch.path);
                }
                (Machine::Linear(linear), _) => linear.contribute(row, *weight, &mut contributions),
                (Machine::Trees(_), None) => {}
            }
        }
        contributions
    }
}

/// Credits columns' contributions to the features they are made of.
pub(crate) fn credit_features(columns: &Row, preprocessor: &Preprocessor) -> [f64; FEATURE_COUNT] {
    let mut features = [0.0; FEATURE_COUNT];
    for (index, contribution) in columns.iter().take(preprocessor.columns().len()).enumerate() {
        for (feature, share) in preprocessor.credits(index) {
            features[feature.index()] += share * contribution;
        }
    }
    features
}
