//! Measures over the folds of a cross-validation.

use super::super::markup::Element;
use super::super::numerals::fixed;
use super::super::svg::{Anchor, Scale, bottom_axis, colour, dot, drawing, hint, label, line};

const WIDTH: f64 = 480.0;
const ROW: f64 = 34.0;
const NAMES_END: f64 = 132.0;
const PLOT_END: f64 = 456.0;

/// A learner's measure in each fold.
pub(crate) struct FoldRow<'a> {
    pub(crate) name: &'a str,
    pub(crate) folds: &'a [f64],
    pub(crate) mean: f64,
}

/// A row a learner: a small dot for each fold, a large one for the mean.
pub(crate) fn folds(id: &str, measure: &str, rows: &[FoldRow<'_>]) -> Element {
    let height = ROW * rows.len() as f64 + 32.0;
    let base = height - 22.0;
    let all = rows.iter().flat_map(|row| row.folds.iter().copied());
    let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let margin = ((high - low) * 0.08).max(1e-6);
    let x = Scale::new((low - margin, high + margin), (NAMES_END, PLOT_END));
    let means: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {}", row.name, fixed(row.mean, 4)))
        .collect();
    let description = format!("A dot for each fold, a large one for the mean. {}.", means.join(", "));
    let mut parts = bottom_axis(&x, &x.ticks(5), (6.0, base));
    for (place, row) in rows.iter().enumerate() {
        let y = 6.0 + ROW * (place as f64 + 0.5);
        parts.push(label((NAMES_END - 8.0, y + 4.0), Anchor::End, "", row.name));
        parts.push(line((NAMES_END, y), (PLOT_END, y), "grid"));
        for (fold, value) in row.folds.iter().enumerate() {
            // Two lanes and not one, so that equal folds can be seen.
            let lane = if fold % 2 == 0 { -4.0 } else { 4.0 };
            parts.push(dot((x.at(*value), y + lane), 3.0, &format!("fold {}", colour::MARK)));
        }
        let text = format!(
            "{}: mean {} over {} folds",
            row.name,
            fixed(row.mean, 4),
            row.folds.len()
        );
        parts.push(hint(dot((x.at(row.mean), y), 6.0, colour::MARK), text));
    }
    drawing(id, (WIDTH, height), &format!("{measure} by fold"), &description).children(parts)
}
