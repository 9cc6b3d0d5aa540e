//! What the model goes by: importance of features, and how the probability moves with the strongest.

use holdfast_domain::{Feature, FeatureVector, Schema, split};
use holdfast_model::explain::{partial_dependence, plain_value};
use holdfast_model::{Estimator, Link, Model};
use holdfast_records::evaluation::{Dependence, DependencePoint, FeatureImportance, Importance};

use super::{Subjects, rounded};

/// Trees walked for the importance of features, rows × trees; with it the rows that are explained.
const EXPLAINED_TREES: usize = 512 * 400;
const EXPLAINED_ROWS: (usize, usize) = (64, 512);
/// Rows moved along each curve of dependence, by the same rule.
const MOVED_TREES: usize = 250 * 400;
const MOVED_ROWS: (usize, usize) = (50, 250);
/// Features whose dependence is shown, and points of each curve.
const SHOWN_DEPENDENCES: usize = 6;
const DEPENDENCE_POINTS: usize = 16;

/// Seed of the draw of rows, beside the run's own.
const EXPLAINED_DRAW: u64 = 13;

/// Importance, and dependence on the strongest features, over seeded draws that are smaller for larger models.
pub(super) fn explained(
    subjects: &Subjects<'_>,
    labels: &[bool],
    seed: u64,
    schema: &Schema,
) -> (Importance, Vec<Dependence>) {
    let model = subjects.model;
    let trees = trees(model);
    let draw = |budget: usize, (least, most): (usize, usize)| -> Vec<FeatureVector> {
        let wanted = (budget / trees).clamp(least, most);
        drawn(labels, wanted, seed.wrapping_add(EXPLAINED_DRAW))
            .into_iter()
            .map(|row| subjects.features[row])
            .collect()
    };
    let rows = draw(EXPLAINED_TREES, EXPLAINED_ROWS);
    let found: Vec<_> = model
        .importance(&rows)
        .into_iter()
        .filter(|feature| feature.mean_absolute > 0.0)
        .collect();
    let moved = draw(MOVED_TREES, MOVED_ROWS);
    let dependence = found
        .iter()
        .take(SHOWN_DEPENDENCES)
        .map(|strong| dependence(model, &moved, strong.feature, schema))
        .collect();
    let features = found.iter().map(|feature| FeatureImportance {
        feature: feature.feature.name().to_owned(),
        mean_absolute: feature.mean_absolute,
        standard_error: feature.standard_error,
        share: feature.share,
    });
    let unit = match model.ensemble().link {
        Link::Logistic => "log_odds",
        Link::Identity => "probability",
    };
    let importance = Importance {
        rows: rows.len() as u64,
        unit: unit.to_owned(),
        features: features.collect(),
    };
    (importance, dependence)
}

fn dependence(model: &Model, rows: &[FeatureVector], feature: Feature, schema: &Schema) -> Dependence {
    let points = partial_dependence(model, rows, feature, DEPENDENCE_POINTS);
    Dependence {
        feature: feature.name().to_owned(),
        points: points
            .into_iter()
            .map(|point| DependencePoint {
                value: point.value,
                label: plain_value(feature, point.value, schema),
                mean: rounded(point.mean),
                lower: rounded(point.lower),
                upper: rounded(point.upper),
            })
            .collect(),
    }
}

/// Trees of all members, at least one.
fn trees(model: &Model) -> usize {
    let members = model.ensemble().members.iter();
    let counts = members.map(|member| match &member.estimator {
        Estimator::Trees(trees) => trees.tree_count(),
        Estimator::Logistic(_) => 0,
    });
    counts.sum::<usize>().max(1)
}

/// A seeded, stratified draw of about so many rows; all of them when there are fewer.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn drawn(labels: &[bool], wanted: usize, seed: u64) -> Vec<usize> {
    if labels.len() <= wanted {
        return (0..labels.len()).collect();
    }
    split::stratified(labels, wanted as f64 / labels.len() as f64, seed).test
}
