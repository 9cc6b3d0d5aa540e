//! Why a row got its margin: a base value plus one contribution a feature.
//!
//! Contributions are computed per column of the estimator and then credited to features. A column that is a feature, or one of its
//! one-hot columns, is credited to it whole; an engineered column is credited **in equal shares to the columns it is made of**, so that
//! a call agent only ever hears of things the bank recorded. Shares add up to 1, so the sum is the margin either way.

mod dependence;
mod importance;
mod names;
mod phrases;
mod quadrature;
mod reasons;
mod treeshap;

use holdfast_domain::{FEATURE_COUNT, Feature};

use crate::ensemble::Ensemble;
use crate::ensemble::Estimator;
use crate::preprocess::{Preprocessor, Row};
use crate::scoring::{Machine, Scorer};

pub use dependence::{BAND_TAIL, DependencePoint, partial_dependence};
pub use importance::{FeatureImportance, importance};
pub use names::{plain_name, plain_value};
pub(crate) use reasons::ReasonContext;
pub use reasons::{Direction, Level, Reason};
use treeshap::TreeExplainer;

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

impl Explainer {
    pub(crate) fn new(ensemble: &Ensemble, scorer: &Scorer) -> Self {
        let mut base = 0.0;
        let mut members = Vec::with_capacity(ensemble.members.len());
        for (member, (weight, machine)) in ensemble.members.iter().zip(scorer.members()) {
            let (own, explainer) = match (&member.estimator, machine) {
                (Estimator::Trees(trees), Machine::Trees(packed)) => {
                    let explainer = TreeExplainer::new(trees, packed.predicates(), packed.divisor());
                    (explainer.base(), Some(explainer))
                }
                (Estimator::Logistic(linear), _) => (linear.base(), None),
                (Estimator::Trees(trees), Machine::Linear(_)) => (trees.base_margin(), None),
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

    /// The contributions of the columns of up to 64 rows, added to `contributions`.
    pub(crate) fn add_columns(&self, scorer: &Scorer, rows: &[Row], contributions: &mut [Row]) {
        for ((weight, machine), explainer) in scorer.members().iter().zip(&self.members) {
            match (machine, explainer) {
                (Machine::Trees(packed), Some(explainer)) => {
                    let right = packed.predicates().answer_rows(rows);
                    explainer.contribute(&right, *weight, contributions);
                }
                (Machine::Linear(linear), _) => {
                    for (row, contributions) in rows.iter().zip(&mut *contributions) {
                        linear.contribute(row, *weight, contributions);
                    }
                }
                (Machine::Trees(..), None) => {}
            }
        }
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
