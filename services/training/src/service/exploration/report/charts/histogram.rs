//! Two distributions over each other, their quartiles underneath.

use super::super::markup::{Element, element};
use super::super::numerals::{fixed, measured};
use super::super::svg::{Anchor, Scale, bottom_axis, colour, dot, drawing, hint, label, line, place, rectangle};
use crate::service::exploration::distributions::{FiveNumbers, NumericFeature};

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 212.0;
/// The places of the axis and of the two rows of quartiles.
const LEFT_EDGE: f64 = 8.0;
const RIGHT_EDGE: f64 = 352.0;
const TOP: f64 = 8.0;
const BASE: f64 = 142.0;
const STRIPS: [f64; 2] = [176.0, 198.0];

/// Shares of either class by bin as areas, and for each class a bar from the 5th to the 95th percentile, the middle half thick, the
/// median marked.
pub(crate) fn histogram(id: &str, feature: &NumericFeature) -> Element {
    let bins = &feature.histogram;
    let (low, high) = (bins.edges[0], bins.edges[bins.edges.len() - 1]);
    let x = Scale::new((low, high), (LEFT_EDGE, RIGHT_EDGE));
    let highest = bins.stayed.iter().chain(&bins.left).copied().fold(0.0, f64::max);
    let y = Scale::new((0.0, highest.max(1e-9)), (BASE, TOP));
    let title = format!("{} by class", feature.name);
    let description = format!(
        "Histogram. Customers who stayed: median {}, middle half {} to {}. Customers who left: median {}, middle half {} to {}.",
        measured(feature.stayed.median),
        measured(feature.stayed.q1),
        measured(feature.stayed.q3),
        measured(feature.left.median),
        measured(feature.left.q1),
        measured(feature.left.q3),
    );
    let ticks = x.ticks(5);
    drawing(id, (WIDTH, HEIGHT), &title, &description)
        .children(bottom_axis(&x, &ticks, (TOP, BASE)))
        .child(area(&bins.edges, &bins.stayed, &x, &y, colour::STAYED))
        .child(area(&bins.edges, &bins.left, &x, &y, colour::LEFT))
        .children(ends(bins.open_below, bins.open_above))
        .child(furthest(feature, &x))
        .children(strip(&feature.stayed, &x, STRIPS[0], colour::STAYED, "stayed"))
        .children(strip(&feature.left, &x, STRIPS[1], colour::LEFT, "left"))
}

/// Steps over the bins.
fn area(edges: &[f64], shares: &[f64], x: &Scale, y: &Scale, class: &str) -> Element {
    let mut path = format!("M{} {}", place(x.at(edges[0])), place(BASE));
    for (share, ends) in shares.iter().zip(edges.windows(2)) {
        path.push_str(&format!("V{}H{}", place(y.at(*share)), place(x.at(ends[1]))));
    }
    path.push_str(&format!("V{}Z", place(BASE)));
    element("path").with("d", path).class(&format!("area {class}"))
}

/// Marks where values lie beyond the picture.
fn ends(below: bool, above: bool) -> Vec<Element> {
    let mut marks = Vec::new();
    if below {
        marks.push(label(
            (LEFT_EDGE, TOP + 8.0),
            Anchor::Start,
            "tick",
            "← smaller values in the first bin",
        ));
    }
    if above {
        let text = "larger values in the last bin →";
        marks.push(label(
            (RIGHT_EDGE, TOP + if below { 20.0 } else { 8.0 }),
            Anchor::End,
            "tick",
            text,
        ));
    }
    marks
}

/// Where the two distributions are furthest apart.
fn furthest(feature: &NumericFeature, x: &Scale) -> Element {
    let at = x.within(feature.ks_location);
    let text = format!(
        "Furthest apart at {}: distance {}",
        measured(feature.ks_location),
        fixed(feature.ks_distance, 3)
    );
    hint(line((at, TOP), (at, BASE), "furthest"), text)
}

fn strip(numbers: &FiveNumbers, x: &Scale, y: f64, class: &str, who: &str) -> Vec<Element> {
    let text = format!(
        "{who}: median {}, middle half {} to {}, nine of ten {} to {}, all {} to {}",
        measured(numbers.median),
        measured(numbers.q1),
        measured(numbers.q3),
        measured(numbers.p05),
        measured(numbers.p95),
        measured(numbers.minimum),
        measured(numbers.maximum)
    );
    let (start, end) = (x.within(numbers.q1), x.within(numbers.q3));
    let thick = rectangle((start, y - 4.5), ((end - start).max(1.5), 9.0), &format!("box {class}"));
    vec![
        line(
            (x.within(numbers.p05), y),
            (x.within(numbers.p95), y),
            &format!("whisker {class}"),
        ),
        hint(thick, text),
        dot((x.within(numbers.median), y), 3.4, &format!("median {class}")),
    ]
}
