//! Curves over thresholds: ROC, precision–recall, gain, lift, profit.

use holdfast_records::evaluation::{Evaluation, Interval, Measured, Point};

use super::panel::{Axis, Key, Panel, Scale, legend, percent_ticks, small_print, ticks};
use super::svg::{Rect, Stroke, Svg};
use super::{BASELINE, BLUE, CANDIDATE, CHAMPION, Compared, Plot, REFERENCE, compared};
use crate::service::figures::{dollars, four, percent, three};

const SIZE: (f64, f64) = (760.0, 492.0);

/// Where the curve is drawn, and where the legend begins.
const AREA: Rect = Rect {
    left: 78.0,
    top: 48.0,
    width: 430.0,
    height: 360.0,
};
const LEGEND: (f64, f64) = (530.0, 66.0);

/// From 0 to 1 on both axes.
fn unit_panel(area: Rect) -> Panel {
    Panel {
        area,
        x: Scale::Linear(0.0, 1.0),
        y: Scale::Linear(0.0, 1.0),
    }
}

fn percent_axis(label: &str) -> Axis<'_> {
    Axis {
        label,
        ticks: percent_ticks(0.0, 1.0, 5),
    }
}

/// The legend of compared models, the candidate first.
fn models_legend(svg: &mut Svg, models: &[Compared<'_>], figures: impl Fn(&Measured) -> String) {
    let keys: Vec<Key<'_>> = models
        .iter()
        .rev()
        .map(|model| Key {
            stroke: model.stroke,
            name: &model.name,
            figures: figures(model.measured),
        })
        .collect();
    legend(svg, LEGEND.0, LEGEND.1, &keys);
}

fn area_and_interval(interval: &Interval) -> String {
    format!(
        "{} ({} to {})",
        four(interval.value),
        three(interval.lower),
        three(interval.upper)
    )
}

/// A magnified corner inside of the panel.
fn magnified(
    svg: &mut Svg,
    (area, x, y): (Rect, Scale, Scale),
    (x_ticks, y_ticks): ((f64, f64), (f64, f64)),
    draw: impl FnOnce(&Panel, &mut Svg),
) {
    let margin = Rect {
        left: area.left - 44.0,
        top: area.top - 10.0,
        width: area.width + 56.0,
        height: area.height + 34.0,
    };
    svg.rect(margin, "#ffffff", None);
    let panel = Panel { area, x, y };
    let axis = |(from, to)| Axis {
        label: "",
        ticks: percent_ticks(from, to, 4),
    };
    panel.frame(svg, &axis(x_ticks), &axis(y_ticks));
    draw(&panel, svg);
}

/// Receiver operating characteristic.
pub(super) fn roc(evaluation: &Evaluation) -> Plot {
    let title = "ROC curve";
    let full = &evaluation.full;
    let description = format!(
        "Share of leaving customers found against share of staying customers called in error, over all thresholds, on {} test rows. Area of this \
         version {}, 95 % interval {} to {}; of the logistic baseline {}.",
        full.rows,
        four(full.roc_auc.value),
        four(full.roc_auc.lower),
        four(full.roc_auc.upper),
        four(evaluation.baseline.roc_auc.value)
    );
    let mut svg = Svg::new("roc", title, &description, SIZE);
    let panel = unit_panel(AREA);
    panel.frame(
        &mut svg,
        &percent_axis("staying customers called in error"),
        &percent_axis("leaving customers found"),
    );
    panel.curve(&mut svg, &[[0.0, 0.0], [1.0, 1.0]], REFERENCE);
    let models = compared(evaluation);
    let curves = |panel: &Panel, svg: &mut Svg| {
        for model in &models {
            panel.curve(svg, &model.measured.roc_curve, model.stroke);
        }
        threshold_dot(panel, svg, roc_at_threshold(full));
    };
    curves(&panel, &mut svg);
    let inset = Rect {
        left: AREA.left + 190.0,
        top: AREA.top + 128.0,
        width: 226.0,
        height: 190.0,
    };
    magnified(
        &mut svg,
        (inset, Scale::Linear(0.0, 0.2), Scale::Linear(0.8, 1.0)),
        ((0.0, 0.2), (0.8, 1.0)),
        curves,
    );
    models_legend(&mut svg, &models, |measured| area_and_interval(&measured.roc_auc));
    small_print(
        &mut svg,
        SIZE.1,
        &["Area with its 95 % interval (DeLong). The dot is the threshold. Inset: the corner that matters."],
    );
    Plot::new("roc", title, description, svg.finish())
}

fn roc_at_threshold(measured: &Measured) -> Point {
    let counts = &measured.confusion;
    let negatives = counts.false_positives + counts.true_negatives;
    let positives = counts.true_positives + counts.false_negatives;
    [
        share(counts.false_positives, negatives),
        share(counts.true_positives, positives),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn threshold_dot(panel: &Panel, svg: &mut Svg, at: Point) {
    let inside = panel.area;
    svg.clipped(
        Rect {
            left: inside.left - 6.0,
            top: inside.top - 6.0,
            width: inside.width + 12.0,
            height: inside.height + 12.0,
        },
        |svg| {
            svg.dot(panel.at(at[0], at[1]), 4.5, BLUE, Some(Stroke::solid("#ffffff", 1.5)));
        },
    );
}

/// Precision over recall.
pub(super) fn precision_recall(evaluation: &Evaluation) -> Plot {
    let title = "Precision and recall";
    let full = &evaluation.full;
    let description = format!(
        "Share of called customers who leave against share of leaving customers found, over all thresholds, on {} test rows of which {} left. Average \
         precision of this version {}, 95 % interval {} to {}; of the logistic baseline {}.",
        full.rows,
        full.positives,
        four(full.pr_auc.value),
        four(full.pr_auc.lower),
        four(full.pr_auc.upper),
        four(evaluation.baseline.pr_auc.value)
    );
    let mut svg = Svg::new("precision_recall", title, &description, SIZE);
    let panel = unit_panel(AREA);
    panel.frame(
        &mut svg,
        &percent_axis("leaving customers found (recall)"),
        &percent_axis("called customers who leave (precision)"),
    );
    let base = share(full.positives, full.rows);
    panel.curve(&mut svg, &[[0.0, base], [1.0, base]], REFERENCE);
    let models = compared(evaluation);
    for model in &models {
        panel.curve(&mut svg, &model.measured.precision_recall_curve, model.stroke);
    }
    threshold_dot(&panel, &mut svg, [full.recall.value, full.precision.value]);
    models_legend(&mut svg, &models, |measured| area_and_interval(&measured.pr_auc));
    let random = format!(
        "Thin dashes: calling at random, when {} of the called leave.",
        percent(base)
    );
    small_print(
        &mut svg,
        SIZE.1,
        &[
            "Average precision with its 95 % interval (bootstrap). The dot is the threshold.",
            &random,
        ],
    );
    Plot::new("precision_recall", title, description, svg.finish())
}

/// Leaving customers reached by calling so many.
pub(super) fn gain(evaluation: &Evaluation) -> Plot {
    let title = "Cumulative gain";
    let full = &evaluation.full;
    let tenth = at(&full.gain_curve, 0.1);
    let description = format!(
        "Share of leaving customers reached when the customers with the highest scores are called first. Calling a tenth reaches {} of them, a fifth {}.",
        percent(tenth),
        percent(at(&full.gain_curve, 0.2))
    );
    let mut svg = Svg::new("gain", title, &description, SIZE);
    let panel = unit_panel(AREA);
    panel.frame(
        &mut svg,
        &percent_axis("customers called, highest scores first"),
        &percent_axis("leaving customers reached"),
    );
    let base = share(full.positives, full.rows);
    panel.curve(&mut svg, &[[0.0, 0.0], [base, 1.0], [1.0, 1.0]], REFERENCE);
    panel.curve(&mut svg, &[[0.0, 0.0], [1.0, 1.0]], REFERENCE);
    let models = compared(evaluation);
    for model in &models {
        panel.curve(&mut svg, &model.measured.gain_curve, model.stroke);
    }
    threshold_dot(&panel, &mut svg, [called_share(full), full.recall.value]);
    models_legend(&mut svg, &models, |measured| {
        format!("{} by a tenth of the calls", percent(at(&measured.gain_curve, 0.1)))
    });
    small_print(
        &mut svg,
        SIZE.1,
        &["Thin dashes: the best that is possible, and calling at random. The dot is the threshold."],
    );
    Plot::new("gain", title, description, svg.finish())
}

fn called_share(measured: &Measured) -> f64 {
    let counts = &measured.confusion;
    share(counts.true_positives + counts.false_positives, measured.rows)
}

/// How much better than calling at random.
pub(super) fn lift(evaluation: &Evaluation) -> Plot {
    let title = "Cumulative lift";
    let full = &evaluation.full;
    let tenth = &full.top_decile_lift;
    let description = format!(
        "How many times more leaving customers are reached than by calling at random. Among the tenth with the highest scores {:.2} times as many, \
         95 % interval {:.2} to {:.2}.",
        tenth.value, tenth.lower, tenth.upper
    );
    let mut svg = Svg::new("lift", title, &description, SIZE);
    let best = 1.0 / share(full.positives, full.rows).max(1e-9);
    let top = (best * 1.06).max(1.5);
    let panel = Panel {
        area: AREA,
        x: Scale::Linear(0.0, 1.0),
        y: Scale::Linear(0.0, top),
    };
    let y_axis = Axis {
        label: "times as many leaving customers as at random",
        ticks: ticks(0.0, top, 6, |times| format!("{}×", short(times))),
    };
    panel.frame(
        &mut svg,
        &percent_axis("customers called, highest scores first"),
        &y_axis,
    );
    let reference: Vec<Point> = steps().map(|called| [called, (1.0 / called).min(best)]).collect();
    panel.curve(&mut svg, &reference, REFERENCE);
    panel.curve(&mut svg, &[[0.0, 1.0], [1.0, 1.0]], REFERENCE);
    let models = compared(evaluation);
    for model in &models {
        let gain = &model.measured.gain_curve;
        let curve: Vec<Point> = steps().map(|called| [called, at(gain, called) / called]).collect();
        panel.curve(&mut svg, &curve, model.stroke);
    }
    models_legend(&mut svg, &models, |measured| {
        let lift = &measured.top_decile_lift;
        format!("top tenth {:.2} ({:.2} to {:.2})", lift.value, lift.lower, lift.upper)
    });
    small_print(
        &mut svg,
        SIZE.1,
        &["95 % intervals by bootstrap. Thin dashes: the best that is possible, and calling at random."],
    );
    Plot::new("lift", title, description, svg.finish())
}

/// Shares from 1 % to 100 %.
fn steps() -> impl Iterator<Item = f64> {
    (2..=200).map(|step| f64::from(step) / 200.0)
}

/// A curve between its points; curves begin at 0 and end at 1.
fn at(curve: &[Point], x: f64) -> f64 {
    let after = curve.partition_point(|point| point[0] < x);
    match (
        after.checked_sub(1).and_then(|before| curve.get(before)),
        curve.get(after),
    ) {
        (Some(a), Some(b)) if b[0] > a[0] => a[1] + (b[1] - a[1]) * (x - a[0]) / (b[0] - a[0]),
        (_, Some(point)) | (Some(point), None) => point[1],
        (None, None) => 0.0,
    }
}

/// A number without the zeros at its end.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Expected profit, when the threshold rests on money.
pub(super) fn profit(evaluation: &Evaluation) -> Option<Plot> {
    let profit = evaluation.profit.as_ref()?;
    let title = "Expected profit of an offer";
    let [called, earned] = profit.at_threshold;
    let description = format!(
        "Expected profit per customer scored when those with the highest scores get an offer that costs {}, keeps {} of the leaving and saves {} each. At the \
         threshold {} of the customers get one, and the profit is {} per customer.",
        dollars(profit.offer_cost),
        percent(profit.success_rate),
        dollars(profit.lost_margin),
        percent(called),
        dollars(earned)
    );
    let mut svg = Svg::new("profit", title, &description, SIZE);
    let mut curves = vec![("logistic baseline".to_owned(), BASELINE, &profit.baseline_curve)];
    if let (Some(champion), false) = (&evaluation.champion, profit.champion_curve.is_empty()) {
        curves.push((
            format!("champion, version {}", champion.version),
            CHAMPION,
            &profit.champion_curve,
        ));
    }
    curves.push(("this version".to_owned(), CANDIDATE, &profit.curve));
    let values = || {
        curves
            .iter()
            .flat_map(|(_, _, curve)| curve.iter().map(|point| point[1]))
    };
    let (lowest, highest) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let room = ((highest - lowest) * 0.05).max(0.01);
    let (from, to) = (lowest - room, highest + room);
    let panel = Panel {
        area: AREA,
        x: Scale::Linear(0.0, 1.0),
        y: Scale::Linear(from, to),
    };
    let y_axis = Axis {
        label: "US dollars per customer scored",
        ticks: ticks(from, to, 6, dollars),
    };
    panel.frame(
        &mut svg,
        &percent_axis("customers who get an offer, highest scores first"),
        &y_axis,
    );
    panel.curve(&mut svg, &[[0.0, 0.0], [1.0, 0.0]], Stroke::solid("#9aa1ab", 1.0));
    for (_, stroke, curve) in &curves {
        panel.curve(&mut svg, curve, *stroke);
    }
    threshold_dot(&panel, &mut svg, profit.at_threshold);
    let keys: Vec<Key<'_>> = curves
        .iter()
        .rev()
        .map(|(name, stroke, curve)| {
            let best = curve.iter().map(|point| point[1]).fold(0.0, f64::max);
            Key {
                stroke: *stroke,
                name,
                figures: format!("at best {}", dollars(best)),
            }
        })
        .collect();
    legend(&mut svg, LEGEND.0, LEGEND.1, &keys);
    small_print(
        &mut svg,
        SIZE.1,
        &["The dot is the threshold, chosen on rows held out of training; the curves are on the test rows."],
    );
    Some(Plot::new("profit", title, description, svg.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_read_between_its_points() {
        let curve = [[0.0, 0.0], [0.2, 0.8], [1.0, 1.0]];
        for (x, expected) in [(0.0, 0.0), (0.1, 0.4), (0.2, 0.8), (0.6, 0.9), (1.0, 1.0)] {
            assert!((at(&curve, x) - expected).abs() < 1e-12, "at {x}");
        }
        assert_eq!(at(&[], 0.5), 0.0);
    }
}
