//! Quality within groups of customers.

use holdfast_domain::Schema;
use holdfast_model::metrics::{self, MetricError, SliceQuality, SliceRules};
use holdfast_records::evaluation::{Interval, MeasuredSlice, Slice};

use super::{Subjects, interval};
use crate::service::evaluation::{
    SLICE_MIN_PER_CLASS, SLICE_MIN_ROWS, Scored, groups_of, place_of_group, sliced_columns,
};

/// The groups that the gate looks at, with everything that can be said of each.
pub(super) fn slices(subjects: &Subjects<'_>, labels: &[bool], schema: &Schema) -> Result<Vec<Slice>, MetricError> {
    let rules = SliceRules {
        minimum_rows: SLICE_MIN_ROWS,
        minimum_per_class: SLICE_MIN_PER_CLASS,
    };
    let Scored { scores, threshold } = subjects.full;
    let mut found = Vec::new();
    for feature in sliced_columns() {
        let groups = groups_of(subjects.customers, feature, schema);
        let mut slices = metrics::slices(labels, scores, &groups, threshold, rules)?;
        slices.sort_by_key(|slice| place_of_group(feature, &slice.group, schema));
        for slice in slices {
            found.push(Slice {
                column: feature.name().to_owned(),
                group: slice.group,
                rows: slice.rows as u64,
                positives: slice.positives as u64,
                measured: measured_slice(slice.quality),
            });
        }
    }
    Ok(found)
}

fn measured_slice(quality: SliceQuality) -> Option<MeasuredSlice> {
    let SliceQuality::Measured(figures) = quality else {
        return None;
    };
    let share_left = figures.positive_share;
    let mean_score = figures.calibration_gap + share_left.value;
    Some(MeasuredSlice {
        roc_auc: Interval {
            value: figures.roc_auc.auc,
            lower: figures.roc_auc.lower,
            upper: figures.roc_auc.upper,
        },
        precision: figures.precision.map(interval),
        recall: interval(figures.recall),
        false_positive_rate: interval(figures.false_positive_rate),
        call_rate: interval(figures.call_rate),
        share_left: interval(share_left),
        mean_score,
        calibration_gap: Interval {
            value: figures.calibration_gap,
            lower: mean_score - share_left.upper,
            upper: mean_score - share_left.lower,
        },
    })
}
