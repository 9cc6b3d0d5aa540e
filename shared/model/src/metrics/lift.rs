//! Lift and cumulative gain by decile of the score: what a campaign that calls the top tenth, two tenths, … would reach.

use super::MetricError;
use super::error::{both_classes, check_scores};
use super::ranking::ties_from_the_top;

/// Groups of equal size, the first holding the highest scores.
pub const DECILES: usize = 10;

/// One tenth of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecileLift {
    /// Rows in it; tenths differ by at most one row.
    pub rows: u64,
    /// Positives in it. A fraction where rows tied in score straddle the border: they share their positives evenly, so
    /// that the order of the rows does not matter.
    pub positives: f64,
    /// Share of positives here over their share among all rows.
    pub lift: f64,
    /// Share of all positives that is in this and the higher tenths.
    pub cumulative_gain: f64,
    /// Lift of this and the higher tenths together.
    pub cumulative_lift: f64,
    /// Lowest score in it.
    pub lowest_score: f64,
}

/// Lift and gain, from the highest tenth to the lowest.
///
/// # Errors
/// Fewer than [`DECILES`] rows, lengths that differ, NaN, one class only.
pub fn lift_by_decile(labels: &[bool], scores: &[f64]) -> Result<[DecileLift; DECILES], MetricError> {
    check_scores(labels, scores)?;
    let total = labels.len();
    if total < DECILES {
        return Err(MetricError::TooFewRows {
            rows: total,
            minimum: DECILES,
        });
    }
    let positives = both_classes(labels)?.positives as f64;
    let base = positives / total as f64;
    let mut deciles = [DecileLift::default(); DECILES];
    let mut rank = 0;
    for tie in ties_from_the_top(labels, scores) {
        let share = tie.positives as f64 / tie.rows() as f64;
        let end = rank + tie.rows() as usize;
        while rank < end {
            // The tenth that holds this rank; border i is ⌊i·n/10⌋.
            let decile = (rank * DECILES + DECILES - 1) / total;
            let border = ((decile + 1) * total / DECILES).min(end);
            let current = &mut deciles[decile];
            current.rows += (border - rank) as u64;
            current.positives += share * (border - rank) as f64;
            current.lowest_score = tie.score;
            rank = border;
        }
    }
    let (mut found, mut called) = (0.0, 0.0);
    for decile in &mut deciles {
        found += decile.positives;
        called += decile.rows as f64;
        decile.lift = decile.positives / decile.rows as f64 / base;
        decile.cumulative_gain = found / positives;
        decile.cumulative_lift = found / called / base;
    }
    Ok(deciles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};

    #[test]
    fn a_worked_example() {
        // Twenty rows, four positives: the top tenth holds two of them, the third tenth one, the last one.
        let labels: Vec<bool> = (0..20).map(|i| [0, 1, 5, 19].contains(&i)).collect();
        let scores: Vec<f64> = (0..20).map(|i| 1.0 - f64::from(i) / 20.0).collect();
        let deciles = lift_by_decile(&labels, &scores).unwrap();
        assert_eq!(
            (deciles[0].positives, deciles[0].lift, deciles[0].cumulative_gain),
            (2.0, 5.0, 0.5)
        );
        assert_eq!((deciles[1].lift, deciles[1].cumulative_lift), (0.0, 2.5));
        assert_eq!((deciles[2].positives, deciles[2].cumulative_gain), (1.0, 0.75));
        assert_eq!((deciles[9].cumulative_gain, deciles[9].cumulative_lift), (1.0, 1.0));
        assert_eq!(deciles[0].lowest_score, 0.95);
    }

    #[test]
    fn a_score_that_says_nothing_has_lift_one_everywhere() {
        let labels: Vec<bool> = (0..37).map(|i| i % 5 == 0).collect();
        for decile in lift_by_decile(&labels, &[0.3; 37]).unwrap() {
            assert_close(decile.lift, 1.0, 1e-12, "lift");
            assert!(decile.rows == 3 || decile.rows == 4);
        }
    }

    #[test]
    fn nine_rows_have_no_deciles() {
        let refused = lift_by_decile(&[true; 9], &[0.5; 9]);
        assert_eq!(refused, Err(MetricError::TooFewRows { rows: 9, minimum: 10 }));
    }

    #[test]
    fn it_agrees_with_the_fixtures() {
        for case in cases().iter().filter(|case| case.labels.len() >= DECILES) {
            let deciles = lift_by_decile(&case.labels, &case.scores).unwrap();
            for (found, expected) in deciles.iter().zip(case.value["deciles"].as_array().unwrap()) {
                assert_eq!(expected["rows"].as_u64(), Some(found.rows), "{}", case.name);
                for (name, value) in [
                    ("positives", found.positives),
                    ("lift", found.lift),
                    ("cumulative_gain", found.cumulative_gain),
                    ("cumulative_lift", found.cumulative_lift),
                ] {
                    assert_close(value, expected[name].as_f64().unwrap(), 1e-11, &case.name);
                }
            }
        }
    }
}
