//! The report in words.

use super::Comparison;
use crate::service::policy::DriftPolicy;
use crate::service::report::{FeatureDrift, Method, SCORE, Verdict};

/// What a reader must know of the reading of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Predictions read.
    pub rows: u64,
    /// Whether there were more.
    pub capped: bool,
    /// Objects of the log that are damaged.
    pub objects_damaged: u64,
}

/// Features that moved are named one by one up to here; the others are counted.
const NAMED: usize = 5;

/// The verdict and its reasons for people, and everything that was left out.
pub fn summary(comparison: &Comparison, policy: &DriftPolicy, read: Circumstances) -> String {
    let judged = comparison.features.iter().filter(|feature| feature.feature != SCORE);
    let moved: Vec<&FeatureDrift> = judged.clone().filter(|feature| feature.drifted).collect();
    let word = match comparison.verdict {
        Verdict::Drift => "drift",
        Verdict::Stable => "stable",
    };
    let mut text = format!(
        "{word}: {} of {} judged features moved in {} predictions (limit {:.0} %)",
        moved.len(),
        judged.count(),
        read.rows,
        policy.drift_share_threshold * 100.0
    );
    if !moved.is_empty() {
        text.push_str(", most of all ");
        text.push_str(&list(moved.iter().map(|feature| effect(feature))));
    }
    let score = comparison.features.iter().find(|feature| feature.feature == SCORE);
    text.push_str(&match score {
        Some(score) if score.drifted => format!("; the {}", effect(score).replacen(SCORE, "score moved", 1)),
        Some(_) => "; the score did not".to_owned(),
        None => "; the score was not judged".to_owned(),
    });
    if let Some(broken) = moved.iter().find(|feature| feature.effect_size >= policy.severe_effect) {
        text.push_str(&format!("; {} may be broken upstream", broken.feature));
    }
    if !comparison.skipped.is_empty() {
        let names: Vec<&str> = comparison
            .skipped
            .iter()
            .map(|feature| feature.feature.as_str())
            .collect();
        text.push_str(&format!(
            "; not judged, with fewer than {} values to compare: {}",
            policy.minimum_rows,
            names.join(", ")
        ));
    }
    if read.capped {
        text.push_str("; the window holds more predictions, only the earliest were read");
    }
    if read.objects_damaged > 0 {
        text.push_str(&format!(
            "; {} damaged objects of the log were left out",
            read.objects_damaged
        ));
    }
    text
}

fn effect(feature: &FeatureDrift) -> String {
    let name = match feature.method {
        Method::KsExact | Method::KsAsymptotic => "D",
        Method::ChiSquared => "V",
    };
    format!("{} ({name} {:.2})", feature.feature, feature.effect_size)
}

fn list(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    let others = names.len().saturating_sub(NAMED);
    // One more name is shorter than "and 1 more".
    if others > 1 {
        names.truncate(NAMED);
        return format!("{} and {others} more", names.join(", "));
    }
    names.join(", ")
}
