use holdfast_domain::Feature;
use holdfast_model::{Threshold, ThresholdPolicy};

use super::*;
use crate::service::params::Presets;
use crate::service::recipe::{CalibrationMethod, EstimatorParams, Imbalance, ThresholdRule};

fn recipe(name: &str) -> Recipe {
    let mut recipe = Presets::load(None).unwrap().get(name).unwrap().recipe.clone();
    recipe.calibration.folds = 3;
    for estimator in &mut recipe.estimators {
        match estimator {
            EstimatorParams::BoostedTrees(params) => {
                params.trees = 20;
                params.eta = 0.2;
            }
            EstimatorParams::RandomForest(params) => params.trees = 15,
            EstimatorParams::LogisticRegression(_) => {}
        }
    }
    recipe.baseline.max_iterations = 20;
    recipe
}

fn plan(recipe: &Recipe, seed: u64, threads: usize) -> Plan<'_> {
    Plan {
        recipe,
        seed,
        threads,
        training_snapshot: Digest::of(b"training"),
        test_snapshot: Digest::of(b"test"),
    }
}

fn fitted(customers: &[Customer], recipe: &Recipe, seed: u64, threads: usize) -> Candidate {
    let plan = plan(recipe, seed, threads);
    fit(customers, &plan, Schema::embedded(), &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn the_same_rows_recipe_and_seed_give_the_same_bytes_with_any_number_of_threads() {
    let customers = holdfast_simulator::customers(900, 21);
    for name in [
        "default",
        "best",
        "forest",
        "logistic",
        "predecessor_xgboost",
        "predecessor_forest",
    ] {
        let recipe = recipe(name);
        let one = fitted(&customers, &recipe, 42, 1);
        assert_eq!(one.artifact, fitted(&customers, &recipe, 42, 2).artifact, "{name}");
        assert_eq!(one.artifact, fitted(&customers, &recipe, 42, 3).artifact, "{name}");
        assert_ne!(one.artifact, fitted(&customers, &recipe, 43, 1).artifact, "{name}");
    }
}

#[test]
fn the_artefact_tells_how_to_make_it_again() {
    let customers = holdfast_simulator::customers(900, 21);
    let recipe = recipe("predecessor_forest");
    let first = fitted(&customers, &recipe, 42, 1);
    let origin = first.model.origin();
    let again = Recipe::from_parameters(&origin.parameters).unwrap();
    assert_eq!(again, recipe);
    assert_eq!(first.artifact, fitted(&customers, &again, origin.seed, 2).artifact);
    assert_eq!((origin.family, origin.run_id.as_ref()), (Family::RandomForest, None));
}

#[test]
fn the_artefact_carries_threshold_profile_and_golden_rows_of_both_kinds() {
    let customers = holdfast_simulator::customers(1_200, 21);
    let model = fitted(&customers, &recipe("default"), 42, 1).model;
    assert!(matches!(model.threshold_policy().policy, ThresholdPolicy::BestF1 { f1 } if f1 > 0.5));
    assert_eq!(model.profile().rows, 1_200);
    // Every training row has been held out once.
    assert_eq!(model.profile().score.present(), 1_200);
    let golden = model.golden_rows();
    assert!(
        (GOLDEN_ROWS - 1..=GOLDEN_ROWS).contains(&golden.len()),
        "{}",
        golden.len()
    );
    let masked = golden
        .iter()
        .filter(|row| row.features == row.features.required_only(Schema::embedded()))
        .count();
    assert_eq!(masked, golden.len() / 2);
    assert_eq!(model.origin().run_id, None);
    assert_eq!(model.origin().seed, 42);
}

#[test]
fn held_out_answers_are_those_of_fits_that_have_not_seen_the_row() {
    let customers = holdfast_simulator::customers(900, 4);
    let recipe = recipe("default");
    let candidate = fitted(&customers, &recipe, 42, 2);
    let held_out = &candidate.held_out;
    for values in [
        &held_out.margins,
        &held_out.probabilities,
        &held_out.served_probabilities,
        &held_out.required_only_margins,
        &held_out.required_only_probabilities,
    ] {
        assert!(values.len() == 900 && values.iter().all(|value| value.is_finite()));
    }
    assert_eq!(held_out.labels, labels(&customers));
    // The final fit has seen the rows, and knows them better.
    let mut seen = vec![f64::NAN; 900];
    candidate.model.margin_batch(&features(&customers), &mut seen);
    let auc = |margins: &[f64]| holdfast_model::metrics::roc_auc(&held_out.labels, margins).unwrap();
    assert!(auc(&held_out.margins) < auc(&seen) - 0.001);
    // A fold's rows are answered by one fit on all other folds.
    let inside: Vec<usize> = (0..900).filter(|row| held_out.folds[*row] == 1).collect();
    let others: Vec<Customer> = (0..900)
        .filter(|row| held_out.folds[*row] != 1)
        .map(|row| customers[row])
        .collect();
    assert!((299..=301).contains(&inside.len()));
    let rows = TrainingRows {
        features: &features(&others),
        labels: &labels(&others),
    };
    let refit = recipe
        .trainer(1)
        .fit(rows, 42, Schema::embedded(), &mut |_| ControlFlow::Continue(()))
        .unwrap();
    let refit = holdfast_model::BareModel::new(&refit.preprocessing, &refit.ensemble, Schema::embedded()).unwrap();
    let first = features(&[customers[inside[0]]]);
    assert_eq!(refit.margins(&first), [held_out.margins[inside[0]]]);
}

#[test]
fn calibration_after_smote_brings_probabilities_back_to_the_true_rate() {
    let customers = holdfast_simulator::customers(2_000, 9);
    let mut recipe = recipe("default");
    recipe.imbalance = Imbalance::Smote {
        neighbours: 5,
        ratio: 1.0,
    };
    for method in [CalibrationMethod::Platt, CalibrationMethod::Isotonic] {
        recipe.calibration.method = method;
        let record = fitted(&customers, &recipe, 42, 2).held_out.calibration;
        assert_eq!(record.method, method);
        assert!(record.ece_after < record.ece_before, "{record:?}");
        assert!(record.ece_after < 0.03, "{record:?}");
        assert!(record.log_loss_platt < record.log_loss_uncalibrated, "{record:?}");
        let rows: u64 = record.reliability_after.iter().map(|bin| bin.rows).sum();
        assert_eq!(rows, 2_000);
    }
    recipe.calibration.method = CalibrationMethod::Best;
    let record = fitted(&customers, &recipe, 42, 2).held_out.calibration;
    let expected = if record.log_loss_isotonic < record.log_loss_platt {
        CalibrationMethod::Isotonic
    } else {
        CalibrationMethod::Platt
    };
    assert_eq!(record.method, expected);
}

#[test]
fn calibrating_keeps_the_order_of_customers() {
    let customers = holdfast_simulator::customers(900, 9);
    let mut recipe = recipe("default");
    for method in [CalibrationMethod::Platt, CalibrationMethod::Isotonic] {
        recipe.calibration.method = method;
        let candidate = fitted(&customers, &recipe, 42, 2);
        let unseen = features(&holdfast_simulator::customers(500, 10));
        let (mut margins, mut scores) = (vec![0.0; 500], vec![0.0; 500]);
        candidate.model.margin_batch(&unseen, &mut margins);
        candidate.model.score_batch(&unseen, &mut scores);
        let mut order: Vec<usize> = (0..500).collect();
        order.sort_unstable_by(|a, b| margins[*a].total_cmp(&margins[*b]));
        for pair in order.windows(2) {
            let apart = margins[pair[0]] < margins[pair[1]];
            assert!(
                scores[pair[0]] < scores[pair[1]] || (!apart && scores[pair[0]] <= scores[pair[1]]),
                "{method:?}"
            );
        }
    }
}

#[test]
fn every_rule_chooses_its_threshold_on_the_scores_that_are_served() {
    let customers = holdfast_simulator::customers(900, 9);
    let mut recipe = recipe("default");
    let mut chosen = |rule| {
        recipe.threshold = rule;
        let candidate = fitted(&customers, &recipe, 42, 1);
        let threshold = *candidate.model.threshold_policy();
        let labelled = candidate
            .held_out
            .served_probabilities
            .iter()
            .filter(|score| **score >= threshold.value)
            .count();
        (threshold, labelled)
    };
    let capacity = ThresholdRule::Capacity {
        calls: 50,
        population: 900,
    };
    let (Threshold { policy, .. }, labelled) = chosen(capacity);
    assert_eq!(
        policy,
        ThresholdPolicy::Capacity {
            calls: 50,
            population: 900
        }
    );
    assert_eq!(labelled, 50);
    let cheap = ThresholdRule::Cost {
        offer_cost: 1.0,
        lost_margin: 400.0,
        success_rate: 0.5,
    };
    let dear = ThresholdRule::Cost {
        offer_cost: 150.0,
        lost_margin: 400.0,
        success_rate: 0.5,
    };
    let ((_, many), (_, few)) = (chosen(cheap), chosen(dear));
    assert!(many > few && few > 0, "{many} and {few}");
}

#[test]
fn the_baseline_sees_the_recipes_columns() {
    let customers = holdfast_simulator::customers(600, 9);
    let candidate = fitted(&customers, &recipe("predecessor_xgboost"), 42, 1);
    assert_eq!(candidate.baseline.columns(), candidate.model.columns());
    assert_eq!(candidate.baseline.origin().family, Family::LogisticRegression);
    let mut changed = customers[0].features;
    changed.set(Feature::CustomerAge, 99.0);
    assert_eq!(
        candidate.model.score(&changed).to_bits(),
        candidate.model.score(&customers[0].features).to_bits()
    );
}

#[test]
fn progress_grows_to_one_and_a_break_ends_it() {
    let customers = holdfast_simulator::customers(600, 5);
    let recipe = recipe("default");
    for threads in [1, 2] {
        let plan = plan(&recipe, 1, threads);
        let mut seen = Vec::new();
        fit(&customers, &plan, Schema::embedded(), &mut |done| {
            seen.push(done);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(seen.is_sorted() && seen.last() == Some(&1.0), "{seen:?}");
        let mut after = 0;
        let stopped = fit(&customers, &plan, Schema::embedded(), &mut |done| {
            if done < 0.4 {
                return ControlFlow::Continue(());
            }
            after += 1;
            ControlFlow::Break(())
        });
        assert!(matches!(stopped, Err(FitError::Train(TrainError::Cancelled))));
        assert!(after <= threads, "{after} steps after the break");
    }
}

#[test]
fn rows_too_few_for_the_folds_are_refused() {
    let mut customers = holdfast_simulator::customers(200, 5);
    customers.retain(|customer| customer.label == Some(false));
    let mut one = customers[0];
    one.label = Some(true);
    customers.push(one);
    let recipe = recipe("default");
    let refused = fit(&customers, &plan(&recipe, 1, 1), Schema::embedded(), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(matches!(refused, Err(FitError::Train(TrainError::Rows(_)))));
}
