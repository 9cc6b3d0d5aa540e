//! What an estimator is fitted on: a dense matrix with labels and weights.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hessboost::data::{DMatrix, FeatureType};
use holdfast_domain::{Feature, FeatureVector, Schema};
use holdfast_model::preprocess::ColumnKind;
use holdfast_model::{MAX_COLUMNS, Preprocessor};

use super::engine::engine_error;
use super::smote::{self, Originals, Smote};
use super::{TrainError, TrainingRows, check};
use crate::service::recipe::{CategoryEncoding, Imbalance, Recipe};

/// The seed of synthetic rows is the fit's, moved.
const SMOTE_DRAW: u64 = 0x5307e;

/// Rows of columns, row after row; missing is NaN.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) values: Vec<f64>,
    pub(super) columns: usize,
    /// The columns' names; one of several of a categorical feature is `feature=category`.
    names: Vec<String>,
    pub(super) kinds: Vec<ColumnKind>,
    pub(super) labels: Vec<bool>,
    /// One a row, above 0; `None` when all weigh 1.
    pub(super) weights: Option<Vec<f64>>,
    /// Trees split sets of codes.
    native_categories: bool,
    /// The same for the engine of trees, with the bins that it makes of the columns: made once, shared by all fits.
    unweighted: OnceLock<DMatrix>,
    weighted: OnceLock<DMatrix>,
    /// What estimators see that do not see all columns, by the columns they see: made once for all fits, as the bins are.
    narrowed: Mutex<BTreeMap<Vec<usize>, Arc<Sample>>>,
}

impl Sample {
    /// The recipe's rows: those given, synthetic ones after them, and all of these once more with the optional features missing, as the recipe
    /// says.
    pub(super) fn of(
        rows: TrainingRows<'_>,
        recipe: &Recipe,
        preprocessor: &Preprocessor,
        seed: u64,
        schema: &Schema,
    ) -> Result<Self, TrainError> {
        check(rows)?;
        let columns = preprocessor.columns().len();
        let mut sample = Self::plain(rows, recipe, preprocessor);
        let mut weights = vec![1.0; sample.rows()];
        match recipe.imbalance {
            Imbalance::None => {}
            Imbalance::ClassWeights { positive_weight } => {
                let weight = positive_weight.unwrap_or_else(|| balance(&sample.labels));
                for (of_row, label) in weights.iter_mut().zip(&sample.labels) {
                    *of_row = if *label { weight } else { 1.0 };
                }
            }
            Imbalance::Smote { neighbours, ratio } => {
                let smote = Smote {
                    neighbours,
                    ratio,
                    seed: seed.wrapping_add(SMOTE_DRAW),
                };
                sample.add_synthetic(smote, preprocessor);
                weights.resize(sample.rows(), 1.0);
            }
        }
        if recipe.optional_features.masked_copies {
            let real = rows.features.len();
            let masked: Vec<FeatureVector> = rows.features.iter().map(|row| row.required_only(schema)).collect();
            let mut copies = transformed(&masked, preprocessor);
            copies.extend(mask_columns(&sample.values[real * columns..], preprocessor, schema));
            sample.values.extend(copies);
            sample.labels.extend_from_within(..);
            let copied: Vec<f64> = weights
                .iter()
                .map(|weight| weight * recipe.optional_features.masked_weight)
                .collect();
            weights.extend(copied);
        }
        #[expect(clippy::float_cmp, reason = "weights are 1 unless something else was asked for")]
        let weighted = weights.iter().any(|weight| *weight != 1.0);
        sample.weights = weighted.then_some(weights);
        Ok(sample)
    }

    /// The rows as they are, for the recipe's estimators.
    pub(super) fn plain(rows: TrainingRows<'_>, recipe: &Recipe, preprocessor: &Preprocessor) -> Self {
        Self {
            values: transformed(rows.features, preprocessor),
            columns: preprocessor.columns().len(),
            names: preprocessor.columns().to_vec(),
            kinds: preprocessor.kinds().to_vec(),
            labels: rows.labels.to_vec(),
            weights: None,
            native_categories: recipe.features.categories == CategoryEncoding::Native,
            unweighted: OnceLock::new(),
            weighted: OnceLock::new(),
            narrowed: Mutex::default(),
        }
    }

    fn add_synthetic(&mut self, smote: Smote, preprocessor: &Preprocessor) {
        let made = smote.rows(&Originals {
            values: &self.values,
            labels: &self.labels,
            columns: &kinds_for_smote(preprocessor),
        });
        let count = made.values.len() / self.columns;
        self.values.extend(made.values);
        self.labels.extend(std::iter::repeat_n(made.label, count));
    }

    pub(super) fn rows(&self) -> usize {
        self.labels.len()
    }

    pub(super) fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.columns..(index + 1) * self.columns]
    }

    /// The rows as an estimator sees them that does not see the columns named.
    pub(super) fn without(&self, dropped: &[String]) -> Result<Seen<'_>, TrainError> {
        if dropped.is_empty() {
            return Ok(Seen::All(self));
        }
        let is_seen = |place: &usize| {
            let name = &self.names[*place];
            let feature = name.split_once('=').map_or(name.as_str(), |(feature, _)| feature);
            !dropped.iter().any(|dropped| dropped == feature)
        };
        let places: Vec<usize> = (0..self.columns).filter(is_seen).collect();
        if places.is_empty() {
            return Err(TrainError::Rows("an estimator sees none of the columns".into()));
        }
        let part = {
            // Nothing in here panics half-way: a part is whole or is not there.
            let mut narrowed = self.narrowed.lock().unwrap_or_else(PoisonError::into_inner);
            let part = narrowed
                .entry(places.clone())
                .or_insert_with(|| Arc::new(self.narrow(&places)));
            Arc::clone(part)
        };
        Ok(Seen::Part { part, places })
    }

    /// The same rows with these columns alone.
    fn narrow(&self, places: &[usize]) -> Self {
        let rows = (0..self.rows()).map(|row| self.row(row));
        Self {
            values: rows.flat_map(|row| places.iter().map(|place| row[*place])).collect(),
            columns: places.len(),
            names: places.iter().map(|place| self.names[*place].clone()).collect(),
            kinds: places.iter().map(|place| self.kinds[*place]).collect(),
            labels: self.labels.clone(),
            weights: self.weights.clone(),
            native_categories: self.native_categories,
            unweighted: OnceLock::new(),
            weighted: OnceLock::new(),
            narrowed: Mutex::default(),
        }
    }

    /// The rows for the engine of trees, all of the same weight.
    pub(super) fn unweighted(&self) -> Result<&DMatrix, TrainError> {
        once(&self.unweighted, || self.for_engine().map_err(engine_error))
    }

    /// The rows for the engine of trees with their weights.
    #[expect(clippy::cast_possible_truncation, reason = "the engine takes weights in f32")]
    pub(super) fn weighted(&self) -> Result<&DMatrix, TrainError> {
        let Some(weights) = &self.weights else {
            return self.unweighted();
        };
        once(&self.weighted, || {
            let weights: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
            self.unweighted()?.clone().with_weights(&weights).map_err(engine_error)
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the trees compare in f32, at training and at scoring"
    )]
    fn for_engine(&self) -> hessboost::error::Result<DMatrix> {
        let values = self.values.iter().map(|value| *value as f32).collect();
        let labels: Vec<f32> = self.labels.iter().map(|label| f32::from(u8::from(*label))).collect();
        let types = self.kinds.iter().map(|kind| match kind {
            ColumnKind::Code { .. } if self.native_categories => FeatureType::Categorical,
            _ => FeatureType::Numerical,
        });
        DMatrix::from_dense_vec(values, self.rows(), self.columns)?
            .with_feature_types(&types.collect::<Vec<_>>())?
            .with_labels(&labels)
    }
}

/// What an estimator sees of a sample.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    /// All of it.
    All(&'a Sample),
    /// Some columns.
    Part {
        /// These.
        part: Arc<Sample>,
        /// Where they stand in the sample.
        places: Vec<usize>,
    },
}

impl Seen<'_> {
    /// The rows for the engine of trees with their weights.
    pub(super) fn weighted(&self) -> Result<&DMatrix, TrainError> {
        match self {
            Self::All(sample) => sample.weighted(),
            Self::Part { part, .. } => part.weighted(),
        }
    }

    /// The place in the sample of a column that is seen.
    pub(super) fn column(&self, seen: usize) -> usize {
        match self {
            Self::All(_) => seen,
            Self::Part { places, .. } => places[seen],
        }
    }
}

/// What is made on first use. Two threads may make it at once; the first one's is kept.
fn once<T>(kept: &OnceLock<T>, make: impl FnOnce() -> Result<T, TrainError>) -> Result<&T, TrainError> {
    if let Some(made) = kept.get() {
        return Ok(made);
    }
    let made = make()?;
    Ok(kept.get_or_init(|| made))
}

/// Codes, columns of one categorical feature, numbers.
fn kinds_for_smote(preprocessor: &Preprocessor) -> Vec<smote::Column> {
    let columns = preprocessor.columns().iter().zip(preprocessor.kinds()).enumerate();
    let of = |(place, (name, kind)): (usize, (&String, &ColumnKind))| match (kind, name.split_once('=')) {
        (ColumnKind::Code { .. }, _) => smote::Column::Code,
        (ColumnKind::Number, None) => smote::Column::Number,
        // The feature is where its first column is.
        (ColumnKind::Number, Some((feature, _))) => {
            let of_feature = |other: &String| other.split_once('=').is_some_and(|(of, _)| of == feature);
            smote::Column::OneHot(preprocessor.columns().iter().position(of_feature).unwrap_or(place))
        }
    };
    columns.map(of).collect()
}

/// How many more of the others there are than customers who left.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn balance(labels: &[bool]) -> f64 {
    let positives = labels.iter().filter(|label| **label).count();
    (labels.len() - positives) as f64 / positives as f64
}

fn transformed(rows: &[FeatureVector], preprocessor: &Preprocessor) -> Vec<f64> {
    let columns = preprocessor.columns().len();
    let mut values = Vec::with_capacity(rows.len() * columns);
    let mut row = [f64::NAN; MAX_COLUMNS];
    for features in rows {
        preprocessor.transform(features, &mut row);
        values.extend_from_slice(&row[..columns]);
    }
    values
}

/// Rows that have columns and no features, as if the optional features were missing: a column made of one of them holds what it holds of a
/// customer of whom nothing is known.
fn mask_columns(values: &[f64], preprocessor: &Preprocessor, schema: &Schema) -> Vec<f64> {
    let unknown = preprocessor.row(&FeatureVector::MISSING);
    let required: Vec<Feature> = schema.required().collect();
    let columns = preprocessor.columns().len();
    let stays: Vec<bool> = (0..columns)
        .map(|column| {
            let mut sources = preprocessor.credits(column).iter();
            sources.all(|(feature, _)| required.contains(feature))
        })
        .collect();
    let masked = values.iter().enumerate().map(|(place, value)| {
        let column = place % columns;
        if stays[column] { *value } else { unknown[column] }
    });
    masked.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::params::Presets;
    use crate::service::trainer::columns;

    fn recipe(name: &str) -> Recipe {
        Presets::load(None).unwrap().get(name).unwrap().recipe.clone()
    }

    fn sample(recipe: &Recipe, features: &[FeatureVector], labels: &[bool]) -> (Sample, Preprocessor) {
        let schema = Schema::embedded();
        let preprocessing = columns::preprocessing(recipe, features, schema).unwrap();
        let preprocessor = columns::bind(&preprocessing, schema).unwrap();
        let rows = TrainingRows { features, labels };
        let sample = Sample::of(rows, recipe, &preprocessor, 1, schema).unwrap();
        (sample, preprocessor)
    }

    fn bank() -> (Vec<FeatureVector>, Vec<bool>) {
        let customers = holdfast_simulator::customers(200, 2);
        let labels = customers.iter().map(|customer| customer.label == Some(true)).collect();
        (customers.iter().map(|customer| customer.features).collect(), labels)
    }

    #[test]
    fn masked_copies_stand_after_the_rows_with_their_weight() {
        let (features, labels) = bank();
        let mut recipe = recipe("default");
        recipe.optional_features.masked_weight = 0.5;
        let (sample, preprocessor) = sample(&recipe, &features, &labels);
        assert_eq!(sample.rows(), 400);
        assert_eq!(sample.labels[..200], sample.labels[200..]);
        let weights = sample.weights.as_ref().unwrap();
        assert!(
            weights[..200].iter().all(|weight| *weight == 1.0) && weights[200..].iter().all(|weight| *weight == 0.5)
        );
        let masked = preprocessor.row(&features[17].required_only(Schema::embedded()));
        let same = sample
            .row(217)
            .iter()
            .zip(masked)
            .all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()));
        assert!(same);
        recipe.optional_features.masked_copies = false;
        let (sample, _) = self::sample(&recipe, &features, &labels);
        assert_eq!((sample.rows(), sample.weights), (200, None));
    }

    #[test]
    fn class_weights_balance_the_classes_or_are_as_given() {
        let (features, labels) = bank();
        let mut recipe = recipe("default");
        recipe.imbalance = Imbalance::ClassWeights { positive_weight: None };
        let (sample, _) = sample(&recipe, &features, &labels);
        let of_class = |class: bool| -> f64 {
            let rows = sample.weights.as_ref().unwrap().iter().zip(&sample.labels);
            rows.filter(|(_, label)| **label == class)
                .map(|(weight, _)| weight)
                .sum()
        };
        assert!((of_class(true) - of_class(false)).abs() < 1e-9);
    }

    #[test]
    fn synthetic_rows_stand_between_the_rows_and_their_copies_and_are_copied_as_well() {
        let (features, labels) = bank();
        let positives = labels.iter().filter(|label| **label).count();
        for categories in [CategoryEncoding::Codes, CategoryEncoding::OneHot] {
            let mut recipe = recipe("default");
            recipe.features.engineered.clear();
            recipe.features.drop.clear();
            recipe.features.categories = categories;
            recipe.imbalance = Imbalance::Smote {
                neighbours: 5,
                ratio: 1.0,
            };
            let (sample, preprocessor) = sample(&recipe, &features, &labels);
            let made = 200 - 2 * positives;
            assert_eq!(sample.rows(), 2 * (200 + made));
            assert!(sample.labels[200..200 + made].iter().all(|label| *label));
            let synthetic = sample.row(200);
            let copy = sample.row(200 + made + 200);
            for (column, (value, copied)) in synthetic.iter().zip(copy).enumerate() {
                let name = &preprocessor.columns()[column];
                let feature = Feature::from_name(name.split('=').next().unwrap()).unwrap();
                if Schema::embedded().column(feature).required {
                    assert_eq!(value, copied, "{name}");
                } else if name.contains('=') {
                    assert_eq!(*copied, 0.0, "{name}");
                } else {
                    assert!(copied.is_nan(), "{name}");
                }
            }
            // Each categorical feature is one category.
            if categories == CategoryEncoding::OneHot {
                let hot: f64 = preprocessor
                    .columns()
                    .iter()
                    .zip(synthetic)
                    .filter(|(name, _)| name.contains('='))
                    .map(|(_, value)| value)
                    .sum();
                assert_eq!(hot, 5.0);
            } else {
                assert!(synthetic[1] == 0.0 || synthetic[1] == 1.0, "a code of Gender");
            }
        }
    }
}
