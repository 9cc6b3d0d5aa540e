//! Families of models compared.

use super::super::Section;
use super::super::charts::{self, FoldRow};
use super::super::markup::{Element, element};
use super::super::numerals::{counted, fixed, p_value, signed};
use super::super::tables::{Kind, cell, figure, paragraph, table};
use crate::service::exploration::{
    Exploration, FamilyComparison, FamilyResult, Measures, RowKind, mean, standard_deviation,
};

pub(super) fn section(found: &Exploration) -> Option<Section> {
    let body = match (&found.families, &found.families_left_out) {
        (Some(families), _) => compared(families),
        (None, Some(reason)) => vec![paragraph(format!("Models were not compared: {reason}."))],
        (None, None) => return None,
    };
    Some(Section {
        anchor: "families",
        title: "Which family of models",
        body,
    })
}

fn compared(families: &FamilyComparison) -> Vec<Element> {
    let intro = format!(
        "{}-fold stratified cross-validation, {}, every family on the same folds. One model of each family learns full rows and rows with the required features only, \
         and is measured on both. Probabilities are the models’ own, not calibrated; the threshold of F1 is the best one on the repetition’s other folds.",
        families.folds,
        counted(families.repeats, "time", "times with other folds each")
    );
    let plots: Vec<Element> = [
        (
            "ROC-AUC, full rows",
            "roc-full",
            roc_auc_full as fn(&FamilyResult) -> &[f64],
        ),
        ("ROC-AUC, required features only", "roc-required", roc_auc_required),
        ("PR-AUC, full rows", "pr-full", pr_auc_full),
        ("Log-loss, full rows (lower is better)", "loss-full", log_loss_full),
    ]
    .into_iter()
    .map(|(title, id, of)| {
        let rows: Vec<FoldRow<'_>> = families
            .families
            .iter()
            .map(|family| FoldRow {
                name: &family.name,
                folds: of(family),
                mean: mean(of(family)),
            })
            .collect();
        figure(
            Some(title),
            charts::folds(id, title, &rows),
            "Small dots are folds, the large one is their mean.",
        )
    })
    .collect();
    vec![
        paragraph(intro),
        measures(
            "On full rows: mean ± standard deviation over the folds",
            families,
            |family| &family.full,
        ),
        measures("With the required features only", families, |family| {
            &family.required_only
        }),
        element("div").class("grid wide").children(plots),
        pairs(families),
    ]
}

fn roc_auc_full(family: &FamilyResult) -> &[f64] {
    &family.full.roc_auc
}

fn roc_auc_required(family: &FamilyResult) -> &[f64] {
    &family.required_only.roc_auc
}

fn pr_auc_full(family: &FamilyResult) -> &[f64] {
    &family.full.pr_auc
}

fn log_loss_full(family: &FamilyResult) -> &[f64] {
    &family.full.log_loss
}

fn measures(caption: &str, families: &FamilyComparison, of: fn(&FamilyResult) -> &Measures) -> Element {
    let spread = |values: &[f64]| {
        cell(format!(
            "{} ± {}",
            fixed(mean(values), 4),
            fixed(standard_deviation(values), 4)
        ))
    };
    let rows = families.families.iter().map(|family| {
        let measures = of(family);
        vec![
            cell(&family.name),
            spread(&measures.roc_auc),
            spread(&measures.pr_auc),
            spread(&measures.f1),
            spread(&measures.log_loss),
            spread(&measures.brier),
            cell(format!("{} s", fixed(mean(&family.fit_seconds), 2))),
        ]
    });
    let columns = [
        ("family", Kind::Words),
        ("ROC-AUC", Kind::Number),
        ("PR-AUC", Kind::Number),
        ("F1", Kind::Number),
        ("log-loss", Kind::Number),
        ("Brier", Kind::Number),
        ("fit, one thread", Kind::Number),
    ];
    table(caption, &columns, rows)
}

fn pairs(families: &FamilyComparison) -> Element {
    let rows = families.pairs.iter().map(|pair| {
        let test = &pair.difference;
        let verdict = match (test.is_found(), test.mean > 0.0) {
            (true, true) => format!("{} rank better", pair.first),
            (true, false) => format!("{} rank better", pair.second),
            (false, _) => "not told apart".to_owned(),
        };
        vec![
            cell(format!("{} less {}", pair.first, pair.second)),
            cell(match pair.on {
                RowKind::Full => "full rows",
                RowKind::RequiredOnly => "required features only",
            }),
            cell(signed(test.mean, 4)),
            cell(format!("{} to {}", signed(test.lower, 4), signed(test.upper, 4))),
            cell(p_value(test.p_adjusted)),
            cell(verdict),
        ]
    });
    let columns = [
        ("ROC-AUC", Kind::Words),
        ("on", Kind::Words),
        ("difference", Kind::Number),
        ("95 % interval", Kind::Number),
        ("adjusted p", Kind::Number),
        ("so", Kind::Words),
    ];
    table(
        "Are they told apart? Corrected resampled t-test on the same folds",
        &columns,
        rows,
    )
}
