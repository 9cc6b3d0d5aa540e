//! Our models as XGBoost JSON. The files of `exported/` are what the exporter writes for the models here; the real XGBoost has read them, and
//! `exported/*.expected.json` is what it said of the rows. The loop is in `tests/fixtures/interchange/README.md`.

use holdfast_domain::Feature;
use holdfast_interchange::{BindOptions, ExportError, Rounds, bind, export_xgboost_json, import};
use holdfast_model::preprocess::ColumnKind;
use holdfast_model::{
    Aggregation, Calibration, Comparison, Ensemble, Estimator, Link, LogisticCoefficients, MissingRule, Model, Node,
    Preprocessing, Preprocessor, SplitRule, Step, Tree, TreeEnsemble, UnlistedCategory, UnlistedCode,
};

use crate::support::{assert_answers, bytes, expected, imported, model, owned, path, rows, schema};

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers on every machine.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }
}

/// What our trees are trained on: features with categories as codes, and the two engineered columns.
fn preprocessing() -> Preprocessing {
    let features = [
        Feature::CustomerAge,
        Feature::Gender,
        Feature::EducationLevel,
        Feature::IncomeCategory,
        Feature::CardCategory,
        Feature::TotalTransCt,
        Feature::TotalRevolvingBal,
    ];
    let mut preprocessing = Preprocessing::for_trees(&features, schema());
    preprocessing.steps.extend(engineered());
    preprocessing
        .columns
        .extend(owned(&["Activity_Growth", "Customer_Value"]));
    preprocessing
}

fn engineered() -> Vec<Step> {
    vec![
        Step::Ratio {
            name: "Activity_Growth".to_owned(),
            numerator: "Total_Amt_Chng_Q4_Q1".to_owned(),
            denominator: "Total_Trans_Amt".to_owned(),
            when_zero: 0.0,
        },
        Step::Product {
            name: "Customer_Value".to_owned(),
            factors: owned(&["Total_Revolving_Bal", "Avg_Utilization_Ratio", "Credit_Limit"]),
        },
    ]
}

/// Random trees over the columns, of 32-bit numbers as trained ones are.
fn trees(seed: u64, base_margin: f64) -> TreeEnsemble {
    let preprocessor = Preprocessor::new(&preprocessing(), schema()).unwrap();
    let mut random = Random(seed);
    let trees: Vec<Tree> = (0..12)
        .map(|_| {
            let mut nodes = Vec::new();
            grow(&mut nodes, 4, 640.0, &preprocessor, &mut random);
            Tree { nodes }
        })
        .collect();
    TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Sum, base_margin, &trees).unwrap()
}

fn grow(nodes: &mut Vec<Node>, depth: usize, cover: f64, preprocessor: &Preprocessor, random: &mut Random) -> usize {
    let at = nodes.len();
    let value = f64::from((random.unit() - 0.5) as f32);
    nodes.push(Node::Leaf { value, cover });
    if depth == 0 || (at > 0 && random.below(10) == 0) {
        return at;
    }
    let column = random.below(preprocessor.columns().len());
    let rule = match preprocessor.kinds()[column] {
        // Empty and full sets among them.
        ColumnKind::Code { categories } => SplitRule::Categories(random.bits() & ((1 << categories) - 1)),
        ColumnKind::Number => {
            let rows = rows();
            let value = preprocessor.row(&rows[random.below(rows.len())])[column];
            SplitRule::Threshold(f64::from(if value.is_nan() { 1.0 } else { value as f32 }))
        }
    };
    let missing = if random.below(2) == 0 {
        MissingRule::Left
    } else {
        MissingRule::Right
    };
    // Halves and quarters: covers are 32-bit numbers as well.
    let share = [0.25, 0.5, 0.75][random.below(3)];
    let left = grow(nodes, depth - 1, cover * share, preprocessor, random);
    let right = grow(nodes, depth - 1, cover * (1.0 - share), preprocessor, random);
    nodes[at] = Node::Split {
        column,
        rule,
        missing,
        left,
        right,
        cover,
    };
    at
}

fn single() -> Model {
    let ensemble = Ensemble::single(Estimator::Trees(trees(1, -1.734_567_890_123)), Link::Logistic);
    model(preprocessing(), ensemble, Calibration::None)
}

/// Three seeds, and a calibration that XGBoost knows nothing of.
fn averaged() -> Model {
    let members = [2, 3, 4].map(|seed| Estimator::Trees(trees(seed, 0.1 * seed as f64)));
    let platt = Calibration::Platt {
        slope: 0.8,
        intercept: -0.25,
    };
    model(
        preprocessing(),
        Ensemble::average(members.to_vec(), Link::Logistic),
        platt,
    )
}

/// A model of XGBoost's own, imported.
fn of_xgboost() -> Model {
    let options = BindOptions {
        unlisted: Some(UnlistedCategory::Missing),
        ..BindOptions::default()
    };
    let bound = bind(&imported("xgboost-partition.ubj"), &options, schema()).unwrap();
    model(bound.preprocessing, bound.ensemble, Calibration::None)
}

fn models() -> [(&'static str, Model); 3] {
    [
        ("single", single()),
        ("averaged", averaged()),
        ("of-xgboost", of_xgboost()),
    ]
}

#[test]
fn the_exported_files_are_what_the_exporter_writes() {
    for (name, model) in models() {
        let file = format!("exported/{name}.json");
        let exported = export_xgboost_json(&model).unwrap();
        if std::env::var_os("UPDATE_EXPORTED").is_some() {
            std::fs::create_dir_all(path("exported")).unwrap();
            std::fs::write(path(&file), &exported).unwrap();
        }
        assert!(
            exported == bytes(&file),
            "{file} is not what is exported: run UPDATE_EXPORTED=1 cargo nextest run -p holdfast-interchange, then generate.py exported"
        );
    }
}

#[test]
fn xgboost_answers_what_our_model_does() {
    for (name, ours) in models() {
        let of_xgboost = expected(&format!("exported/{name}.expected.json"));
        // XGBoost does not calibrate.
        let raw = model(ours.preprocessing().clone(), ours.ensemble().clone(), Calibration::None);
        assert_answers(&raw, &of_xgboost, 1.0, name);
    }
}

#[test]
fn what_was_exported_is_imported_to_the_same_bits() {
    for (name, original) in [("single", single()), ("of-xgboost", of_xgboost())] {
        let exported = export_xgboost_json(&original).unwrap();
        let options = BindOptions {
            steps: engineered(),
            unlisted: Some(UnlistedCategory::Missing),
            ..BindOptions::default()
        };
        let imported = import(&exported, Rounds::Best).unwrap();
        let bound = bind(&imported, &options, schema()).unwrap();
        assert_eq!(bound.assumed_orders, Vec::<String>::new());
        let again = model(bound.preprocessing, bound.ensemble, Calibration::None);
        for features in rows() {
            assert_eq!(
                again.margin(&features).to_bits(),
                original.margin(&features).to_bits(),
                "{name}"
            );
            assert_eq!(
                again.score(&features).to_bits(),
                original.score(&features).to_bits(),
                "{name}"
            );
        }
        // And exported again to the same bytes.
        assert!(export_xgboost_json(&again).unwrap() == exported, "{name}");
    }
}

#[test]
fn averaged_seeds_become_one_list_of_trees_that_answers_the_same() {
    let original = averaged();
    let imported = import(&export_xgboost_json(&original).unwrap(), Rounds::Best).unwrap();
    assert_eq!(imported.trees, 36);
    let options = BindOptions {
        steps: engineered(),
        unlisted: Some(UnlistedCategory::Missing),
        ..BindOptions::default()
    };
    let bound = bind(&imported, &options, schema()).unwrap();
    let again = model(bound.preprocessing, bound.ensemble, Calibration::None);
    for features in rows() {
        assert!((again.margin(&features) - original.margin(&features)).abs() < 1e-6);
    }
}

#[test]
fn what_xgboost_cannot_say_stands_in_the_attributes() {
    let exported = export_xgboost_json(&averaged()).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&exported).unwrap();
    let attributes = &document["learner"]["attributes"];
    assert_eq!(attributes["holdfast_threshold"], "0.25");
    let calibration = attributes["holdfast_calibration"].as_str().unwrap();
    let calibration: serde_json::Value = serde_json::from_str(calibration).unwrap();
    assert_eq!(
        calibration,
        serde_json::json!({"method": "platt", "slope": 0.8, "intercept": -0.25})
    );
}

#[test]
fn a_base_margin_that_was_changed_since_is_not_read_from_our_attribute() {
    let exported = String::from_utf8(export_xgboost_json(&single()).unwrap()).unwrap();
    let field = "\"base_score\":\"";
    let start = exported.find(field).unwrap() + field.len();
    let end = start + exported[start..].find('"').unwrap();
    let changed = format!("{}0.5{}", &exported[..start], &exported[end..]);
    let imported = import(changed.as_bytes(), Rounds::Best).unwrap();
    let Estimator::Trees(trees) = &imported.ensemble.members[0].estimator else {
        panic!("no trees");
    };
    assert_eq!(trees.base_margin(), 0.0);
}

#[test]
fn what_has_no_counterpart_is_refused_with_its_place() {
    let refused = |ensemble: Ensemble| {
        let ours = model(preprocessing(), ensemble, Calibration::None);
        export_xgboost_json(&ours).unwrap_err().to_string()
    };
    let columns = preprocessing().columns.len();
    let linear = LogisticCoefficients {
        intercept: 0.5,
        coefficients: vec![0.0; columns],
        column_means: vec![0.0; columns],
    };
    assert_eq!(
        refused(Ensemble::single(Estimator::Logistic(linear), Link::Logistic)),
        "ensemble.members[0]: a linear function, only trees can be written"
    );
    assert!(refused(Ensemble::single(Estimator::Trees(trees(1, 0.0)), Link::Identity)).starts_with("ensemble.link: "));
    let stump = |comparison, missing| {
        let leaf = |value| Node::Leaf { value, cover: 1.0 };
        let split = Node::Split {
            column: 0,
            rule: SplitRule::Threshold(0.5),
            missing,
            left: 1,
            right: 2,
            cover: 2.0,
        };
        let tree = Tree {
            nodes: vec![split, leaf(0.1), leaf(0.2)],
        };
        let trees = TreeEnsemble::new(comparison, Aggregation::Sum, 0.0, &[tree]).unwrap();
        Ensemble::single(Estimator::Trees(trees), Link::Logistic)
    };
    assert_eq!(
        refused(stump(Comparison::LessOrEqualF64, MissingRule::Left)),
        "ensemble.members[0].comparison: the trees compare in 64 bits, XGBoost's in 32"
    );
    assert_eq!(
        refused(stump(Comparison::LessThanF32, MissingRule::ZeroOrMissingLeft)),
        "ensemble.members[0].trees[0].nodes[0].missing: zero counts as missing, which XGBoost's trees cannot say"
    );
    assert!(
        refused(Ensemble::single(Estimator::Trees(trees(1, 20.0)), Link::Logistic))
            .starts_with("ensemble.base_margin: 20 is not within")
    );
}

#[test]
fn an_unlisted_category_that_would_go_another_way_is_refused() {
    let mut preprocessing = preprocessing();
    for step in &mut preprocessing.steps {
        if let Step::OrdinalEncoding { unlisted, .. } = step {
            *unlisted = UnlistedCategory::Code;
        }
    }
    let export = |rule| {
        let trees = trees(1, 0.0).with_unlisted_code(rule);
        let ensemble = Ensemble::single(Estimator::Trees(trees), Link::Logistic);
        export_xgboost_json(&model(preprocessing.clone(), ensemble, Calibration::None))
    };
    export(UnlistedCode::Left).unwrap();
    for rule in [UnlistedCode::Right, UnlistedCode::AsMissing] {
        assert!(
            matches!(export(rule), Err(ExportError::Inexpressible { part, .. }) if part.ends_with("unlisted_code"))
        );
    }
}

#[test]
fn the_mean_of_trees_is_written_as_a_sum_of_smaller_leaves() {
    let sum = trees(5, -1.0);
    let mean = TreeEnsemble::new(
        Comparison::LessThanF32,
        Aggregation::Mean,
        -1.0,
        &sum.trees().collect::<Vec<_>>(),
    )
    .unwrap();
    let original = model(
        preprocessing(),
        Ensemble::single(Estimator::Trees(mean), Link::Logistic),
        Calibration::None,
    );
    let imported = import(&export_xgboost_json(&original).unwrap(), Rounds::Best).unwrap();
    let options = BindOptions {
        steps: engineered(),
        unlisted: Some(UnlistedCategory::Missing),
        ..BindOptions::default()
    };
    let bound = bind(&imported, &options, schema()).unwrap();
    let again = model(bound.preprocessing, bound.ensemble, Calibration::None);
    for features in rows() {
        assert!((again.margin(&features) - original.margin(&features)).abs() < 1e-6);
    }
}
