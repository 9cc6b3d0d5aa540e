//! What engineered features bring.

use super::super::Section;
use super::super::charts::{self, EffectRow};
use super::super::markup::Element;
use super::super::numerals::{fixed, p_value, signed};
use super::super::tables::{Kind, cell, figure, paragraph, table};
use crate::service::exploration::{Difference, Effect, EngineeredResult, Exploration, Verdict};

pub(super) fn section(found: &Exploration) -> Option<Section> {
    if found.engineered.is_empty() && found.engineered_left_out.is_empty() {
        return None;
    }
    let mut body = vec![paragraph(
        "Each learner with the feature and without it, on the same folds; everything else is the same. A gain has to be larger than what other folds would \
         have given anyway, or it is none.",
    )];
    body.extend(found.engineered.iter().map(|result| paragraph(sentence(result))));
    if !found.engineered.is_empty() {
        let roc_auc = rows(&found.engineered, |effect| &effect.roc_auc);
        let log_loss = rows(&found.engineered, |effect| &effect.log_loss);
        body.push(figure(
            Some("ROC-AUC: with the feature less without"),
            charts::effects("effect-auc", "Effect of engineered features on ROC-AUC", &roc_auc),
            "Right of zero the feature helps. Grey: no difference was found.",
        ));
        body.push(figure(
            Some("Log-loss: without the feature less with it"),
            charts::effects("effect-loss", "Effect of engineered features on log-loss", &log_loss),
            "Right of zero the feature helps. Grey: no difference was found.",
        ));
        body.push(numbers(&found.engineered));
    }
    body.extend(
        found
            .engineered_left_out
            .iter()
            .map(|reason| paragraph(format!("Not tried: {reason}."))),
    );
    Some(Section {
        anchor: "engineered",
        title: "What engineered features bring",
        body,
    })
}

fn sentence(result: &EngineeredResult) -> String {
    let verdicts: Vec<String> = result
        .effects
        .iter()
        .map(|effect| format!("{} for {}", effect.verdict.words(), effect.learner))
        .collect();
    let bound = result
        .effects
        .iter()
        .find(|effect| effect.verdict == Verdict::NoMeasurableGain)
        .map(|effect| {
            format!(
                " For {} it is worth {} of ROC-AUC at most (upper end of the interval).",
                effect.learner,
                signed(effect.roc_auc.upper, 4)
            )
        });
    format!(
        "{} = {}: {}.{}",
        result.name,
        result.formula,
        verdicts.join(", "),
        bound.unwrap_or_default()
    )
}

fn rows(results: &[EngineeredResult], of: fn(&Effect) -> &Difference) -> Vec<EffectRow> {
    results
        .iter()
        .flat_map(|result| {
            result.effects.iter().map(move |effect| {
                let test = of(effect);
                EffectRow {
                    name: format!("{}, {}", result.name, effect.learner),
                    mean: test.mean,
                    lower: test.lower,
                    upper: test.upper,
                    p_value: test.p_adjusted,
                    found: test.is_found(),
                }
            })
        })
        .collect()
}

fn numbers(results: &[EngineeredResult]) -> Element {
    let rows = results.iter().flat_map(|result| {
        result.effects.iter().map(|effect| {
            vec![
                cell(&result.name),
                cell(&effect.learner),
                cell(fixed(effect.roc_auc_without, 4)),
                cell(fixed(effect.roc_auc_with, 4)),
                cell(signed(effect.roc_auc.mean, 4)),
                cell(p_value(effect.roc_auc.p_adjusted)),
                cell(signed(effect.log_loss.mean, 4)),
                cell(p_value(effect.log_loss.p_adjusted)),
                cell(effect.verdict.words()),
            ]
        })
    });
    let columns = [
        ("feature", Kind::Words),
        ("learner", Kind::Words),
        ("ROC-AUC without", Kind::Number),
        ("with", Kind::Number),
        ("gain", Kind::Number),
        ("adjusted p", Kind::Number),
        ("log-loss gain", Kind::Number),
        ("adjusted p", Kind::Number),
        ("verdict", Kind::Words),
    ];
    table(
        "Paired tests: corrected resampled t-test, p-values adjusted over the table",
        &columns,
        rows,
    )
}
