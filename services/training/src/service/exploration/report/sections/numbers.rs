//! Numbers by class.

use super::super::Section;
use super::super::charts;
use super::super::markup::{Element, element, text_in};
use super::super::numerals::{fixed, measured, p_value, signed};
use super::super::tables::{Kind, cell, folded, paragraph, table};
use crate::service::exploration::{Exploration, NumericFeature};

pub(super) fn section(found: &Exploration) -> Section {
    let cards = found
        .numeric
        .iter()
        .enumerate()
        .map(|(place, feature)| card(place, feature));
    Section {
        anchor: "numbers",
        title: "Numbers by class",
        body: vec![
            paragraph(
                "The strongest difference first. Each class’s own shares, so that the smaller class is as tall as the larger one. Underneath, for each class: \
                 nine of ten values as a thin line, the middle half as a thick one, the median as a dot. The broken line is where the classes are furthest apart.",
            ),
            element("div").class("grid").children(cards),
            folded("The numbers", numbers(&found.numeric)),
        ],
    }
}

fn card(place: usize, feature: &NumericFeature) -> Element {
    let unit = feature.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
    let lean = match feature.effect {
        "negligible" => "neither class tends to larger values".to_owned(),
        effect if feature.cliffs_delta > 0.0 => format!("those who left tend to larger values, effect {effect}"),
        effect => format!("those who left tend to smaller values, effect {effect}"),
    };
    let caption = format!(
        "Median {} against {}{unit}. Distance {} (p {}); Cliff’s delta {}: {lean}.",
        measured(feature.left.median),
        measured(feature.stayed.median),
        fixed(feature.ks_distance, 3),
        p_value(feature.p_adjusted),
        signed(feature.cliffs_delta, 2),
    );
    element("figure")
        .child(text_in("h3", &feature.name))
        .child(text_in("p", &feature.description).class("about"))
        .child(charts::histogram(&format!("number-{place}"), feature))
        .child(text_in("figcaption", caption))
}

fn numbers(features: &[NumericFeature]) -> Element {
    let rows = features.iter().map(|feature| {
        let (left, stayed) = (&feature.left, &feature.stayed);
        vec![
            cell(&feature.name),
            cell(fixed(feature.ks_distance, 3)),
            cell(p_value(feature.p_adjusted)),
            cell(signed(feature.cliffs_delta, 3)),
            cell(measured(stayed.q1)),
            cell(measured(stayed.median)),
            cell(measured(stayed.q3)),
            cell(measured(stayed.mean)),
            cell(measured(left.q1)),
            cell(measured(left.median)),
            cell(measured(left.q3)),
            cell(measured(left.mean)),
        ]
    });
    let columns = [
        ("feature", Kind::Words),
        ("KS distance", Kind::Number),
        ("adjusted p", Kind::Number),
        ("Cliff’s delta", Kind::Number),
        ("stayed: q1", Kind::Number),
        ("median", Kind::Number),
        ("q3", Kind::Number),
        ("mean", Kind::Number),
        ("left: q1", Kind::Number),
        ("median", Kind::Number),
        ("q3", Kind::Number),
        ("mean", Kind::Number),
    ];
    table("Numeric features by class", &columns, rows)
}
