//! Groups of customers beside each other, with intervals: a gap can be told from noise.

use holdfast_records::evaluation::{Evaluation, Interval, MeasuredSlice, Slice};

use super::panel::{Axis, Panel, Scale, small_print, ticks};
use super::svg::{Anchor, Rect, Stroke, Svg, Type};
use super::{BLUE, Plot, REFERENCE};
use crate::service::figures::{count, percent};
use crate::service::naming;

const ROW: f64 = 20.0;
const TOP: f64 = 74.0;
/// Left edge and width of each of the four columns of figures.
const COLUMNS: [(f64, f64); 4] = [(262.0, 136.0), (442.0, 136.0), (622.0, 136.0), (802.0, 136.0)];

/// A figure of the groups, and where it is for all rows.
struct Figure {
    heading: &'static str,
    of: fn(&MeasuredSlice) -> Interval,
    overall: f64,
    range: (f64, f64),
}

/// ROC-AUC, recall, false positive rate and calibration gap by group; nothing without groups.
pub(super) fn slices(evaluation: &Evaluation) -> Option<Plot> {
    if evaluation.slices.is_empty() {
        return None;
    }
    let title = "Groups of customers";
    let small = evaluation
        .slices
        .iter()
        .filter(|slice| slice.measured.is_none())
        .count();
    let description = format!(
        "ROC-AUC, share of leaving customers found, share of staying customers called in error, and mean score less share who left, in {} groups of \
         customers with 95 % intervals; {small} of them are too small to judge.",
        evaluation.slices.len()
    );
    let lines = lines(&evaluation.slices);
    #[expect(clippy::cast_precision_loss, reason = "a few dozen lines")]
    let height = ROW * lines.len() as f64;
    let mut svg = Svg::new("slices", title, &description, (970.0, TOP + height + 64.0));
    let figures = figures(evaluation);
    for (figure, (left, width)) in figures.iter().zip(COLUMNS) {
        column(
            &mut svg,
            figure,
            &lines,
            Rect {
                left,
                top: TOP,
                width,
                height,
            },
        );
    }
    for (at, line) in (0_u16..).zip(&lines) {
        let y = TOP + ROW * (f64::from(at) + 0.5) + 4.0;
        match line {
            Line::Heading(name) => svg.text(20.0, y, Type::plain(12.5).bold(), name),
            Line::Group(slice) => {
                svg.text(32.0, y, Type::plain(12.0), &slice.group);
                let rows = format!("{} of {}", count(slice.positives), count(slice.rows));
                svg.text(244.0, y, Type::plain(11.0).muted().at(Anchor::End), &rows);
                if slice.measured.is_none() {
                    svg.text(COLUMNS[0].0 + 6.0, y, Type::plain(11.0).muted(), "too small to judge");
                }
            }
        }
    }
    svg.text(
        244.0,
        TOP - 12.0,
        Type::plain(11.0).muted().at(Anchor::End),
        "left of all",
    );
    let print = "Bars: 95 % intervals (DeLong for the area, Wilson for shares). Dashed: all customers; where a bar crosses it, the \
                 difference may be chance.";
    small_print(&mut svg, TOP + height + 64.0, &[print]);
    Some(Plot::new("slices", title, description, svg.finish()))
}

enum Line<'a> {
    Heading(&'a str),
    Group(&'a Slice),
}

fn lines(slices: &[Slice]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut column = "";
    for slice in slices {
        if slice.column != column {
            column = &slice.column;
            lines.push(Line::Heading(naming::plain(column)));
        }
        lines.push(Line::Group(slice));
    }
    lines
}

fn figures(evaluation: &Evaluation) -> [Figure; 4] {
    let full = &evaluation.full;
    let measured = || evaluation.slices.iter().filter_map(|slice| slice.measured.as_ref());
    let lowest =
        |of: fn(&MeasuredSlice) -> Interval, cap: f64| measured().map(|slice| of(slice).lower).fold(cap, f64::min);
    let highest =
        |of: fn(&MeasuredSlice) -> Interval, cap: f64| measured().map(|slice| of(slice).upper).fold(cap, f64::max);
    let auc_from = (lowest(|slice| slice.roc_auc, 0.95) * 20.0).floor() / 20.0;
    let recall_from = (lowest(|slice| slice.recall, 0.8) * 10.0).floor() / 10.0;
    let fpr_to = (highest(|slice| slice.false_positive_rate, 0.04) * 50.0).ceil() / 50.0;
    let gap = lowest(|slice| slice.calibration_gap, -0.02)
        .abs()
        .max(highest(|slice| slice.calibration_gap, 0.02));
    let gap = (gap * 50.0).ceil() / 50.0;
    let counts = &full.confusion;
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    let false_positive_rate =
        counts.false_positives as f64 / (counts.false_positives + counts.true_negatives).max(1) as f64;
    [
        Figure {
            heading: "ROC-AUC",
            of: |slice| slice.roc_auc,
            overall: full.roc_auc.value,
            range: (auc_from, 1.0),
        },
        Figure {
            heading: "leavers found",
            of: |slice| slice.recall,
            overall: full.recall.value,
            range: (recall_from, 1.0),
        },
        Figure {
            heading: "stayers called",
            of: |slice| slice.false_positive_rate,
            overall: false_positive_rate,
            range: (0.0, fpr_to),
        },
        Figure {
            heading: "score − share left",
            of: |slice| slice.calibration_gap,
            overall: 0.0,
            range: (-gap, gap),
        },
    ]
}

fn column(svg: &mut Svg, figure: &Figure, lines: &[Line<'_>], area: Rect) {
    let (from, to) = figure.range;
    let panel = Panel {
        area,
        x: Scale::Linear(from, to),
        y: Scale::Linear(0.0, 1.0),
    };
    let text = |at: f64| {
        if figure.heading == "ROC-AUC" {
            format!("{at:.2}")
        } else {
            percent(at).replace(".0 %", " %")
        }
    };
    let x_axis = Axis {
        label: "",
        ticks: ticks(from, to, 3, text),
    };
    let y_axis = Axis {
        label: "",
        ticks: Vec::new(),
    };
    panel.frame(svg, &x_axis, &y_axis);
    svg.text(area.left, TOP - 12.0, Type::plain(12.5).bold(), figure.heading);
    let overall = panel.px(figure.overall);
    svg.line(
        (overall, area.top),
        (overall, area.top + area.height),
        Stroke {
            width: 1.4,
            ..REFERENCE
        },
    );
    for (at, line) in (0_u16..).zip(lines) {
        let Line::Group(slice) = line else { continue };
        let Some(measured) = &slice.measured else { continue };
        let interval = (figure.of)(measured);
        let y = TOP + ROW * (f64::from(at) + 0.5);
        panel.level_whisker(svg, y, (interval.lower, interval.upper), Stroke::solid(BLUE, 1.4));
        svg.dot((panel.px(interval.value), y), 3.6, BLUE, None);
    }
}
