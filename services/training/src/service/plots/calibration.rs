//! Whether a probability can be taken at its word.

use holdfast_records::evaluation::{Evaluation, Point, ReliabilityBin};

use super::panel::{Axis, Key, Panel, Scale, legend, percent_ticks, small_print};
use super::svg::{Rect, Stroke, Svg, Type};
use super::{BLUE, CANDIDATE, Plot, REFERENCE, VERMILION};
use crate::service::figures::{count, four};

const BEFORE: Stroke = Stroke::dashed(VERMILION, 1.8, "6 4");

/// Reliability before and after calibration, on the test rows and on rows held out of the fits.
pub(super) fn reliability(evaluation: &Evaluation) -> Plot {
    let title = "Reliability of the probabilities";
    let (full, check) = (&evaluation.full, &evaluation.calibration);
    let description = format!(
        "Share of customers who left against the probability they were given, in ten bins, on {} test rows. Expected calibration error {} after calibration \
         ({}), {} before; chance alone gives perfectly calibrated probabilities {} on average and {} in one of twenty tests.",
        count(full.rows),
        four(full.calibration_error),
        check.method,
        four(check.error_before),
        four(check.error_by_chance),
        four(check.error_by_chance_upper)
    );
    let size = (if check.held_out.is_some() { 800.0 } else { 440.0 }, 526.0);
    let mut svg = Svg::new("reliability", title, &description, size);
    let chance = format!(
        "calibration error {}; by chance {}, at most {}",
        four(full.calibration_error),
        four(check.error_by_chance),
        four(check.error_by_chance_upper)
    );
    let test = Side {
        heading: "test rows",
        before: &check.reliability_before,
        error_before: check.error_before,
        after: &full.reliability,
        figures: chance,
    };
    test.draw(&mut svg, 78.0, &check.method);
    if let Some(held_out) = &check.held_out {
        let training = Side {
            heading: "training rows, held out of the fits",
            before: &held_out.reliability_before,
            error_before: held_out.error_before,
            after: &held_out.reliability_after,
            figures: format!("calibration error {}", four(held_out.error_after)),
        };
        training.draw(&mut svg, 478.0, &check.method);
    }
    let print = [
        "Bars: 95 % intervals (Wilson). Bins without customers are left out.",
        "On the diagonal a probability means what it says.",
    ];
    small_print(&mut svg, size.1, &print);
    Plot::new("reliability", title, description, svg.finish())
}

/// One half of the picture.
struct Side<'a> {
    heading: &'a str,
    before: &'a [ReliabilityBin],
    error_before: f64,
    after: &'a [ReliabilityBin],
    /// Under the legend's first entry.
    figures: String,
}

impl Side<'_> {
    fn draw(&self, svg: &mut Svg, left: f64, method: &str) {
        let area = Rect {
            left,
            top: 72.0,
            width: 290.0,
            height: 280.0,
        };
        svg.text(left, 60.0, Type::plain(13.0).bold(), self.heading);
        let is_calibrated = method != "none";
        draw(svg, area, if is_calibrated { self.before } else { &[] }, self.after);
        let mut keys = vec![Key {
            stroke: CANDIDATE,
            name: "as answered",
            figures: self.figures.clone(),
        }];
        if is_calibrated {
            keys.push(Key {
                stroke: BEFORE,
                name: "before calibration",
                figures: format!("calibration error {}", four(self.error_before)),
            });
        }
        legend(svg, left, 412.0, &keys);
    }
}

fn draw(svg: &mut Svg, area: Rect, before: &[ReliabilityBin], after: &[ReliabilityBin]) {
    let panel = Panel {
        area,
        x: Scale::Linear(0.0, 1.0),
        y: Scale::Linear(0.0, 1.0),
    };
    let axis = |label| Axis {
        label,
        ticks: percent_ticks(0.0, 1.0, 5),
    };
    panel.frame(svg, &axis("probability given"), &axis("share who left"));
    panel.curve(svg, &[[0.0, 0.0], [1.0, 1.0]], REFERENCE);
    let points = |bins: &[ReliabilityBin]| -> Vec<Point> {
        bins.iter().map(|bin| [bin.mean_score, bin.share_left.value]).collect()
    };
    panel.curve(svg, &points(before), BEFORE);
    for bin in before {
        let at = panel.at(bin.mean_score, bin.share_left.value);
        svg.dot(at, 3.2, "#ffffff", Some(Stroke::solid(VERMILION, 1.6)));
    }
    for bin in after {
        let ends = (bin.share_left.lower, bin.share_left.upper);
        panel.whisker(svg, bin.mean_score, ends, Stroke::solid(BLUE, 1.3));
    }
    panel.curve(svg, &points(after), CANDIDATE);
    for bin in after {
        svg.dot(panel.at(bin.mean_score, bin.share_left.value), 3.8, BLUE, None);
    }
}
