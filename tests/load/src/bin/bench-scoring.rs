//! Holdfast's side of `make bench-scoring`: trains one model, writes what the peers need, and measures itself and hessboost on one core.
//!
//! `bench-scoring BANK_CSV SPLIT_JSON OUT_DIR` writes into `OUT_DIR` the matrices `train.npy`, `all.npy`, the labels `train_labels.npy`, the
//! trained model (`model.hfm`) and its trees for XGBoost (`model.json`), and what Holdfast answers for all rows (`margins.npy`, `contributions.npy`). Then it answers requests:
//! `{"ask": "single" | "batch" | "explain" | "explain_single" | "hessboost_single" | "hessboost_batch" | "hessboost_explain", "rows": N}` with the
//! seconds that N rows took, `{"ask": "additivity", "rows": N}` with the largest gap between a margin and its contributions, `{"ask": "describe"}` with
//! what the model looks like.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use hessboost::config::{TrainingParams, TreeMethod};
use hessboost::data::DMatrix;
use hessboost::model::{BoostedModel, Iterations, ModelFormat};
use hessboost::objective::{Objective, RegLoss};
use holdfast_domain::{Feature, FeatureVector, Schema};
use holdfast_load::bank::{self, Labelled};
use holdfast_load::{npy, worker};
use holdfast_model::{
    Aggregation, Calibration, Comparison, Ensemble, Estimator, Explanation, Family, Link, MissingRule, Model,
    ModelDraft, Node, Origin, Preprocessing, Preprocessor, Provenance, ReferenceProfile, SplitRule, Threshold, Tree,
    TreeEnsemble,
};
use serde_json::{Value, json};

const TREES: usize = 400;
const SEED: u64 = 42;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [bank_csv, split, out] = arguments.as_slice() else {
        bail!("usage: bench-scoring BANK_CSV SPLIT_JSON OUT_DIR");
    };
    let customers = bank::read(bank_csv)?;
    let (train, _) = bank::split(&customers, split)?;
    let all: Vec<FeatureVector> = customers.iter().map(|customer| customer.features).collect();
    let bench = Bench::prepare(&train, all)?;
    bench.write(&train, out)?;
    worker::serve(|request| bench.answer(request))
}

/// The same trees twice, ours and hessboost's, and the rows they run on.
struct Bench {
    artifact: Vec<u8>,
    model: Model,
    engine: BoostedModel,
    rows: Vec<FeatureVector>,
    /// The same rows as hessboost and XGBoost take them.
    matrix: Vec<f32>,
    columns: usize,
}

impl Bench {
    fn prepare(train: &Labelled, rows: Vec<FeatureVector>) -> Result<Self> {
        let schema = Schema::embedded();
        let preprocessing = Preprocessing::for_trees(&Feature::ALL, schema);
        let preprocessor = Preprocessor::new(&preprocessing, schema)?;
        let columns = preprocessor.columns().len();
        let engine = learn(&matrix(&preprocessor, &train.features), columns, &train.labels)?;
        let artifact = artifact(&engine, preprocessing, train, schema)?;
        let model = Model::decode(&artifact, schema)?;
        model.check_golden()?;
        Ok(Self {
            artifact,
            model,
            engine,
            matrix: matrix(&preprocessor, &rows),
            rows,
            columns,
        })
    }

    fn write(&self, train: &Labelled, out: &Path) -> Result<()> {
        let preprocessor = Preprocessor::new(self.model.preprocessing(), Schema::embedded())?;
        let labels: Vec<f32> = train.labels.iter().map(|label| f32::from(u8::from(*label))).collect();
        npy::write(
            &out.join("train.npy"),
            &matrix(&preprocessor, &train.features),
            self.columns,
        )?;
        npy::write(&out.join("train_labels.npy"), &labels, 1)?;
        npy::write(&out.join("all.npy"), &self.matrix, self.columns)?;
        std::fs::write(out.join("model.hfm"), &self.artifact)?;
        std::fs::write(out.join("model.json"), self.engine.encode(ModelFormat::XgboostJson)?)?;
        let mut margins = vec![0.0; self.rows.len()];
        self.model.margin_batch(&self.rows, &mut margins);
        npy::write(&out.join("margins.npy"), &narrow(&margins), 1)?;
        let contributions: Vec<f64> = self.rows[..2_000]
            .iter()
            .flat_map(|row| self.model.explain_columns(row))
            .collect();
        npy::write(&out.join("contributions.npy"), &narrow(&contributions), self.columns)
    }

    fn answer(&self, request: &Value) -> Result<Value> {
        let rows = request["rows"].as_u64().map_or(Ok(0), usize::try_from)?;
        let cycled = || self.rows.iter().copied().cycle().take(rows).collect::<Vec<_>>();
        let seconds = match request["ask"].as_str().context("what is asked?")? {
            "describe" => return Ok(self.describe()),
            "additivity" => return Ok(json!(self.additivity(&cycled()))),
            "single" => {
                let features = cycled();
                worker::seconds(|| {
                    for row in &features {
                        black_box(self.model.score(black_box(row)));
                    }
                })
            }
            "batch" => {
                let features = cycled();
                let mut scores = vec![0.0; rows];
                worker::seconds(|| self.model.score_batch(black_box(&features), black_box(&mut scores)))
            }
            "explain" => {
                let features = cycled();
                worker::seconds(|| drop(black_box(self.model.explain_batch(black_box(&features)))))
            }
            "explain_single" => {
                let features = cycled();
                worker::seconds(|| {
                    for row in &features {
                        black_box(self.model.explain(black_box(row)));
                    }
                })
            }
            other => self.hessboost(other, rows)?,
        };
        Ok(json!(seconds))
    }

    fn hessboost(&self, what: &str, rows: usize) -> Result<f64> {
        let values: Vec<f32> = self.matrix.iter().copied().cycle().take(rows * self.columns).collect();
        let mut outcome = Ok(());
        let seconds = match what {
            "hessboost_single" => worker::seconds(|| {
                for row in values.chunks_exact(self.columns) {
                    let _ = black_box(self.engine.predict_row(black_box(row), Iterations::Best));
                }
            }),
            "hessboost_batch" => worker::seconds(|| {
                outcome = self
                    .engine
                    .predict_rows(black_box(&values), Iterations::Best)
                    .map(|scores| drop(black_box(scores)));
            }),
            "hessboost_explain" => {
                let matrix = DMatrix::from_dense(&values, rows, self.columns)?;
                worker::seconds(|| {
                    outcome = self
                        .engine
                        .predict_contribs(black_box(&matrix), Iterations::Best)
                        .map(|parts| drop(black_box(parts)));
                })
            }
            other => bail!("{other:?} is not measured here"),
        };
        outcome?;
        Ok(seconds)
    }

    fn additivity(&self, rows: &[FeatureVector]) -> f64 {
        let gap = |explanation: &Explanation| {
            let sum = explanation.base + explanation.contributions.iter().sum::<f64>();
            (sum - explanation.margin).abs()
        };
        self.model.explain_batch(rows).iter().map(gap).fold(0.0, f64::max)
    }

    fn describe(&self) -> Value {
        let nodes: usize = self.engine.trees().iter().map(|tree| tree.nodes().len()).sum();
        let mut decode = f64::INFINITY;
        for _ in 0..10 {
            decode = decode.min(worker::seconds(|| {
                drop(black_box(Model::decode(&self.artifact, Schema::embedded())));
            }));
        }
        json!({
            "trees": TREES,
            "leaves": nodes.div_ceil(2) + TREES / 2,
            "artifact_bytes": self.artifact.len(),
            "decode_seconds": decode,
        })
    }
}

/// The parameters of the comparison in `models/scoring.py`: XGBoost's names and values.
fn learn(values: &[f32], columns: usize, labels: &[bool]) -> Result<BoostedModel> {
    let params = TrainingParams::builder()
        .objective(Objective::BinaryLogistic(RegLoss::default()))
        .tree_method(TreeMethod::Hist)
        .seed(SEED)
        .nthread(1)
        .max_depth(6)
        .eta(0.05)
        .subsample(0.8)
        .colsample_bytree(0.8)
        .build()?;
    let labels: Vec<f32> = labels.iter().map(|label| f32::from(u8::from(*label))).collect();
    let matrix = DMatrix::from_dense(values, labels.len(), columns)?.with_labels(&labels)?;
    Ok(hessboost::training::Trainer::new(&params, &matrix, TREES)
        .train()?
        .model)
}

/// The columns of the rows, as 32-bit numbers.
fn matrix(preprocessor: &Preprocessor, rows: &[FeatureVector]) -> Vec<f32> {
    let columns = preprocessor.columns().len();
    rows.iter()
        .flat_map(|row| narrow(&preprocessor.row(row)[..columns]))
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the trees compare in f32, and comparing needs no more"
)]
fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

/// hessboost's model as our artefact, with an isotonic calibration of twenty points, which is the slower kind.
fn artifact(engine: &BoostedModel, preprocessing: Preprocessing, train: &Labelled, schema: &Schema) -> Result<Vec<u8>> {
    let trees: Vec<Tree> = engine
        .trees()
        .iter()
        .map(|tree| Tree {
            nodes: tree.nodes().iter().map(node).collect(),
        })
        .collect();
    let trees = TreeEnsemble::new(
        Comparison::LessThanF32,
        Aggregation::Sum,
        f64::from(engine.base_score()),
        &trees,
    )?;
    let points: Vec<f64> = (0..20).map(|point| f64::from(point) / 19.0).collect();
    let draft = ModelDraft {
        preprocessing,
        ensemble: Ensemble::single(Estimator::Trees(trees), Link::Logistic),
        calibration: Calibration::Isotonic {
            raw_probabilities: points.clone(),
            probabilities: points,
        },
        threshold: Threshold::fixed(0.5),
        profile: ReferenceProfile::build(&train.features, &[], schema),
        origin: Origin {
            family: Family::BoostedTrees,
            provenance: Provenance::Trained,
            run_id: None,
            training_snapshots: Vec::new(),
            test_snapshots: Vec::new(),
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: SEED,
            parameters: Vec::new(),
        },
    };
    Ok(draft.encode(&train.features[..64], schema)?)
}

fn node(node: &hessboost::tree::Node) -> Node {
    if node.is_leaf() {
        return Node::Leaf {
            value: f64::from(node.leaf_value),
            cover: f64::from(node.sum_hess),
        };
    }
    let child = |index: i32| usize::try_from(index).unwrap_or(usize::MAX);
    Node::Split {
        column: node.split_feature as usize,
        rule: SplitRule::Threshold(f64::from(node.split_cond)),
        missing: if node.default_left {
            MissingRule::Left
        } else {
            MissingRule::Right
        },
        left: child(node.left),
        right: child(node.right),
        cover: f64::from(node.sum_hess),
    }
}
