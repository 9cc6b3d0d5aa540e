//! Holdfast's side of `make bench-quality`: trains named parameter sets on the training rows of a split, and scores its test rows.
//!
//! `bench-quality BANK_CSV PARAMS_YAML` answers requests: `{"ask": "train", "preset": NAME, "split": SPLIT_JSON}` with the probabilities of the test
//! rows, whole (`full`) and with the required features only (`required`), the threshold, the seconds that training took, and the size and the speed
//! of the model: its members, trees, and the microseconds that one row took in a batch (`batch_us`) and by itself (`single_us`). One thread throughout.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use holdfast_domain::{Customer, Digest, FeatureVector, Schema};
use holdfast_load::{bank, worker};
use holdfast_model::{Estimator, Model};
use holdfast_training::service::fitting::{self, Plan};
use holdfast_training::service::params::Presets;
use serde_json::{Value, json};

const SEED: u64 = 42;
/// Timing rounds; the best one counts, which other work on the machine disturbs least.
const ROUNDS: usize = 5;
/// Rows that are scored one by one in a round.
const SINGLE_ROWS: usize = 500;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [bank_csv, params] = arguments.as_slice() else {
        bail!("usage: bench-quality BANK_CSV PARAMS_YAML");
    };
    let customers = bank::read(bank_csv)?;
    let presets = Presets::load(Some(params))?;
    worker::serve(|request| {
        let text = |name: &str| request[name].as_str().with_context(|| format!("{name:?} is missing"));
        match text("ask")? {
            "train" => train(&customers, &presets, text("preset")?, Path::new(text("split")?)),
            other => bail!("nothing is known of {other:?}"),
        }
    })
}

fn train(customers: &[Customer], presets: &Presets, preset: &str, split: &Path) -> Result<Value> {
    let schema = Schema::embedded();
    let (train, test) = bank::rows_of(customers, split)?;
    let plan = Plan {
        recipe: &presets.get(preset)?.recipe,
        seed: SEED,
        threads: 1,
        training_snapshot: Digest::of(b"training rows of the split"),
        test_snapshot: Digest::of(b"test rows of the split"),
    };
    let start = Instant::now();
    let model = fitting::fit(&train, &plan, schema, &mut |_| ControlFlow::Continue(()))?.model;
    let seconds = start.elapsed().as_secs_f64();
    let full: Vec<FeatureVector> = test.iter().map(|customer| customer.features).collect();
    let required: Vec<FeatureVector> = full.iter().map(|row| row.required_only(schema)).collect();
    let members = &model.ensemble().members;
    let trees = members.iter().map(|member| match &member.estimator {
        Estimator::Trees(trees) => trees.tree_count(),
        Estimator::Logistic(_) => 0,
    });
    Ok(json!({
        "full": scores(&model, &full),
        "required": scores(&model, &required),
        "threshold": model.threshold(),
        "seconds": seconds,
        "members": members.len(),
        "trees": trees.sum::<usize>(),
        "batch_us": batch_microseconds(&model, &full),
        "single_us": single_microseconds(&model, &full),
    }))
}

fn scores(model: &Model, rows: &[FeatureVector]) -> Vec<f64> {
    let mut scores = vec![0.0; rows.len()];
    model.score_batch(rows, &mut scores);
    scores
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand rows")]
fn batch_microseconds(model: &Model, rows: &[FeatureVector]) -> f64 {
    let mut out = vec![0.0; rows.len()];
    let seconds = best(|| model.score_batch(black_box(rows), black_box(&mut out)));
    seconds * 1e6 / rows.len().max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand rows")]
fn single_microseconds(model: &Model, rows: &[FeatureVector]) -> f64 {
    let rows = &rows[..rows.len().min(SINGLE_ROWS)];
    let seconds = best(|| {
        for row in rows {
            black_box(model.score(black_box(row)));
        }
    });
    seconds * 1e6 / rows.len().max(1) as f64
}

fn best(mut work: impl FnMut()) -> f64 {
    (0..ROUNDS)
        .map(|_| worker::seconds(&mut work))
        .fold(f64::INFINITY, f64::min)
}
