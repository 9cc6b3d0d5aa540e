//! What the model goes by.

use holdfast_model::Step;

use super::NO_EVALUATION;
use crate::service::figures::{count, percent, three};
use crate::service::model_card::CardFacts;
use crate::service::model_card::document::{Line, Section, Table};
use crate::service::naming;
use crate::service::plots::Plot;

/// Features listed.
const LISTED: usize = 10;

pub(super) fn section(facts: &CardFacts, plots: &[Plot]) -> Section {
    let mut section = Section::new("What the model goes by");
    section.text(
        "Every single score can be taken apart into a contribution of each feature (TreeSHAP); the strongest are given to call agents as sentences. Over many customers, \
         the mean size of a feature's contributions says how much the model goes by it.",
    );
    match &facts.evaluation {
        None => {
            section.notice(NO_EVALUATION);
        }
        Some(evaluation) => {
            let found = &evaluation.importance;
            let unit = if found.unit == "log_odds" {
                "log-odds"
            } else {
                "probability"
            };
            section.text(format!("Over {} test customers:", count(found.rows)));
            let mut table = Table::new(["feature", "column", "mean absolute contribution", "share of all"]);
            for feature in found.features.iter().take(LISTED) {
                table.row([
                    naming::plain(&feature.feature).into(),
                    Line::code(&feature.feature),
                    format!(
                        "{} ± {} {unit}",
                        three(feature.mean_absolute),
                        three(1.96 * feature.standard_error)
                    )
                    .into(),
                    percent(feature.share).into(),
                ]);
            }
            section.table(table);
        }
    }
    section.list(columns(facts));
    section.plots(plots, &["importance.svg", "partial_dependence.svg"]);
    section
}

/// Columns made of others, and features that are not looked at.
fn columns(facts: &CardFacts) -> Vec<Line> {
    let mut found = Vec::new();
    for step in &facts.model.preprocessing().steps {
        match step {
            Step::Ratio {
                name,
                numerator,
                denominator,
                ..
            } => found.push(made_of(name, &[numerator, denominator], " / ")),
            Step::Product { name, factors } => {
                found.push(made_of(name, &factors.iter().collect::<Vec<_>>(), " × "));
            }
            _ => {}
        }
    }
    if found.is_empty() {
        found.push("No columns are made of others.".into());
    }
    let unused: Vec<&str> = facts
        .model
        .signature()
        .inputs
        .iter()
        .filter(|input| !input.used)
        .map(|input| input.feature.name())
        .collect();
    if unused.is_empty() {
        found.push("The model looks at every feature.".into());
    } else {
        found.push(format!("The model does not look at: {}.", unused.join(", ")).into());
    }
    found
}

fn made_of(name: &str, columns: &[&String], sign: &str) -> Line {
    let mut line = Line::from("Engineered column ").and_code(name).and(" = ");
    for (place, column) in columns.iter().enumerate() {
        if place > 0 {
            line = line.and(sign);
        }
        line = line.and_code(column);
    }
    line.and("; its contribution is credited to these in equal shares.")
}
