//! Confidence interval of a proportion: Wilson, Journal of the American Statistical Association 22, 1927.

use super::{MetricError, Z_CONFIDENCE};

/// A share of rows with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proportion {
    /// Rows that have the property.
    pub hits: u64,
    /// Rows that could have.
    pub trials: u64,
    /// hits / trials.
    pub value: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
}

/// A proportion with its score interval, which stays within [0, 1] and is sensible at 0 and 1 and with few rows.
///
/// # Errors
/// No trials, or more hits than trials.
pub fn wilson(hits: u64, trials: u64) -> Result<Proportion, MetricError> {
    if trials == 0 {
        return Err(MetricError::Empty);
    }
    if hits > trials {
        return Err(MetricError::NotAProportion { hits, trials });
    }
    let n = trials as f64;
    let value = hits as f64 / n;
    let z2 = Z_CONFIDENCE * Z_CONFIDENCE;
    let centre = (value + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z_CONFIDENCE * (value * (1.0 - value) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
    Ok(Proportion {
        hits,
        trials,
        value,
        // The ends at 0 and 1 are exact; rounding would leave them a hair off.
        lower: if hits == 0 { 0.0 } else { (centre - half).max(0.0) },
        upper: if hits == trials { 1.0 } else { (centre + half).min(1.0) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixtures::section;

    #[test]
    fn half_of_ten() {
        // Centre ½; half width 1.96·√(0.025 + 0.0096)/1.384: 0.2634 either side.
        let share = wilson(5, 10).unwrap();
        assert!((share.lower - 0.236_6).abs() < 5e-5 && (share.upper - 0.763_4).abs() < 5e-5);
    }

    #[test]
    fn impossible_counts_are_refused() {
        assert_eq!(wilson(0, 0), Err(MetricError::Empty));
        assert_eq!(wilson(3, 2), Err(MetricError::NotAProportion { hits: 3, trials: 2 }));
    }

    #[test]
    fn it_agrees_with_scipy() {
        for case in section("wilson") {
            let share = wilson(case["hits"].as_u64().unwrap(), case["rows"].as_u64().unwrap()).unwrap();
            assert!((share.lower - case["lower"].as_f64().unwrap()).abs() < 1e-14, "{case}");
            assert!((share.upper - case["upper"].as_f64().unwrap()).abs() < 1e-14, "{case}");
        }
    }
}
