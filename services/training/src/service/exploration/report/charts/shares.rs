//! Churn rates of categories with their intervals.

use super::super::markup::Element;
use super::super::numerals::{percent, thousands};
use super::super::svg::{Anchor, Scale, bottom_axis, colour, dot, drawing, hint, label, line};
use crate::service::exploration::categories::CategoricalFeature;
use crate::service::exploration::overview::Share;

const WIDTH: f64 = 480.0;
const ROW: f64 = 26.0;
const NAMES_END: f64 = 128.0;
const PLOT_END: f64 = 404.0;

/// A row a category: dot and interval, the overall rate as a line through all of them, the number of customers at the end.
pub(crate) fn shares(id: &str, feature: &CategoricalFeature, overall: Share) -> Element {
    let height = ROW * feature.groups.len() as f64 + 34.0;
    let base = height - 22.0;
    let highest = feature
        .groups
        .iter()
        .map(|group| group.churn.upper)
        .fold(overall.upper, f64::max);
    let x = Scale::new((0.0, (highest * 1.04).min(1.0)), (NAMES_END, PLOT_END));
    let ticks = x.ticks(4);
    let title = format!("Churn rate by {}", feature.name);
    let rates: Vec<String> = feature
        .groups
        .iter()
        .map(|group| format!("{} {}", group.name, percent(group.churn.value)))
        .collect();
    let description = format!(
        "Dots with 95 % intervals. {}. Overall {}.",
        rates.join(", "),
        percent(overall.value)
    );
    let mut parts = bottom_axis_in_percent(&x, &ticks, base);
    let centre = x.at(overall.value);
    parts.push(hint(
        line((centre, 6.0), (centre, base), "reference"),
        format!("all customers: {}", percent(overall.value)),
    ));
    for (place, group) in feature.groups.iter().enumerate() {
        let y = 6.0 + ROW * (place as f64 + 0.5);
        let share = group.churn;
        let text = format!(
            "{}: {} of {} left, {} ({} to {})",
            group.name,
            thousands(group.left),
            thousands(group.rows),
            percent(share.value),
            percent(share.lower),
            percent(share.upper)
        );
        parts.push(label((NAMES_END - 8.0, y + 4.0), Anchor::End, "", cut(&group.name, 20)));
        let class = format!("interval {}", colour::LEFT);
        parts.push(line((x.at(share.lower), y), (x.within(share.upper), y), &class));
        parts.push(hint(dot((x.at(share.value), y), 4.6, colour::LEFT), text));
        parts.push(label(
            (WIDTH - 4.0, y + 4.0),
            Anchor::End,
            "tick",
            format!("n {}", thousands(group.rows)),
        ));
    }
    drawing(id, (WIDTH, height), &title, &description).children(parts)
}

fn bottom_axis_in_percent(x: &Scale, ticks: &[f64], base: f64) -> Vec<Element> {
    let hundredfold = Scale::new((0.0, 100.0 * x_span(x)), (NAMES_END, PLOT_END));
    let ticks: Vec<f64> = ticks.iter().map(|tick| tick * 100.0).collect();
    let mut parts = bottom_axis(&hundredfold, &ticks, (6.0, base));
    parts.push(label((WIDTH - 4.0, base + 14.0), Anchor::End, "tick", "% left"));
    parts
}

/// The largest value of a scale that starts at 0.
fn x_span(x: &Scale) -> f64 {
    (PLOT_END - NAMES_END) / (x.at(1.0) - x.at(0.0))
}

/// At most `limit` characters, so that a name stays in its column.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{kept}…")
}
