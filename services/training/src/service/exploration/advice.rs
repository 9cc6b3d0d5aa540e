//! What we would do: sentences that rules make of the numbers.
//!
//! | rule | says |
//! |---|---|
//! | leaks | which columns must not be used, or that none gives the target away |
//! | suspicious | which columns have to be explained first |
//! | data | what an import would refuse, and how often |
//! | order | that rows are to be split at random, where their order goes with the target |
//! | imbalance | below [`IMBALANCED_BELOW`]: what accuracy hides, and what to judge by |
//! | twins | columns that say what others say |
//! | shape | numbers whose distance is plain ([`PLAIN_DISTANCE`]) though neither class tends to larger values: trees, not lines |
//! | silent | features with no difference between the classes after adjustment |
//! | family | which family to train: the best by mean ROC-AUC, or, of those that no test tells from it, the best on rows with the required features only |
//! | required | what the required features alone cost, with the family that is trained |
//! | engineered | which engineered features to keep and which to leave out |

use holdfast_statistics::{DEFAULT_ALPHA, DEFAULT_FALSE_DISCOVERY_RATE};
use serde::Serialize;

use super::Exploration;
use super::engineered::{EngineeredResult, Verdict};
use super::families::{FamilyComparison, FamilyResult, RowKind, mean};
use super::leakage::{Screen, Severity, WarningKind};
use super::report::numerals::{counted, fixed, listed, percent, signed, thousands};

/// A share of leavers below which accuracy says little.
pub const IMBALANCED_BELOW: f64 = 0.3;
/// A Kolmogorov–Smirnov distance that a chart shows plainly.
pub const PLAIN_DISTANCE: f64 = 0.2;

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The rule that made it.
    pub rule: &'static str,
    /// Whether something has to be done before training.
    pub urgent: bool,
    /// What to do, in a few words.
    pub action: String,
    /// Why, with the numbers.
    pub reason: String,
}

/// All advice, what is urgent first.
pub(super) fn advice(found: &Exploration) -> Vec<Advice> {
    let mut advice = Vec::new();
    leaks(found, &mut advice);
    data(found, &mut advice);
    order(found, &mut advice);
    imbalance(found, &mut advice);
    if let Some(families) = &found.families {
        family(families, &mut advice);
    }
    engineered(&found.engineered, &mut advice);
    twins(found, &mut advice);
    shape(found, &mut advice);
    silent(found, &mut advice);
    advice.sort_by_key(|one| !one.urgent);
    advice
}

fn say(rule: &'static str, action: impl Into<String>, reason: impl Into<String>) -> Advice {
    Advice {
        rule,
        urgent: false,
        action: action.into(),
        reason: reason.into(),
    }
}

fn urgent(advice: Advice) -> Advice {
    Advice { urgent: true, ..advice }
}

fn named(screens: &[&Screen]) -> String {
    listed(&screens.iter().map(|screen| screen.name.as_str()).collect::<Vec<_>>())
}

fn leaks(found: &Exploration, advice: &mut Vec<Advice>) {
    let of = |severity: Severity| -> Vec<&Screen> {
        let worst = |screen: &&Screen| screen.warnings.iter().map(|warning| warning.severity).max() == Some(severity);
        found.screens.iter().filter(worst).collect()
    };
    let (leaks, suspects) = (of(Severity::Leak), of(Severity::Suspicious));
    if leaks.is_empty() {
        let best = found
            .screens
            .iter()
            .find(|screen| screen.is_feature)
            .and_then(|s| Some((s, s.area?)));
        let reason = best.map_or_else(String::new, |(screen, area)| {
            format!(
                "The feature that tells most on its own, {}, reaches a ROC-AUC of {}, far from what a leak shows.",
                screen.name,
                fixed(area.auc, 3)
            )
        });
        advice.push(say("leaks", "No column gives the target away on its own", reason));
    } else {
        let dropped = leaks.iter().all(|screen| screen.is_dropped);
        let done = if dropped {
            " The schema drops them on import already; keep it so, and keep them out of notebooks too."
        } else {
            ""
        };
        let reason = format!("On its own each tells who left nearly without fault, which no behaviour does.{done}");
        advice.push(urgent(say("leaks", format!("Leave out {}", named(&leaks)), reason)));
    }
    if !suspects.is_empty() {
        let texts: Vec<String> = suspects
            .iter()
            .flat_map(|screen| {
                screen
                    .warnings
                    .iter()
                    .map(|warning| format!("{} {}", screen.name, warning.text))
            })
            .collect();
        let action = format!("Find out where {} comes from before using it", named(&suspects));
        advice.push(urgent(say("suspicious", action, format!("{}.", texts.join(". ")))));
    }
}

fn data(found: &Exploration, advice: &mut Vec<Advice>) {
    let overview = &found.overview;
    let broken: u64 = overview.problems.iter().map(|problem| problem.count).sum();
    if broken == 0 {
        return;
    }
    let examples: Vec<&str> = overview
        .problems
        .iter()
        .take(3)
        .map(|problem| problem.example.as_str())
        .collect();
    let action = format!(
        "Correct the table before importing it: an import refuses it in {} places",
        thousands(broken as usize)
    );
    advice.push(urgent(say(
        "data",
        action,
        format!("For example: {}.", examples.join("; ")),
    )));
}

fn order(found: &Exploration, advice: &mut Vec<Advice>) {
    let tells = |screen: &&Screen| {
        screen
            .warnings
            .iter()
            .any(|warning| warning.kind == WarningKind::OrderTells)
    };
    let orders: Vec<&Screen> = found.screens.iter().filter(tells).collect();
    if !orders.is_empty() {
        let reasons: Vec<String> = orders
            .iter()
            .filter_map(|screen| {
                Some(format!(
                    "{} alone reaches a ROC-AUC of {}",
                    screen.name,
                    fixed(screen.area?.auc, 3)
                ))
            })
            .collect();
        let reason = format!(
            "{}: rows near each other are alike, so a split by position would test on another kind of customer.",
            reasons.join(", ")
        );
        advice.push(say(
            "order",
            "Split at random and stratified, never by position",
            reason,
        ));
    }
}

fn imbalance(found: &Exploration, advice: &mut Vec<Advice>) {
    let share = found.overview.churn.value;
    if share < IMBALANCED_BELOW {
        let reason = format!(
            "{} of the customers left. Whoever says \"nobody leaves\" is right for {} of them and of no use: judge by ROC-AUC, PR-AUC and F1, choose the \
             threshold by what an offer costs, and keep probabilities calibrated whatever is done about the imbalance.",
            percent(share),
            percent(1.0 - share)
        );
        advice.push(say("imbalance", "Do not judge by accuracy", reason));
    }
}

/// The family to train: of those that no test tells from the best on full rows, the one with the best mean on rows with the required
/// features only. How long a fit takes has no say: the same table and seed give the same advice on every machine.
fn chosen(families: &FamilyComparison) -> Option<(&FamilyResult, Vec<&FamilyResult>)> {
    let best = families.families.first()?;
    let tied: Vec<&FamilyResult> = families
        .families
        .iter()
        .filter(|family| family.name == best.name || !told_apart(families, best, family, RowKind::Full))
        .collect();
    let chosen = tied
        .iter()
        .copied()
        .max_by(|a, b| mean(&a.required_only.roc_auc).total_cmp(&mean(&b.required_only.roc_auc)))?;
    Some((chosen, tied))
}

fn told_apart(families: &FamilyComparison, one: &FamilyResult, other: &FamilyResult, on: RowKind) -> bool {
    let same = |pair: &&super::families::FamilyPair| {
        pair.on == on
            && ((pair.first == one.name && pair.second == other.name)
                || (pair.first == other.name && pair.second == one.name))
    };
    families
        .pairs
        .iter()
        .find(same)
        .is_some_and(|pair| pair.difference.is_found())
}

fn family(families: &FamilyComparison, advice: &mut Vec<Advice>) {
    let Some((chosen, tied)) = chosen(families) else {
        return;
    };
    let (full, required) = (mean(&chosen.full.roc_auc), mean(&chosen.required_only.roc_auc));
    let others: Vec<String> = families
        .families
        .iter()
        .filter(|family| family.name != chosen.name)
        .map(|family| format!("{} {}", family.name, fixed(mean(&family.full.roc_auc), 4)))
        .collect();
    let against = if others.is_empty() {
        String::new()
    } else {
        format!(" against {}", others.join(", "))
    };
    let certain = match tied.len() {
        1 if families.families.len() > 1 => {
            format!(" The difference to every other is no accident (adjusted p below {DEFAULT_ALPHA}).")
        }
        1 => String::new(),
        _ => " No test tells the others of the leading group from it; with the required features only it does best."
            .to_owned(),
    };
    let reason = format!(
        "Mean ROC-AUC {}{against}, over {} folds on the same rows.{certain}",
        fixed(full, 4),
        chosen.full.roc_auc.len()
    );
    advice.push(say("family", format!("Train {}", chosen.name), reason));
    let reason = format!(
        "With the required features only, {} reach a ROC-AUC of {} instead of {}: {} is what the optional features are worth.",
        chosen.name,
        fixed(required, 4),
        fixed(full, 4),
        signed(full - required, 4)
    );
    advice.push(say(
        "required",
        "Ask for the optional features where they can be had",
        reason,
    ));
}

fn engineered(results: &[EngineeredResult], advice: &mut Vec<Advice>) {
    let useful = |result: &&EngineeredResult| result.effects.iter().any(|effect| effect.verdict == Verdict::Gain);
    let (keep, leave): (Vec<&EngineeredResult>, Vec<&EngineeredResult>) = results.iter().partition(useful);
    let told = |results: &[&EngineeredResult]| {
        let told: Vec<String> = results
            .iter()
            .map(|result| {
                let effects: Vec<String> = result
                    .effects
                    .iter()
                    .map(|effect| {
                        format!(
                            "{} for {} ({} ROC-AUC, adjusted p {})",
                            effect.verdict.words(),
                            effect.learner,
                            signed(effect.roc_auc.mean, 4),
                            fixed(effect.roc_auc.p_adjusted, 2)
                        )
                    })
                    .collect();
                format!("{}: {}", result.name, effects.join(", "))
            })
            .collect();
        format!("{}.", told.join(". "))
    };
    let names =
        |results: &[&EngineeredResult]| listed(&results.iter().map(|result| result.name.as_str()).collect::<Vec<_>>());
    if !leave.is_empty() {
        advice.push(say("engineered", format!("Do without {}", names(&leave)), told(&leave)));
    }
    if !keep.is_empty() {
        let action = format!("Consider {} for the learners that gain by it", names(&keep));
        advice.push(say("engineered", action, told(&keep)));
    }
}

fn twins(found: &Exploration, advice: &mut Vec<Advice>) {
    let mut reasons: Vec<String> = found
        .identities
        .iter()
        .map(|identity| {
            format!(
                "{} is {} {} {} in {} of the rows",
                identity.column,
                identity.first,
                identity.operation,
                identity.second,
                percent(identity.holds)
            )
        })
        .collect();
    let features = |name: &str| {
        found
            .screens
            .iter()
            .any(|screen| screen.name == name && screen.is_feature)
    };
    let pairs = found
        .twins
        .iter()
        .filter(|pair| features(&pair.first) && features(&pair.second));
    reasons.extend(pairs.map(|pair| {
        format!(
            "{} and {} go together ({} {})",
            pair.first,
            pair.second,
            pair.measure,
            signed(pair.likeness, 3)
        )
    }));
    if !reasons.is_empty() {
        let reason = format!(
            "{}. Trees do not mind; the coefficients of a linear model cannot be read one by one.",
            reasons.join("; ")
        );
        advice.push(say(
            "twins",
            "Read columns that are made of each other together",
            reason,
        ));
    }
}

fn shape(found: &Exploration, advice: &mut Vec<Advice>) {
    let bent: Vec<&str> = found
        .numeric
        .iter()
        .filter(|feature| {
            feature.ks_distance >= PLAIN_DISTANCE && feature.ks_distance - feature.cliffs_delta.abs() >= 0.1
        })
        .map(|feature| feature.name.as_str())
        .collect();
    if !bent.is_empty() {
        let reason = format!(
            "{} set the classes apart by certain ranges of values and not by more or less of it: a straight line in them misses that.",
            listed(&bent)
        );
        advice.push(say(
            "shape",
            "Use a model that bends, or cut these numbers into ranges",
            reason,
        ));
    }
}

fn silent(found: &Exploration, advice: &mut Vec<Advice>) {
    let numbers = found
        .numeric
        .iter()
        .filter(|feature| feature.p_adjusted >= DEFAULT_FALSE_DISCOVERY_RATE);
    let categories = found
        .categorical
        .iter()
        .filter(|feature| feature.p_adjusted >= DEFAULT_FALSE_DISCOVERY_RATE);
    let names: Vec<&str> = numbers
        .map(|feature| feature.name.as_str())
        .chain(categories.map(|feature| feature.name.as_str()))
        .collect();
    if !names.is_empty() {
        let reason = format!(
            "{} not differ between customers who left and who stayed beyond chance (adjusted p from {DEFAULT_FALSE_DISCOVERY_RATE} up): {}. A model may still \
             find a use for them together with others.",
            counted(names.len(), "feature does", "features do"),
            listed(&names)
        );
        advice.push(say("silent", "Expect little of some features on their own", reason));
    }
}
