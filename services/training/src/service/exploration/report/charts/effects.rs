//! Differences with their intervals around nothing.

use super::super::markup::Element;
use super::super::numerals::{p_value, signed};
use super::super::svg::{Anchor, Scale, bottom_axis, colour, dot, drawing, hint, label, line};

const ROW: f64 = 26.0;
const PLOT: f64 = 328.0;
const MARGIN: f64 = 20.0;
/// Where names end at least, so that short ones do not widen the plot.
const NAMES_END: f64 = 292.0;
/// Room for a letter of a name; most letters are narrower.
const LETTER: f64 = 7.2;

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
    let longest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let names_end = (longest as f64 * LETTER + 8.0).max(NAMES_END);
    let x = Scale::new((-furthest, furthest), (names_end, names_end + PLOT));
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
        parts.push(label((names_end - 8.0, y + 4.0), Anchor::End, "", &row.name));
        parts.push(line(
            (x.at(row.lower), y),
            (x.at(row.upper), y),
            &format!("interval {class}"),
        ));
        parts.push(hint(dot((x.at(row.mean), y), 4.6, class), text));
    }
    drawing(id, (names_end + PLOT + MARGIN, height), title, &description).children(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn width_with_name(name: &str) -> f64 {
        let row = EffectRow {
            name: name.to_owned(),
            mean: 0.01,
            lower: 0.0,
            upper: 0.02,
            p_value: 0.04,
            found: true,
        };
        let mut drawn = String::new();
        effects("effects", "Effects", &[row]).write(&mut drawn);
        let view = drawn.split("viewBox=\"0 0 ").nth(1).unwrap();
        view.split(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn a_long_name_gets_the_room_it_needs_and_a_short_one_no_less_than_others() {
        let long = "Mean_Transaction_times_Products, logistic regression";
        let short = width_with_name("A, b");
        let usual = width_with_name("Activity_Growth, boosted trees");
        assert!((short - usual).abs() < f64::EPSILON, "{short} {usual}");
        let room = width_with_name(long) - PLOT - MARGIN;
        assert!(room >= long.len() as f64 * LETTER, "{room}");
        assert!(width_with_name(long) > short);
    }
}
