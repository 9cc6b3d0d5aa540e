//! Columns that tell too much.

use super::super::Section;
use super::super::charts;
use super::super::markup::{Element, element, text_in};
use super::super::numerals::{fixed, percent, signed};
use super::super::tables::{Kind, cell, figure, folded, paragraph, table};
use crate::service::exploration::Exploration;
use crate::service::exploration::leakage::{GIVES_AWAY_AUC, SUSPICIOUS_AUC, Screen, Severity};

pub(super) fn section(found: &Exploration) -> Section {
    let mut body = vec![
        paragraph(
            "Every column was set against the target on its own, dropped and unknown ones as well. Behaviour tells something about who leaves; only a column \
             that was made from the answer tells nearly everything.",
        ),
        warnings(&found.screens),
        figure(
            None,
            charts::screens("screens", &found.screens),
            format!(
                "ROC-AUC of each column alone, with its 95 % interval (DeLong); 0.5 tells nothing. From {SUSPICIOUS_AUC} on a column has to be explained, from \
                 {GIVES_AWAY_AUC} on it is a leak. Grey: not a feature."
            ),
        ),
        folded("The numbers, with information values", numbers(&found.screens)),
    ];
    body.extend(alike(found));
    Section {
        anchor: "leakage",
        title: "Columns that tell too much",
        body,
    }
}

fn warnings(screens: &[Screen]) -> Element {
    let mut items: Vec<(Severity, Element)> = Vec::new();
    for screen in screens {
        for warning in &screen.warnings {
            let (class, word) = match warning.severity {
                Severity::Leak => ("leak", "leak"),
                Severity::Suspicious => ("suspicious", "explain"),
                Severity::Note => ("note", "note"),
            };
            let item = element("li")
                .class(class)
                .child(text_in("b", word).class("badge"))
                .child(
                    element("span")
                        .child(text_in("code", &screen.name))
                        .text(" ")
                        .text(&warning.text)
                        .text("."),
                );
            items.push((warning.severity, item));
        }
    }
    if items.is_empty() {
        return paragraph("Nothing has to be said about any column.");
    }
    items.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    element("ul")
        .class("warnings")
        .children(items.into_iter().map(|(_, item)| item))
}

fn numbers(screens: &[Screen]) -> Element {
    let rows = screens.iter().map(|screen| {
        let area = screen.area;
        vec![
            cell(&screen.name),
            cell(area.map_or_else(|| "–".to_owned(), |area| fixed(area.auc, 4))),
            cell(area.map_or_else(
                || "–".to_owned(),
                |area| format!("{} to {}", fixed(area.lower, 4), fixed(area.upper, 4)),
            )),
            cell(fixed(screen.information_value, 2)),
            cell(percent(screen.pure_share)),
        ]
    });
    let columns = [
        ("column", Kind::Words),
        ("ROC-AUC", Kind::Number),
        ("95 % interval", Kind::Number),
        ("information value", Kind::Number),
        ("rarer class in pure values", Kind::Number),
    ];
    table("Each column on its own", &columns, rows)
}

fn alike(found: &Exploration) -> Vec<Element> {
    let mut parts = Vec::new();
    if !found.twins.is_empty() {
        let rows = found.twins.iter().map(|pair| {
            let measure = match pair.measure {
                "spearman" => "Spearman’s rank correlation",
                "pearson" => "Pearson’s correlation",
                _ => "Cramér’s V",
            };
            vec![
                cell(&pair.first),
                cell(&pair.second),
                cell(signed(pair.likeness, 4)),
                cell(measure),
            ]
        });
        let columns = [
            ("column", Kind::Words),
            ("column that says the same", Kind::Words),
            ("likeness", Kind::Number),
            ("by", Kind::Words),
        ];
        parts.push(table("Near duplicates", &columns, rows));
    }
    if !found.identities.is_empty() {
        let rows = found.identities.iter().map(|identity| {
            vec![
                cell(&identity.column),
                cell(format!("{} {} {}", identity.first, identity.operation, identity.second)),
                cell(percent(identity.holds)),
            ]
        });
        let columns = [
            ("column", Kind::Words),
            ("is made of", Kind::Words),
            ("of the rows", Kind::Number),
        ];
        parts.push(table("Columns that are computed from two others", &columns, rows));
    }
    parts
}
