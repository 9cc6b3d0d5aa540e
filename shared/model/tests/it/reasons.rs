//! Reasons as a call agent reads them.

use holdfast_domain::{Feature, FeatureVector, Schema, UNKNOWN_CATEGORY};
use holdfast_model::{
    Direction, Ensemble, Estimator, Level, Link, LogisticCoefficients, Model, Preprocessing, ReferenceProfile, Step,
};

use crate::support::{Kind, draft, model, ordinal, rows, schema};

/// Linear in four columns, so that each contribution is known: fewer transactions, higher limit, Gold cards push towards leaving.
fn simple_model() -> Model {
    let typical = |transactions: f64, limit: f64, card: &str| {
        let mut features = FeatureVector::MISSING;
        features.set(Feature::TotalTransCt, transactions);
        features.set(Feature::CreditLimit, limit);
        features.set(Feature::AvgUtilizationRatio, 0.25);
        features.set(
            Feature::CardCategory,
            schema().category_code(Feature::CardCategory, card).unwrap() as f64,
        );
        features
    };
    let training = [
        typical(67.0, 4_549.0, "Blue"),
        typical(40.0, 2_000.0, "Blue"),
        typical(90.0, 12_000.0, "Gold"),
    ];
    let mut draft = draft(Kind::Logistic, 1);
    draft.preprocessing = Preprocessing {
        steps: vec![
            ordinal(
                "Card_Category",
                &["Blue", "Gold"],
                holdfast_model::UnlistedCategory::Missing,
            ),
            Step::Imputation {
                column: "Avg_Utilization_Ratio".to_owned(),
                value: 0.0,
            },
        ],
        columns: [
            "Total_Trans_Ct",
            "Credit_Limit",
            "Card_Category",
            "Avg_Utilization_Ratio",
        ]
        .map(str::to_owned)
        .to_vec(),
    };
    draft.ensemble = Ensemble::single(
        Estimator::Logistic(LogisticCoefficients {
            intercept: 0.0,
            coefficients: vec![-0.1, 0.000_1, 0.5, -4.0],
            column_means: vec![67.0, 4_549.0, 0.0, 0.25],
        }),
        Link::Logistic,
    );
    draft.profile = ReferenceProfile::build(&training, &[], schema());
    draft.preview(schema()).unwrap()
}

fn customer() -> FeatureVector {
    let mut features = FeatureVector::MISSING;
    features.set(Feature::TotalTransCt, 42.0);
    features.set(Feature::CreditLimit, 12_550.0);
    features.set(Feature::AvgUtilizationRatio, 0.0);
    features.set(
        Feature::CardCategory,
        schema().category_code(Feature::CardCategory, "Gold").unwrap() as f64,
    );
    features
}

#[test]
fn the_strongest_reasons_come_first_in_plain_words() {
    let model = simple_model();
    let reasons = model.reasons(&customer(), 10);
    let texts: Vec<&str> = reasons.iter().map(|reason| reason.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "Made fewer transactions than most customers (42; typical 67)",
            "Uses a smaller share of the credit limit than most customers (0 %; typical 25 %)",
            "Has a higher credit limit than most customers ($12,550; typical $4,549)",
            "Card: Gold (as 33 % of customers)",
        ]
    );
    let codes: Vec<String> = reasons.iter().map(holdfast_model::Reason::code).collect();
    assert_eq!(
        codes,
        [
            "TOTAL_TRANS_CT_LOW",
            "AVG_UTILIZATION_RATIO_LOW",
            "CREDIT_LIMIT_HIGH",
            "CARD_CATEGORY_CATEGORY"
        ]
    );
    assert!(
        reasons
            .iter()
            .all(|reason| reason.direction == Direction::TowardsAttrition && reason.contribution > 0.0)
    );
    assert_eq!(model.reasons(&customer(), 1), reasons[..1]);
    assert_eq!(model.reasons(&customer(), 0), []);
}

#[test]
fn reasons_against_leaving_are_given_when_asked_for() {
    let model = simple_model();
    let mut features = customer();
    features.set(Feature::TotalTransCt, 90.0);
    features.set(Feature::CreditLimit, 4_549.0);
    let explanation = model.explain(&features);
    let away = model.reasons_of(&explanation, &features, Direction::AwayFromAttrition, 3);
    assert_eq!(away.len(), 1);
    assert_eq!(
        away[0].text,
        "Made more transactions than most customers (90; typical 67)"
    );
    assert!(away[0].contribution < 0.0);
}

#[test]
fn missing_values_and_unlisted_categories_have_their_own_words() {
    let model = simple_model();
    let mut features = customer();
    features.set(Feature::AvgUtilizationRatio, f64::NAN);
    let missing = model
        .reasons(&features, 10)
        .into_iter()
        .find(|reason| reason.feature == Feature::AvgUtilizationRatio)
        .unwrap();
    assert_eq!(
        (missing.level, missing.text.as_str()),
        (Level::Missing, "Share of the credit limit in use is not known")
    );
    let mut explanation = model.explain(&features);
    explanation.contributions[Feature::Gender.index()] = 1.0;
    features.set(Feature::Gender, UNKNOWN_CATEGORY);
    let unlisted = model.reasons_of(&explanation, &features, Direction::TowardsAttrition, 10);
    let unlisted = unlisted
        .iter()
        .find(|reason| reason.feature == Feature::Gender)
        .unwrap();
    assert_eq!(
        (unlisted.level, unlisted.text.as_str()),
        (Level::UnlistedCategory, "Gender is none of the usual ones")
    );
}

#[test]
fn wording_does_not_depend_on_the_kind_of_model() {
    let features = rows(1, 3)[0];
    let texts = |kind| {
        let model = model(kind, 3);
        let mut explanation = model.explain(&features);
        explanation.contributions = [1.0; holdfast_domain::FEATURE_COUNT];
        let reasons = model.reasons_of(&explanation, &features, Direction::TowardsAttrition, 19);
        reasons
            .into_iter()
            .map(|reason| (reason.code(), reason.text))
            .collect::<Vec<_>>()
    };
    let boosted = texts(Kind::Boosted);
    assert_eq!(boosted.len(), Schema::embedded().columns().len());
    for kind in Kind::ALL {
        assert_eq!(texts(kind), boosted);
    }
}
