//! What is measured of a candidate: pure functions of scores and labels.
//!
//! Here is the evidence that the gate decides on; [`record`] has everything that people look at.

pub mod record;

use holdfast_domain::{Customer, Feature, Schema};
use holdfast_model::metrics::{self, MetricError, delong};

/// Quality on one set of rows; areas, rates and errors are 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    /// Rows.
    pub rows: u64,
    /// Rows of customers who left.
    pub positives: u64,
    /// Area under the ROC curve, with its DeLong 95 % interval.
    pub roc_auc: f64,
    /// Lower end.
    pub roc_auc_lower: f64,
    /// Upper end.
    pub roc_auc_upper: f64,
    /// Average precision.
    pub pr_auc: f64,
    /// Mean negative log-likelihood in nats.
    pub log_loss: f64,
    /// Mean squared error of the probability.
    pub brier: f64,
    /// Expected calibration error, ten bins of equal width.
    pub calibration_error: f64,
    /// F1 at the threshold.
    pub f1: f64,
    /// Accuracy at the threshold.
    pub accuracy: f64,
    /// Precision at the threshold.
    pub precision: f64,
    /// Recall at the threshold.
    pub recall: f64,
}

/// Candidate and champion on the same rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// The candidate's quality.
    pub candidate: Quality,
    /// The champion's quality.
    pub champion: Quality,
    /// ROC-AUC of the candidate minus that of the champion.
    pub delta: f64,
    /// DeLong standard error of `delta`.
    pub standard_error: f64,
    /// One-sided p-value of "the candidate is better".
    pub p_value: f64,
}

/// Quality within one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Column that makes the groups.
    pub column: String,
    /// The group.
    pub group: String,
    /// Quality within it; only the counts where the group is too small.
    pub quality: Quality,
    /// True when the group is too small to judge.
    pub too_small: bool,
}

/// Scores of one model with its threshold.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// One probability a row.
    pub scores: &'a [f64],
    /// The model's threshold.
    pub threshold: f64,
}

/// Least rows of a group that is judged.
pub const SLICE_MIN_ROWS: usize = 50;
/// Least rows of each class in a group that is judged.
pub const SLICE_MIN_PER_CLASS: usize = 10;

/// Quality of scored rows.
///
/// # Errors
/// [`MetricError`] when the rows have one class only or a score is not a number.
pub fn quality(labels: &[bool], scored: Scored<'_>) -> Result<Quality, MetricError> {
    let interval = delong::auc_interval(labels, scored.scores)?;
    let confusion = metrics::confusion_at(labels, scored.scores, scored.threshold)?;
    Ok(Quality {
        rows: confusion.rows(),
        positives: confusion.positives(),
        roc_auc: interval.auc,
        roc_auc_lower: interval.lower,
        roc_auc_upper: interval.upper,
        pr_auc: metrics::pr_auc(labels, scored.scores)?,
        log_loss: metrics::log_loss(labels, scored.scores)?,
        brier: metrics::brier(labels, scored.scores)?,
        calibration_error: metrics::ece(labels, scored.scores)?.ece,
        f1: confusion.f1(),
        accuracy: confusion.accuracy(),
        precision: confusion.precision(),
        recall: confusion.recall(),
    })
}

/// One-sided DeLong p-value of "`first` ranks better than `second`".
///
/// # Errors
/// As [`quality`].
pub fn better_p_value(labels: &[bool], first: &[f64], second: &[f64]) -> Result<f64, MetricError> {
    Ok(delong::paired(labels, first, second)?.p_one_sided)
}

/// Candidate against champion on the same rows.
///
/// # Errors
/// As [`quality`].
pub fn paired(labels: &[bool], candidate: Scored<'_>, champion: Scored<'_>) -> Result<Paired, MetricError> {
    let test = delong::paired(labels, candidate.scores, champion.scores)?;
    let (candidate, champion) = (quality(labels, candidate)?, quality(labels, champion)?);
    Ok(Paired {
        candidate,
        champion,
        delta: candidate.roc_auc - champion.roc_auc,
        standard_error: test.standard_error,
        p_value: test.p_one_sided,
    })
}

/// Quality by age band, gender, income and card.
///
/// # Errors
/// As [`quality`]; a group with one class only is too small, not an error.
pub fn slices(
    customers: &[Customer],
    labels: &[bool],
    scored: Scored<'_>,
    schema: &Schema,
) -> Result<Vec<Slice>, MetricError> {
    let mut found = Vec::new();
    for feature in sliced_columns() {
        let groups = groups_of(customers, feature, schema);
        let mut names: Vec<&String> = groups.iter().collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let members: Vec<usize> = (0..groups.len()).filter(|index| groups[*index] == *name).collect();
            found.push(slice(feature.name(), name, &members, labels, scored)?);
        }
    }
    Ok(found)
}

fn slice(
    column: &str,
    group: &str,
    members: &[usize],
    labels: &[bool],
    scored: Scored<'_>,
) -> Result<Slice, MetricError> {
    let inside: Vec<bool> = members.iter().map(|index| labels[*index]).collect();
    let positives = inside.iter().filter(|label| **label).count();
    let too_small = inside.len() < SLICE_MIN_ROWS || positives.min(inside.len() - positives) < SLICE_MIN_PER_CLASS;
    let quality = if too_small {
        Quality {
            rows: inside.len() as u64,
            positives: positives as u64,
            ..Quality::default()
        }
    } else {
        let scores: Vec<f64> = members.iter().map(|index| scored.scores[*index]).collect();
        let scored = Scored {
            scores: &scores,
            ..scored
        };
        self::quality(&inside, scored)?
    };
    Ok(Slice {
        column: column.to_owned(),
        group: group.to_owned(),
        quality,
        too_small,
    })
}

/// The columns that make the groups.
fn sliced_columns() -> [Feature; 4] {
    [
        Feature::CustomerAge,
        Feature::Gender,
        Feature::IncomeCategory,
        Feature::CardCategory,
    ]
}

fn groups_of(customers: &[Customer], feature: Feature, schema: &Schema) -> Vec<String> {
    customers
        .iter()
        .map(|customer| group(customer, feature, schema))
        .collect()
}

/// Names of age bands and the age where each ends.
const AGE_BANDS: [(&str, f64); 4] = [("under 30", 30.0), ("30-39", 40.0), ("40-49", 50.0), ("50-59", 60.0)];
const OLDEST: &str = "60 and over";

/// Where a group stands among those of its column: ages by age, categories as in the schema, all others after them.
fn place_of_group(feature: Feature, group: &str, schema: &Schema) -> usize {
    let place = if feature == Feature::CustomerAge {
        let names = AGE_BANDS.iter().map(|(name, _)| *name).chain([OLDEST]);
        names.into_iter().position(|name| name == group)
    } else {
        schema.category_code(feature, group)
    };
    place.unwrap_or(usize::MAX)
}

/// The group a customer belongs to; ages in bands of ten years.
fn group(customer: &Customer, feature: Feature, schema: &Schema) -> String {
    let Some(value) = customer.features.get(feature) else {
        return "missing".to_owned();
    };
    if feature == Feature::CustomerAge {
        let band = AGE_BANDS.iter().find(|(_, below)| value < *below);
        return band.map_or(OLDEST, |(name, _)| name).to_owned();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "category codes are small; a negative one is the unknown category"
    )]
    let name = (value >= 0.0)
        .then(|| schema.category_name(feature, value as usize))
        .flatten();
    name.unwrap_or("not listed").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_ranking_is_told_from_a_worse_one() {
        let customers = holdfast_simulator::customers(1_000, 4);
        let labels: Vec<bool> = customers.iter().map(|customer| customer.label == Some(true)).collect();
        let good: Vec<f64> = labels
            .iter()
            .enumerate()
            .map(|(index, label)| if *label != (index % 20 == 0) { 0.8 } else { 0.2 })
            .collect();
        let poor: Vec<f64> = labels
            .iter()
            .enumerate()
            .map(|(index, label)| if *label != (index % 3 == 0) { 0.8 } else { 0.2 })
            .collect();
        let scored = |scores| Scored { scores, threshold: 0.5 };
        let better = paired(&labels, scored(&good), scored(&poor)).unwrap();
        assert!(better.delta > 0.1 && better.p_value < 1e-6, "{better:?}");
        let worse = paired(&labels, scored(&poor), scored(&good)).unwrap();
        assert!(worse.p_value > 0.999, "{worse:?}");
    }

    #[test]
    fn groups_too_small_to_judge_say_so_and_cover_every_row() {
        let customers = holdfast_simulator::customers(1_000, 4);
        let labels: Vec<bool> = customers.iter().map(|customer| customer.label == Some(true)).collect();
        let scores: Vec<f64> = (0..customers.len())
            .map(|index| f64::from(u8::try_from(index % 97).unwrap()) / 100.0)
            .collect();
        let scored = Scored {
            scores: &scores,
            threshold: 0.5,
        };
        let slices = slices(&customers, &labels, scored, Schema::embedded()).unwrap();
        for column in ["Customer_Age", "Gender", "Income_Category", "Card_Category"] {
            let rows: u64 = slices
                .iter()
                .filter(|slice| slice.column == column)
                .map(|slice| slice.quality.rows)
                .sum();
            assert_eq!(rows, 1_000, "{column}");
        }
        assert!(slices.iter().any(|slice| slice.column == "Gender" && !slice.too_small));
        assert!(slices.iter().any(|slice| slice.group == "Platinum" && slice.too_small));
    }
}
