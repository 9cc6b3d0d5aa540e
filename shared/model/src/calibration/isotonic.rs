//! Isotonic regression by pooling adjacent violators (Ayer et al. 1955; Barlow et al. 1972; for probabilities Zadrozny & Elkan 2002).

use super::Calibration;
use super::platt::SmoothedLabels;
use crate::metrics::MetricError;
use crate::metrics::error::{check_probabilities, check_scores};

/// Neighbouring rows that are answered alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IsotonicBlock {
    /// The smallest x in it.
    pub from: f64,
    /// The largest x in it.
    pub to: f64,
    /// Mean of its x.
    pub centre: f64,
    /// How many rows it has.
    pub rows: usize,
    /// Mean of its y: larger than that of the block before.
    pub value: f64,
}

/// The step function that never falls and has the least squared distance from the points, as its steps by growing x. Points of one x count as
/// one, with their mean.
///
/// # Errors
/// No points, lengths that differ, NaN in `xs`.
pub fn isotonic_regression(xs: &[f64], ys: &[f64]) -> Result<Vec<IsotonicBlock>, MetricError> {
    if xs.len() != ys.len() {
        return Err(MetricError::LengthMismatch {
            labels: ys.len(),
            other: xs.len(),
        });
    }
    check_scores(&vec![true; xs.len()], xs)?;
    let mut points: Vec<(f64, f64)> = xs.iter().copied().zip(ys.iter().copied()).collect();
    // By both, so that the result does not depend on the order of the rows.
    points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut blocks: Vec<Sums> = Vec::new();
    for tied in points.chunk_by(|a, b| a.0 == b.0) {
        blocks.push(Sums::of(tied));
        while let [.., before, last] = blocks.as_slice()
            && before.mean() >= last.mean()
        {
            let joined = before.join(last);
            blocks.truncate(blocks.len() - 2);
            blocks.push(joined);
        }
    }
    Ok(blocks.iter().map(Sums::block).collect())
}

impl Calibration {
    /// The isotonic regression of the labels on the raw probabilities, as a curve: linear between the centres of its blocks, so that rows of one
    /// block keep their order, and on from the outer centres to 0 and 1. Labels are smoothed as for Platt scaling, so that no block of one class
    /// is answered with certainty.
    ///
    /// # Errors
    /// No rows, lengths that differ, one class only, a raw probability that is none.
    pub fn fit_isotonic(labels: &[bool], raw_probabilities: &[f64]) -> Result<Self, MetricError> {
        check_probabilities(labels, raw_probabilities)?;
        // Smoothed afterwards, which is the same: sums of whole numbers are exact, so that equal blocks are known to be equal.
        let smoothed = SmoothedLabels::of(labels)?;
        let ys: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label))).collect();
        let blocks = isotonic_regression(raw_probabilities, &ys)?.into_iter();
        let mut curve: Vec<(f64, f64)> = blocks
            .map(|block| (block.centre, smoothed.share(block.value)))
            .collect();
        if let Some((x, y)) = curve.first().copied()
            && x > 0.0
        {
            curve.insert(0, (0.0, y * OUTER));
        }
        if let Some((x, y)) = curve.last().copied()
            && x < 1.0
        {
            curve.push((1.0, 1.0 - (1.0 - y) * OUTER));
        }
        let (raw_probabilities, probabilities) = curve.into_iter().unzip();
        Ok(Calibration::Isotonic {
            raw_probabilities,
            probabilities,
        })
    }
}

/// How much of the way from certainty is left at the ends of the curve.
const OUTER: f64 = 0.5;

/// A block that still grows.
#[derive(Clone, Copy, Debug)]
struct Sums {
    from: f64,
    to: f64,
    rows: usize,
    xs: f64,
    ys: f64,
}

impl Sums {
    fn of(tied: &[(f64, f64)]) -> Self {
        let x = tied.first().map_or(f64::NAN, |point| point.0);
        Self {
            from: x,
            to: x,
            rows: tied.len(),
            xs: x * tied.len() as f64,
            ys: tied.iter().map(|point| point.1).sum(),
        }
    }

    fn join(&self, next: &Self) -> Self {
        Self {
            from: self.from,
            to: next.to,
            rows: self.rows + next.rows,
            xs: self.xs + next.xs,
            ys: self.ys + next.ys,
        }
    }

    fn mean(&self) -> f64 {
        self.ys / self.rows as f64
    }

    fn block(&self) -> IsotonicBlock {
        IsotonicBlock {
            from: self.from,
            to: self.to,
            // Rounding may pass the ends by a hair.
            centre: (self.xs / self.rows as f64).clamp(self.from, self.to),
            rows: self.rows,
            value: self.mean(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::calibration::fixtures::{cases, floats};
    use crate::ensemble::Link;

    fn fitted(blocks: &[IsotonicBlock], x: f64) -> f64 {
        let inside = |block: &&IsotonicBlock| block.from <= x && x <= block.to;
        blocks.iter().find(inside).unwrap().value
    }

    #[test]
    fn a_worked_example() {
        // 1, 3, 2 pool to 1, 2.5; the two points at x = 4 count as one of 5.
        let blocks = isotonic_regression(&[1.0, 2.0, 3.0, 4.0, 4.0], &[1.0, 3.0, 2.0, 4.0, 6.0]).unwrap();
        let found: Vec<_> = blocks
            .iter()
            .map(|block| (block.centre, block.value, block.rows))
            .collect();
        assert_eq!(found, [(1.0, 1.0, 1), (2.5, 2.5, 2), (4.0, 5.0, 2)]);
    }

    #[test]
    fn it_agrees_with_scikit_learn() {
        for case in cases() {
            let ys: Vec<f64> = case.labels.iter().map(|label| f64::from(u8::from(*label))).collect();
            let blocks = isotonic_regression(&case.margins, &ys).unwrap();
            for (margin, expected) in case.margins.iter().zip(floats(&case.value["isotonic"])) {
                let found = fitted(&blocks, *margin);
                assert!(
                    (found - expected).abs() < 1e-9,
                    "{}: {found} is not {expected}",
                    case.name
                );
            }
        }
    }

    #[test]
    fn the_curve_goes_through_the_centres_and_on_to_both_ends() {
        let labels = [false, false, true, false, true, true];
        let raw = [0.1, 0.2, 0.3, 0.5, 0.7, 0.9];
        let calibration = Calibration::fit_isotonic(&labels, &raw).unwrap();
        calibration.validate().unwrap();
        // Smoothed labels are 0.2 and 0.8; the blocks are {0.1, 0.2}, {0.3, 0.5} and {0.7, 0.9}.
        for (x, expected) in [(0.15, 0.2), (0.4, 0.5), (0.8, 0.8), (0.0, 0.1), (1.0, 0.9)] {
            let found = calibration.probability(x, Link::Identity);
            assert!((found - expected).abs() < 1e-12, "{x}: {found}");
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        assert_eq!(isotonic_regression(&[], &[]), Err(MetricError::Empty));
        assert_eq!(
            isotonic_regression(&[1.0], &[]),
            Err(MetricError::LengthMismatch { labels: 0, other: 1 })
        );
        assert_eq!(
            Calibration::fit_isotonic(&[true, false], &[0.4, 1.2]),
            Err(MetricError::NotAProbability { row: 1, score: 1.2 })
        );
        assert!(Calibration::fit_isotonic(&[false, false], &[0.4, 0.2]).is_err());
    }

    fn rows() -> impl Strategy<Value = Vec<(bool, f64)>> {
        let coarse = (0..=20_u32).prop_map(|step| f64::from(step) / 20.0);
        prop::collection::vec((any::<bool>(), prop_oneof![coarse, 0.0..=1.0_f64]), 2..80)
            .prop_filter("both classes", |rows| {
                rows.iter().any(|row| row.0) && rows.iter().any(|row| !row.0)
            })
    }

    proptest! {
        #[test]
        fn blocks_rise_and_keep_the_mean(rows in rows()) {
            let xs: Vec<f64> = rows.iter().map(|row| row.1).collect();
            let ys: Vec<f64> = rows.iter().map(|row| f64::from(u8::from(row.0))).collect();
            let blocks = isotonic_regression(&xs, &ys).unwrap();
            prop_assert!(blocks.windows(2).all(|pair| pair[0].value < pair[1].value && pair[0].to < pair[1].from));
            let sum: f64 = blocks.iter().map(|block| block.rows as f64 * block.value).sum();
            prop_assert!((sum - ys.iter().sum::<f64>()).abs() < 1e-9);
        }

        #[test]
        fn the_curve_is_valid_and_keeps_the_order_of_all_rows(rows in rows()) {
            let (labels, raw): (Vec<bool>, Vec<f64>) = rows.iter().copied().unzip();
            let calibration = Calibration::fit_isotonic(&labels, &raw).unwrap();
            calibration.validate().unwrap();
            let mut sorted = raw.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let answers: Vec<f64> = sorted.iter().map(|x| calibration.probability(*x, Link::Identity)).collect();
            for (xs, answers) in sorted.windows(2).zip(answers.windows(2)) {
                prop_assert!(answers[0] <= answers[1]);
                // Apart from what lies closer together than a double can tell.
                prop_assert!(xs[1] - xs[0] < 1e-9 || answers[0] < answers[1], "{xs:?} {answers:?}");
            }
        }
    }
}
