//! The gate: evidence in, decision out. A pure function of the evidence, the policy and the champion in force.
//!
//! The registry does not trust the evidence: numbers that cannot be are a failed check, not a pass.

use holdfast_domain::{Digest, Generation};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

mod checks;
mod evidence;

pub use evidence::{Evaluation, ModelId, PairedComparison, Quality, SliceQuality};

/// The rule a candidate is judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatePolicy {
    /// Level of the one-sided DeLong test for "better", above 0 and at most 0.5.
    pub alpha: f64,
    /// ROC-AUC gain over the champion that is enough without significance.
    pub auc_margin: f64,
    /// ROC-AUC loss against the champion that is borne on the newest labelled window.
    pub window_margin: f64,
    /// Highest expected calibration error, 0 to 1.
    pub max_calibration_error: f64,
    /// How far the ROC-AUC of a group, at the upper end of its 95 % interval, may lie below that of all rows, 0 to 1.
    pub max_slice_gap: f64,
    /// Least test rows of customers who left.
    pub min_positives: u64,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            auc_margin: 0.005,
            window_margin: 0.005,
            max_calibration_error: 0.05,
            max_slice_gap: 0.05,
            min_positives: 30,
        }
    }
}

/// One check of the gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateCheck {
    /// Stable name.
    pub name: String,
    /// Outcome.
    pub passed: bool,
    /// What was measured.
    pub measured: f64,
    /// What was asked for.
    pub limit: f64,
    /// A sentence with the numbers.
    pub message: String,
}

/// A decision, kept for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateDecision {
    /// Version of this format.
    pub format_version: u32,
    /// SHA-256 of the evaluation, the policy and the champion's generation as JSON.
    pub evaluation_digest: Digest,
    /// May it become champion?
    pub accepted: bool,
    /// Every check made.
    pub checks: Vec<GateCheck>,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The champion it was judged against; generation 0 when there was none.
    pub champion_generation: Generation,
    /// The evidence.
    pub evaluation: Evaluation,
    /// The rule.
    pub policy: GatePolicy,
    /// How many versions of the model had been judged on this test snapshot, this one included: the more, the less its rows are
    /// untouched. `None` in decisions from before it was counted, and while nobody has counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_snapshot_uses: Option<u32>,
}

/// The champion in force, as the gate needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentChampion {
    /// Its generation.
    pub generation: Generation,
    /// Which version it is.
    pub model: ModelId,
}

/// Judges a candidate. `champion` is the champion in force now, `None` when there is none.
pub fn decide(
    evaluation: Evaluation,
    policy: &GatePolicy,
    champion: Option<&CurrentChampion>,
    now: Timestamp,
) -> GateDecision {
    let mut checks = vec![
        checks::numbers_are_possible(&evaluation),
        checks::enough_positives(&evaluation, policy),
        checks::beats_baseline(&evaluation, policy),
        checks::calibrated(&evaluation, policy),
        checks::slices(&evaluation, policy),
    ];
    if let Some(champion) = champion {
        checks.push(checks::compared_with(&evaluation, champion));
        checks.push(checks::better_than_champion(&evaluation, policy));
        checks.extend(checks::not_worse_on_newest_window(&evaluation, policy));
    }
    let champion_generation = champion.map_or(Generation(0), |champion| champion.generation);
    GateDecision {
        format_version: 1,
        evaluation_digest: digest(&evaluation, policy, champion_generation),
        accepted: checks.iter().all(|check| check.passed),
        checks,
        decided_at: now,
        champion_generation,
        evaluation,
        policy: policy.clone(),
        test_snapshot_uses: None,
    }
}

/// Field order is that of the structs, so the same evidence, policy and champion give the same digest.
fn digest(evaluation: &Evaluation, policy: &GatePolicy, champion: Generation) -> Digest {
    // A NaN is written as null: serialisation of these plain structs cannot fail.
    let bytes = serde_json::to_vec(&(evaluation, policy, champion)).unwrap_or_default();
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation() -> Evaluation {
        let quality = |roc_auc: f64| Quality {
            rows: 2_000,
            positives: 320,
            roc_auc,
            roc_auc_lower: roc_auc - 0.004,
            roc_auc_upper: roc_auc + 0.004,
            ..Quality::default()
        };
        Evaluation {
            test_snapshot: Digest::of(b"test rows"),
            full: quality(0.99),
            required_only: quality(0.98),
            baseline: quality(0.91),
            baseline_p_value: 1e-12,
            champion: None,
            newest_window: None,
            slices: Vec::new(),
        }
    }

    #[test]
    fn a_decision_from_before_test_snapshots_were_counted_reads_back() {
        let decision = decide(evaluation(), &GatePolicy::default(), None, Timestamp::UNIX_EPOCH);
        let old = serde_json::to_string(&decision).unwrap();
        assert!(!old.contains("test_snapshot_uses"), "{old}");
        assert_eq!(serde_json::from_str::<GateDecision>(&old).unwrap(), decision);
    }

    #[test]
    fn the_digest_of_a_decision_does_not_depend_on_the_count() {
        // Pinned: the champion log names decisions by it.
        let decision = decide(evaluation(), &GatePolicy::default(), None, Timestamp::UNIX_EPOCH);
        assert_eq!(
            decision.evaluation_digest.to_string(),
            "acf7465fd785149a966d93a63b9cda2d6247fdd425922598c3bb442ca38ee8ff"
        );
    }
}
