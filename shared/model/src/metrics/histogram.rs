//! How the scores of each class are spread.

use super::MetricError;
use super::error::check_probabilities;

/// Rows of each class whose score lies in one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoreBin {
    /// Positives.
    pub positives: u64,
    /// Negatives.
    pub negatives: u64,
}

/// Counts in `bins` bins of equal width over [0, 1]; bin i holds i/bins ≤ score < (i + 1)/bins, the last one also 1.
///
/// # Errors
/// No rows, lengths that differ, a score outside [0, 1] or NaN.
pub fn score_histogram(labels: &[bool], probabilities: &[f64], bins: usize) -> Result<Vec<ScoreBin>, MetricError> {
    check_probabilities(labels, probabilities)?;
    let bins = bins.max(1);
    let mut counts = vec![ScoreBin::default(); bins];
    for (&label, &score) in labels.iter().zip(probabilities) {
        let bin = &mut counts[((score * bins as f64) as usize).min(bins - 1)];
        if label {
            bin.positives += 1;
        } else {
            bin.negatives += 1;
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_closed_below_and_the_last_holds_one() {
        let counts = score_histogram(&[false, true, false, true, true], &[0.0, 0.25, 0.24, 0.99, 1.0], 4).unwrap();
        let pairs: Vec<_> = counts.iter().map(|bin| (bin.positives, bin.negatives)).collect();
        assert_eq!(pairs, [(0, 2), (1, 0), (0, 0), (2, 0)]);
    }

    #[test]
    fn a_margin_is_refused() {
        assert!(score_histogram(&[true], &[2.0], 4).is_err());
    }
}
