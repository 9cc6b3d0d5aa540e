//! Simulated customers: the same for ever, valid, and distributed as the real file's.

use holdfast_domain::{Customer, CustomerKey, Digest, Feature, FeatureKind, Schema, validate_table};
use holdfast_simulator::{FIRST_KEY, customers, customers_between};

/// Digest of the first 1,000 customers of seed 42: change it only when the simulator is changed on purpose, and say so in the
/// change log.
const FROZEN: &str = "955fc235a9c2b6fecb4ce8bd6747f074b4913ad65961fff2761e0432226bf591";

fn digest(population: &[Customer]) -> Digest {
    let mut bytes = Vec::new();
    for customer in population {
        bytes.extend(customer.key.map_or(-1, |key| key.0).to_le_bytes());
        bytes.push(u8::from(customer.label == Some(true)));
        for value in customer.features.0 {
            bytes.extend(value.to_bits().to_le_bytes());
        }
    }
    Digest::of(&bytes)
}

fn column(population: &[Customer], feature: Feature) -> Vec<f64> {
    let mut values: Vec<f64> = population.iter().map(|c| c.features.get(feature).unwrap()).collect();
    values.sort_by(f64::total_cmp);
    values
}

fn share(population: &[Customer], holds: impl Fn(&Customer) -> bool) -> f64 {
    population.iter().filter(|c| holds(c)).count() as f64 / population.len() as f64
}

#[test]
fn a_thousand_customers_are_the_same_bytes_for_ever() {
    assert_eq!(digest(&customers(1_000, 42)).to_string(), FROZEN);
    assert_ne!(digest(&customers(1_000, 43)).to_string(), FROZEN);
}

#[test]
fn a_customer_does_not_depend_on_how_many_are_made() {
    let all = customers(500, 9);
    assert_eq!(customers(120, 9), all[..120]);
    assert_eq!(customers_between(120..500, 9), all[120..]);
    assert_eq!(all[7].key, Some(CustomerKey(FIRST_KEY + 7)));
    assert!(customers(0, 9).is_empty());
}

#[test]
fn a_simulated_table_passes_the_schema() {
    let population = customers(5_000, 1);
    let schema = Schema::embedded();
    assert!(validate_table(&population, schema).is_ok());
    for customer in &population {
        for column in schema.columns() {
            let value = customer.features.get(column.feature).unwrap();
            assert!(
                column.minimum.is_none_or(|low| value >= low),
                "{} {value}",
                column.feature
            );
            assert!(
                column.maximum.is_none_or(|high| value <= high),
                "{} {value}",
                column.feature
            );
            assert!(!column.integer || value.fract() == 0.0, "{} {value}", column.feature);
            if column.feature.kind() == FeatureKind::Categorical {
                assert!(
                    schema.category_name(column.feature, value as usize).is_some(),
                    "{} {value}",
                    column.feature
                );
            }
        }
    }
}

#[test]
fn open_to_buy_and_utilisation_follow_from_limit_and_balance() {
    for customer in customers(5_000, 2) {
        let value = |feature| customer.features.get(feature).unwrap();
        let (limit, balance) = (value(Feature::CreditLimit), value(Feature::TotalRevolvingBal));
        assert!((value(Feature::AvgOpenToBuy) - (limit - balance)).abs() < 1e-6);
        assert!((value(Feature::AvgUtilizationRatio) - balance / limit).abs() <= 0.000_5 + 1e-12);
        assert!(balance < limit);
    }
}

/// Quantiles of the real file at 5, 25, 50, 75 and 95 %, and how far a simulated one may be from its place: the simulated
/// share below the real quantile must be within three points of the real share below it.
const REFERENCE: [(Feature, [f64; 5]); 12] = [
    (Feature::CustomerAge, [33.0, 41.0, 46.0, 52.0, 60.0]),
    (Feature::DependentCount, [0.0, 1.0, 2.0, 3.0, 4.0]),
    (Feature::MonthsOnBook, [22.0, 31.0, 36.0, 40.0, 50.0]),
    (Feature::TotalRelationshipCount, [1.0, 3.0, 4.0, 5.0, 6.0]),
    (Feature::MonthsInactive12Mon, [1.0, 2.0, 2.0, 3.0, 4.0]),
    (Feature::ContactsCount12Mon, [1.0, 2.0, 2.0, 3.0, 4.0]),
    (Feature::CreditLimit, [1_438.51, 2_555.0, 4_549.0, 11_067.5, 34_516.0]),
    (Feature::TotalRevolvingBal, [0.0, 359.0, 1_276.0, 1_784.0, 2_517.0]),
    (Feature::TotalAmtChngQ4Q1, [0.463, 0.631, 0.736, 0.859, 1.103]),
    (Feature::TotalTransAmt, [1_283.3, 2_155.5, 3_899.0, 4_741.0, 14_212.0]),
    (Feature::TotalTransCt, [28.0, 45.0, 67.0, 81.0, 105.0]),
    (Feature::TotalCtChngQ4Q1, [0.368, 0.582, 0.702, 0.818, 1.069]),
];

#[test]
fn numeric_features_have_the_real_files_quantiles() {
    let population = customers(20_000, 3);
    for (feature, quantiles) in REFERENCE {
        let simulated = column(&population, feature);
        for (quantile, part) in quantiles.into_iter().zip([0.05, 0.25, 0.5, 0.75, 0.95]) {
            // A discrete feature jumps at its quantiles: the real share lies in the jump, give or take.
            let below = simulated.partition_point(|v| *v < quantile) as f64 / simulated.len() as f64;
            let up_to = simulated.partition_point(|v| *v <= quantile) as f64 / simulated.len() as f64;
            assert!(
                below - 0.03 <= part && part <= up_to + 0.03,
                "{feature} at {part}: {below}..{up_to} up to {quantile}"
            );
        }
    }
}

#[test]
fn shares_and_spikes_are_the_real_files() {
    let population = customers(20_000, 4);
    let schema = Schema::embedded();
    let is = |feature, name| {
        let code = schema.category_code(feature, name).unwrap() as f64;
        move |c: &Customer| c.features.get(feature) == Some(code)
    };
    let equals = |feature, value| move |c: &Customer| c.features.get(feature) == Some(value);
    let near = |got: f64, expected: f64| assert!((got - expected).abs() < 0.015, "{got} instead of {expected}");
    near(share(&population, |c| c.label == Some(true)), 0.161);
    near(share(&population, is(Feature::Gender, "F")), 0.529);
    near(share(&population, is(Feature::IncomeCategory, "Less than $40K")), 0.352);
    near(share(&population, is(Feature::IncomeCategory, "$120K +")), 0.072);
    near(share(&population, is(Feature::CardCategory, "Blue")), 0.932);
    near(share(&population, is(Feature::EducationLevel, "Graduate")), 0.309);
    near(share(&population, is(Feature::MaritalStatus, "Married")), 0.463);
    near(share(&population, equals(Feature::TotalRevolvingBal, 0.0)), 0.244);
    near(share(&population, equals(Feature::TotalRevolvingBal, 2_517.0)), 0.050);
    near(share(&population, equals(Feature::CreditLimit, 34_516.0)), 0.050);
    near(share(&population, equals(Feature::CreditLimit, 1_438.3)), 0.050);
    let women: Vec<Customer> = population.iter().copied().filter(is(Feature::Gender, "F")).collect();
    near(share(&women, is(Feature::IncomeCategory, "$80K - $120K")), 0.0);
}

#[test]
fn rank_correlations_are_the_real_files() {
    let population = customers(10_000, 5);
    let expected = [
        (Feature::CustomerAge, Feature::MonthsOnBook, 0.77),
        (Feature::TotalTransAmt, Feature::TotalTransCt, 0.88),
        (Feature::TotalRevolvingBal, Feature::AvgUtilizationRatio, 0.71),
        (Feature::CreditLimit, Feature::AvgUtilizationRatio, -0.42),
        (Feature::TotalRelationshipCount, Feature::TotalTransAmt, -0.28),
        (Feature::TotalAmtChngQ4Q1, Feature::TotalCtChngQ4Q1, 0.30),
        (Feature::CustomerAge, Feature::CreditLimit, 0.0),
    ];
    for (a, b, real) in expected {
        let simulated = spearman(&population, a, b);
        assert!(
            (simulated - real).abs() < 0.06,
            "{a} and {b}: {simulated} instead of {real}"
        );
    }
}

fn spearman(population: &[Customer], a: Feature, b: Feature) -> f64 {
    let (a, b) = (ranks(population, a), ranks(population, b));
    let mean = (a.len() as f64 + 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

/// Ranks with ties at their mean.
fn ranks(population: &[Customer], feature: Feature) -> Vec<f64> {
    let sorted = column(population, feature);
    let rank = |value: f64| {
        (sorted.partition_point(|v| *v < value) + sorted.partition_point(|v| *v <= value) + 1) as f64 / 2.0
    };
    population
        .iter()
        .map(|c| rank(c.features.get(feature).unwrap()))
        .collect()
}
