//! What models learn from simulated customers: trees nearly everything, a line clearly less, and a shock undoes it.

use hessboost::config::BoosterKind;
use hessboost::prelude::*;
use holdfast_domain::{Customer, FEATURE_COUNT};
use holdfast_simulator::{Scenario, customers};

/// Test share: every fifth row. Simulated rows are independent, so no shuffling is needed.
fn split(population: &[Customer]) -> (Vec<Customer>, Vec<Customer>) {
    let (test, learn): (Vec<_>, Vec<_>) = population
        .iter()
        .copied()
        .enumerate()
        .partition(|(index, _)| index % 5 == 0);
    let strip = |rows: Vec<(usize, Customer)>| rows.into_iter().map(|(_, customer)| customer).collect();
    (strip(learn), strip(test))
}

fn matrix(rows: &[Customer], scale: &[(f64, f64)]) -> DMatrix {
    let values: Vec<f32> = rows
        .iter()
        .flat_map(|c| {
            c.features
                .0
                .iter()
                .zip(scale)
                .map(|(value, (mean, deviation))| ((value - mean) / deviation) as f32)
        })
        .collect();
    let labels: Vec<f32> = rows
        .iter()
        .map(|c| if c.label == Some(true) { 1.0 } else { 0.0 })
        .collect();
    DMatrix::from_dense(&values, rows.len(), FEATURE_COUNT)
        .unwrap()
        .with_labels(&labels)
        .unwrap()
}

const AS_IT_IS: [(f64, f64); FEATURE_COUNT] = [(0.0, 1.0); FEATURE_COUNT];

fn trees(rows: &[Customer]) -> BoostedModel {
    let params = TrainingParams::builder()
        .objective(Objective::BinaryLogistic(RegLoss::default()))
        .max_depth(6)
        .eta(0.05)
        .subsample(0.8)
        .build()
        .unwrap();
    train(&params, &matrix(rows, &AS_IT_IS), 400).unwrap()
}

/// A logistic regression, by coordinate descent on standardised features; returns its AUC.
fn line(learn: &[Customer], test: &[Customer]) -> f64 {
    let scale: Vec<(f64, f64)> = (0..FEATURE_COUNT)
        .map(|index| {
            let n = learn.len() as f64;
            let mean = learn.iter().map(|c| c.features.0[index]).sum::<f64>() / n;
            let variance = learn.iter().map(|c| (c.features.0[index] - mean).powi(2)).sum::<f64>() / n;
            (mean, variance.sqrt())
        })
        .collect();
    let params = TrainingParams::builder()
        .objective(Objective::BinaryLogistic(RegLoss::default()))
        .booster(BoosterKind::GbLinear)
        .eta(0.5)
        .build()
        .unwrap();
    auc(
        &train(&params, &matrix(learn, &scale), 200).unwrap(),
        &matrix(test, &scale),
    )
}

fn auc(model: &BoostedModel, rows: &DMatrix) -> f64 {
    let scores = model.predict(rows, Iterations::Best).unwrap();
    EvalMetric::Auc
        .build(1)
        .unwrap()
        .eval(scores.as_slice(), rows.labels().unwrap(), None)
}

#[test]
fn trees_learn_nearly_everything_and_a_line_clearly_less() {
    let (learn, test) = split(&customers(10_000, 11));
    let trees = auc(&trees(&learn), &matrix(&test, &AS_IT_IS));
    let line = line(&learn, &test);
    assert!((0.97..=0.995).contains(&trees), "trees {trees}");
    assert!((0.85..=trees - 0.03).contains(&line), "line {line}, trees {trees}");
}

#[test]
fn a_shock_undoes_an_old_model_and_a_retrained_one_recovers() {
    let population = customers(10_000, 12);
    let shifted = Scenario::Sudden.apply(&population, 1.0, 3);
    let (learn, _) = split(&population);
    let (learn_again, test) = split(&shifted);
    let test = matrix(&test, &AS_IT_IS);
    let old = auc(&trees(&learn), &test);
    let new = auc(&trees(&learn_again), &test);
    assert!(old <= 0.95, "old {old}");
    assert!(new >= 0.97, "retrained {new}");
}
