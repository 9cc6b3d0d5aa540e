//! Uncertainty of the area under the ROC curve: DeLong, DeLong & Clarke-Pearson, Biometrics 44, 1988, by the fast algorithm of
//! Sun & Xu, IEEE Signal Processing Letters 21 (11), 2014: O(n log n) instead of one comparison per pair.
//!
//! Placement values are kept as integers (twice the number of rows of the other class that a row beats, ties counting half),
//! so areas and variances are exact up to one rounding, do not depend on the order of the rows, and are zero exactly when they
//! ought to be.

use super::error::{Classes, both_classes, check_scores};
use super::normal::upper_tail;
use super::{MetricError, Z_CONFIDENCE};

/// An area with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AucInterval {
    /// ROC-AUC, as [`roc_auc`](super::roc_auc()).
    pub auc: f64,
    /// Its standard error. Zero when the classes are separated perfectly: then the interval says nothing, it is a point.
    pub standard_error: f64,
    /// Lower end, auc − 1.96·se, at least 0.
    pub lower: f64,
    /// Upper end, auc + 1.96·se, at most 1.
    pub upper: f64,
}

/// Two score vectors compared on the same rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedAuc {
    /// ROC-AUC of the first.
    pub first: f64,
    /// ROC-AUC of the second.
    pub second: f64,
    /// first − second.
    pub delta: f64,
    /// Standard error of delta, the correlation between the scores taken into account.
    pub standard_error: f64,
    /// Lower end of the 95 % interval of delta.
    pub lower: f64,
    /// Upper end of the 95 % interval of delta.
    pub upper: f64,
    /// delta / se. With a standard error of 0: 0 if delta is 0, else infinite with delta's sign.
    pub z: f64,
    /// Probability of a difference at least as large either way if the areas are equal. 1 if the scores rank alike.
    pub p_two_sided: f64,
    /// Probability of a difference at least as much in favour of the first if the areas are equal: small when the first is
    /// better. ½ if the scores rank alike.
    pub p_one_sided: f64,
}

/// ROC-AUC with DeLong's 95 % interval.
///
/// # Errors
/// No rows, lengths that differ, NaN, fewer than two rows of either class.
pub fn auc_interval(labels: &[bool], scores: &[f64]) -> Result<AucInterval, MetricError> {
    let classes = check(labels, scores)?;
    let estimate = Placements::new(labels, scores, classes).estimate(classes);
    let half = Z_CONFIDENCE * estimate.standard_error;
    Ok(AucInterval {
        auc: estimate.area,
        standard_error: estimate.standard_error,
        lower: (estimate.area - half).max(0.0),
        upper: (estimate.area + half).min(1.0),
    })
}

/// DeLong's test of two score vectors on the same rows.
///
/// # Errors
/// No rows, lengths that differ, NaN, fewer than two rows of either class.
pub fn paired(labels: &[bool], first: &[f64], second: &[f64]) -> Result<PairedAuc, MetricError> {
    let classes = check(labels, first)?;
    check_scores(labels, second)?;
    let of_first = Placements::new(labels, first, classes);
    let of_second = Placements::new(labels, second, classes);
    let difference = of_first.minus(&of_second).estimate(classes);
    let (delta, standard_error) = (difference.area, difference.standard_error);
    let z = if delta == 0.0 { 0.0 } else { delta / standard_error };
    let half = Z_CONFIDENCE * standard_error;
    Ok(PairedAuc {
        first: of_first.estimate(classes).area,
        second: of_second.estimate(classes).area,
        delta,
        standard_error,
        lower: delta - half,
        upper: delta + half,
        z,
        p_two_sided: 2.0 * upper_tail(z.abs()),
        p_one_sided: upper_tail(z),
    })
}

fn check(labels: &[bool], scores: &[f64]) -> Result<Classes, MetricError> {
    check_scores(labels, scores)?;
    let classes = both_classes(labels)?;
    for (label, count) in [(true, classes.positives), (false, classes.negatives)] {
        if count < 2 {
            return Err(MetricError::TooFewOfClass { label, count });
        }
    }
    Ok(classes)
}

/// In the order of the rows: for a positive, twice the negatives below it; for a negative, twice the positives above it; ties
/// counting half.
struct Placements {
    of_positives: Vec<i64>,
    of_negatives: Vec<i64>,
}

struct Estimate {
    area: f64,
    standard_error: f64,
}

impl Placements {
    fn new(labels: &[bool], scores: &[f64], classes: Classes) -> Self {
        let order = super::ranking::order_from_the_top(scores);
        let mut by_row = vec![0_i64; labels.len()];
        let (mut positives_above, mut negatives_above, mut start) = (0_i64, 0_i64, 0);
        for end in order.ends {
            let tied = &order.rows[start..end];
            let positives = tied.iter().filter(|&&row| labels[row]).count() as i64;
            let negatives = tied.len() as i64 - positives;
            let negatives_below = classes.negatives as i64 - negatives_above - negatives;
            for &row in tied {
                by_row[row] = if labels[row] {
                    2 * negatives_below + negatives
                } else {
                    2 * positives_above + positives
                };
            }
            positives_above += positives;
            negatives_above += negatives;
            start = end;
        }
        let of = |class: bool| {
            let rows = labels.iter().zip(&by_row).filter(|&(&label, _)| label == class);
            rows.map(|(_, &placement)| placement).collect()
        };
        Self {
            of_positives: of(true),
            of_negatives: of(false),
        }
    }

    fn minus(&self, other: &Self) -> Self {
        let difference = |a: &[i64], b: &[i64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        Self {
            of_positives: difference(&self.of_positives, &other.of_positives),
            of_negatives: difference(&self.of_negatives, &other.of_negatives),
        }
    }

    /// Mean placement, and √(S₁₀/m + S₀₁/n), the variances of its two classes' means.
    fn estimate(&self, classes: Classes) -> Estimate {
        let (m, n) = (classes.positives as f64, classes.negatives as f64);
        let wins: i128 = self.of_positives.iter().map(|&placement| i128::from(placement)).sum();
        // A placement of a positive is 2n times its value, one of a negative 2m times.
        let of_positives = variance_of_mean(&self.of_positives) / (4.0 * n * n);
        let of_negatives = variance_of_mean(&self.of_negatives) / (4.0 * m * m);
        Estimate {
            area: wins as f64 / (2.0 * m * n),
            standard_error: (of_positives + of_negatives).sqrt(),
        }
    }
}

/// Sample variance over the number of values: (k Σv² − (Σv)²) / (k² (k − 1)), the numerator exact.
fn variance_of_mean(values: &[i64]) -> f64 {
    let k = values.len() as i128;
    let sum: i128 = values.iter().map(|&v| i128::from(v)).sum();
    let squares: i128 = values.iter().map(|&v| i128::from(v) * i128::from(v)).sum();
    let count = values.len() as f64;
    (k * squares - sum * sum) as f64 / (count * count * (count - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::{assert_close, cases};
    use crate::metrics::roc_auc;

    const LABELS: [bool; 4] = [false, false, true, true];

    #[test]
    fn a_worked_example() {
        // Placements of the positives ½ and 1, of the negatives 1 and ½: each variance 1/8, so (1/8)/2 + (1/8)/2 = 1/8.
        let found = auc_interval(&LABELS, &[0.1, 0.4, 0.35, 0.8]).unwrap();
        assert_eq!((found.auc, found.standard_error), (0.75, 0.125_f64.sqrt()));
        assert_eq!(found.upper, 1.0);
        assert_close(
            found.lower,
            0.75 - 1.959_963_984_540_054 * 0.125_f64.sqrt(),
            1e-15,
            "lower",
        );
    }

    #[test]
    fn a_worked_comparison() {
        // The second separates perfectly: placements differ by −½ and 0 among positives, 0 and −½ among negatives.
        let found = paired(&LABELS, &[0.1, 0.4, 0.35, 0.8], &[0.1, 0.2, 0.6, 0.9]).unwrap();
        assert_eq!((found.first, found.second, found.delta), (0.75, 1.0, -0.25));
        assert_close(found.z, -0.25 / 0.125_f64.sqrt(), 1e-15, "z");
        assert_close(found.p_two_sided, 0.479_500_122_186_953_5, 1e-12, "p");
        assert_close(found.p_one_sided, 1.0 - 0.5 * found.p_two_sided, 1e-12, "one-sided");
    }

    #[test]
    fn scores_that_rank_alike_do_not_differ() {
        let scores = [0.1, 0.4, 0.35, 0.8];
        let squared = scores.map(|score| score * score);
        let found = paired(&LABELS, &scores, &squared).unwrap();
        assert_eq!((found.delta, found.standard_error, found.z), (0.0, 0.0, 0.0));
        assert_eq!((found.p_two_sided, found.p_one_sided), (1.0, 0.5));
        assert_eq!((found.lower, found.upper), (0.0, 0.0));
    }

    #[test]
    fn a_difference_without_variance_is_certain_either_way() {
        // Perfect against constant: every placement differs by exactly ½.
        let (perfect, constant) = ([0.1, 0.2, 0.6, 0.9], [0.5; 4]);
        let better = paired(&LABELS, &perfect, &constant).unwrap();
        assert_eq!((better.delta, better.z), (0.5, f64::INFINITY));
        assert_eq!((better.p_two_sided, better.p_one_sided), (0.0, 0.0));
        let worse = paired(&LABELS, &constant, &perfect).unwrap();
        assert_eq!(
            (worse.z, worse.p_two_sided, worse.p_one_sided),
            (f64::NEG_INFINITY, 0.0, 1.0)
        );
    }

    #[test]
    fn perfect_separation_is_a_point() {
        let found = auc_interval(&LABELS, &[0.1, 0.2, 0.6, 0.9]).unwrap();
        assert_eq!(
            (found.auc, found.standard_error, found.lower, found.upper),
            (1.0, 0.0, 1.0, 1.0)
        );
    }

    #[test]
    fn what_has_no_variance_is_refused() {
        assert_eq!(
            auc_interval(&[true, false, false], &[0.5, 0.1, 0.2]),
            Err(MetricError::TooFewOfClass { label: true, count: 1 })
        );
        assert_eq!(
            paired(&[true, true], &[0.5, 0.1], &[0.5, 0.1]),
            Err(MetricError::OneClassOnly { label: true })
        );
        assert!(paired(&LABELS, &[0.1; 4], &[0.1; 3]).is_err());
        assert!(paired(&LABELS, &[0.1; 4], &[0.1, 0.2, f64::NAN, 0.3]).is_err());
    }

    #[test]
    fn it_agrees_with_comparing_every_pair() {
        for case in cases() {
            for (key, scores) in [("delong", &case.scores), ("delong_second", &case.second)] {
                let found = auc_interval(&case.labels, scores).unwrap();
                let expected = |name: &str| case.value[key][name].as_f64().unwrap();
                assert_eq!(found.auc, roc_auc(&case.labels, scores).unwrap());
                assert_close(found.auc, expected("auc"), 1e-13, &case.name);
                assert_close(found.standard_error, expected("standard_error"), 1e-11, &case.name);
                assert_close(found.lower, expected("lower"), 1e-11, &case.name);
                assert_close(found.upper, expected("upper"), 1e-11, &case.name);
            }
            let found = paired(&case.labels, &case.scores, &case.second).unwrap();
            let expected = |name: &str| case.value["paired"][name].as_f64().unwrap();
            for (name, value) in [
                ("delta", found.delta),
                ("standard_error", found.standard_error),
                ("z", found.z),
                ("p_two_sided", found.p_two_sided),
                ("p_one_sided", found.p_one_sided),
                ("lower", found.lower),
                ("upper", found.upper),
            ] {
                assert_close(value, expected(name), 1e-9, &format!("{} {name}", case.name));
            }
        }
    }
}
