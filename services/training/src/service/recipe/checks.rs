//! Which values a recipe may hold.

use holdfast_domain::{Feature, FeatureKind, Schema, nearest_name};
use holdfast_model::{Family, MAX_COLUMNS};

use super::{
    CalibrationPlan, CategoryEncoding, EstimatorParams, FeaturePlan, Formula, Imbalance, MAX_ENGINEERED,
    MAX_ESTIMATORS, MAX_MEMBERS, MAX_SEEDS, OptionalFeatures, Recipe, ThresholdRule,
};
use crate::service::trainer::GrowPolicy;

/// What breaks a rule: the path of the value and what is wrong with it.
type Found = Vec<(String, String)>;

impl Recipe {
    /// Everything that breaks a rule, as the path of the value (`estimators.0.eta`) and a sentence that follows it (`is 2, but must be …`).
    pub fn violations(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        self.check_estimators(&mut found);
        self.features.check(&mut found);
        if self.features.categories == CategoryEncoding::Native {
            self.check_native_categories(&mut found);
        }
        self.optional_features.check(&mut found);
        self.imbalance.check(&mut found);
        self.calibration.check(&mut found);
        let threshold = self.threshold.violations().into_iter();
        found.extend(threshold.map(|(field, problem)| (format!("threshold.{field}"), problem)));
        let baseline = self.baseline.violations().into_iter();
        found.extend(baseline.map(|(field, problem)| (format!("baseline.{field}"), problem)));
        found
    }

    fn check_estimators(&self, found: &mut Found) {
        range(found, "estimators", self.estimators.len(), 1, MAX_ESTIMATORS, " items");
        range(found, "seeds", self.seeds, 1, MAX_SEEDS, "");
        if self.members() > MAX_MEMBERS {
            let problem = format!(
                "times the number of estimators is {}, but must be at most {MAX_MEMBERS}",
                self.members()
            );
            found.push(("seeds".to_owned(), problem));
        }
        let forest = |estimator: &&EstimatorParams| estimator.family() == Family::RandomForest;
        let forests = self.estimators.iter().filter(forest).count();
        if forests > 0 && forests < self.estimators.len() {
            let problem =
                "average random forests, whose answers are probabilities, with estimators whose answers are log-odds";
            found.push(("estimators".to_owned(), problem.to_owned()));
        }
        for (place, estimator) in self.estimators.iter().enumerate() {
            if let EstimatorParams::BoostedTrees(params) = estimator {
                self.features
                    .check_hidden(&format!("estimators.{place}.drop"), &params.drop, found);
            }
            let problems = match estimator {
                EstimatorParams::BoostedTrees(params) => params.violations(),
                EstimatorParams::RandomForest(params) => params.violations(),
                EstimatorParams::LogisticRegression(params) => params.violations(),
            };
            let problems = problems.into_iter();
            found.extend(problems.map(|(field, problem)| (format!("estimators.{place}.{field}"), problem)));
        }
    }

    /// The engine's symmetric trees compare numbers only.
    fn check_native_categories(&self, found: &mut Found) {
        let symmetric = self.estimators.iter().position(|estimator| {
            matches!(estimator, EstimatorParams::BoostedTrees(params) if params.grow_policy == GrowPolicy::Symmetric)
        });
        if let (Some(place), false) = (symmetric, self.has_logistic()) {
            let problem = "is symmetric, which needs categories as codes or one_hot, not native";
            found.push((format!("estimators.{place}.grow_policy"), problem.to_owned()));
        }
    }
}

impl FeaturePlan {
    fn check(&self, found: &mut Found) {
        // Columns that a formula may read: numbers, and what was made before.
        let mut numbers: Vec<&str> = Feature::ALL
            .into_iter()
            .filter(|feature| feature.kind() == FeatureKind::Numeric)
            .map(Feature::name)
            .collect();
        let mut all: Vec<&str> = Feature::ALL.into_iter().map(Feature::name).collect();
        for (place, engineered) in self.engineered.iter().enumerate() {
            let path = format!("features.engineered.{place}");
            let name = engineered.name.as_str();
            if name.trim().is_empty() || name.contains('=') {
                found.push((
                    format!("{path}.name"),
                    format!("is {name:?}, but must be a name without ="),
                ));
            }
            if all.contains(&name) {
                found.push((
                    format!("{path}.name"),
                    format!("is {name:?}, but there is such a column already"),
                ));
            }
            engineered.formula.check(&path, &numbers, found);
            numbers.push(name);
            all.push(name);
        }
        for (place, column) in self.drop.iter().enumerate() {
            let path = format!("features.drop.{place}");
            if !all.contains(&column.as_str()) {
                found.push((path, no_column(column, &all)));
            } else if self.drop[..place].contains(column) {
                found.push((path, format!("is {column:?}, but that is dropped already")));
            }
        }
        let made = self.engineered.len();
        range(found, "features.engineered", made, 0, MAX_ENGINEERED, " items");
        let left = self.columns(Schema::embedded());
        if left == 0 || left > MAX_COLUMNS {
            let problem = format!("leave {left} columns, one a category, but must leave 1 to {MAX_COLUMNS}");
            found.push(("features".to_owned(), problem));
        }
    }

    /// Columns that one estimator does not see; some have to be left.
    fn check_hidden(&self, path: &str, hidden: &[String], found: &mut Found) {
        let mut all: Vec<&str> = Feature::ALL.into_iter().map(Feature::name).collect();
        all.extend(self.engineered.iter().map(|made| made.name.as_str()));
        for (place, column) in hidden.iter().enumerate() {
            if !all.contains(&column.as_str()) {
                found.push((format!("{path}.{place}"), no_column(column, &all)));
            } else if hidden[..place].contains(column) {
                let problem = format!("is {column:?}, but that is dropped already");
                found.push((format!("{path}.{place}"), problem));
            }
        }
        let is_dropped = |name: &str| self.drop.iter().chain(hidden).any(|dropped| dropped == name);
        if !hidden.is_empty() && all.into_iter().all(is_dropped) {
            found.push((path.to_owned(), "leaves no column".to_owned()));
        }
    }

    /// How many columns are left when every category has a column of its own, as the baseline sees it.
    fn columns(&self, schema: &Schema) -> usize {
        let kept = |name: &str| !self.drop.iter().any(|column| column == name);
        let features = schema.columns().iter().filter(|column| kept(column.name()));
        let engineered = self.engineered.iter().filter(|made| kept(&made.name));
        features.map(|column| column.categories.len().max(1)).sum::<usize>() + engineered.count()
    }
}

impl Formula {
    fn check(&self, path: &str, numbers: &[&str], found: &mut Found) {
        let mut input = |path: String, column: &String| {
            if !numbers.contains(&column.as_str()) {
                found.push((path, no_column(column, numbers)));
            }
        };
        match self {
            Formula::Ratio { numerator, denominator } => {
                input(format!("{path}.formula.ratio.numerator"), numerator);
                input(format!("{path}.formula.ratio.denominator"), denominator);
            }
            Formula::Product(factors) => {
                for (place, factor) in factors.iter().enumerate() {
                    input(format!("{path}.formula.product.{place}"), factor);
                }
                range(
                    found,
                    &format!("{path}.formula.product"),
                    factors.len(),
                    2,
                    MAX_COLUMNS,
                    " columns",
                );
            }
        }
    }
}

fn no_column(column: &str, known: &[&str]) -> String {
    let hint = nearest_name(column, known.iter().copied());
    let hint = hint.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    format!("is {column:?}, but there is no such column at this point{hint}")
}

impl OptionalFeatures {
    fn check(&self, found: &mut Found) {
        if !(self.masked_weight > 0.0 && self.masked_weight <= 10.0) {
            let problem = format!("is {}, but must be above 0 and at most 10", self.masked_weight);
            found.push(("optional_features.masked_weight".to_owned(), problem));
        }
    }
}

impl Imbalance {
    fn check(&self, found: &mut Found) {
        let mut outside = |field: &str, value: String, allowed: &str| {
            found.push((
                format!("imbalance.{field}"),
                format!("is {value}, but must be {allowed}"),
            ));
        };
        match self {
            Imbalance::None | Imbalance::ClassWeights { positive_weight: None } => {}
            Imbalance::ClassWeights {
                positive_weight: Some(weight),
            } => {
                if !(*weight > 0.0 && *weight <= 1_000.0) {
                    outside(
                        "positive_weight",
                        weight.to_string(),
                        "above 0 and at most 1,000, or null",
                    );
                }
            }
            Imbalance::Smote { neighbours, ratio } => {
                if !(1..=50).contains(neighbours) {
                    outside("neighbours", neighbours.to_string(), "1 to 50");
                }
                if !(*ratio > 0.0 && *ratio <= 1.0) {
                    outside("ratio", ratio.to_string(), "above 0 and at most 1");
                }
            }
        }
    }
}

impl CalibrationPlan {
    fn check(&self, found: &mut Found) {
        range(found, "calibration.folds", self.folds, 2, 20, "");
    }
}

impl ThresholdRule {
    /// Every value outside its range, as field and sentence.
    pub fn violations(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        match *self {
            ThresholdRule::BestF1 => {}
            ThresholdRule::Cost {
                offer_cost,
                lost_margin,
                success_rate,
            } => {
                for (field, amount) in [("offer_cost", offer_cost), ("lost_margin", lost_margin)] {
                    if !(amount >= 0.0 && amount.is_finite()) {
                        found.push((field, format!("is {amount}, but must be 0 or more")));
                    }
                }
                if !(0.0..=1.0).contains(&success_rate) {
                    found.push(("success_rate", format!("is {success_rate}, but must be 0 to 1")));
                }
            }
            ThresholdRule::Capacity { calls, population } => {
                if calls == 0 {
                    found.push(("calls", "is 0, but must be at least 1".to_owned()));
                }
                if population < calls {
                    found.push((
                        "population",
                        format!("is {population}, but must be at least calls, {calls}"),
                    ));
                }
            }
        }
        found
    }
}

fn range(found: &mut Found, path: &str, value: usize, least: usize, most: usize, unit: &str) {
    if !(least..=most).contains(&value) {
        let problem = format!("is {value}{unit}, but must be {least} to {most}");
        found.push((path.to_owned(), problem));
    }
}
