//! Pictures of an evaluation: pure functions of the stored record, so that a plot can be drawn again at any time and is the same.
//!
//! Written as SVG by hand: the crates that draw put points on whole pixels and leave out `<title>` and `<desc>`. Colours are those
//! of Okabe and Ito, which people with any kind of colour vision can tell apart, and no line is told from another by its colour
//! alone.

mod calibration;
mod curves;
mod explanation;
mod groups;
mod labels;
mod panel;
mod svg;

use holdfast_records::evaluation::{Evaluation, Measured};

use svg::Stroke;
pub(crate) use svg::escaped;

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// Its file: `roc.svg`.
    pub file: String,
    /// Its heading.
    pub title: &'static str,
    /// What it shows, in one or two sentences.
    pub description: String,
    /// The picture.
    pub svg: String,
}

impl Plot {
    fn new(name: &str, title: &'static str, description: String, svg: String) -> Self {
        Self {
            file: format!("{name}.svg"),
            title,
            description,
            svg,
        }
    }
}

/// Every picture of an evaluation, in the order in which they are best looked at.
pub fn draw(evaluation: &Evaluation) -> Vec<Plot> {
    let plots = [
        Some(curves::roc(evaluation)),
        Some(curves::precision_recall(evaluation)),
        Some(curves::gain(evaluation)),
        Some(curves::lift(evaluation)),
        curves::profit(evaluation),
        Some(labels::confusion(evaluation)),
        Some(labels::score_distribution(evaluation)),
        Some(calibration::reliability(evaluation)),
        groups::slices(evaluation),
        explanation::importance(evaluation),
        explanation::dependence(evaluation),
    ];
    plots.into_iter().flatten().collect()
}

const BLUE: &str = "#0072B2";
const VERMILION: &str = "#D55E00";
const GREEN: &str = "#009E73";
const GREY: &str = "#7A7F87";

const CANDIDATE: Stroke = Stroke::solid(BLUE, 2.4);
const CHAMPION: Stroke = Stroke::dashed(VERMILION, 2.0, "8 4");
const REQUIRED_ONLY: Stroke = Stroke::dashed(GREEN, 2.0, "2 3");
const BASELINE: Stroke = Stroke::dashed(GREY, 1.8, "10 3 2 3");
const REFERENCE: Stroke = Stroke::dashed("#9aa1ab", 1.0, "4 4");
/// Where the threshold is.
const THRESHOLD: Stroke = Stroke::dashed(svg::INK, 1.2, "5 3");

/// A model of the evaluation with its name and its line.
struct Compared<'a> {
    name: String,
    stroke: Stroke,
    measured: &'a Measured,
}

/// What is compared in most pictures, the least important first, so that the candidate is drawn above all others.
fn compared(evaluation: &Evaluation) -> Vec<Compared<'_>> {
    let of = |name: &str, stroke, measured| Compared {
        name: name.to_owned(),
        stroke,
        measured,
    };
    let mut all = vec![of("logistic baseline", BASELINE, &evaluation.baseline)];
    if let Some(champion) = &evaluation.champion {
        let name = format!("champion, version {}", champion.version);
        all.push(of(&name, CHAMPION, &champion.measured));
    }
    all.push(of(
        "this version, required only",
        REQUIRED_ONLY,
        &evaluation.required_only,
    ));
    all.push(of("this version", CANDIDATE, &evaluation.full));
    all
}
