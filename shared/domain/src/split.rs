//! Stratified splits: the same rows for the same labels and seed, on every machine and in every later version.

use crate::draw::Draws;

/// Row indices of the two parts, each ascending; together they are every row once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Rows to learn from.
    pub train: Vec<usize>,
    /// Rows to test on.
    pub test: Vec<usize>,
}

/// Splits rows so that both parts have the classes in the same shares, to within one row.
///
/// `test_share` is cut to 0..=1. Of each class, `round(count × test_share)` rows are for testing; a class of two rows or more is in
/// both parts, unless the share is 0 or 1.
pub fn stratified(labels: &[bool], test_share: f64, seed: u64) -> Split {
    let share = if test_share.is_finite() {
        test_share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    let (mut train, mut test) = (Vec::with_capacity(labels.len()), Vec::new());
    for mut class in shuffled_classes(labels, seed) {
        test.extend(class.split_off(class.len() - tests_of(class.len(), share)));
        train.extend(class);
    }
    train.sort_unstable();
    test.sort_unstable();
    Split { train, test }
}

/// `k` splits whose test parts are disjoint and together every row; sizes and class counts of the test parts differ by at most one.
///
/// Empty for `k` below 2. With fewer rows than `k`, some test parts are empty.
pub fn stratified_k_fold(labels: &[bool], k: usize, seed: u64) -> Vec<Split> {
    if k < 2 {
        return Vec::new();
    }
    let mut fold_of = vec![0; labels.len()];
    // The second class goes on where the first one stopped, which keeps the folds' sizes within one row of each other.
    for (position, row) in shuffled_classes(labels, seed).into_iter().flatten().enumerate() {
        fold_of[row] = position % k;
    }
    (0..k)
        .map(|fold| {
            let (test, train) = (0..labels.len()).partition(|row| fold_of[*row] == fold);
            Split { train, test }
        })
        .collect()
}

/// `repeats` times [`stratified_k_fold`], each time drawn anew: repeated cross-validation. The first is that of `seed`.
pub fn repeated_stratified_k_fold(labels: &[bool], k: usize, repeats: usize, seed: u64) -> Vec<Vec<Split>> {
    let mut seeds = Draws::of(seed);
    (0..repeats)
        .map(|repeat| {
            let seed = if repeat == 0 { seed } else { seeds.seed() };
            stratified_k_fold(labels, k, seed)
        })
        .collect()
}

/// The rows of the positive and of the negative class, each shuffled.
fn shuffled_classes(labels: &[bool], seed: u64) -> [Vec<usize>; 2] {
    let mut draws = Draws::of(seed);
    [true, false].map(|class| {
        let mut rows: Vec<usize> = (0..labels.len()).filter(|row| labels[*row] == class).collect();
        draws.shuffle(&mut rows);
        rows
    })
}

/// How many of a class's `count` rows are for testing; `share` is between 0 and 1.
fn tests_of(count: usize, share: f64) -> usize {
    let rounded = (count as f64 * share).round() as usize;
    if count >= 2 && share > 0.0 && share < 1.0 {
        rounded.clamp(1, count - 1)
    } else {
        rounded.min(count)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn positives(rows: &[usize], labels: &[bool]) -> usize {
        rows.iter().filter(|row| labels[**row]).count()
    }

    fn assert_complete(split: &Split, rows: usize) {
        let all: BTreeSet<usize> = split.train.iter().chain(&split.test).copied().collect();
        assert_eq!(all.len(), rows);
        assert_eq!(split.train.len() + split.test.len(), rows, "disjoint");
        assert!(split.train.is_sorted() && split.test.is_sorted());
    }

    #[test]
    fn the_bank_sized_table_splits_to_the_row() {
        let labels: Vec<bool> = (0..10_127).map(|row| row < 1_627).collect();
        let split = stratified(&labels, 0.2, 42);
        assert_complete(&split, 10_127);
        assert_eq!((split.test.len(), positives(&split.test, &labels)), (2_025, 325));
        assert_ne!(split, stratified(&labels, 0.2, 43));
    }

    #[test]
    fn the_draws_never_change() {
        let labels: Vec<bool> = (0..20).map(|row| row % 4 == 0).collect();
        assert_eq!(stratified(&labels, 0.3, 42).test, [0, 1, 8, 11, 14, 18, 19]);
        assert_eq!(stratified_k_fold(&labels, 4, 42)[0].test, [1, 5, 8, 13, 16]);
    }

    #[test]
    fn repeats_are_drawn_anew_and_begin_with_the_seeds_own_folds() {
        let labels: Vec<bool> = (0..60).map(|row| row % 5 == 0).collect();
        let repeats = repeated_stratified_k_fold(&labels, 3, 4, 9);
        assert_eq!(repeats.len(), 4);
        assert_eq!(repeats[0], stratified_k_fold(&labels, 3, 9));
        for (place, folds) in repeats.iter().enumerate() {
            assert_eq!(folds.len(), 3);
            assert!(!repeats[..place].contains(folds), "repeat {place} is new");
        }
        assert_eq!(repeats, repeated_stratified_k_fold(&labels, 3, 4, 9));
        assert!(repeated_stratified_k_fold(&labels, 3, 0, 9).is_empty());
    }

    #[test]
    fn shares_at_and_beyond_the_ends_are_taken_as_the_ends() {
        let labels = [true, false, false, true];
        assert!(stratified(&labels, 0.0, 1).test.is_empty());
        assert!(stratified(&labels, -3.0, 1).test.is_empty());
        assert!(stratified(&labels, f64::NAN, 1).test.is_empty());
        assert!(stratified(&labels, 1.0, 1).train.is_empty());
        assert!(stratified(&labels, f64::INFINITY, 1).test.is_empty());
        assert_eq!(
            stratified(&[], 0.5, 1),
            Split {
                train: vec![],
                test: vec![]
            }
        );
    }

    #[test]
    fn fewer_than_two_folds_are_none() {
        assert!(stratified_k_fold(&[true, false], 0, 1).is_empty());
        assert!(stratified_k_fold(&[true, false], 1, 1).is_empty());
    }

    proptest! {
        #[test]
        fn a_split_is_complete_and_keeps_the_class_shares(labels in prop::collection::vec(any::<bool>(), 4..300), share in 0.05..0.95_f64, seed: u64) {
            let split = stratified(&labels, share, seed);
            assert_complete(&split, labels.len());
            for class in [true, false] {
                let count = labels.iter().filter(|label| **label == class).count();
                let tested = split.test.iter().filter(|row| labels[**row] == class).count();
                prop_assert!((tested as f64 - count as f64 * share).abs() <= 1.0 + 1e-9);
                prop_assert!(count < 2 || (tested > 0 && tested < count));
            }
            prop_assert_eq!(split, stratified(&labels, share, seed));
        }

        #[test]
        fn folds_are_disjoint_complete_and_even(labels in prop::collection::vec(any::<bool>(), 0..300), k in 2..12_usize, seed: u64) {
            let folds = stratified_k_fold(&labels, k, seed);
            prop_assert_eq!(folds.len(), k);
            let mut tested = BTreeSet::new();
            for fold in &folds {
                assert_complete(fold, labels.len());
                prop_assert!(fold.test.iter().all(|row| tested.insert(*row)));
            }
            prop_assert_eq!(tested.len(), labels.len());
            for count in [folds.iter().map(|fold| fold.test.len()).collect::<Vec<_>>(), folds.iter().map(|fold| positives(&fold.test, &labels)).collect()] {
                prop_assert!(count.iter().max().unwrap() - count.iter().min().unwrap() <= 1);
            }
            prop_assert_eq!(&folds, &stratified_k_fold(&labels, k, seed));
        }
    }
}
