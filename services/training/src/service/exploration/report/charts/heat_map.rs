//! Correlations as coloured cells, the numbers in them.

use super::super::markup::{Element, text_in};
use super::super::numerals::{fixed, signed};
use super::super::svg::{Anchor, drawing, hint, label, place, rectangle};
use super::shares::cut;
use crate::service::exploration::correlations::Correlations;

const CELL: f64 = 40.0;
const NAMES: f64 = 176.0;
const HEADS: f64 = 132.0;
/// Heads lean to the right: how far the last of them may reach beyond the cells.
const LEAN: f64 = 108.0;
/// The row for the target stands apart from the others.
const GAP: f64 = 10.0;

/// A cell for each pair: blue for columns that rise together, orange for columns of which one falls as the other rises, the stronger the
/// fuller. The last row is each column with the target.
pub(crate) fn heat_map(id: &str, correlations: &Correlations, target: &str) -> Element {
    let count = correlations.columns.len() as f64;
    let size = (NAMES + CELL * count + LEAN, HEADS + CELL * (count + 1.0) + GAP + 8.0);
    let strongest = correlations.strongest.first().map_or_else(String::new, |pair| {
        format!(
            " The strongest pair is {} and {} at {}.",
            pair.first,
            pair.second,
            fixed(pair.rho, 2)
        )
    });
    let description = format!("A square of {count} by {count} cells.{strongest}");
    let mut map = drawing(id, size, "Spearman rank correlations", &description);
    for (place, name) in correlations.columns.iter().enumerate() {
        map = map.child(head(place, name));
    }
    let target_row = (target, &correlations.with_target);
    let rows = correlations
        .columns
        .iter()
        .map(String::as_str)
        .zip(&correlations.matrix);
    for (row, (name, cells)) in rows.chain([target_row]).enumerate() {
        let apart = if row == correlations.columns.len() { GAP } else { 0.0 };
        let y = HEADS + CELL * row as f64 + apart;
        map = map.child(label(
            (NAMES - 8.0, y + CELL / 2.0 + 4.0),
            Anchor::End,
            "",
            cut(name, 25),
        ));
        for (column, rho) in cells.iter().enumerate() {
            let other = &correlations.columns[column];
            map = map.children(cell(
                (NAMES + CELL * column as f64, y),
                *rho,
                &format!("{name} and {other}"),
                row == column,
            ));
        }
    }
    map
}

/// A column's name, turned so that long ones fit.
fn head(column: usize, name: &str) -> Element {
    let (x, y) = (NAMES + CELL * (column as f64 + 0.5) + 4.0, HEADS - 8.0);
    text_in("text", cut(name, 25)).with("transform", format!("translate({} {}) rotate(-42)", place(x), place(y)))
}

fn cell(corner: (f64, f64), rho: Option<f64>, pair: &str, itself: bool) -> Vec<Element> {
    let (inside, size) = ((corner.0 + 1.0, corner.1 + 1.0), (CELL - 2.0, CELL - 2.0));
    let Some(rho) = rho else {
        let empty = rectangle(inside, size, "cell none");
        return vec![hint(empty, format!("{pair}: cannot be computed"))];
    };
    if itself {
        return vec![rectangle(inside, size, "cell itself")];
    }
    let side = if rho >= 0.0 { "rising" } else { "falling" };
    let strong = rho.abs() >= 0.6;
    let filled = rectangle(inside, size, &format!("cell {side}")).with("fill-opacity", fixed(rho.abs().powf(0.8), 2));
    let class = if strong { "value strong" } else { "value" };
    let at = (corner.0 + CELL / 2.0, corner.1 + CELL / 2.0 + 4.0);
    vec![
        hint(filled, format!("{pair}: {}", signed(rho, 3))),
        label(at, Anchor::Middle, class, short(rho)),
    ]
}

/// Two digits without the zero in front: there are many of them.
fn short(rho: f64) -> String {
    let text = fixed(rho, 2);
    text.replacen("0.", ".", 1)
}
