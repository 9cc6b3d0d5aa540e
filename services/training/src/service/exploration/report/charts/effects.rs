//! Differences with their intervals around nothing.

use super::super::markup::Element;
use super::super::numerals::{p_value, signed};
use super::super::svg::{Anchor, Scale, bottom_axis, colour, dot, drawing, hint, label, line};

const WIDTH: f64 = 640.0;
const ROW: f64 = 26.0;
const NAMES_END: f64 = 292.0;
const PLOT_END: f64 = 620.0;

/// A difference to be drawn.
pub(crate) struct EffectRow {
    pub(crate) name: String,
    pub(crate) mean: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    pub(crate) p_value: f64,
    /// Whether it counts as found.
    pub(crate) found: bool,
}

/// A row a difference: dot and interval, full colour where it is a difference at all.
pub(crate) fn effects(id: &str, title: &str, rows: &[EffectRow]) -> Element {
    let height = ROW * rows.len() as f64 + 34.0;
    let base = height - 22.0;
    let furthest = rows
        .iter()
        .flat_map(|row| [row.lower.abs(), row.upper.abs()])
        .fold(1e-6, f64::max)
        * 1.08;
    let x = Scale::new((-furthest, furthest), (NAMES_END, PLOT_END));
    let told: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "{}: {} ({} to {})",
                row.name,
                signed(row.mean, 4),
                signed(row.lower, 4),
                signed(row.upper, 4)
            )
        })
        .collect();
    let description = format!("Dots with 95 % intervals around a line at zero. {}.", told.join("; "));
    let mut parts = bottom_axis(&x, &x.ticks(5), (6.0, base));
    parts.push(line((x.at(0.0), 6.0), (x.at(0.0), base), "reference"));
    for (place, row) in rows.iter().enumerate() {
        let y = 6.0 + ROW * (place as f64 + 0.5);
        let class = if row.found { colour::LEFT } else { colour::FAINT };
        let text = format!("{}, p {}", told[place], p_value(row.p_value));
        parts.push(label((NAMES_END - 8.0, y + 4.0), Anchor::End, "", &row.name));
        parts.push(line(
            (x.at(row.lower), y),
            (x.at(row.upper), y),
            &format!("interval {class}"),
        ));
        parts.push(hint(dot((x.at(row.mean), y), 4.6, class), text));
    }
    drawing(id, (WIDTH, height), title, &description).children(parts)
}
