use holdfast_domain::Feature;
use proptest::prelude::*;

use super::*;
use crate::service::params::Presets;
use crate::service::trainer::{GrowPolicy, MaxFeatures, SamplingMethod, SplitSearch};

fn standard() -> Recipe {
    Presets::load(None).unwrap().get("default").unwrap().recipe.clone()
}

fn paths(recipe: &Recipe) -> Vec<String> {
    recipe.violations().into_iter().map(|(path, _)| path).collect()
}

#[test]
fn every_preset_reads_back_from_its_parameters_in_any_order() {
    let presets = Presets::load(None).unwrap();
    for name in [
        "default",
        "fast",
        "best",
        "forest",
        "logistic",
        "predecessor_xgboost",
        "predecessor_forest",
    ] {
        let recipe = &presets.get(name).unwrap().recipe;
        let mut parameters = recipe.to_parameters();
        assert!(parameters.is_sorted());
        parameters.reverse();
        assert_eq!(&Recipe::from_parameters(&parameters).unwrap(), recipe, "{name}");
    }
}

#[test]
fn parameters_have_plain_names_and_values() {
    let mut recipe = standard();
    recipe.features.drop.clear();
    let parameters = recipe.to_parameters();
    let value = |name: &str| {
        let found = parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(value("estimators.0.family"), Some("boosted_trees"));
    assert_eq!(value("estimators.0.max_delta_step"), Some("null"));
    assert_eq!(value("optional_features.masked_copies"), Some("true"));
    assert_eq!(value("features.drop"), Some("[]"));
    assert_eq!(value("threshold.policy"), Some("best_f1"));
    assert_eq!(value("baseline.alpha"), Some("1.0"));
}

#[test]
fn parameters_that_are_no_recipe_are_refused_with_their_name() {
    let with = |name: &str, value: &str| {
        let mut parameters = standard().to_parameters();
        parameters.retain(|(known, _)| known != name);
        parameters.push((name.to_owned(), value.to_owned()));
        Recipe::from_parameters(&parameters).unwrap_err().to_string()
    };
    assert!(with("seeds", "two").contains("seeds"));
    assert!(with("estimators.0.tree", "3").contains("tree"));
    assert!(with("seeds.more", "3").contains("seeds"));
    let twice = [standard().to_parameters(), standard().to_parameters()].concat();
    assert!(
        Recipe::from_parameters(&twice)
            .unwrap_err()
            .to_string()
            .contains("is there twice")
    );
    assert!(Recipe::from_parameters(&[]).is_err());
}

#[test]
fn a_misspelt_column_is_refused_with_its_path() {
    let mut recipe = standard();
    recipe.features.engineered = vec![
        EngineeredFeature {
            name: "Spend".to_owned(),
            formula: Formula::Ratio {
                numerator: "Total_Trans_Amount".to_owned(),
                denominator: "Gender".to_owned(),
            },
        },
        EngineeredFeature {
            name: "Credit_Limit".to_owned(),
            formula: Formula::Product(vec!["Spend".to_owned()]),
        },
    ];
    recipe.features.drop = vec!["Spend".to_owned(), "Spend".to_owned(), "Nothing".to_owned()];
    let expected = [
        "features.engineered.0.formula.ratio.numerator",
        "features.engineered.0.formula.ratio.denominator",
        "features.engineered.1.name",
        "features.engineered.1.formula.product",
        "features.drop.1",
        "features.drop.2",
    ];
    assert_eq!(paths(&recipe), expected);
    assert!(recipe.violations()[0].1.contains("did you mean \"Total_Trans_Amt\"?"));
}

#[test]
fn every_range_is_looked_at() {
    let mut recipe = standard();
    recipe.seeds = 0;
    recipe.optional_features.masked_weight = f64::NAN;
    recipe.imbalance = Imbalance::Smote {
        neighbours: 0,
        ratio: 1.5,
    };
    recipe.calibration.folds = 21;
    recipe.threshold = ThresholdRule::Capacity {
        calls: 5,
        population: 4,
    };
    recipe.baseline.max_iterations = 0;
    let expected = [
        "seeds",
        "optional_features.masked_weight",
        "imbalance.neighbours",
        "imbalance.ratio",
        "calibration.folds",
        "threshold.population",
        "baseline.max_iterations",
    ];
    assert_eq!(paths(&recipe), expected);
    recipe = standard();
    recipe.imbalance = Imbalance::ClassWeights {
        positive_weight: Some(0.0),
    };
    recipe.threshold = ThresholdRule::Cost {
        offer_cost: -1.0,
        lost_margin: f64::INFINITY,
        success_rate: 1.1,
    };
    recipe.features.engineered.clear();
    recipe.features.drop = Feature::ALL.map(|feature| feature.name().to_owned()).into();
    let expected = [
        "features",
        "imbalance.positive_weight",
        "threshold.offer_cost",
        "threshold.lost_margin",
        "threshold.success_rate",
    ];
    assert_eq!(paths(&recipe), expected);
}

#[test]
fn what_cannot_be_averaged_or_grown_is_refused() {
    let mut recipe = standard();
    recipe
        .estimators
        .push(EstimatorParams::RandomForest(RandomForestParams {
            max_features: MaxFeatures::Share(0.0),
            ..RandomForestParams::default()
        }));
    assert_eq!(paths(&recipe), ["estimators", "estimators.1.max_features.share"]);
    recipe.estimators.clear();
    assert_eq!(paths(&recipe), ["estimators"]);

    let mut recipe = standard();
    recipe.features.categories = CategoryEncoding::Native;
    let EstimatorParams::BoostedTrees(params) = &mut recipe.estimators[0] else {
        panic!("boosted trees");
    };
    params.grow_policy = GrowPolicy::Symmetric;
    params.max_leaves = Some(8);
    params.split_search = SplitSearch::Random;
    let expected = [
        "estimators.0.max_leaves",
        "estimators.0.split_search",
        "estimators.0.grow_policy",
    ];
    assert_eq!(paths(&recipe), expected);
    recipe.estimators = vec![EstimatorParams::LogisticRegression(LogisticParams::default()); 5];
    recipe.seeds = 16;
    assert_eq!(paths(&recipe), ["seeds"]);
}

fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("JSON has no others", |value| value.is_finite())
}

fn estimators() -> impl Strategy<Value = EstimatorParams> {
    let trees = (
        any::<[usize; 3]>(),
        prop::array::uniform10(finite()),
        any::<Option<usize>>(),
        prop::option::of(finite()),
        prop::sample::select(vec![
            (SamplingMethod::Uniform, SplitSearch::Best),
            (SamplingMethod::GradientBased, SplitSearch::Best),
            (SamplingMethod::Uniform, SplitSearch::Random),
        ]),
    );
    let trees = trees.prop_map(
        |([trees, max_depth, max_bin], f, max_leaves, max_delta_step, (sampling_method, split_search))| {
            EstimatorParams::BoostedTrees(BoostedTreesParams {
                trees,
                max_depth,
                eta: f[0],
                subsample: f[1],
                sampling_method,
                split_search,
                drop: Vec::new(),
                colsample_bytree: f[2],
                colsample_bylevel: f[3],
                colsample_bynode: f[4],
                min_child_weight: f[5],
                gamma: f[6],
                lambda: f[7],
                alpha: f[8],
                max_delta_step,
                max_bin,
                grow_policy: GrowPolicy::Lossguide,
                max_leaves,
            })
        },
    );
    let forest = (any::<[usize; 4]>(), any::<Option<usize>>(), finite()).prop_map(|(n, max_depth, share)| {
        EstimatorParams::RandomForest(RandomForestParams {
            trees: n[0],
            max_depth,
            min_samples_split: n[1],
            min_samples_leaf: n[2],
            max_features: MaxFeatures::Share(share),
            max_bin: n[3],
        })
    });
    let logistic = (finite(), any::<u64>()).prop_map(|(alpha, max_iterations)| {
        EstimatorParams::LogisticRegression(LogisticParams { alpha, max_iterations })
    });
    prop_oneof![trees, forest, logistic]
}

/// Names that look like values and paths as well.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,8}",
        Just("null".to_owned()),
        Just("1e3".to_owned()),
        Just("[]".to_owned()),
        Just("\"a\"".to_owned()),
        Just("a.0".to_owned()),
    ]
}

fn formulas() -> impl Strategy<Value = Formula> {
    prop_oneof![
        (names(), names()).prop_map(|(numerator, denominator)| Formula::Ratio { numerator, denominator }),
        prop::collection::vec(names(), 0..4).prop_map(Formula::Product),
    ]
}

fn imbalances() -> impl Strategy<Value = Imbalance> {
    prop_oneof![
        Just(Imbalance::None),
        prop::option::of(finite()).prop_map(|positive_weight| Imbalance::ClassWeights { positive_weight }),
        (any::<usize>(), finite()).prop_map(|(neighbours, ratio)| Imbalance::Smote { neighbours, ratio }),
    ]
}

fn thresholds() -> impl Strategy<Value = ThresholdRule> {
    prop_oneof![
        Just(ThresholdRule::BestF1),
        prop::array::uniform3(finite()).prop_map(|[offer_cost, lost_margin, success_rate]| ThresholdRule::Cost {
            offer_cost,
            lost_margin,
            success_rate,
        }),
        any::<[u64; 2]>().prop_map(|[calls, population]| ThresholdRule::Capacity { calls, population }),
    ]
}

fn recipes() -> impl Strategy<Value = Recipe> {
    let engineered = (names(), formulas()).prop_map(|(name, formula)| EngineeredFeature { name, formula });
    let features = (
        prop::collection::vec(engineered, 0..12),
        prop::collection::vec(names(), 0..3),
    );
    let numbers = (any::<usize>(), any::<usize>(), any::<bool>(), finite());
    (
        prop::collection::vec(estimators(), 0..3),
        numbers,
        features,
        imbalances(),
        thresholds(),
    )
        .prop_map(
            |(estimators, (seeds, folds, masked_copies, masked_weight), (engineered, drop), imbalance, threshold)| {
                Recipe {
                    estimators,
                    seeds,
                    features: FeaturePlan {
                        engineered,
                        drop,
                        categories: CategoryEncoding::OneHot,
                        scaling: Scaling::Standard,
                    },
                    optional_features: OptionalFeatures {
                        masked_copies,
                        masked_weight,
                    },
                    imbalance,
                    calibration: CalibrationPlan {
                        method: CalibrationMethod::Isotonic,
                        folds,
                    },
                    threshold,
                    baseline: LogisticParams::default(),
                }
            },
        )
}

proptest! {
    #[test]
    fn any_recipe_reads_back_from_its_parameters(recipe in recipes()) {
        let parameters = recipe.to_parameters();
        prop_assert!(parameters.windows(2).all(|pair| pair[0].0 < pair[1].0), "names are unique and sorted");
        prop_assert_eq!(Recipe::from_parameters(&parameters).unwrap(), recipe);
    }
}
