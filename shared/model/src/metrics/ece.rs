//! Expected calibration error with its reliability curve (Naeini, Cooper & Hauskrecht, AAAI 2015; Guo et al., ICML 2017).

use super::error::check_probabilities;
use super::{MetricError, Proportion, wilson};

/// Bins of equal width over [0, 1].
pub const CALIBRATION_BINS: usize = 10;

/// A model whose error is at most this counts as calibrated.
pub const DEFAULT_MAXIMUM_ECE: f64 = 0.02;

/// One bin of the reliability curve: scores in (lower, upper], the first bin also 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReliabilityBin {
    /// Lower edge, exclusive.
    pub lower: f64,
    /// Upper edge, inclusive.
    pub upper: f64,
    /// Rows in the bin.
    pub rows: u64,
    /// Positives among them.
    pub positives: u64,
    /// Mean score of those rows; 0 in an empty bin.
    pub mean_score: f64,
    /// Share of positives among those rows; 0 in an empty bin.
    pub positive_share: f64,
}

impl ReliabilityBin {
    /// Share of positives with Wilson's interval; `None` in an empty bin.
    #[must_use]
    pub fn interval(&self) -> Option<Proportion> {
        wilson(self.positives, self.rows).ok()
    }
}

/// How far scores and frequencies are apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Mean over rows of |share of positives − mean score| of the row's bin, in [0, 1].
    pub ece: f64,
    /// The largest such distance of any bin with rows in it.
    pub maximum: f64,
    /// The reliability curve, all [`CALIBRATION_BINS`] bins, empty ones included.
    pub bins: Vec<ReliabilityBin>,
}

/// Expected calibration error. The curve is that of scikit-learn's `calibration_curve(strategy="uniform")`.
///
/// # Errors
/// No rows, lengths that differ, a score outside [0, 1] or NaN.
pub fn ece(labels: &[bool], probabilities: &[f64]) -> Result<Calibration, MetricError> {
    check_probabilities(labels, probabilities)?;
    let edge = |bin: usize| bin as f64 / CALIBRATION_BINS as f64;
    let mut score_sums = [0.0; CALIBRATION_BINS];
    let mut positives = [0_u64; CALIBRATION_BINS];
    let mut rows = [0_u64; CALIBRATION_BINS];
    for (&label, &p) in labels.iter().zip(probabilities) {
        let bin = (1..CALIBRATION_BINS).take_while(|&bin| p > edge(bin)).count();
        score_sums[bin] += p;
        positives[bin] += u64::from(label);
        rows[bin] += 1;
    }
    let bins: Vec<ReliabilityBin> = (0..CALIBRATION_BINS)
        .map(|bin| {
            let share = |sum: f64| {
                if rows[bin] == 0 { 0.0 } else { sum / rows[bin] as f64 }
            };
            ReliabilityBin {
                lower: edge(bin),
                upper: edge(bin + 1),
                rows: rows[bin],
                positives: positives[bin],
                mean_score: share(score_sums[bin]),
                positive_share: share(positives[bin] as f64),
            }
        })
        .collect();
    let gap = |bin: &ReliabilityBin| (bin.positive_share - bin.mean_score).abs();
    let weighted: f64 = bins.iter().map(|bin| bin.rows as f64 * gap(bin)).sum();
    Ok(Calibration {
        ece: weighted / labels.len() as f64,
        maximum: bins.iter().map(gap).fold(0.0, f64::max),
        bins,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};

    #[test]
    fn a_worked_example() {
        // Bin (0.1, 0.2]: two rows, mean 0.15, share ½, gap 0.35. Bin (0.8, 0.9]: two rows, mean 0.9, share 1, gap 0.1.
        let found = ece(&[true, false, true, true], &[0.12, 0.18, 0.9, 0.9]).unwrap();
        assert_close(found.ece, 0.225, 1e-14, "ece");
        assert_close(found.maximum, 0.35, 1e-14, "maximum");
        assert_eq!((found.bins[1].rows, found.bins[8].rows), (2, 2));
        assert_eq!((found.bins[1].positives, found.bins[0].interval()), (1, None));
        let share = found.bins[1].interval().unwrap();
        assert!(share.lower < 0.1 && share.upper > 0.9, "{share:?}");
    }

    #[test]
    fn bins_are_closed_above_and_the_first_holds_zero() {
        let found = ece(&[false; 4], &[0.0, 0.1, 0.3, 1.0]).unwrap();
        let rows: Vec<u64> = found.bins.iter().map(|bin| bin.rows).collect();
        assert_eq!(rows, [2, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn it_agrees_with_scikit_learn() {
        for case in cases() {
            let found = ece(&case.labels, &case.scores).unwrap();
            assert_close(found.ece, case.number("ece"), 1e-12, &case.name);
            let expected = &case.value["reliability"];
            let rows: Vec<u64> = found.bins.iter().map(|bin| bin.rows).collect();
            assert_eq!(serde_json::to_value(rows).unwrap(), expected["rows"], "{}", case.name);
            let filled = found.bins.iter().filter(|bin| bin.rows > 0);
            for (i, bin) in filled.enumerate() {
                let share = expected["positive_share"][i].as_f64().unwrap();
                assert_close(bin.positive_share, share, 1e-12, &case.name);
                assert_close(
                    bin.mean_score,
                    expected["mean_score"][i].as_f64().unwrap(),
                    1e-12,
                    &case.name,
                );
            }
        }
    }
}
