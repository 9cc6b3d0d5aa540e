//! Rank correlations.

use super::super::Section;
use super::super::charts;
use super::super::numerals::signed;
use super::super::tables::{Kind, cell, figure, paragraph, table};
use crate::service::exploration::Exploration;

pub(super) fn section(found: &Exploration) -> Section {
    let correlations = &found.correlations;
    let mut body = vec![
        paragraph(
            "Spearman’s rank correlation of every two numbers: 1 when one always rises with the other, −1 when it always falls. Columns that belong together \
             stand together.",
        ),
        figure(
            None,
            charts::heat_map("correlations", correlations, &found.target),
            format!(
                "Blue: they rise together. Orange: one falls as the other rises. The last row is {} as 0 and 1.",
                found.target
            ),
        ),
    ];
    if !correlations.strongest.is_empty() {
        let rows = correlations
            .strongest
            .iter()
            .map(|pair| vec![cell(&pair.first), cell(&pair.second), cell(signed(pair.rho, 3))]);
        let columns = [("column", Kind::Words), ("with", Kind::Words), ("rho", Kind::Number)];
        body.push(table("The strongest pairs", &columns, rows));
    }
    Section {
        anchor: "correlations",
        title: "What goes with what",
        body,
    }
}
