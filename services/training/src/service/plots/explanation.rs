//! What the model goes by: importance of features, and how the probability depends on the strongest.

use holdfast_records::evaluation::{Dependence, DependencePoint, Evaluation};

use super::panel::{Axis, Panel, Scale, Tick, percent_ticks, small_print, ticks};
use super::svg::{Anchor, Rect, Stroke, Svg, Type};
use super::{BLUE, CANDIDATE, Plot};
use crate::service::figures::{count, percent};
use crate::service::naming;

/// Most features in the picture.
const SHOWN: usize = 15;
const ROW: f64 = 24.0;

/// Mean absolute contribution of each feature; nothing when nothing contributes.
pub(super) fn importance(evaluation: &Evaluation) -> Option<Plot> {
    let found = &evaluation.importance;
    let shown = &found.features[..found.features.len().min(SHOWN)];
    let strongest = shown.first()?;
    let title = "Which features matter";
    let description = format!(
        "Mean size of each feature's contribution to the score over {} test rows, by TreeSHAP. The strongest is {} with {} of the whole.",
        count(found.rows),
        naming::plain(&strongest.feature).to_lowercase(),
        percent(strongest.share)
    );
    #[expect(clippy::cast_precision_loss, reason = "at most fifteen")]
    let height = ROW * shown.len() as f64;
    let mut svg = Svg::new("importance", title, &description, (760.0, height + 144.0));
    let most = shown
        .iter()
        .map(|feature| feature.mean_absolute + 2.0 * feature.standard_error)
        .fold(1e-12, f64::max);
    let panel = Panel {
        area: Rect {
            left: 270.0,
            top: 48.0,
            width: 400.0,
            height,
        },
        x: Scale::Linear(0.0, most * 1.02),
        y: Scale::Linear(0.0, 1.0),
    };
    let unit = if found.unit == "log_odds" {
        "log-odds"
    } else {
        "probability"
    };
    let label = format!("mean absolute contribution ({unit})");
    let x_axis = Axis {
        label: &label,
        ticks: ticks(0.0, most, 5, short),
    };
    let y_axis = Axis {
        label: "",
        ticks: Vec::new(),
    };
    panel.frame(&mut svg, &x_axis, &y_axis);
    for (place, feature) in (0_u16..).zip(shown) {
        let middle = 48.0 + ROW * (f64::from(place) + 0.5);
        let bar = Rect {
            left: panel.area.left,
            top: middle - 7.5,
            width: panel.px(feature.mean_absolute) - panel.area.left,
            height: 15.0,
        };
        svg.rect(bar, BLUE, None);
        let half = 1.96 * feature.standard_error;
        let ends = ((feature.mean_absolute - half).max(0.0), feature.mean_absolute + half);
        panel.level_whisker(&mut svg, middle, ends, Stroke::solid("#10304a", 1.2));
        let name = Type::plain(12.5).at(Anchor::End);
        svg.text(
            panel.area.left - 8.0,
            middle + 4.0,
            name,
            naming::plain(&feature.feature),
        );
        let right = panel.px(ends.1) + 8.0;
        svg.text(right, middle + 4.0, Type::plain(11.5).muted(), &percent(feature.share));
    }
    let print = [
        "Beside each bar its share of the whole. Whiskers: 95 % intervals over the rows drawn.",
        "Engineered columns are credited to what they are made of.",
    ];
    small_print(&mut svg, height + 144.0, &print);
    Some(Plot::new("importance", title, description, svg.finish()))
}

fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Panels beside each other, two or three in a row.
const PER_ROW: usize = 3;
const CELL: (f64, f64) = (300.0, 246.0);

/// How the probability depends on the strongest features; nothing when there are none.
pub(super) fn dependence(evaluation: &Evaluation) -> Option<Plot> {
    let shown = &evaluation.dependence;
    let first = shown.first()?;
    let title = "How the probability depends on the strongest features";
    let change = |dependence: &Dependence| {
        let means = || dependence.points.iter().map(|point| point.mean);
        (
            means().fold(f64::INFINITY, f64::min),
            means().fold(f64::NEG_INFINITY, f64::max),
        )
    };
    let (low, high) = change(first);
    let description = format!(
        "Mean probability of leaving when one feature has the same value for every customer and the others are as they are. Over the values of {} it lies \
         between {} and {}.",
        naming::plain(&first.feature).to_lowercase(),
        percent(low),
        percent(high)
    );
    let rows = shown.len().div_ceil(PER_ROW);
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let height = 46.0 + CELL.1 * rows as f64 + 30.0;
    let mut svg = Svg::new("partial_dependence", title, &description, (940.0, height));
    let highest = shown
        .iter()
        .flat_map(|dependence| dependence.points.iter().map(|point| point.upper))
        .fold(0.05, f64::max);
    // Up to the next tenth.
    let highest = (highest * 10.0).ceil() / 10.0;
    for (place, dependence) in shown.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let (column, row) = ((place % PER_ROW) as f64, (place / PER_ROW) as f64);
        let left = 20.0 + (CELL.0 + 8.0) * column;
        let top = 58.0 + CELL.1 * row;
        svg.text(left, top, Type::plain(13.0).bold(), naming::plain(&dependence.feature));
        if naming::is_number(&dependence.feature) {
            numbers(&mut svg, left, top, dependence, highest);
        } else {
            categories(&mut svg, left, top, dependence, highest);
        }
    }
    let print = "Band and whiskers hold the middle 80 % of the customers. It is what the model answers, not what would happen if a \
                 customer were changed.";
    small_print(&mut svg, height, &[print]);
    Some(Plot::new("partial_dependence", title, description, svg.finish()))
}

fn numbers(svg: &mut Svg, left: f64, top: f64, dependence: &Dependence, highest: f64) {
    let points = &dependence.points;
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return;
    };
    let panel = Panel {
        area: Rect {
            left: left + 46.0,
            top: top + 14.0,
            width: CELL.0 - 66.0,
            height: CELL.1 - 66.0,
        },
        x: Scale::Linear(first.value, last.value.max(first.value + 1e-9)),
        y: Scale::Linear(0.0, highest),
    };
    let x_axis = Axis {
        label: "",
        ticks: number_ticks(points),
    };
    let y_axis = Axis {
        label: "",
        ticks: percent_ticks(0.0, highest, 4),
    };
    panel.frame(svg, &x_axis, &y_axis);
    let upper = points.iter().map(|point| panel.at(point.value, point.upper));
    let lower = points.iter().rev().map(|point| panel.at(point.value, point.lower));
    let band: Vec<(f64, f64)> = upper.chain(lower).collect();
    svg.clipped(panel.area, |svg| svg.polygon(&band, BLUE, 0.16));
    let means: Vec<[f64; 2]> = points.iter().map(|point| [point.value, point.mean]).collect();
    panel.curve(svg, &means, CANDIDATE);
    let bottom = panel.area.top + panel.area.height;
    for point in points {
        // Where the customers are.
        let x = panel.px(point.value);
        svg.line((x, bottom), (x, bottom - 5.0), Stroke::solid(BLUE, 1.0));
    }
}

/// The smallest, the largest, and values between that stand far enough from each other.
fn number_ticks(points: &[DependencePoint]) -> Vec<Tick> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let room = (last.value - first.value) * 0.24;
    let tick = |point: &DependencePoint| Tick {
        at: point.value,
        text: point.label.clone(),
    };
    let mut found = vec![tick(first)];
    for point in points {
        let from = found.last().map_or(first.value, |tick| tick.at);
        if point.value - from >= room && last.value - point.value >= room {
            found.push(tick(point));
        }
    }
    if last.value > first.value {
        found.push(tick(last));
    }
    found
}

fn categories(svg: &mut Svg, left: f64, top: f64, dependence: &Dependence, highest: f64) {
    let panel = Panel {
        area: Rect {
            left: left + 108.0,
            top: top + 14.0,
            width: CELL.0 - 128.0,
            height: CELL.1 - 66.0,
        },
        x: Scale::Linear(0.0, highest),
        y: Scale::Linear(0.0, 1.0),
    };
    let x_axis = Axis {
        label: "",
        ticks: percent_ticks(0.0, highest, 3),
    };
    let y_axis = Axis {
        label: "",
        ticks: Vec::new(),
    };
    panel.frame(svg, &x_axis, &y_axis);
    #[expect(clippy::cast_precision_loss, reason = "a handful of categories")]
    let step = panel.area.height / dependence.points.len().max(1) as f64;
    for (place, point) in (0_u16..).zip(&dependence.points) {
        let y = panel.area.top + step * (f64::from(place) + 0.5);
        let name = Type::plain(11.5).muted().at(Anchor::End);
        svg.text(panel.area.left - 7.0, y + 4.0, name, &point.label);
        panel.level_whisker(svg, y, (point.lower, point.upper), Stroke::solid(BLUE, 1.3));
        svg.dot((panel.px(point.mean), y), 4.0, BLUE, None);
    }
}
