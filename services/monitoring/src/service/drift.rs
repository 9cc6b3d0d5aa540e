//! The comparison of a window with a reference profile: pure, the same input gives the same verdict.
//!
//! Numbers and the score: two-sample Kolmogorov–Smirnov, exact or asymptotic as scipy's `auto` chooses. Categories: two-sample
//! chi-squared, rare ones pooled. All p-values of a report are adjusted together (Benjamini–Hochberg). A feature *drifted* when the
//! adjusted p-value is below alpha **and** the effect is large enough to matter; [`verdict`] makes one word of it.

mod categories;
mod cramers_v;
mod summary;

use holdfast_domain::Schema;
use holdfast_model::{Distribution, NumericProfile, ReferenceProfile};
use holdfast_statistics::{Ecdf, StatisticsError, benjamini_hochberg, ks, power};

use super::policy::DriftPolicy;
use super::report::{FeatureDrift, Method, SCORE, SkippedFeature, Verdict};
use super::sample::WindowSample;

pub use summary::{Circumstances, summary};

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The judged features and the score, largest effect first.
    pub features: Vec<FeatureDrift>,
    /// Features with too few values to judge, in the schema's order.
    pub skipped: Vec<SkippedFeature>,
    /// The verdict.
    pub verdict: Verdict,
    /// Drifted among judged features, the score aside; 0 when none was judged.
    pub drift_share: f64,
    /// Whether the score drifted.
    pub score_drifted: bool,
}

/// Compares a window with the reference.
///
/// # Errors
/// [`StatisticsError`] for a profile that breaks its own rules; a decoded model has none.
pub fn compare(
    reference: &ReferenceProfile,
    window: &WindowSample,
    policy: &DriftPolicy,
    schema: &Schema,
) -> Result<Comparison, StatisticsError> {
    let mut judged = Vec::new();
    let mut skipped = Vec::new();
    for profile in &reference.features {
        let name = profile.feature.name();
        let values = window.feature(profile.feature);
        let compared = match &profile.distribution {
            Distribution::Numeric(profile) => numbers(name, profile, values, policy)?,
            Distribution::Categorical(of) => categories::compare(profile.feature, of, values, policy, schema)?,
        };
        compared.file(&mut judged, &mut skipped);
    }
    numbers(SCORE, &reference.score, window.scores(), policy)?.file(&mut judged, &mut skipped);

    let p_values: Vec<f64> = judged.iter().map(|feature| feature.p_value).collect();
    for (feature, adjusted) in judged.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        feature.adjusted_p_value = adjusted;
        feature.drifted = adjusted < policy.alpha && feature.effect_size >= policy.minimum_effect;
    }
    // Stable: equal effects stay in the schema's order.
    judged.sort_by(|a, b| b.effect_size.total_cmp(&a.effect_size));
    let score_drifted = judged.iter().any(|feature| feature.feature == SCORE && feature.drifted);
    let drift_share = drift_share(&judged);
    Ok(Comparison {
        verdict: verdict(&judged, drift_share, policy),
        drift_share,
        score_drifted,
        features: judged,
        skipped,
    })
}

/// Drifted among judged features, the score aside.
fn drift_share(judged: &[FeatureDrift]) -> f64 {
    let features = || judged.iter().filter(|feature| feature.feature != SCORE);
    match features().count() {
        0 => 0.0,
        all => features().filter(|feature| feature.drifted).count() as f64 / all as f64,
    }
}

/// The verdict: drift when too large a share of the features drifted, when the score did (where that counts), or when a single
/// feature drifted so far that a column must be broken.
fn verdict(judged: &[FeatureDrift], drift_share: f64, policy: &DriftPolicy) -> Verdict {
    let drifted = || judged.iter().filter(|feature| feature.drifted);
    let score = policy.score_drift_counts && drifted().any(|feature| feature.feature == SCORE);
    let broken = drifted().any(|feature| feature.effect_size >= policy.severe_effect);
    if drift_share >= policy.drift_share_threshold || score || broken {
        Verdict::Drift
    } else {
        Verdict::Stable
    }
}

/// One feature: judged, or not.
enum Compared {
    Judged(FeatureDrift),
    Skipped(SkippedFeature),
}

impl Compared {
    fn skipped(name: &str, reference_rows: u64, window_rows: u64) -> Self {
        Self::Skipped(SkippedFeature {
            feature: name.to_owned(),
            reference_rows,
            window_rows,
        })
    }

    fn file(self, judged: &mut Vec<FeatureDrift>, skipped: &mut Vec<SkippedFeature>) {
        match self {
            Self::Judged(feature) => judged.push(feature),
            Self::Skipped(feature) => skipped.push(feature),
        }
    }
}

fn numbers(
    name: &str,
    reference: &NumericProfile,
    values: &[f64],
    policy: &DriftPolicy,
) -> Result<Compared, StatisticsError> {
    let window = NumericProfile::of(values.iter().copied());
    let (reference_rows, window_rows) = (reference.present(), window.present());
    if reference_rows == 0 || window_rows < policy.minimum_rows {
        return Ok(Compared::skipped(name, reference_rows, window_rows));
    }
    let test = ks::two_sample(
        &Ecdf::from_counts(reference.values(), reference.counts())?,
        &Ecdf::from_counts(window.values(), window.counts())?,
        ks::PValueMethod::Auto,
    );
    Ok(Compared::Judged(FeatureDrift {
        feature: name.to_owned(),
        method: match test.method {
            ks::ComputedBy::Exact => Method::KsExact,
            ks::ComputedBy::Asymptotic => Method::KsAsymptotic,
        },
        statistic: test.statistic,
        p_value: test.p_value,
        adjusted_p_value: test.p_value,
        effect_size: test.statistic,
        drifted: false,
        reference_rows,
        window_rows,
        reference_median: reference.median(),
        window_median: window.median(),
        reference_missing_share: missing_share(reference.missing(), reference_rows),
        window_missing_share: missing_share(window.missing(), window_rows),
        detectable_effect: power::smallest_significant_d(reference_rows, window_rows, policy.alpha)?,
    }))
}

fn missing_share(missing: u64, present: u64) -> f64 {
    missing as f64 / (missing + present) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(name: &str, effect_size: f64, drifted: bool) -> FeatureDrift {
        FeatureDrift {
            feature: name.to_owned(),
            method: Method::KsExact,
            statistic: effect_size,
            p_value: 0.001,
            adjusted_p_value: 0.001,
            effect_size,
            drifted,
            reference_rows: 1_000,
            window_rows: 1_000,
            reference_median: None,
            window_median: None,
            reference_missing_share: 0.0,
            window_missing_share: 0.0,
            detectable_effect: 0.06,
        }
    }

    fn judge(judged: &[FeatureDrift]) -> (f64, Verdict) {
        let share = drift_share(judged);
        (share, verdict(judged, share, &DriftPolicy::default()))
    }

    #[test]
    fn a_fifth_of_the_features_makes_the_window_drift() {
        let mut features: Vec<_> = (0..10).map(|i| feature(&format!("f{i}"), 0.2, i < 2)).collect();
        assert_eq!(judge(&features), (0.2, Verdict::Drift));
        features[0].drifted = false;
        assert_eq!(judge(&features), (0.1, Verdict::Stable));
    }

    #[test]
    fn the_score_alone_makes_the_window_drift_and_is_no_part_of_the_share() {
        let features = [feature("f0", 0.2, false), feature(SCORE, 0.2, true)];
        assert_eq!(judge(&features), (0.0, Verdict::Drift));
        let lenient = DriftPolicy {
            score_drift_counts: false,
            ..DriftPolicy::default()
        };
        assert_eq!(verdict(&features, 0.0, &lenient), Verdict::Stable);
    }

    #[test]
    fn one_broken_column_makes_the_window_drift() {
        let mut features: Vec<_> = (0..19).map(|i| feature(&format!("f{i}"), 0.05, false)).collect();
        features[3] = feature("f3", 0.49, true);
        assert_eq!(judge(&features).1, Verdict::Stable);
        features[3] = feature("f3", 0.5, true);
        assert_eq!(judge(&features).1, Verdict::Drift);
        features[3].drifted = false;
        assert_eq!(
            judge(&features).1,
            Verdict::Stable,
            "a large effect that chance explains"
        );
    }

    #[test]
    fn nothing_judged_is_no_drift() {
        assert_eq!(judge(&[]), (0.0, Verdict::Stable));
    }
}
