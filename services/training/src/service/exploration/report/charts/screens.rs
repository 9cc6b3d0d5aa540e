//! How much each column tells on its own.

use super::super::markup::Element;
use super::super::numerals::fixed;
use super::super::svg::{Anchor, Scale, bottom_axis, colour, dot, drawing, hint, label, line};
use super::shares::cut;
use crate::service::exploration::leakage::{GIVES_AWAY_AUC, SUSPICIOUS_AUC, Screen, Severity};

const WIDTH: f64 = 720.0;
const ROW: f64 = 22.0;
const NAMES_END: f64 = 236.0;
const PLOT_END: f64 = 704.0;

/// A row a column: its ROC-AUC alone with its interval, and the two limits as lines.
pub(crate) fn screens(id: &str, screens: &[Screen]) -> Element {
    let shown: Vec<_> = screens
        .iter()
        .filter_map(|screen| Some((screen, screen.area?)))
        .collect();
    let height = ROW * shown.len() as f64 + 48.0;
    let base = height - 22.0;
    let x = Scale::new((0.5, 1.0), (NAMES_END, PLOT_END));
    let description = format!(
        "One row for each of {} columns, strongest first. {}",
        shown.len(),
        shown.first().map_or_else(String::new, |(screen, area)| format!(
            "At the top {} with {}.",
            screen.name,
            fixed(area.auc, 3)
        ))
    );
    let mut parts = bottom_axis(&x, &x.ticks(5), (20.0, base));
    for (limit, text) in [(SUSPICIOUS_AUC, "explain"), (GIVES_AWAY_AUC, "leak")] {
        parts.push(line((x.at(limit), 16.0), (x.at(limit), base), "limit"));
        parts.push(label((x.at(limit), 12.0), Anchor::Middle, "tick", text));
    }
    for (place, (screen, area)) in shown.iter().enumerate() {
        let y = 20.0 + ROW * (place as f64 + 0.5);
        let grave = screen
            .warnings
            .iter()
            .any(|warning| warning.severity >= Severity::Suspicious);
        let class = match (grave, screen.is_feature) {
            (true, _) => colour::LEFT,
            (false, true) => colour::MARK,
            (false, false) => colour::FAINT,
        };
        let text = format!(
            "{}: {} ({} to {})",
            screen.name,
            fixed(area.auc, 4),
            fixed(area.lower, 4),
            fixed(area.upper, 4)
        );
        parts.push(hint(
            label((NAMES_END - 8.0, y + 4.0), Anchor::End, "", cut(&screen.name, 34)),
            &screen.name,
        ));
        parts.push(line((x.at(0.5), y), (x.at(area.auc), y), &format!("stem {class}")));
        parts.push(line(
            (x.within(area.lower), y),
            (x.within(area.upper), y),
            &format!("interval {class}"),
        ));
        parts.push(hint(dot((x.within(area.auc), y), 4.6, class), text));
    }
    drawing(id, (WIDTH, height), "ROC-AUC of each column on its own", &description).children(parts)
}
