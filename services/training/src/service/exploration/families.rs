//! Families of models side by side, on the same folds.

use holdfast_statistics::{benjamini_hochberg, corrected_resampled_t};
use serde::Serialize;

use super::ExploreError;
use super::cross_validation::{Course, Measured, Measures};
use crate::service::params::{ParamsError, Presets};
use crate::service::recipe::Recipe;

/// A family and the recipe it is represented by.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    /// Its name, for people.
    pub name: String,
    /// How it is made.
    pub recipe: Recipe,
}

impl Contender {
    /// Boosted trees, a random forest and a logistic regression: the parameter sets `default`, `forest` and `logistic`. Boosted trees come
    /// first.
    ///
    /// # Errors
    /// The parameter sets have none of that name.
    pub fn of_presets(presets: &Presets) -> Result<Vec<Contender>, ParamsError> {
        [
            ("boosted trees", "default"),
            ("random forest", "forest"),
            ("logistic regression", "logistic"),
        ]
        .into_iter()
        .map(|(name, preset)| {
            Ok(Contender {
                name: name.to_owned(),
                recipe: presets.get(preset)?.recipe.clone(),
            })
        })
        .collect()
    }
}

/// Families compared.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyComparison {
    /// Folds of each repetition.
    pub folds: usize,
    /// Repetitions.
    pub repeats: usize,
    /// Each family's measures, the best mean ROC-AUC on full rows first.
    pub families: Vec<FamilyResult>,
    /// Every two families on full rows and on rows with the required features only.
    pub pairs: Vec<FamilyPair>,
}

/// A family's measures.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyResult {
    /// The family.
    pub name: String,
    /// On full rows.
    pub full: Measures,
    /// On rows with the required features only.
    pub required_only: Measures,
    /// Seconds that each fit took on one thread.
    pub fit_seconds: Vec<f64>,
}

/// Two families' ROC-AUC.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyPair {
    /// One.
    pub first: String,
    /// The other.
    pub second: String,
    /// Which rows.
    pub on: RowKind,
    /// The first less the second.
    pub difference: Difference,
}

/// Which rows a model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// All features there are.
    Full,
    /// The required features only.
    RequiredOnly,
}

/// A mean difference over the folds, tested with the corrected resampled t-test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Mean difference.
    pub mean: f64,
    /// Lower end of its 95 % interval.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Two-sided p-value.
    pub p_value: f64,
    /// The p-value adjusted over all tests of the same table (Benjamini–Hochberg).
    pub p_adjusted: f64,
}

impl Difference {
    /// Of two learners' measures on the same folds; `p_adjusted` is still the p-value itself.
    pub(super) fn of(first: &[f64], second: &[f64], test_over_train: f64) -> Result<Self, ExploreError> {
        let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
        let test = corrected_resampled_t(&differences, test_over_train)?;
        Ok(Self {
            mean: test.mean,
            lower: test.lower,
            upper: test.upper,
            p_value: test.p_value,
            p_adjusted: test.p_value,
        })
    }

    /// Whether there is a difference at all.
    pub fn is_found(&self) -> bool {
        self.p_adjusted < holdfast_statistics::DEFAULT_ALPHA
    }
}

/// Adjusts p-values over all tests of a table.
pub(super) fn adjust<'a>(tests: impl Iterator<Item = &'a mut Difference>) -> Result<(), ExploreError> {
    let tests: Vec<&mut Difference> = tests.collect();
    let p_values: Vec<f64> = tests.iter().map(|test| test.p_value).collect();
    for (test, adjusted) in tests.into_iter().zip(benjamini_hochberg(&p_values)?) {
        test.p_adjusted = adjusted;
    }
    Ok(())
}

/// Mean of a measure over the folds.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Standard deviation of a measure over the folds; 0 for fewer than two.
pub fn standard_deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    if values.len() < 2 {
        0.0
    } else {
        (squares / (values.len() - 1) as f64).sqrt()
    }
}

/// Measures every contender; `measured` has those that were measured before, by place.
pub(super) fn compare(
    course: &Course<'_>,
    contenders: &[Contender],
    measured: &[Measured],
    folds: usize,
    repeats: usize,
) -> Result<FamilyComparison, ExploreError> {
    let mut families: Vec<FamilyResult> = contenders
        .iter()
        .zip(measured)
        .map(|(contender, measured)| FamilyResult {
            name: contender.name.clone(),
            full: measured.full.clone(),
            required_only: measured.required_only.clone(),
            fit_seconds: measured.fit_seconds.clone(),
        })
        .collect();
    families.sort_by(|a, b| mean(&b.full.roc_auc).total_cmp(&mean(&a.full.roc_auc)));
    let mut pairs = Vec::new();
    for on in [RowKind::Full, RowKind::RequiredOnly] {
        for (place, first) in families.iter().enumerate() {
            for second in &families[place + 1..] {
                let measures = |family: &FamilyResult| match on {
                    RowKind::Full => family.full.roc_auc.clone(),
                    RowKind::RequiredOnly => family.required_only.roc_auc.clone(),
                };
                pairs.push(FamilyPair {
                    first: first.name.clone(),
                    second: second.name.clone(),
                    on,
                    difference: Difference::of(&measures(first), &measures(second), course.test_over_train())?,
                });
            }
        }
    }
    adjust(pairs.iter_mut().map(|pair| &mut pair.difference))?;
    Ok(FamilyComparison {
        folds,
        repeats,
        families,
        pairs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_standard_deviation_are_the_samples() {
        assert_eq!(
            (mean(&[1.0, 2.0, 3.0]), standard_deviation(&[1.0, 2.0, 3.0])),
            (2.0, 1.0)
        );
        assert_eq!((mean(&[]), standard_deviation(&[5.0])), (0.0, 0.0));
    }

    #[test]
    fn p_values_are_adjusted_together() {
        let mut tests = [[0.01, 0.0, 0.02], [0.002, -0.001, 0.0]]
            .map(|differences| Difference::of(&differences, &[0.0; 3], 0.25).unwrap());
        adjust(tests.iter_mut()).unwrap();
        assert!(tests.iter().all(|test| test.p_adjusted >= test.p_value));
        assert!((tests[0].p_adjusted - 2.0 * tests[0].p_value).abs() < 1e-12);
    }
}
