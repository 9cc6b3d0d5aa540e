use super::*;
use crate::service::recipe::{
    CategoryEncoding, EstimatorParams, Formula, Imbalance, OptionalFeatures, Recipe, Scaling, ThresholdRule,
};
use crate::service::trainer::{BoostedTreesParams, LogisticParams, MaxFeatures, RandomForestParams, SamplingMethod};

fn recipe(name: &str) -> Recipe {
    Presets::load(None).unwrap().get(name).unwrap().recipe.clone()
}

fn trees(name: &str) -> BoostedTreesParams {
    match recipe(name).estimators.as_slice() {
        [EstimatorParams::BoostedTrees(params)] => params.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_embedded_sets_are_the_ones_promised() {
    let names: Vec<String> = Presets::load(None).unwrap().by_name.into_keys().collect();
    let promised = [
        "best",
        "default",
        "fast",
        "forest",
        "logistic",
        "predecessor_forest",
        "predecessor_xgboost",
    ];
    assert_eq!(names, promised);
    for name in ["default", "fast", "best"] {
        let masked = OptionalFeatures {
            masked_copies: true,
            masked_weight: 0.3,
        };
        assert_eq!(recipe(name).optional_features, masked, "{name}");
    }
    let fast = trees("fast");
    assert_eq!((fast.trees, fast.max_depth, fast.eta), (130, 4, 0.25));
    assert_eq!((recipe("default").members(), recipe("best").members()), (1, 3));
    assert_eq!(recipe("default").baseline, LogisticParams::default());
    assert_eq!(recipe("default").threshold, ThresholdRule::BestF1);
    assert!(matches!(
        recipe("forest").estimators.as_slice(),
        [EstimatorParams::RandomForest(_)]
    ));
    assert!(matches!(
        recipe("logistic").estimators.as_slice(),
        [EstimatorParams::LogisticRegression(_)]
    ));
}

#[test]
fn the_predecessors_sets_are_its_own() {
    let boosted = trees("predecessor_xgboost");
    assert_eq!((boosted.trees, boosted.max_depth, boosted.eta), (468, 6, 0.025));
    assert_eq!((boosted.subsample, boosted.colsample_bytree), (0.77, 0.62));
    for name in ["predecessor_xgboost", "predecessor_forest"] {
        let recipe = recipe(name);
        let smote = Imbalance::Smote {
            neighbours: 5,
            ratio: 1.0,
        };
        assert_eq!((recipe.imbalance, recipe.features.scaling), (smote, Scaling::Standard));
        let made: Vec<&str> = recipe
            .features
            .engineered
            .iter()
            .map(|made| made.name.as_str())
            .collect();
        assert_eq!(made, ["Activity_Growth", "Customer_Value"]);
        let ratio = Formula::Ratio {
            numerator: "Total_Amt_Chng_Q4_Q1".to_owned(),
            denominator: "Total_Trans_Amt".to_owned(),
        };
        assert_eq!(recipe.features.engineered[0].formula, ratio);
        // Nineteen features, less the eleven that it does not know and the three that it drops.
        assert_eq!(recipe.features.drop.len(), 14);
        assert!(!recipe.optional_features.masked_copies);
    }
    let EstimatorParams::RandomForest(forest) = &recipe("predecessor_forest").estimators[0] else {
        panic!("a forest");
    };
    let expected = RandomForestParams {
        trees: 391,
        max_depth: Some(15),
        min_samples_split: 4,
        min_samples_leaf: 3,
        max_features: MaxFeatures::Log2,
        max_bin: 256,
    };
    assert_eq!(*forest, expected);
}

#[test]
fn an_unknown_set_is_answered_with_the_known_ones() {
    let error = Presets::load(None).unwrap().get("fats").unwrap_err().to_string();
    assert!(
        error.starts_with("there is no parameter set \"fats\"; there are best, default, fast"),
        "{error}"
    );
}

#[test]
fn values_outside_their_range_are_named_with_their_path() {
    let text = EMBEDDED
        .replace("eta: 0.25", "eta: 1.5")
        .replacen("folds: 5", "folds: 1", 1)
        .replacen("- Customer_Age", "- Customer_Aeg", 1);
    let error = Presets::parse(&text).unwrap_err().to_string();
    for part in [
        "presets.default.recipe.calibration.folds is 1, but must be 2 to 20",
        "presets.fast.recipe.estimators.0.eta is 1.5, but must be above 0 and at most 1",
        "recipe.features.drop.0 is \"Customer_Aeg\", but there is no such column at this point; did you mean \"Customer_Age\"?",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn misspelt_and_missing_parameters_are_refused() {
    for text in [
        EMBEDDED.replacen("subsample:", "sub_sample:", 1),
        EMBEDDED.replacen("          gamma: 0.0\n", "", 1),
        EMBEDDED.replacen("family: boosted_trees\n", "family: boosted_tres\n", 2),
        EMBEDDED.replacen("      seeds: 1\n", "", 1),
        EMBEDDED.replacen("\nversion: 2", "\nversion: 3", 1),
    ] {
        assert!(text != EMBEDDED);
        let error = Presets::parse(&text).unwrap_err();
        assert!(matches!(error, ParamsError::Malformed(_)), "{error}");
    }
}

#[test]
fn rows_are_drawn_uniformly_where_a_set_does_not_say_how() {
    let said = "          sampling_method: gradient_based\n";
    assert_eq!(trees("default").sampling_method, SamplingMethod::GradientBased);
    let presets = Presets::parse(&EMBEDDED.replacen(said, "", 1)).unwrap();
    let recipe = &presets.get("default").unwrap().recipe;
    let EstimatorParams::BoostedTrees(trees) = &recipe.estimators[0] else {
        panic!("boosted trees");
    };
    assert_eq!(trees.sampling_method, SamplingMethod::Uniform);
    // And is not written down then: what is on record of older models stays as it is.
    let names: Vec<String> = recipe.to_parameters().into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"estimators.0.subsample".to_owned()));
    assert!(!names.contains(&"estimators.0.sampling_method".to_owned()));
    let text = EMBEDDED.replacen("sampling_method: gradient_based", "sampling_method: by_luck", 1);
    let error = Presets::parse(&text).unwrap_err().to_string();
    assert!(error.contains("by_luck") && error.contains("gradient_based"), "{error}");
}

#[test]
fn files_of_version_1_are_still_read() {
    let presets = Presets::parse(include_str!("../../../tests/samples/params_v1.yaml")).unwrap();
    let recipe = &presets.get("default").unwrap().recipe;
    assert_eq!(
        recipe.estimators,
        [EstimatorParams::BoostedTrees(BoostedTreesParams::default())]
    );
    assert!(recipe.optional_features.masked_copies);
    assert_eq!(recipe.features.categories, CategoryEncoding::Codes);
    assert_eq!(
        presets.get("fast").unwrap().description,
        "A quarter of the trees, for trying things out; a little less good."
    );
    let text = include_str!("../../../tests/samples/params_v1.yaml").replacen("eta: 0.05", "eta: 0.0", 1);
    let error = Presets::parse(&text).unwrap_err().to_string();
    assert!(
        error.contains("presets.default.recipe.estimators.0.eta is 0"),
        "{error}"
    );
}
