//! The rules: when a window has drifted, and when it can be learnt from.

use holdfast_statistics::{DEFAULT_FALSE_DISCOVERY_RATE, ks};
use serde::{Deserialize, Serialize};

/// When a window has drifted. Part of the settings, and copied into every report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftPolicy {
    /// Level of the adjusted p-value.
    pub alpha: f64,
    /// Least effect that counts: D of a number, Cramér's V of a category, 0 to 1.
    pub minimum_effect: f64,
    /// Share of drifted among judged features at which the window has drifted, 0 to 1.
    pub drift_share_threshold: f64,
    /// Whether a drifted score alone is drift.
    pub score_drift_counts: bool,
    /// Least predictions in a window, and least values of a feature to judge it.
    pub minimum_rows: u64,
    /// Effect at which one drifted feature alone is drift, 0 to 1.
    pub severe_effect: f64,
}

impl Default for DriftPolicy {
    /// The values of `config.default.yaml`; a test compares them.
    fn default() -> Self {
        Self {
            alpha: DEFAULT_FALSE_DISCOVERY_RATE,
            minimum_effect: ks::DEFAULT_MINIMUM_D,
            drift_share_threshold: 0.2,
            score_drift_counts: true,
            minimum_rows: 100,
            severe_effect: 0.5,
        }
    }
}

impl DriftPolicy {
    /// Keys whose value is out of range, with what is allowed.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let checks = [
            (
                "alpha",
                self.alpha > 0.0 && self.alpha <= 0.5,
                "must be above 0 and at most 0.5",
            ),
            (
                "minimum_effect",
                (0.0..=1.0).contains(&self.minimum_effect),
                "must be between 0 and 1",
            ),
            (
                "drift_share_threshold",
                self.drift_share_threshold > 0.0 && self.drift_share_threshold <= 1.0,
                "must be above 0 and at most 1",
            ),
            ("minimum_rows", self.minimum_rows > 0, "must be above 0"),
            (
                "severe_effect",
                self.severe_effect >= self.minimum_effect && self.severe_effect <= 1.0,
                "must be at most 1 and not below minimum_effect",
            ),
        ];
        checks
            .into_iter()
            .filter(|(_, holds, _)| !holds)
            .map(|(key, _, allowed)| (key, allowed))
            .collect()
    }
}

/// What a window must hold to be learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrainingPolicy {
    /// Customers whose outcome is known.
    pub minimum_labelled_rows: u64,
    /// Of them, of each class.
    pub minimum_rows_per_class: u64,
}

impl Default for RetrainingPolicy {
    /// The values of `config.default.yaml`; a test compares them.
    fn default() -> Self {
        Self {
            minimum_labelled_rows: 200,
            minimum_rows_per_class: 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_has_no_problem_and_every_bad_value_is_named() {
        assert_eq!(DriftPolicy::default().problems(), []);
        let bad = DriftPolicy {
            alpha: f64::NAN,
            minimum_effect: 1.5,
            drift_share_threshold: 0.0,
            score_drift_counts: true,
            minimum_rows: 0,
            severe_effect: 1.2,
        };
        let named: Vec<_> = bad.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            named,
            [
                "alpha",
                "minimum_effect",
                "drift_share_threshold",
                "minimum_rows",
                "severe_effect"
            ]
        );
    }
}
