//! Traffic and late outcomes.

use std::collections::HashSet;
use std::time::Duration;

use holdfast_domain::{Customer, FeatureVector};
use holdfast_simulator::{OutcomePlan, customers, outcomes, traffic};

#[test]
fn everybody_is_asked_about_before_anybody_is_again() {
    let arrivals = traffic(50, 120, 1);
    assert_eq!(arrivals.len(), 120);
    for pass in arrivals.chunks(50) {
        let asked: HashSet<usize> = pass.iter().map(|a| a.customer).collect();
        assert_eq!(asked.len(), pass.len());
    }
    let order = |range: std::ops::Range<usize>| arrivals[range].iter().map(|a| a.customer).collect::<Vec<_>>();
    assert_ne!(order(0..50), order(50..100));
    assert_ne!(order(0..50), (0..50).collect::<Vec<_>>());
}

#[test]
fn arrivals_ascend_with_a_mean_gap_of_one() {
    let arrivals = traffic(10, 20_000, 2);
    assert!(arrivals.is_sorted_by(|a, b| a.offset <= b.offset));
    let mean_gap = arrivals[19_999].offset / 20_000.0;
    assert!((mean_gap - 1.0).abs() < 0.03, "{mean_gap}");
    // Exponential gaps: a share of 1/e is longer than the mean. Even spacing would have none.
    let long = arrivals.windows(2).filter(|w| w[1].offset - w[0].offset > 1.0).count() as f64 / 19_999.0;
    assert!((long - 0.368).abs() < 0.02, "{long}");
}

#[test]
fn traffic_is_the_same_for_the_same_seed() {
    assert_eq!(traffic(30, 100, 3), traffic(30, 100, 3));
    assert_ne!(traffic(30, 100, 3), traffic(30, 100, 4));
    assert_eq!(traffic(30, 100, 3)[..40], traffic(30, 40, 3));
    assert!(traffic(0, 100, 3).is_empty());
    assert_eq!(traffic(1, 3, 3).len(), 3);
}

#[test]
fn most_labels_come_in_the_window_some_later_some_never() {
    let population = customers(10_000, 4);
    let plan = OutcomePlan {
        window: Duration::from_secs(1_000),
        late_share: 0.2,
        never_share: 0.1,
    };
    let known = outcomes(&population, &plan, 5);
    let near =
        |count: usize, share: f64| assert!((count as f64 / 10_000.0 - share).abs() < 0.015, "{count}, not {share}");
    near(known.len(), 0.9);
    near(known.iter().filter(|o| o.delay <= plan.window).count(), 0.7);
    assert!(known.iter().all(|o| o.delay <= plan.window * 5));
    assert!(known.is_sorted_by_key(|o| o.delay));
    let left = known.iter().filter(|o| o.delay <= plan.window && o.label).count() as f64 / 7_000.0;
    assert!((left - 0.16).abs() < 0.02, "{left}");
    for outcome in &known {
        assert_eq!(population[outcome.customer].key, Some(outcome.key));
        assert_eq!(population[outcome.customer].label, Some(outcome.label));
    }
}

#[test]
fn an_outcome_depends_on_the_customer_and_not_on_the_batch() {
    let population = customers(100, 6);
    let plan = OutcomePlan::default();
    let mut reversed = population.clone();
    reversed.reverse();
    let strip = |customers: &[Customer]| {
        outcomes(customers, &plan, 7)
            .iter()
            .map(|o| (o.key, o.delay))
            .collect::<Vec<_>>()
    };
    assert_eq!(strip(&population), strip(&reversed));
    let twice: Vec<Customer> = population.iter().chain(&population).copied().collect();
    assert_eq!(strip(&population), strip(&twice));
    assert_ne!(outcomes(&population, &plan, 7), outcomes(&population, &plan, 8));
}

#[test]
fn a_customer_without_key_or_label_has_no_outcome() {
    let mut population = customers(50, 8);
    for customer in &mut population {
        customer.label = None;
    }
    population.push(Customer {
        key: None,
        label: Some(true),
        features: FeatureVector::MISSING,
    });
    assert!(outcomes(&population, &OutcomePlan::default(), 9).is_empty());
    let all = OutcomePlan {
        window: Duration::MAX,
        late_share: 0.9,
        never_share: -1.0,
    };
    assert_eq!(outcomes(&customers(50, 8), &all, 9).len(), 50);
}
