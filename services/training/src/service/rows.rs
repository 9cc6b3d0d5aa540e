//! Which rows are learnt from and which are kept untouched for the test.

use std::collections::HashSet;

use holdfast_domain::{Customer, FeatureVector, split};

/// Rows to learn from and rows to test on. No customer is on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainTest {
    /// Learnt from.
    pub train: Vec<Customer>,
    /// Kept untouched.
    pub test: Vec<Customer>,
    /// Those of the test rows that come from the newest labelled window, by index; empty without a window.
    pub newest_window: Vec<usize>,
}

/// A table split by a seeded, stratified draw.
pub fn split_table(customers: &[Customer], test_share: f64, seed: u64) -> TrainTest {
    let split = split::stratified(&labels(customers), test_share, seed);
    TrainTest {
        train: pick(customers, &split.train),
        test: pick(customers, &split.test),
        newest_window: Vec::new(),
    }
}

/// Rows for learning again from a labelled window, given what the champion learnt from and was tested on.
///
/// A part of the window is held out and joins the champion's test rows; the rest joins its training rows. A window row
/// replaces older rows of the same customer, and a customer who is learnt from leaves the test, so that the test stays
/// untouched by both models: the champion never saw the window, and the candidate never saw a test customer.
pub fn with_window(
    base_train: &[Customer],
    base_test: &[Customer],
    window: &[Customer],
    held_out_share: f64,
    seed: u64,
) -> TrainTest {
    let split = split::stratified(&labels(window), held_out_share, seed);
    let learnt = pick(window, &split.train);
    let held_out = pick(window, &split.test);
    let learnt_keys = keys(&learnt);
    let held_out_keys = keys(&held_out);
    let not_in = |customer: &&Customer, set: &HashSet<i64>| customer.key.is_none_or(|key| !set.contains(&key.0));

    let mut train: Vec<Customer> = base_train
        .iter()
        .filter(|customer| not_in(customer, &learnt_keys) && not_in(customer, &held_out_keys))
        .copied()
        .collect();
    train.extend(learnt);
    let mut test: Vec<Customer> = base_test
        .iter()
        .filter(|customer| not_in(customer, &learnt_keys) && not_in(customer, &held_out_keys))
        .copied()
        .collect();
    let newest_window = (test.len()..test.len() + held_out.len()).collect();
    test.extend(held_out);
    TrainTest {
        train,
        test,
        newest_window,
    }
}

/// The labels; a row without one counts as "stayed", and validation has refused such rows before.
pub fn labels(customers: &[Customer]) -> Vec<bool> {
    customers.iter().map(|customer| customer.label == Some(true)).collect()
}

/// The features.
pub fn features(customers: &[Customer]) -> Vec<FeatureVector> {
    customers.iter().map(|customer| customer.features).collect()
}

fn pick(customers: &[Customer], indices: &[usize]) -> Vec<Customer> {
    indices.iter().map(|index| customers[*index]).collect()
}

fn keys(customers: &[Customer]) -> HashSet<i64> {
    customers
        .iter()
        .filter_map(|customer| customer.key)
        .map(|key| key.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_customer_is_learnt_from_and_tested_on() {
        let bank = holdfast_simulator::customers(2_000, 1);
        let base = split_table(&bank, 0.2, 42);
        assert_eq!(base.train.len() + base.test.len(), 2_000);
        // The window holds customers of the champion's test, as it does when the test customers are live traffic.
        let window = &base.test[..300];
        let again = with_window(&base.train, &base.test, window, 0.5, 42);
        let (train, test) = (keys(&again.train), keys(&again.test));
        assert!(train.is_disjoint(&test));
        assert_eq!(again.newest_window.len(), 150);
        assert_eq!(again.test.len(), base.test.len() - 150);
        assert_eq!(again.train.len(), base.train.len() + 150);
    }

    #[test]
    fn a_window_row_replaces_the_older_row_of_the_same_customer() {
        let bank = holdfast_simulator::customers(1_000, 2);
        let base = split_table(&bank, 0.2, 42);
        let window: Vec<Customer> = base.train[..200].to_vec();
        let again = with_window(&base.train, &base.test, &window, 0.5, 42);
        assert_eq!(keys(&again.train).len(), again.train.len());
        // All 200 customers leave the base's training rows; those that are not held out come back with their newer rows.
        let held_out = again.newest_window.len();
        assert!((99..=101).contains(&held_out), "{held_out}");
        assert_eq!(again.train.len(), base.train.len() - held_out);
        assert_eq!(again.test.len(), base.test.len() + held_out);
    }

    #[test]
    fn the_same_seed_gives_the_same_rows() {
        let bank = holdfast_simulator::customers(500, 3);
        assert_eq!(split_table(&bank, 0.2, 9), split_table(&bank, 0.2, 9));
        assert_ne!(split_table(&bank, 0.2, 9), split_table(&bank, 0.2, 10));
    }
}
