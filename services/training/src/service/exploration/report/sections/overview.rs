//! The table at a glance.

use super::super::Section;
use super::super::markup::{Element, element, text_in};
use super::super::numerals::{counted, listed, percent, thousands};
use super::super::tables::{Kind, bar, cell, paragraph, table};
use crate::service::exploration::{ColumnUse, Exploration, Overview};

pub(super) fn section(found: &Exploration) -> Section {
    let overview = &found.overview;
    let mut body = vec![facts(overview)];
    body.extend(remarks(overview).into_iter().map(paragraph));
    if !overview.problems.is_empty() {
        body.push(problems(overview));
    }
    body.push(columns(overview));
    Section {
        anchor: "table",
        title: "The table",
        body,
    }
}

fn facts(overview: &Overview) -> Element {
    let missing: usize = overview.columns.iter().map(|column| column.missing).sum();
    let churn = overview.churn;
    let facts = [
        ("rows in the table", thousands(overview.rows_read)),
        ("rows looked at", thousands(overview.rows)),
        (
            "churn rate",
            format!(
                "{} ({} to {})",
                percent(churn.value),
                percent(churn.lower),
                percent(churn.upper)
            ),
        ),
        ("repeated customers", thousands(overview.repeated_keys)),
        ("rows without a target", thousands(overview.without_label)),
        ("rows alike in all features", thousands(overview.repeated_features)),
        ("missing values", thousands(missing)),
    ];
    let pairs = facts
        .into_iter()
        .map(|(name, value)| element("div").child(text_in("dt", name)).child(text_in("dd", value)));
    element("dl").class("facts").children(pairs)
}

fn remarks(overview: &Overview) -> Vec<String> {
    let of = |wanted: ColumnUse| -> Vec<&str> {
        let columns = overview.columns.iter().filter(|column| column.role == wanted);
        columns.map(|column| column.name.as_str()).collect()
    };
    let mut remarks = Vec::new();
    if overview.rows < overview.rows_read {
        remarks.push(format!(
            "{} left out of everything below: rows that cannot be taken apart, rows without a usable target, and later rows of a customer who is there already.",
            counted(overview.rows_read - overview.rows, "row is", "rows are")
        ));
    }
    let dropped = of(ColumnUse::Dropped);
    if !dropped.is_empty() {
        remarks.push(format!(
            "The schema drops {} on import: {}.",
            counted(dropped.len(), "column", "columns"),
            listed(&dropped)
        ));
    }
    let unknown = of(ColumnUse::Unknown);
    if !unknown.is_empty() {
        remarks.push(format!(
            "The schema does not know {}: {}. An import refuses them.",
            counted(unknown.len(), "column", "columns"),
            listed(&unknown)
        ));
    }
    for (needed, text) in [
        (true, "Training needs, and the table has not"),
        (false, "Optional, and not in the table"),
    ] {
        let absent: Vec<&str> = overview
            .absent
            .iter()
            .filter(|f| f.needed == needed)
            .map(|f| f.name)
            .collect();
        if !absent.is_empty() {
            remarks.push(format!("{text}: {}.", listed(&absent)));
        }
    }
    remarks
}

fn problems(overview: &Overview) -> Element {
    let rows = overview.problems.iter().map(|problem| {
        vec![
            cell(if problem.column.is_empty() {
                "(whole rows)"
            } else {
                &problem.column
            }),
            cell(problem.rule.replace('_', " ")),
            cell(thousands(usize::try_from(problem.count).unwrap_or(usize::MAX))),
            cell(&problem.example),
        ]
    });
    let columns = [
        ("column", Kind::Words),
        ("rule", Kind::Words),
        ("places", Kind::Number),
        ("the first", Kind::Words),
    ];
    table("What an import would refuse", &columns, rows)
}

fn columns(overview: &Overview) -> Element {
    let rows = overview.columns.iter().map(|column| {
        let role = match column.role {
            ColumnUse::Key => "key",
            ColumnUse::Required => "required feature",
            ColumnUse::Optional => "optional feature",
            ColumnUse::Dropped => "dropped on import",
            ColumnUse::Unknown => "not in the schema",
        };
        let by_class = |share: f64| {
            if column.missing == 0 {
                cell("–")
            } else {
                cell(percent(share))
            }
        };
        let share = column.missing as f64 / overview.rows.max(1) as f64;
        let missing = match column.missing {
            0 => cell("0"),
            count => bar(share, format!("{} · {}", thousands(count), percent(share))),
        };
        vec![
            cell(&column.name),
            cell(role),
            cell(column.kind),
            cell(thousands(column.distinct)),
            missing,
            by_class(column.missing_share_stayed),
            by_class(column.missing_share_left),
        ]
    });
    let columns = [
        ("column", Kind::Words),
        ("what it is for", Kind::Words),
        ("kind", Kind::Words),
        ("distinct", Kind::Number),
        ("missing", Kind::Number),
        ("missing, stayed", Kind::Number),
        ("missing, left", Kind::Number),
    ];
    table("Columns beside the target", &columns, rows)
}
