//! Holdfast's side of `make bench-training`: fits boosted trees on the training split.
//!
//! `bench-training BANK_CSV SPLIT_JSON` answers `{"ask": "fit", "parameters": {...}, "threads": N}` with the seconds of one fit, from rows in memory to a
//! model that can score, and its ROC-AUC on the test rows.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use holdfast_domain::Schema;
use holdfast_load::bank::{self, Labelled};
use holdfast_load::{recipes, worker};
use holdfast_model::{BareModel, metrics};
use holdfast_training::service::trainer::{Trainer as _, TrainingRows};
use serde_json::{Value, json};

const SEED: u64 = 42;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [bank_csv, split] = arguments.as_slice() else {
        bail!("usage: bench-training BANK_CSV SPLIT_JSON");
    };
    let (train, test) = bank::split(&bank::read(bank_csv)?, split)?;
    worker::serve(|request| match request["ask"].as_str() {
        Some("fit") => fit(request, &train, &test),
        _ => bail!("expected ask: fit"),
    })
}

fn fit(request: &Value, train: &Labelled, test: &Labelled) -> Result<Value> {
    let recipe = recipes::boosted_trees(&request["parameters"])?;
    let threads = usize::try_from(request["threads"].as_u64().context("threads")?)?;
    let schema = Schema::embedded();
    let rows = TrainingRows {
        features: &train.features,
        labels: &train.labels,
    };
    let started = Instant::now();
    let fitted = recipe
        .trainer(threads)
        .fit(rows, SEED, schema, &mut |_| ControlFlow::Continue(()))?;
    let model = BareModel::new(&fitted.preprocessing, &fitted.ensemble, schema)?;
    let seconds = started.elapsed().as_secs_f64();
    let roc_auc = metrics::roc_auc(&test.labels, &model.margins(&test.features))?;
    Ok(json!({ "seconds": seconds, "roc_auc": roc_auc }))
}
