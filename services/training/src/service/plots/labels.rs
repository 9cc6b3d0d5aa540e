//! What the threshold does: the confusion matrix and how scores are spread around it.

use holdfast_records::evaluation::{Evaluation, Measured};

use super::panel::{Axis, Panel, Scale, Tick, percent_ticks, small_print};
use super::svg::{Anchor, GRID, Rect, Stroke, Svg, Type};
use super::{BLUE, Plot, THRESHOLD, VERMILION};
use crate::service::figures::{count, percent, three};

/// The four counts at the threshold, on full rows and on required features only.
pub(super) fn confusion(evaluation: &Evaluation) -> Plot {
    let title = "Labels at the threshold";
    let full = &evaluation.full;
    let counts = &full.confusion;
    let description = format!(
        "At the threshold {} this version finds {} of {} leaving customers and calls {} staying customers in error, on {} test rows.",
        three(full.threshold),
        counts.true_positives,
        full.positives,
        counts.false_positives,
        full.rows
    );
    let mut svg = Svg::new("confusion", title, &description, (760.0, 316.0));
    matrix(&mut svg, 130.0, "all features", full);
    matrix(&mut svg, 500.0, "required features only", &evaluation.required_only);
    small_print(
        &mut svg,
        316.0,
        &["Shares are of the customers in the row: of those who left, of those who stayed."],
    );
    Plot::new("confusion", title, description, svg.finish())
}

fn matrix(svg: &mut Svg, left: f64, heading: &str, measured: &Measured) {
    const CELL: (f64, f64) = (112.0, 84.0);
    let counts = &measured.confusion;
    svg.text(left, 62.0, Type::plain(13.0).bold(), heading);
    let label = Type::plain(12.0).muted();
    for (column, name) in [(0.0, "labelled leaving"), (1.0, "labelled staying")] {
        svg.text(left + CELL.0 * (column + 0.5), 86.0, label.at(Anchor::Middle), name);
    }
    let rows = [
        ("left", counts.true_positives, counts.false_negatives),
        ("stayed", counts.false_positives, counts.true_negatives),
    ];
    for (row, (name, called, not_called)) in (0_u8..).zip(rows) {
        let top = 96.0 + CELL.1 * f64::from(row);
        svg.text(left - 10.0, top + CELL.1 / 2.0 + 4.0, label.at(Anchor::End), name);
        let all = called + not_called;
        for (column, value) in (0_u8..).zip([called, not_called]) {
            let is_right = row == column;
            let area = Rect {
                left: left + CELL.0 * f64::from(column),
                top,
                width: CELL.0,
                height: CELL.1,
            };
            #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
            let share = if all == 0 { 0.0 } else { value as f64 / all as f64 };
            let (fill, outline) = if is_right {
                ("#d6e8f4", BLUE)
            } else {
                ("#fbe3d3", VERMILION)
            };
            svg.rect(area, fill, Some(Stroke::solid(outline, 1.0)));
            let middle = area.left + CELL.0 / 2.0;
            let number = Type::plain(21.0).bold().at(Anchor::Middle);
            svg.text(middle, top + 38.0, number, &count(value));
            svg.text(
                middle,
                top + 58.0,
                Type::plain(12.0).at(Anchor::Middle),
                &percent(share),
            );
            let word = if is_right { "right" } else { "wrong" };
            svg.text(middle, top + 74.0, Type::plain(10.5).muted().at(Anchor::Middle), word);
        }
    }
}

/// How many customers have which score, by what they did.
pub(super) fn score_distribution(evaluation: &Evaluation) -> Plot {
    let title = "Scores of customers who left and who stayed";
    let full = &evaluation.full;
    let description = format!(
        "How the scores of {} customers who left and {} who stayed are spread, on a logarithmic scale, with the threshold at {}.",
        count(full.positives),
        count(full.rows - full.positives),
        three(full.threshold)
    );
    let mut svg = Svg::new("score_distribution", title, &description, (760.0, 470.0));
    let bins = &full.score_histogram;
    let most = bins.iter().map(|bin| bin.left.max(bin.stayed)).max().unwrap_or(1);
    let halves = [
        (
            "stayed",
            BLUE,
            48.0,
            bins.iter().map(|bin| bin.stayed).collect::<Vec<_>>(),
        ),
        ("left", VERMILION, 240.0, bins.iter().map(|bin| bin.left).collect()),
    ];
    for (name, color, top, counts) in halves {
        let panel = histogram_panel(top, most);
        let x_ticks = if name == "left" {
            percent_ticks(0.0, 1.0, 10)
        } else {
            Vec::new()
        };
        let label = if name == "left" {
            "score (calibrated probability of leaving)"
        } else {
            ""
        };
        let x_axis = Axis { label, ticks: x_ticks };
        let y_axis = Axis {
            label: "customers",
            ticks: powers_of_ten(most),
        };
        panel.frame(&mut svg, &x_axis, &y_axis);
        bars(&mut svg, &panel, &counts, color);
        let total: u64 = counts.iter().sum();
        let heading = format!("{name}: {} customers", count(total));
        // Where there are few bars, and clear of the threshold's line.
        let threshold = panel.px(full.threshold);
        let (x, anchor) = match name {
            "left" if full.threshold < 0.3 => (threshold + 10.0, Anchor::Start),
            "left" => (panel.area.left + 10.0, Anchor::Start),
            _ if full.threshold > 0.7 => (threshold - 10.0, Anchor::End),
            _ => (panel.area.left + panel.area.width - 10.0, Anchor::End),
        };
        svg.text(x, top + 16.0, Type::plain(12.5).bold().at(anchor), &heading);
        svg.line(panel.at(full.threshold, 0.7), (threshold, top), THRESHOLD);
    }
    let panel = histogram_panel(48.0, most);
    let beside = if full.threshold > 0.5 {
        (-6.0, Anchor::End)
    } else {
        (6.0, Anchor::Start)
    };
    svg.text(
        panel.px(full.threshold) + beside.0,
        76.0,
        Type::plain(11.5).at(beside.1),
        &format!("threshold {}", three(full.threshold)),
    );
    Plot::new("score_distribution", title, description, svg.finish())
}

fn histogram_panel(top: f64, most: u64) -> Panel {
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    let highest = (most as f64 * 1.6).max(10.0);
    Panel {
        area: Rect {
            left: 78.0,
            top,
            width: 650.0,
            height: 172.0,
        },
        x: Scale::Linear(0.0, 1.0),
        // One customer is a low bar, none is no bar.
        y: Scale::Log(0.7, highest),
    }
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn powers_of_ten(most: u64) -> Vec<Tick> {
    let powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
    powers
        .take_while(|power| *power <= most.max(10))
        .map(|power| Tick {
            at: power as f64,
            text: count(power),
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn bars(svg: &mut Svg, panel: &Panel, counts: &[u64], color: &str) {
    let width = panel.area.width / counts.len().max(1) as f64;
    for (bin, counted) in counts.iter().enumerate().filter(|(_, counted)| **counted > 0) {
        let top = panel.py(*counted as f64);
        let area = Rect {
            left: panel.area.left + width * bin as f64 + 0.75,
            top,
            width: width - 1.5,
            height: panel.area.top + panel.area.height - top,
        };
        svg.rect(area, color, None);
    }
    let edge = panel.area.top + panel.area.height;
    svg.line(
        (panel.area.left, edge),
        (panel.area.left + panel.area.width, edge),
        Stroke::solid(GRID, 1.0),
    );
}
