//! Whether it is as good for every group of customers.

use holdfast_domain::Feature;
use holdfast_records::evaluation::Slice;

use super::NO_EVALUATION;
use crate::service::figures::{count, percent_with_interval, with_interval};
use crate::service::model_card::CardFacts;
use crate::service::model_card::document::{Line, Section, Table};
use crate::service::naming;
use crate::service::plots::Plot;

pub(super) fn section(facts: &CardFacts, plots: &[Plot]) -> Section {
    let mut section = Section::new("Groups of customers");
    section.notice(protected(facts));
    let Some(evaluation) = &facts.evaluation else {
        section.notice(NO_EVALUATION);
        return section;
    };
    section.text(
        "On the test rows, by group, with 95 % intervals. A difference that lies within the intervals may be chance.",
    );
    section.table(table(&evaluation.slices));
    let small: Vec<String> = evaluation
        .slices
        .iter()
        .filter(|slice| slice.measured.is_none())
        .map(|slice| {
            format!(
                "{} {} ({} customers)",
                naming::plain(&slice.column),
                slice.group,
                count(slice.rows)
            )
        })
        .collect();
    if !small.is_empty() {
        section.text(format!(
            "Too small to judge, so that nothing is known of the quality there: {}.",
            small.join(", ")
        ));
    }
    section.plots(plots, &["slices.svg"]);
    section
}

/// Whether the model looks at age and gender.
fn protected(facts: &CardFacts) -> String {
    let used = |feature| facts.model.signature().input(feature).is_some_and(|input| input.used);
    match (used(Feature::CustomerAge), used(Feature::Gender)) {
        (true, true) => "Age and gender are features of this model: two customers who differ in nothing else can get different scores.".to_owned(),
        (true, false) => "Age is a feature of this model, gender is not. Other features can stand in for gender.".to_owned(),
        (false, true) => "Gender is a feature of this model, age is not. Other features can stand in for age.".to_owned(),
        (false, false) => "Neither age nor gender is a feature of this model. Other features can stand in for them.".to_owned(),
    }
}

fn table(slices: &[Slice]) -> Table {
    let mut table = Table::new([
        "group",
        "customers",
        "left",
        "ROC-AUC",
        "leaving found (recall)",
        "staying called in error",
        "labelled who leave (precision)",
        "mean score less share who left",
    ]);
    for slice in slices {
        let name: Line = format!("{}: {}", naming::plain(&slice.column), slice.group).into();
        let (rows, positives) = (count(slice.rows).into(), count(slice.positives).into());
        match &slice.measured {
            None => {
                let blank = || Line::from("–");
                table.row([
                    name,
                    rows,
                    positives,
                    "too small to judge".into(),
                    blank(),
                    blank(),
                    blank(),
                    blank(),
                ]);
            }
            Some(measured) => table.row([
                name,
                rows,
                positives,
                with_interval(&measured.roc_auc).into(),
                percent_with_interval(&measured.recall).into(),
                percent_with_interval(&measured.false_positive_rate).into(),
                measured
                    .precision
                    .as_ref()
                    .map_or_else(|| "nobody is labelled".to_owned(), percent_with_interval)
                    .into(),
                percent_with_interval(&measured.calibration_gap).into(),
            ]),
        }
    }
    table
}
