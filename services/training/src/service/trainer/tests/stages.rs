//! One fit, measured at many numbers of trees.

use super::*;

/// The held-out margins of a fold at each of `counts` trees, with one fit; `look` watches it.
fn in_stages<'a>(
    folds: &Folds,
    fold: usize,
    recipe: &Recipe,
    counts: &'a [usize],
    watch: Option<StageWatch<'a>>,
) -> Result<Vec<HeldOutMargins>, TrainError> {
    let conditions = Conditions {
        seed: 5,
        threads: 1,
        progress: &mut go_on,
    };
    let stages = Stages { counts, watch };
    let staged = folds.fit_in_stages(fold, recipe, stages, Schema::embedded(), conditions)?;
    // A tree has a node at least.
    assert!(
        staged.work
            >= counts
                .iter()
                .take(staged.margins.len())
                .max()
                .map_or(0.0, |count| *count as f64)
    );
    Ok(staged.margins)
}

#[test]
fn the_first_trees_of_a_fit_are_the_fit_of_so_many_trees() {
    let bank = Bank::of(600, 7);
    let splits = split::stratified_k_fold(&bank.labels, 3, 4);
    let schema = Schema::embedded();
    for name in ["default", "predecessor_xgboost"] {
        let recipe = small(name);
        let folds = Folds::prepare(bank.rows(), &splits, &recipe, 5, schema).unwrap();
        let staged = in_stages(&folds, 1, &recipe, &[2, 9, 12], None).unwrap();
        assert_eq!(staged.len(), 3);
        for (count, of_stage) in [2, 9, 12].into_iter().zip(&staged) {
            let mut fewer = recipe.clone();
            let EstimatorParams::BoostedTrees(params) = &mut fewer.estimators[0] else {
                panic!("boosted trees");
            };
            params.trees = count;
            let alone = folds.fit(1, &fewer, 5, 1, schema, &mut go_on).unwrap();
            assert_eq!(of_stage.rows, alone.rows);
            let pairs = |left: &[f64], right: &[f64]| left.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(pairs(&of_stage.full, &alone.full), "{name}: {count} trees");
            assert!(
                pairs(&of_stage.required_only, &alone.required_only),
                "{name}: {count} trees"
            );
        }
        let shorter = in_stages(&folds, 1, &recipe, &[2], None).unwrap();
        assert_eq!(shorter[0], staged[0]);
    }
}

#[test]
fn who_watches_a_fit_sees_the_rows_held_out_and_can_end_it() {
    let bank = Bank::of(600, 7);
    let splits = split::stratified_k_fold(&bank.labels, 3, 4);
    // Some columns are not seen by this estimator: neither are they by the one who watches.
    let mut recipe = small("default");
    let EstimatorParams::BoostedTrees(params) = &mut recipe.estimators[0] else {
        panic!("boosted trees");
    };
    params.drop = vec!["Total_Trans_Ct".to_owned()];
    let folds = Folds::prepare(bank.rows(), &splits, &recipe, 5, Schema::embedded()).unwrap();
    for required_too in [false, true] {
        let mut seen = Vec::new();
        let mut look = |trees, area| {
            seen.push((trees, area));
            if trees < 9 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let watch = StageWatch {
            required_too,
            look: &mut look,
        };
        let staged = in_stages(&folds, 0, &recipe, &[2, 6, 9, 12], Some(watch)).unwrap();
        // The fit ended after the third look.
        assert_eq!(staged.len(), 3);
        assert_eq!(seen.iter().map(|(trees, _)| *trees).collect::<Vec<_>>(), [2, 6, 9]);
        let labels: Vec<bool> = splits[0].test.iter().map(|row| bank.labels[*row]).collect();
        for ((_, area), margins) in seen.iter().zip(&staged) {
            let mut expected = roc_auc(&labels, &margins.full).unwrap();
            if required_too {
                expected = f64::midpoint(expected, roc_auc(&labels, &margins.required_only).unwrap());
            }
            // The engine answers in probabilities of 32 bits.
            assert!((area - expected).abs() < 1e-4, "{area} and {expected}");
        }
    }
}

#[test]
fn only_one_estimator_of_boosted_trees_grows_in_stages() {
    let bank = Bank::of(300, 7);
    let splits = split::stratified_k_fold(&bank.labels, 3, 4);
    for name in ["best", "predecessor_forest"] {
        let recipe = small(name);
        let folds = Folds::prepare(bank.rows(), &splits, &recipe, 5, Schema::embedded()).unwrap();
        let refused = in_stages(&folds, 0, &recipe, &[2], None);
        assert!(matches!(refused, Err(TrainError::Rows(_))), "{name}");
    }
}
