//! Profiles of parts add up to the profile of the whole.

use holdfast_domain::Schema;
use holdfast_model::{Distribution, NumericProfile, ReferenceProfile};
use proptest::prelude::*;

use crate::support::{rows, schema};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn merging_equals_profiling_the_whole(first in 0_usize..80, second in 0_usize..80, seed in any::<u64>()) {
        let (mut all, scored) = (rows(first, seed), rows(second, seed ^ 1));
        let scores = |count: usize, start: usize| (0..count).map(|i| ((start + i) % 13) as f64 / 13.0).collect::<Vec<_>>();
        let (a, b) = (scores(first, 0), scores(second, first));
        let parts = [ReferenceProfile::build(&all, &a, schema()), ReferenceProfile::build(&scored, &b, schema())];
        all.extend(scored);
        let whole = ReferenceProfile::build(&all, &[a, b].concat(), schema());
        prop_assert_eq!(parts[0].merge(&parts[1]).unwrap(), whole.clone());
        prop_assert_eq!(parts[1].merge(&parts[0]).unwrap(), whole);
    }

    #[test]
    fn a_numeric_profile_is_the_exact_distribution(values in prop::collection::vec(prop_oneof![(-50..50_i32).prop_map(|x| f64::from(x) / 4.0), Just(f64::NAN)], 0..200)) {
        let profile = NumericProfile::of(values.iter().copied());
        let mut present: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
        present.sort_by(f64::total_cmp);
        prop_assert_eq!(profile.present() as usize, present.len());
        prop_assert_eq!(profile.missing() as usize, values.len() - present.len());
        for (value, count) in profile.values().iter().zip(profile.counts()) {
            prop_assert_eq!(*count as usize, present.iter().filter(|x| *x == value).count());
        }
        prop_assert_eq!(profile.bin_counts().iter().sum::<u64>(), profile.present());
        prop_assert!(profile.bin_edges().windows(2).all(|pair| pair[0] < pair[1]));
        if !present.is_empty() {
            prop_assert_eq!(profile.median(), Some(present[present.len().div_ceil(2) - 1]));
            prop_assert_eq!(profile.bin_counts().len(), profile.bin_edges().len() + 1);
        }
    }
}

#[test]
fn profiles_of_different_categories_do_not_merge() {
    let text = include_str!("../../../../config/schema.yaml").replace("categories: [F, M]", "categories: [M, F]");
    let other = Schema::parse(&text).unwrap();
    assert_ne!(&other, schema());
    let profile = ReferenceProfile::build(&rows(5, 1), &[], schema());
    let error = profile
        .merge(&ReferenceProfile::build(&rows(5, 1), &[], &other))
        .unwrap_err();
    assert!(error.to_string().contains("Gender"), "{error}");
}

#[test]
fn categories_are_counted_by_name() {
    let profile = ReferenceProfile::build(&rows(200, 1), &[], schema());
    let Some(Distribution::Categorical(card)) = profile.feature(holdfast_domain::Feature::CardCategory) else {
        panic!("no card")
    };
    let blue = schema()
        .category_code(holdfast_domain::Feature::CardCategory, "Blue")
        .unwrap();
    let expected = rows(200, 1)
        .iter()
        .filter(|row| row.get(holdfast_domain::Feature::CardCategory) == Some(blue as f64))
        .count();
    assert_eq!(card.count("Blue"), Some(expected as u64));
    assert_eq!(card.present() + card.missing(), 200);
}
