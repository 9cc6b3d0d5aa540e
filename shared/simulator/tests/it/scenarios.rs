//! What each scenario changes, and what it leaves alone.

use holdfast_domain::{Customer, Feature, FeatureVector, Schema};
use holdfast_simulator::{Scenario, apply, customers};

fn mean(population: &[Customer], feature: Feature) -> f64 {
    population.iter().map(|c| c.features.get(feature).unwrap()).sum::<f64>() / population.len() as f64
}

fn changed(before: &[Customer], after: &[Customer]) -> Vec<Feature> {
    let differs = |feature: &Feature| {
        before
            .iter()
            .zip(after)
            .any(|(a, b)| a.features.get(*feature) != b.features.get(*feature))
    };
    Feature::ALL.into_iter().filter(differs).collect()
}

#[test]
fn nothing_changes_without_a_scenario_or_before_it_starts() {
    let population = customers(300, 1);
    assert_eq!(Scenario::None.apply(&population, 1.0, 5), population);
    for scenario in Scenario::ALL {
        assert_eq!(scenario.apply(&population, 0.0, 5), population, "{scenario}");
        assert_eq!(scenario.apply(&population, f64::NAN, 5), population, "{scenario}");
        assert_eq!(
            apply(&scenario, &population, 7.0, 5),
            scenario.apply(&population, 1.0, 5),
            "{scenario}"
        );
    }
}

#[test]
fn a_gradual_slide_goes_one_way() {
    let population = customers(400, 2);
    let steps: Vec<Vec<Customer>> = (0..=10)
        .map(|step| Scenario::Gradual.apply(&population, f64::from(step) / 10.0, 5))
        .collect();
    for feature in [
        Feature::TotalTransAmt,
        Feature::TotalTransCt,
        Feature::TotalAmtChngQ4Q1,
        Feature::TotalCtChngQ4Q1,
    ] {
        for pair in steps.windows(2) {
            assert!(mean(&pair[1], feature) < mean(&pair[0], feature), "{feature}");
            assert!(
                pair[0]
                    .iter()
                    .zip(&pair[1])
                    .all(|(a, b)| b.features.get(feature) <= a.features.get(feature)),
                "{feature}"
            );
        }
    }
    let left = mean(&steps[10], Feature::TotalTransAmt) / mean(&population, Feature::TotalTransAmt);
    assert!((left - 0.7).abs() < 0.02, "{left}");
}

#[test]
fn a_season_returns_to_where_it_started() {
    let population = customers(400, 3);
    let at = |progress| {
        mean(
            &Scenario::Seasonal.apply(&population, progress, 5),
            Feature::TotalTransAmt,
        )
    };
    let start = mean(&population, Feature::TotalTransAmt);
    assert!((at(0.25) / start - 1.25).abs() < 0.02);
    assert!((at(0.75) / start - 0.75).abs() < 0.02);
    assert_eq!(Scenario::Seasonal.apply(&population, 1.0, 5), population);
    assert_eq!(Scenario::Seasonal.apply(&population, 0.5, 5), population);
}

#[test]
fn a_shock_strikes_at_once() {
    let population = customers(400, 4);
    assert_eq!(Scenario::Sudden.apply(&population, 0.49, 5), population);
    let after = Scenario::Sudden.apply(&population, 0.5, 5);
    assert_eq!(after, Scenario::Sudden.apply(&population, 1.0, 5));
    assert!(mean(&after, Feature::TotalTransCt) < 0.65 * mean(&population, Feature::TotalTransCt));
    assert!(mean(&after, Feature::TotalTransAmt) > 1.25 * mean(&population, Feature::TotalTransAmt));
}

#[test]
fn one_feature_moves_alone() {
    let population = customers(400, 5);
    let after = Scenario::OneFeature.apply(&population, 1.0, 5);
    assert_eq!(changed(&population, &after), [Feature::TotalAmtChngQ4Q1]);
    assert!(
        (mean(&after, Feature::TotalAmtChngQ4Q1) / mean(&population, Feature::TotalAmtChngQ4Q1) - 1.4).abs() < 0.02
    );
}

#[test]
fn a_broken_column_breaks_for_a_growing_share_of_rows() {
    let population = customers(2_000, 6);
    let broken = |progress| {
        let after = Scenario::BrokenColumn.apply(&population, progress, 5);
        assert_eq!(changed(&population, &after), [Feature::TotalTransCt]);
        after
            .iter()
            .filter(|c| c.features.get(Feature::TotalTransCt) == Some(0.0))
            .count()
    };
    assert!((900..1_100).contains(&broken(0.5)));
    assert_eq!(broken(1.0), 2_000);
}

#[test]
fn keys_labels_and_validity_are_kept() {
    let population = customers(1_000, 7);
    for scenario in Scenario::ALL {
        for progress in [0.25, 0.6, 1.0] {
            let after = scenario.apply(&population, progress, 5);
            assert_eq!(after.len(), population.len());
            for (a, b) in population.iter().zip(&after) {
                assert_eq!((a.key, a.label), (b.key, b.label), "{scenario}");
                for column in Schema::embedded().columns() {
                    let value = b.features.get(column.feature).unwrap();
                    assert!(
                        column.minimum.is_none_or(|low| value >= low),
                        "{scenario} {} {value}",
                        column.feature
                    );
                    assert!(
                        column.maximum.is_none_or(|high| value <= high),
                        "{scenario} {} {value}",
                        column.feature
                    );
                    assert!(
                        !column.integer || value.fract() == 0.0,
                        "{scenario} {} {value}",
                        column.feature
                    );
                }
            }
        }
    }
}

#[test]
fn a_customer_changes_the_same_way_in_whatever_batch_it_comes() {
    let population = customers(200, 8);
    for scenario in Scenario::ALL {
        let whole = scenario.apply(&population, 0.8, 5);
        let mut parts = scenario.apply(&population[..77], 0.8, 5);
        parts.extend(scenario.apply(&population[77..], 0.8, 5));
        assert_eq!(whole, parts, "{scenario}");
    }
    let seeds = [5, 6].map(|seed| Scenario::Gradual.apply(&population, 0.8, seed));
    assert_ne!(seeds[0], seeds[1]);
}

#[test]
fn missing_values_stay_missing() {
    let empty = [Customer {
        key: None,
        label: None,
        features: FeatureVector::MISSING,
    }];
    for scenario in Scenario::ALL {
        assert_eq!(scenario.apply(&empty, 1.0, 5), empty, "{scenario}");
    }
}

#[test]
fn names_are_read_back() {
    for scenario in Scenario::ALL {
        assert_eq!(scenario.to_string().parse(), Ok(scenario));
        assert!(!scenario.describe().is_empty());
    }
    let error = "Sudden".parse::<Scenario>().unwrap_err();
    for scenario in Scenario::ALL {
        assert!(error.to_string().contains(scenario.name()), "{error}");
    }
}
