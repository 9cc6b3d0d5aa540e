//! Holdfast's side of `make bench-tuning`: searches for parameters of boosted trees on the training split.
//!
//! `bench-tuning BANK_CSV SPLIT_JSON` answers
//! `{"ask": "tune", "space": {...}, "start": {...}, "seed": N, "trials": N, "folds": N, "workers": N, "early_stop": bool}` with the seconds of the search, its
//! trials and the best one's parameters, and `{"ask": "evaluate", "parameters": {...}, "splits": FILE, "threads": N}` with the ROC-AUC on each of the
//! splits of the training rows in `FILE`: `[{"train": [...], "test": [...]}, ...]`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use holdfast_domain::Schema;
use holdfast_domain::split::Split;
use holdfast_load::bank::{self, Labelled};
use holdfast_load::{recipes, worker};
use holdfast_model::metrics;
use holdfast_training::service::recipe::EstimatorParams;
use holdfast_training::service::trainer::{Folds, TrainingRows};
use holdfast_training::service::tuning::search::{Plan, TrialState};
use holdfast_training::service::tuning::space::Range;
use holdfast_training::service::tuning::tune::{Wanted, tune};
use holdfast_training::service::tuning::{SearchSpaces, TuningObjective};
use serde_json::{Value, json};

const SEED: u64 = 42;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [bank_csv, split] = arguments.as_slice() else {
        bail!("usage: bench-tuning BANK_CSV SPLIT_JSON");
    };
    let (train, _) = bank::split(&bank::read(bank_csv)?, split)?;
    worker::serve(|request| match request["ask"].as_str() {
        Some("tune") => search(request, &train),
        Some("evaluate") => evaluate(request, &train),
        _ => bail!("expected ask: tune or evaluate"),
    })
}

fn number(request: &Value, name: &str) -> Result<usize> {
    let value = request[name].as_u64().with_context(|| format!("{name} is no number"))?;
    Ok(usize::try_from(value)?)
}

fn rows(train: &Labelled) -> TrainingRows<'_> {
    TrainingRows {
        features: &train.features,
        labels: &train.labels,
    }
}

fn search(request: &Value, train: &Labelled) -> Result<Value> {
    let ranges: BTreeMap<String, Range> = serde_json::from_value(request["space"].clone())?;
    let spaces = SearchSpaces::new([("boosted_trees".to_owned(), ranges)].into());
    let spaces = spaces.map_err(|problems| anyhow::anyhow!(problems.join("; ")))?;
    let start = recipes::boosted_trees(&request["start"])?;
    let recipes = spaces.around(&start).map_err(anyhow::Error::msg)?;
    let workers = number(request, "workers")?;
    let wanted = Wanted {
        recipes: &recipes,
        plan: Plan {
            trials: number(request, "trials")?,
            folds: number(request, "folds")?,
            workers,
            early_stop: request["early_stop"]
                .as_bool()
                .context("early_stop is no truth value")?,
            seed: request["seed"].as_u64().context("seed is no number")?,
        },
        outer_folds: 0,
        objective: TuningObjective::RocAuc,
        threads: workers,
        schema: Schema::embedded(),
        go_on: &|| true,
    };
    let started = Instant::now();
    let tuned = tune(rows(train), wanted, &mut |_| {})?;
    let seconds = started.elapsed().as_secs_f64();
    let pruned = tuned
        .found
        .trials
        .iter()
        .filter(|trial| trial.state == TrialState::Pruned);
    let Some(EstimatorParams::BoostedTrees(best)) = tuned.recipe.estimators.first() else {
        bail!("the best recipe has no boosted trees");
    };
    Ok(json!({
        "seconds": seconds,
        "trials": tuned.found.trials.len(),
        "pruned": pruned.count(),
        "stopped_by": tuned.found.stopped_by.name(),
        "value": tuned.best.mean(),
        "parameters": best,
    }))
}

fn evaluate(request: &Value, train: &Labelled) -> Result<Value> {
    let recipe = recipes::boosted_trees(&request["parameters"])?;
    let threads = number(request, "threads")?;
    let file = request["splits"].as_str().context("splits names no file")?;
    let listed: Vec<BTreeMap<String, Vec<usize>>> = serde_json::from_slice(&std::fs::read(file)?)?;
    let split = |mut parts: BTreeMap<String, Vec<usize>>| {
        Some(Split {
            train: parts.remove("train")?,
            test: parts.remove("test")?,
        })
    };
    let splits: Option<Vec<Split>> = listed.into_iter().map(split).collect();
    let splits = splits.context("a split lacks train or test")?;
    let schema = Schema::embedded();
    let folds = Folds::prepare(rows(train), &splits, &recipe, SEED, schema)?;
    let mut areas = Vec::new();
    for fold in 0..folds.len() {
        let mut go_on = |_| ControlFlow::Continue(());
        let held_out = folds.fit(fold, &recipe, SEED, threads, schema, &mut go_on)?;
        let labels: Vec<bool> = held_out.rows.iter().map(|row| train.labels[*row]).collect();
        areas.push(metrics::roc_auc(&labels, &held_out.full)?);
    }
    Ok(json!({ "roc_auc": areas }))
}
