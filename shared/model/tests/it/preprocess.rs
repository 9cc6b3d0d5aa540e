//! Declared steps: what they compute, and what is refused.

use holdfast_domain::{Feature, FeatureVector, Schema, UNKNOWN_CATEGORY};
use holdfast_model::preprocess::ColumnKind;
use holdfast_model::{Preprocessing, Preprocessor, Step, UnlistedCategory};

use crate::support::{linear_preprocessing, ordinal, schema, tree_preprocessing};

fn columns(steps: Vec<Step>, columns: &[&str], set: &[(Feature, f64)]) -> Vec<f64> {
    let preprocessing = Preprocessing {
        steps,
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
    };
    let preprocessor = Preprocessor::new(&preprocessing, schema()).unwrap();
    let mut features = FeatureVector::MISSING;
    for (feature, value) in set {
        features.set(*feature, *value);
    }
    preprocessor.row(&features)[..columns.len()].to_vec()
}

fn refused(steps: Vec<Step>, columns: &[&str]) -> String {
    let preprocessing = Preprocessing {
        steps,
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
    };
    Preprocessor::new(&preprocessing, schema()).unwrap_err().to_string()
}

fn ratio(numerator: &str, denominator: &str) -> Step {
    let (numerator, denominator) = (numerator.to_owned(), denominator.to_owned());
    Step::Ratio {
        name: "ratio".to_owned(),
        numerator,
        denominator,
        when_zero: 0.0,
    }
}

#[test]
fn a_ratio_is_zero_where_its_divisor_is() {
    let of = |numerator, denominator| {
        let set = [
            (Feature::TotalAmtChngQ4Q1, numerator),
            (Feature::TotalTransAmt, denominator),
        ];
        columns(vec![ratio("Total_Amt_Chng_Q4_Q1", "Total_Trans_Amt")], &["ratio"], &set)[0]
    };
    assert_eq!(of(3.0, 4.0).to_bits(), 0.75_f64.to_bits());
    assert_eq!(of(3.0, 0.0).to_bits(), 0.0_f64.to_bits());
    assert_eq!(of(3.0, -0.0).to_bits(), 0.0_f64.to_bits());
    assert!(of(f64::NAN, 4.0).is_nan());
    assert!(of(3.0, f64::NAN).is_nan());
    assert!(of(1e20, 1e-20).is_nan(), "beyond 1e30 counts as missing");
}

#[test]
fn a_product_multiplies_in_order_and_misses_what_is_missing() {
    let preprocessor = Preprocessor::new(&tree_preprocessing(), schema()).unwrap();
    let at = preprocessor
        .columns()
        .iter()
        .position(|name| name == "Customer_Value")
        .unwrap();
    let mut features = FeatureVector::MISSING;
    features.set(Feature::TotalRevolvingBal, 777.0);
    features.set(Feature::AvgUtilizationRatio, 0.061);
    assert!(preprocessor.row(&features)[at].is_nan());
    features.set(Feature::CreditLimit, 12_691.0);
    assert_eq!(
        preprocessor.row(&features)[at].to_bits(),
        (777.0 * 0.061 * 12_691.0_f64).to_bits()
    );
}

#[test]
fn categories_are_encoded_by_name_in_the_order_the_step_declares() {
    let code = |name: &str| schema().category_code(Feature::CardCategory, name).unwrap() as f64;
    let of = |unlisted, value| {
        columns(
            vec![ordinal("Card_Category", &["Platinum", "Blue"], unlisted)],
            &["Card_Category"],
            &[(Feature::CardCategory, value)],
        )[0]
    };
    for unlisted in [UnlistedCategory::Missing, UnlistedCategory::Code] {
        assert_eq!(of(unlisted, code("Platinum")).to_bits(), 0.0_f64.to_bits());
        assert_eq!(of(unlisted, code("Blue")).to_bits(), 1.0_f64.to_bits());
        assert!(of(unlisted, f64::NAN).is_nan());
    }
    for odd in [code("Gold"), UNKNOWN_CATEGORY, 0.5, 99.0, -7.0] {
        assert!(of(UnlistedCategory::Missing, odd).is_nan(), "{odd}");
        assert_eq!(of(UnlistedCategory::Code, odd).to_bits(), (-1.0_f64).to_bits(), "{odd}");
    }
}

#[test]
fn one_hot_columns_are_named_after_their_category() {
    let step = || Step::OneHotEncoding {
        column: "Gender".to_owned(),
        categories: vec!["M".to_owned(), "F".to_owned()],
    };
    let of = |value| columns(vec![step()], &["Gender=F", "Gender=M"], &[(Feature::Gender, value)]);
    let female = schema().category_code(Feature::Gender, "F").unwrap() as f64;
    assert_eq!(of(female), [1.0, 0.0]);
    assert_eq!(of(UNKNOWN_CATEGORY), [0.0, 0.0]);
    assert_eq!(of(f64::NAN), [0.0, 0.0]);
}

#[test]
fn a_reader_with_another_category_order_sees_the_same_columns() {
    let text = include_str!("../../../../config/schema.yaml").replace("categories: [F, M]", "categories: [M, X, F]");
    let other = Schema::parse(&text).unwrap();
    for preprocessing in [tree_preprocessing(), linear_preprocessing()] {
        let (here, there) = (
            Preprocessor::new(&preprocessing, schema()).unwrap(),
            Preprocessor::new(&preprocessing, &other).unwrap(),
        );
        for name in ["F", "M"] {
            let row = |preprocessor: &Preprocessor, schema: &Schema| {
                let mut features = FeatureVector::MISSING;
                features.set(
                    Feature::Gender,
                    schema.category_code(Feature::Gender, name).unwrap() as f64,
                );
                preprocessor.row(&features).map(f64::to_bits)
            };
            assert_eq!(row(&here, schema()), row(&there, &other));
        }
    }
}

#[test]
fn imputation_and_scaling_follow_each_other() {
    let steps = vec![
        Step::Imputation {
            column: "Customer_Age".to_owned(),
            value: 46.0,
        },
        Step::Scaling {
            column: "Customer_Age".to_owned(),
            mean: 40.0,
            scale: 8.0,
        },
    ];
    assert_eq!(columns(steps.clone(), &["Customer_Age"], &[]), [0.75]);
    assert_eq!(
        columns(steps, &["Customer_Age"], &[(Feature::CustomerAge, 48.0)]),
        [1.0]
    );
}

#[test]
fn columns_know_their_kind_and_their_features() {
    let preprocessor = Preprocessor::new(&tree_preprocessing(), schema()).unwrap();
    assert_eq!(
        preprocessor.kinds()[Feature::Gender.index()],
        ColumnKind::Code { categories: 2 }
    );
    assert_eq!(preprocessor.kinds()[Feature::CreditLimit.index()], ColumnKind::Number);
    let growth = preprocessor
        .columns()
        .iter()
        .position(|name| name == "Activity_Growth")
        .unwrap();
    assert_eq!(
        preprocessor.credits(growth),
        [(Feature::TotalAmtChngQ4Q1, 0.5), (Feature::TotalTransAmt, 0.5)]
    );
    for index in 0..preprocessor.columns().len() {
        let sum: f64 = preprocessor.credits(index).iter().map(|(_, share)| share).sum();
        assert!((sum - 1.0).abs() < 1e-15);
    }
}

fn check(cases: &[(String, &str)]) {
    for (found, expected) in cases {
        assert!(
            found.starts_with(expected),
            "{found:?} does not start with {expected:?}"
        );
    }
}

#[test]
fn steps_that_make_no_sense_are_refused_with_their_place() {
    let gender = |categories: &[&str]| ordinal("Gender", categories, UnlistedCategory::Missing);
    let cases = [
        (refused(vec![], &[]), "columns: there are 0"),
        (
            refused(vec![], &["Credit_limit"]),
            "columns[0]: there is no column \"Credit_limit\"",
        ),
        (
            refused(vec![], &["Credit_Limit", "Credit_Limit"]),
            "columns[1]: column \"Credit_Limit\" is listed twice",
        ),
        (
            refused(vec![], &["Gender"]),
            "columns[0]: \"Gender\" holds categories that no step encodes",
        ),
        (
            refused(vec![ratio("Gender", "Credit_Limit")], &["ratio"]),
            "steps[0].column: \"Gender\" holds categories",
        ),
        (
            refused(vec![ratio("Credit_Limit", "x")], &["ratio"]),
            "steps[0].column: there is no column \"x\"",
        ),
        (
            refused(vec![gender(&["F", "F"])], &["Gender"]),
            "steps[0].categories: \"F\" is listed twice",
        ),
        (
            refused(vec![gender(&[])], &["Gender"]),
            "steps[0].categories: there are 0",
        ),
        (
            refused(vec![gender(&["F"]), gender(&["F"])], &["Gender"]),
            "steps[1].column: \"Gender\" holds no categories that are still",
        ),
    ];
    check(&cases);
}

#[test]
fn values_and_names_that_make_no_sense_are_refused_with_their_place() {
    let cases = [
        (
            refused(
                vec![Step::Scaling {
                    column: "Credit_Limit".to_owned(),
                    mean: 0.0,
                    scale: 0.0,
                }],
                &["Credit_Limit"],
            ),
            "steps[0].scale: 0 is not above zero",
        ),
        (
            refused(
                vec![Step::Imputation {
                    column: "Credit_Limit".to_owned(),
                    value: f64::NAN,
                }],
                &["Credit_Limit"],
            ),
            "steps[0].value: NaN is not finite",
        ),
        (
            refused(
                vec![Step::Product {
                    name: "Gender".to_owned(),
                    factors: vec!["Credit_Limit".to_owned(); 2],
                }],
                &["Gender"],
            ),
            "steps[0].name: there is a column \"Gender\" already",
        ),
        (
            refused(
                vec![Step::OneHotEncoding {
                    column: "Gender".to_owned(),
                    categories: vec!["F".to_owned()],
                }],
                &["Gender"],
            ),
            "columns[0]: there is no column \"Gender\" at this point",
        ),
    ];
    check(&cases);
}

#[test]
fn too_many_columns_are_refused() {
    let steps = (0..100).map(|index| Step::Product {
        name: format!("p{index}"),
        factors: vec!["Credit_Limit".to_owned(); 2],
    });
    let error = refused(steps.collect(), &["p0"]);
    assert!(error.contains("one more than the 96 that fit"), "{error}");
}
