//! Jensen–Shannon distance of binned or categorical counts: Lin 1991; a metric by Endres & Schindelin 2003.

use super::StatisticsError;
use super::counts::paired_rows;

/// From here two distributions count as different. The largest possible distance is √ln 2, about 0.83.
pub const DEFAULT_JENSEN_SHANNON_THRESHOLD: f64 = 0.1;

/// √((KL(p‖m) + KL(q‖m)) / 2) with m the mean of the shares p and q, in natural logarithms. Equal to
/// `scipy.spatial.distance.jensenshannon`. Finite with empty bins.
///
/// # Errors
/// Lengths that differ, a sample without observations.
pub fn jensen_shannon(reference: &[u64], current: &[u64]) -> Result<f64, StatisticsError> {
    let (first_total, second_total) = paired_rows(reference, current)?;
    let divergence: f64 = reference
        .iter()
        .zip(current)
        .map(|(&first, &second)| {
            let (p, q) = (first as f64 / first_total, second as f64 / second_total);
            let mean = 0.5 * (p + q);
            relative_entropy(p, mean) + relative_entropy(q, mean)
        })
        .sum();
    // Rounding may leave equal shares just below 0.
    Ok((0.5 * divergence.max(0.0)).sqrt())
}

fn relative_entropy(share: f64, of: f64) -> f64 {
    if share == 0.0 { 0.0 } else { share * (share / of).ln() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, distances};

    #[test]
    fn disjoint_counts_are_at_the_largest_distance() {
        let distance = jensen_shannon(&[5, 0], &[0, 9]).unwrap();
        assert_close(distance, std::f64::consts::LN_2.sqrt(), 1e-14, "√ln 2");
    }

    #[test]
    fn a_worked_example() {
        // p = (1, 0), q = (½, ½), m = (¾, ¼): ½(ln 4/3 + ½ ln 2/3 + ½ ln 2) = 0.21576…, its root 0.46450….
        let distance = jensen_shannon(&[2, 0], &[3, 3]).unwrap();
        assert_close(distance, 0.464_501_404_022_458_9, 1e-13, "js");
    }

    #[test]
    fn equal_shares_are_at_distance_zero() {
        assert_eq!(jensen_shannon(&[10, 30], &[100, 300]), Ok(0.0));
    }

    #[test]
    fn it_agrees_with_scipy() {
        for case in distances("counts") {
            let value = jensen_shannon(&case.counts("reference"), &case.counts("current")).unwrap();
            assert_close(value, case.number("jensen_shannon"), 1e-12, &case.name());
        }
    }
}
