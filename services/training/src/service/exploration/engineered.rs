//! What an engineered feature brings: the same model with it and without it, on the same folds.

use serde::Serialize;

use super::ExploreError;
use super::cross_validation::{Course, Measured};
use super::families::{Contender, Difference, adjust, mean};
use crate::service::recipe::{EngineeredFeature, Formula, Recipe};

/// An engineered feature and its effects.
#[derive(Clone, Debug, Serialize)]
pub struct EngineeredResult {
    /// The feature.
    pub name: String,
    /// How it is made, for people.
    pub formula: String,
    /// Whether the recipe of the boosted trees has it.
    pub in_recipe: bool,
    /// Its effect on each learner.
    pub effects: Vec<Effect>,
}

/// The effect of a feature on a learner, on full rows.
#[derive(Clone, Debug, Serialize)]
pub struct Effect {
    /// The learner.
    pub learner: String,
    /// Mean ROC-AUC without the feature.
    pub roc_auc_without: f64,
    /// Mean ROC-AUC with it.
    pub roc_auc_with: f64,
    /// ROC-AUC with the feature less without: above 0 it helps.
    pub roc_auc: Difference,
    /// Log-loss *without* the feature less with it, nats: above 0 it helps.
    pub log_loss: Difference,
    /// What that comes to.
    pub verdict: Verdict,
}

/// What a feature comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A difference was found, and it is for the better.
    Gain,
    /// A difference was found, and it is for the worse.
    Loss,
    /// Better by one measure and worse by the other.
    Mixed,
    /// No difference was found.
    NoMeasurableGain,
}

impl Verdict {
    fn of(tests: [&Difference; 2]) -> Self {
        let better = tests.iter().any(|test| test.is_found() && test.mean > 0.0);
        let worse = tests.iter().any(|test| test.is_found() && test.mean < 0.0);
        match (better, worse) {
            (true, true) => Self::Mixed,
            (true, false) => Self::Gain,
            (false, true) => Self::Loss,
            (false, false) => Self::NoMeasurableGain,
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Gain => "a measurable gain",
            Self::Loss => "a measurable loss",
            Self::Mixed => "better by one measure, worse by the other",
            Self::NoMeasurableGain => "no measurable gain",
        }
    }
}

/// The two features of the predecessor, which are always tried.
pub fn predecessors() -> [EngineeredFeature; 2] {
    [
        EngineeredFeature {
            name: "Activity_Growth".to_owned(),
            formula: Formula::Ratio {
                numerator: "Total_Amt_Chng_Q4_Q1".to_owned(),
                denominator: "Total_Trans_Amt".to_owned(),
            },
        },
        EngineeredFeature {
            name: "Customer_Value".to_owned(),
            formula: Formula::Product(vec![
                "Total_Revolving_Bal".to_owned(),
                "Avg_Utilization_Ratio".to_owned(),
                "Credit_Limit".to_owned(),
            ]),
        },
    ]
}

/// The columns that a feature is made of.
pub(super) fn ingredients(feature: &EngineeredFeature) -> Vec<&str> {
    match &feature.formula {
        Formula::Ratio { numerator, denominator } => vec![numerator, denominator],
        Formula::Product(columns) => columns.iter().map(String::as_str).collect(),
    }
}

/// The formula for people.
pub(super) fn formula(feature: &EngineeredFeature) -> String {
    match &feature.formula {
        Formula::Ratio { numerator, denominator } => format!("{numerator} ÷ {denominator}"),
        Formula::Product(columns) => columns.join(" × "),
    }
}

/// A recipe with a feature, and the same without it. One of the two is the recipe itself.
struct Variants {
    with: Option<Recipe>,
    without: Option<Recipe>,
}

/// `known` has the engineered features that others may be made of.
fn variants(recipe: &Recipe, feature: &EngineeredFeature, known: &[EngineeredFeature]) -> Variants {
    let mut other = recipe.clone();
    if knows(recipe, feature) {
        // Hidden and not taken away: other features may be made of it.
        other.features.drop.push(feature.name.clone());
        return Variants {
            with: None,
            without: Some(other),
        };
    }
    for part in parts(feature, known) {
        if !knows(&other, part) {
            other.features.engineered.push(part.clone());
            other.features.drop.push(part.name.clone());
        }
    }
    other.features.engineered.push(feature.clone());
    Variants {
        with: Some(other),
        without: None,
    }
}

/// The engineered features that a feature is made of, each after those that it is made of itself. A feature is made of those before it, so that
/// this ends.
fn parts<'a>(feature: &EngineeredFeature, known: &'a [EngineeredFeature]) -> Vec<&'a EngineeredFeature> {
    let end = known
        .iter()
        .position(|one| one.name == feature.name)
        .unwrap_or(known.len());
    let mut all: Vec<&EngineeredFeature> = Vec::new();
    for name in ingredients(feature) {
        if let Some(part) = known[..end].iter().find(|one| one.name == name) {
            for inner in parts(part, known).into_iter().chain([part]) {
                if !all.iter().any(|one| one.name == inner.name) {
                    all.push(inner);
                }
            }
        }
    }
    all
}

/// The columns of the table that a feature is made of in the end.
pub(super) fn columns<'a>(feature: &'a EngineeredFeature, known: &'a [EngineeredFeature]) -> Vec<&'a str> {
    let own = parts(feature, known).into_iter().chain([feature]);
    let names = own.flat_map(ingredients);
    names
        .filter(|name| !known.iter().any(|one| one.name == *name))
        .collect()
}

/// Tries each feature on each learner, beside what the learner's own recipe came to. `known` has the features that others may be made of.
pub(super) fn try_all(
    course: &Course<'_>,
    learners: &[(&Contender, &Measured)],
    features: &[EngineeredFeature],
    known: &[EngineeredFeature],
    fitted: &(dyn Fn() + Sync),
) -> Result<Vec<EngineeredResult>, ExploreError> {
    let mut results = Vec::new();
    for feature in features {
        let mut effects = Vec::new();
        for (learner, own) in learners {
            let variants = variants(&learner.recipe, feature, known);
            let measure = |recipe: Option<Recipe>| match recipe {
                Some(recipe) => course.measure(&recipe, fitted),
                None => Ok((*own).clone()),
            };
            let (with, without) = (measure(variants.with)?, measure(variants.without)?);
            let ratio = course.test_over_train();
            effects.push(Effect {
                learner: learner.name.clone(),
                roc_auc_without: mean(&without.full.roc_auc),
                roc_auc_with: mean(&with.full.roc_auc),
                roc_auc: Difference::of(&with.full.roc_auc, &without.full.roc_auc, ratio)?,
                log_loss: Difference::of(&without.full.log_loss, &with.full.log_loss, ratio)?,
                verdict: Verdict::NoMeasurableGain,
            });
        }
        results.push(EngineeredResult {
            name: feature.name.clone(),
            formula: formula(feature),
            in_recipe: learners
                .first()
                .is_some_and(|(learner, _)| knows(&learner.recipe, feature)),
            effects,
        });
    }
    let effects = results.iter_mut().flat_map(|result| &mut result.effects);
    adjust(effects.flat_map(|effect| [&mut effect.roc_auc, &mut effect.log_loss]))?;
    for effect in results.iter_mut().flat_map(|result| &mut result.effects) {
        effect.verdict = Verdict::of([&effect.roc_auc, &effect.log_loss]);
    }
    Ok(results)
}

fn knows(recipe: &Recipe, feature: &EngineeredFeature) -> bool {
    recipe
        .features
        .engineered
        .iter()
        .any(|known| known.name == feature.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(mean: f64, p_adjusted: f64) -> Difference {
        Difference {
            mean,
            lower: mean - 0.1,
            upper: mean + 0.1,
            p_value: p_adjusted,
            p_adjusted,
        }
    }

    #[test]
    fn a_verdict_needs_a_difference_that_was_found() {
        let cases = [
            ((0.01, 0.001), (0.0, 0.9), Verdict::Gain),
            ((-0.01, 0.001), (0.0, 0.9), Verdict::Loss),
            ((0.01, 0.001), (-0.1, 0.01), Verdict::Mixed),
            ((0.01, 0.2), (0.01, 0.06), Verdict::NoMeasurableGain),
        ];
        for ((auc, p_auc), (loss, p_loss), verdict) in cases {
            assert_eq!(Verdict::of([&test(auc, p_auc), &test(loss, p_loss)]), verdict);
        }
    }

    fn feature(name: &str, factors: [&str; 2]) -> EngineeredFeature {
        EngineeredFeature {
            name: name.to_owned(),
            formula: Formula::Product(factors.map(str::to_owned).to_vec()),
        }
    }

    #[test]
    fn a_feature_is_added_with_what_it_is_made_of_and_hidden_where_others_are_made_of_it() {
        let presets = crate::service::params::Presets::load(None).unwrap();
        let mut recipe = presets.get("logistic").unwrap().recipe.clone();
        let known = [
            feature("a", ["Credit_Limit", "Customer_Age"]),
            feature("b", ["a", "Total_Trans_Ct"]),
            feature("c", ["b", "a"]),
        ];
        assert_eq!(
            columns(&known[2], &known),
            ["Credit_Limit", "Customer_Age", "Total_Trans_Ct"]
        );
        let with = variants(&recipe, &known[2], &known).with.unwrap();
        assert_eq!(with.features.engineered, known);
        assert_eq!(with.features.drop, ["a", "b"]);
        assert!(with.violations().is_empty(), "{:?}", with.violations());

        recipe.features.engineered = known.to_vec();
        let without = variants(&recipe, &known[0], &known).without.unwrap();
        assert_eq!(without.features.drop, ["a"]);
        assert!(without.violations().is_empty(), "{:?}", without.violations());
    }

    #[test]
    fn formulas_read_like_formulas() {
        let [growth, value] = predecessors();
        assert_eq!(formula(&growth), "Total_Amt_Chng_Q4_Q1 ÷ Total_Trans_Amt");
        assert_eq!(
            formula(&value),
            "Total_Revolving_Bal × Avg_Utilization_Ratio × Credit_Limit"
        );
        assert_eq!(ingredients(&growth), ["Total_Amt_Chng_Q4_Q1", "Total_Trans_Amt"]);
    }
}
