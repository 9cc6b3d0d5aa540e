//! Quality per group of rows (age band, gender, income, card), with intervals, so that a gap between groups can be told from
//! noise. Groups too small for that are named, not measured.

use std::collections::BTreeMap;

use super::delong::{AucInterval, auc_interval};
use super::error::{check_length, check_probabilities};
use super::{Confusion, MetricError, Proportion, confusion_at, wilson};

/// When a group is large enough to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceRules {
    /// Least number of rows.
    pub minimum_rows: usize,
    /// Least number of positives, and of negatives; below 2 counts as 2.
    pub minimum_per_class: usize,
}

impl Default for SliceRules {
    /// 100 rows and 10 of each class: an interval of the area is then narrower than about ±0.1.
    fn default() -> Self {
        Self {
            minimum_rows: 100,
            minimum_per_class: 10,
        }
    }
}

/// One group.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// What the rows have in common.
    pub group: String,
    /// Rows in it.
    pub rows: usize,
    /// Positives in it.
    pub positives: usize,
    /// What was measured.
    pub quality: SliceQuality,
}

/// What could be said of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum SliceQuality {
    /// Fewer rows than the rules ask for.
    TooSmall,
    /// Large enough.
    Measured(Box<SliceFigures>),
}

/// The figures of a group that is large enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SliceFigures {
    /// Ranking within the group, with DeLong's interval.
    pub roc_auc: AucInterval,
    /// The four counts at the threshold.
    pub confusion: Confusion,
    /// Share of the group's positives that are called, with Wilson's interval.
    pub recall: Proportion,
    /// Share of the group's calls that are right, with Wilson's interval; `None` if nobody is called.
    pub precision: Option<Proportion>,
    /// Share of the group's negatives that are called, with Wilson's interval.
    pub false_positive_rate: Proportion,
    /// Share of the group that is called, with Wilson's interval.
    pub call_rate: Proportion,
    /// Share of positives in the group, with Wilson's interval.
    pub positive_share: Proportion,
    /// Mean score less share of positives: above 0 where the group is scored too high. Its interval is that of the share of
    /// positives: from mean score less its upper end to mean score less its lower end.
    pub calibration_gap: f64,
}

/// Measures every group at a threshold, in the order of their names. `groups[i]` is the group of row i.
///
/// # Errors
/// No rows, lengths that differ, a score outside [0, 1] or NaN. A group with one class only is too small, not an error.
pub fn slices<G: AsRef<str>>(
    labels: &[bool],
    probabilities: &[f64],
    groups: &[G],
    threshold: f64,
    rules: SliceRules,
) -> Result<Vec<Slice>, MetricError> {
    check_probabilities(labels, probabilities)?;
    check_length(labels, groups.len())?;
    let mut by_group: BTreeMap<&str, (Vec<bool>, Vec<f64>)> = BTreeMap::new();
    for ((&label, &score), group) in labels.iter().zip(probabilities).zip(groups) {
        let rows = by_group.entry(group.as_ref()).or_default();
        rows.0.push(label);
        rows.1.push(score);
    }
    by_group
        .into_iter()
        .map(|(group, (labels, scores))| {
            Ok(Slice {
                group: group.to_owned(),
                rows: labels.len(),
                positives: labels.iter().filter(|&&label| label).count(),
                quality: measure(&labels, &scores, threshold, rules)?,
            })
        })
        .collect()
}

fn measure(labels: &[bool], scores: &[f64], threshold: f64, rules: SliceRules) -> Result<SliceQuality, MetricError> {
    let rows = labels.len();
    let positives = labels.iter().filter(|&&label| label).count();
    let smaller_class = positives.min(rows - positives);
    if rows < rules.minimum_rows || smaller_class < rules.minimum_per_class.max(2) {
        return Ok(SliceQuality::TooSmall);
    }
    let confusion = confusion_at(labels, scores, threshold)?;
    let called = confusion.called_positive();
    let precision = match called {
        0 => None,
        _ => Some(wilson(confusion.true_positives, called)?),
    };
    Ok(SliceQuality::Measured(Box::new(SliceFigures {
        roc_auc: auc_interval(labels, scores)?,
        confusion,
        recall: wilson(confusion.true_positives, confusion.positives())?,
        precision,
        false_positive_rate: wilson(confusion.false_positives, confusion.negatives())?,
        call_rate: wilson(called, confusion.rows())?,
        positive_share: wilson(confusion.positives(), confusion.rows())?,
        calibration_gap: (scores.iter().sum::<f64>() - positives as f64) / rows as f64,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 120 rows of "a", scored well; 120 of "b", scored badly; 30 of "c".
    fn rows() -> (Vec<bool>, Vec<f64>, Vec<&'static str>) {
        let mut rows = (vec![], vec![], vec![]);
        for i in 0..270 {
            let label = i % 4 == 0;
            let group = ["a", "b", "c"][i / 120];
            let noise = (i % 7) as f64 / 100.0;
            let score = match group {
                "b" => 0.3 + noise,
                _ => {
                    if label {
                        0.8 - noise
                    } else {
                        0.2 + noise
                    }
                }
            };
            rows.0.push(label);
            rows.1.push(score);
            rows.2.push(group);
        }
        rows
    }

    #[test]
    fn groups_are_measured_in_order_and_small_ones_are_named() {
        let (labels, scores, groups) = rows();
        let found = slices(&labels, &scores, &groups, 0.5, SliceRules::default()).unwrap();
        let sizes: Vec<_> = found.iter().map(|s| (s.group.as_str(), s.rows, s.positives)).collect();
        assert_eq!(sizes, [("a", 120, 30), ("b", 120, 30), ("c", 30, 8)]);
        assert_eq!(found[2].quality, SliceQuality::TooSmall);
        let figures = |slice: &Slice| match &slice.quality {
            SliceQuality::Measured(figures) => **figures,
            SliceQuality::TooSmall => panic!("{} is large enough", slice.group),
        };
        let good = figures(&found[0]);
        assert_eq!(
            (good.roc_auc.auc, good.recall.value, good.call_rate.hits),
            (1.0, 1.0, 30)
        );
        assert_eq!(good.precision.map(|p| (p.hits, p.trials)), Some((30, 30)));
        assert_eq!(
            (good.false_positive_rate.hits, good.false_positive_rate.trials),
            (0, 90)
        );
        assert_eq!(good.positive_share.value, 0.25);
        let bad = figures(&found[1]);
        assert!(bad.roc_auc.lower < 0.6 && bad.recall.hits == 0 && bad.precision.is_none());
        // Scores average about 0.33 where a quarter is positive.
        assert!((bad.calibration_gap - 0.08).abs() < 0.005, "{}", bad.calibration_gap);
    }

    #[test]
    fn a_group_of_one_class_is_too_small() {
        let rules = SliceRules {
            minimum_rows: 0,
            minimum_per_class: 0,
        };
        let found = slices(&[true, true, false], &[0.5, 0.6, 0.7], &["x", "x", "y"], 0.5, rules).unwrap();
        assert!(found.iter().all(|slice| slice.quality == SliceQuality::TooSmall));
    }

    #[test]
    fn bad_input_is_refused() {
        let rules = SliceRules::default();
        assert!(slices(&[true], &[0.5], &["x", "y"], 0.5, rules).is_err());
        assert!(slices(&[true], &[2.5], &["x"], 0.5, rules).is_err());
        assert_eq!(slices::<&str>(&[], &[], &[], 0.5, rules), Err(MetricError::Empty));
    }
}
