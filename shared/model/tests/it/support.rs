//! Small random models of every kind, from a seed, without training anything.

use holdfast_domain::{Digest, Feature, FeatureKind, FeatureVector, RunId, Schema, UNKNOWN_CATEGORY};
use holdfast_model::preprocess::ColumnKind;
use holdfast_model::{
    Aggregation, Calibration, Comparison, Ensemble, Estimator, Family, Link, LogisticCoefficients, Member, MissingRule,
    Model, ModelDraft, Node, Origin, Preprocessing, Preprocessor, Provenance, ReferenceProfile, SplitRule, Step,
    Threshold, ThresholdPolicy, Tree, TreeEnsemble, UnlistedCategory, UnlistedCode,
};

pub(crate) fn schema() -> &'static Schema {
    Schema::embedded()
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Within 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

/// A row: values over the schema's ranges, few distinct ones so that splits are met exactly, with missing ones and unknown categories.
pub(crate) fn row(random: &mut Random) -> FeatureVector {
    let mut features = FeatureVector::MISSING;
    for column in schema().columns() {
        let value = match column.kind {
            _ if random.chance(0.1) => f64::NAN,
            FeatureKind::Categorical if random.chance(0.05) => UNKNOWN_CATEGORY,
            FeatureKind::Categorical => random.below(column.categories.len()) as f64,
            FeatureKind::Numeric if random.chance(0.1) => 0.0,
            FeatureKind::Numeric => {
                let (low, high) = (column.minimum.unwrap_or(0.0), column.maximum.unwrap_or(1e5).min(1e5));
                let value = low + (high - low) * (random.below(40) as f64 / 40.0);
                if column.integer { value.round() } else { value }
            }
        };
        features.set(column.feature, value);
    }
    features
}

pub(crate) fn rows(count: usize, seed: u64) -> Vec<FeatureVector> {
    let mut random = Random::new(seed ^ 0xabcd);
    (0..count).map(|_| row(&mut random)).collect()
}

/// What a random ensemble is to look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Boosted,
    LightGbm,
    Forest,
    Logistic,
    Mixed,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] = [Kind::Boosted, Kind::LightGbm, Kind::Forest, Kind::Logistic, Kind::Mixed];
}

/// Native categories, and the two engineered features of the predecessor.
pub(crate) fn tree_preprocessing() -> Preprocessing {
    let mut preprocessing = Preprocessing::for_trees(&Feature::ALL, schema());
    preprocessing.steps.push(Step::Ratio {
        name: "Activity_Growth".to_owned(),
        numerator: "Total_Amt_Chng_Q4_Q1".to_owned(),
        denominator: "Total_Trans_Amt".to_owned(),
        when_zero: 0.0,
    });
    preprocessing.steps.push(Step::Product {
        name: "Customer_Value".to_owned(),
        factors: ["Total_Revolving_Bal", "Avg_Utilization_Ratio", "Credit_Limit"]
            .map(str::to_owned)
            .to_vec(),
    });
    preprocessing
        .columns
        .extend(["Activity_Growth".to_owned(), "Customer_Value".to_owned()]);
    preprocessing
}

/// One-hot categories, imputed and scaled numbers.
pub(crate) fn linear_preprocessing() -> Preprocessing {
    let mut steps = Vec::new();
    let mut columns = Vec::new();
    for column in schema().columns() {
        let name = column.name().to_owned();
        if column.kind == FeatureKind::Categorical {
            columns.extend(column.categories.iter().map(|category| format!("{name}={category}")));
            steps.push(Step::OneHotEncoding {
                column: name,
                categories: column.categories.clone(),
            });
        } else {
            steps.push(Step::Imputation {
                column: name.clone(),
                value: 3.0,
            });
            steps.push(Step::Scaling {
                column: name.clone(),
                mean: 40.0,
                scale: 2.5e4,
            });
            columns.push(name);
        }
    }
    Preprocessing { steps, columns }
}

/// A forest of random trees over the columns of `preprocessor`; split values come from the rows.
pub(crate) fn trees(
    kind: Kind,
    count: usize,
    depth: usize,
    preprocessor: &Preprocessor,
    random: &mut Random,
) -> TreeEnsemble {
    let comparison = if kind == Kind::LightGbm {
        Comparison::LessOrEqualF64
    } else {
        Comparison::LessThanF32
    };
    let aggregation = if kind == Kind::Forest {
        Aggregation::Mean
    } else {
        Aggregation::Sum
    };
    let unlisted = [UnlistedCode::Left, UnlistedCode::Right, UnlistedCode::AsMissing][random.below(3)];
    let base = if kind == Kind::Forest { 0.0 } else { -1.5 };
    let mut grower = Grower {
        comparison,
        kind,
        preprocessor,
        random,
        nodes: Vec::new(),
    };
    let trees: Vec<Tree> = (0..count).map(|_| grower.tree(depth)).collect();
    TreeEnsemble::new(comparison, aggregation, base, &trees)
        .unwrap()
        .with_unlisted_code(unlisted)
}

struct Grower<'a> {
    comparison: Comparison,
    kind: Kind,
    preprocessor: &'a Preprocessor,
    random: &'a mut Random,
    nodes: Vec<Node>,
}

impl Grower<'_> {
    fn tree(&mut self, depth: usize) -> Tree {
        self.nodes.clear();
        self.grow(depth, 1000.0);
        Tree {
            nodes: self.nodes.clone(),
        }
    }

    /// Depth first, so that building has something to put in order.
    fn grow(&mut self, depth: usize, cover: f64) -> usize {
        let at = self.nodes.len();
        if depth == 0 || (at > 0 && self.random.chance(0.1)) {
            let value = if self.kind == Kind::Forest {
                self.random.unit()
            } else {
                self.random.unit() - 0.5
            };
            self.nodes.push(Node::Leaf { value, cover });
            return at;
        }
        self.nodes.push(Node::Leaf { value: 0.0, cover });
        let column = self.random.below(self.preprocessor.columns().len());
        let rule = match self.preprocessor.kinds()[column] {
            ColumnKind::Code { categories } if self.random.chance(0.8) => {
                SplitRule::Categories(self.random.bits() & ((1 << categories) - 1))
            }
            _ => SplitRule::Threshold(self.split_value(column)),
        };
        let missing = match self.random.below(if self.kind == Kind::LightGbm { 4 } else { 2 }) {
            0 => MissingRule::Left,
            1 => MissingRule::Right,
            2 => MissingRule::ZeroOrMissingLeft,
            _ => MissingRule::ZeroOrMissingRight,
        };
        let share = 0.05 + 0.9 * self.random.unit();
        let left = self.grow(depth - 1, cover * share);
        let right = self.grow(depth - 1, cover * (1.0 - share));
        self.nodes[at] = Node::Split {
            column,
            rule,
            missing,
            left,
            right,
            cover,
        };
        at
    }

    fn split_value(&mut self, column: usize) -> f64 {
        let value = self.preprocessor.row(&row(self.random))[column];
        let value = if value.is_nan() { 1.0 } else { value };
        if self.comparison == Comparison::LessThanF32 {
            f64::from(value as f32)
        } else {
            value
        }
    }
}

fn linear(columns: usize, random: &mut Random) -> LogisticCoefficients {
    let mut draw = |scale: f64| (0..columns).map(|_| scale * (random.unit() - 0.5)).collect::<Vec<_>>();
    LogisticCoefficients {
        intercept: -0.7,
        coefficients: draw(2.0),
        column_means: draw(0.8),
    }
}

/// Ensemble, calibration and family of a kind.
fn estimators(
    kind: Kind,
    count: usize,
    depth: usize,
    preprocessor: &Preprocessor,
    random: &mut Random,
) -> (Ensemble, Calibration, Family) {
    let columns = preprocessor.columns().len();
    let mut grow = |kind| Estimator::Trees(trees(kind, count, depth, preprocessor, random));
    match kind {
        Kind::Boosted => (
            Ensemble::single(grow(kind), Link::Logistic),
            Calibration::None,
            Family::BoostedTrees,
        ),
        Kind::LightGbm => {
            let platt = Calibration::Platt {
                slope: 0.9,
                intercept: 0.1,
            };
            (
                Ensemble::average(vec![grow(kind), grow(kind)], Link::Logistic),
                platt,
                Family::BoostedTrees,
            )
        }
        Kind::Forest => {
            let curve = Calibration::Isotonic {
                raw_probabilities: vec![0.1, 0.4, 0.9],
                probabilities: vec![0.05, 0.5, 0.97],
            };
            (
                Ensemble::single(grow(kind), Link::Identity),
                curve,
                Family::RandomForest,
            )
        }
        Kind::Logistic => {
            let linear = Estimator::Logistic(linear(columns, random));
            (
                Ensemble::single(linear, Link::Logistic),
                Calibration::None,
                Family::LogisticRegression,
            )
        }
        Kind::Mixed => {
            let members = vec![
                Member {
                    weight: 0.7,
                    estimator: grow(Kind::Boosted),
                },
                Member {
                    weight: 0.2,
                    estimator: grow(Kind::LightGbm),
                },
                Member {
                    weight: 1e-7,
                    estimator: Estimator::Logistic(linear(columns, random)),
                },
            ];
            (
                Ensemble {
                    link: Link::Logistic,
                    members,
                },
                Calibration::None,
                Family::BoostedTrees,
            )
        }
    }
}

/// A complete random draft.
pub(crate) fn draft(kind: Kind, seed: u64) -> ModelDraft {
    draft_of(kind, 12, 4, seed)
}

pub(crate) fn draft_of(kind: Kind, count: usize, depth: usize, seed: u64) -> ModelDraft {
    let mut random = Random::new(seed);
    let preprocessing = if kind == Kind::Logistic {
        linear_preprocessing()
    } else {
        tree_preprocessing()
    };
    let preprocessor = Preprocessor::new(&preprocessing, schema()).unwrap();
    let (ensemble, calibration, family) = estimators(kind, count, depth, &preprocessor, &mut random);
    ModelDraft {
        preprocessing,
        ensemble,
        calibration,
        threshold: Threshold {
            value: 0.4,
            policy: ThresholdPolicy::BestF1 { f1: 0.91 },
        },
        profile: ReferenceProfile::build(&rows(60, 7), &[], schema()),
        origin: origin(family),
    }
}

pub(crate) fn origin(family: Family) -> Origin {
    Origin {
        family,
        provenance: Provenance::Trained,
        run_id: Some(RunId::from_parts(1_790_000_000_000, &[7; 10])),
        training_snapshots: vec![Digest::of(b"train")],
        test_snapshots: vec![Digest::of(b"test")],
        code_version: "0.1.0".to_owned(),
        seed: 42,
        parameters: vec![
            ("max_depth".to_owned(), "4".to_owned()),
            ("eta".to_owned(), "0.05".to_owned()),
        ],
    }
}

/// The artefact of a draft with a few golden rows.
pub(crate) fn artifact(kind: Kind, seed: u64) -> Vec<u8> {
    draft(kind, seed).encode(&rows(8, seed), schema()).unwrap()
}

pub(crate) fn model(kind: Kind, seed: u64) -> Model {
    Model::decode(&artifact(kind, seed), schema()).unwrap()
}

/// An ordinal encoding in an order of its own.
pub(crate) fn ordinal(column: &str, categories: &[&str], unlisted: UnlistedCategory) -> Step {
    let categories = categories.iter().map(|name| (*name).to_owned()).collect();
    Step::OrdinalEncoding {
        column: column.to_owned(),
        categories,
        unlisted,
    }
}
