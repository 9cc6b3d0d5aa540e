//! Churn by category.

use super::super::Section;
use super::super::charts;
use super::super::markup::{Element, element, text_in};
use super::super::numerals::{fixed, p_value, percent, thousands};
use super::super::tables::{Kind, cell, folded, paragraph, table};
use crate::service::exploration::{CategoricalFeature, Exploration};

pub(super) fn section(found: &Exploration) -> Section {
    let cards = found.categorical.iter().enumerate().map(|(place, feature)| {
        let caption = format!(
            "Cramér’s V {}; chi-squared {} on {} degrees of freedom, adjusted p {}.{}",
            fixed(feature.cramers_v, 3),
            fixed(feature.chi_squared, 1),
            feature.degrees_of_freedom,
            p_value(feature.p_adjusted),
            if feature.few_expected {
                " Some categories are so small that the p-value is not to be trusted."
            } else {
                ""
            }
        );
        element("figure")
            .child(text_in("h3", &feature.name))
            .child(text_in("p", &feature.description).class("about"))
            .child(charts::shares(
                &format!("category-{place}"),
                feature,
                found.overview.churn,
            ))
            .child(text_in("figcaption", caption))
    });
    Section {
        anchor: "categories",
        title: "Churn by category",
        body: vec![
            paragraph(
                "Share of customers who left, with its 95 % interval (Wilson). The broken line is the rate of all customers.",
            ),
            element("div").class("grid wide").children(cards),
            folded("The numbers", numbers(&found.categorical)),
        ],
    }
}

fn numbers(features: &[CategoricalFeature]) -> Element {
    let rows = features.iter().flat_map(|feature| {
        feature.groups.iter().map(|group| {
            vec![
                cell(&feature.name),
                cell(&group.name),
                cell(thousands(group.rows)),
                cell(thousands(group.left)),
                cell(percent(group.churn.value)),
                cell(format!(
                    "{} to {}",
                    percent(group.churn.lower),
                    percent(group.churn.upper)
                )),
            ]
        })
    });
    let columns = [
        ("column", Kind::Words),
        ("category", Kind::Words),
        ("customers", Kind::Number),
        ("left", Kind::Number),
        ("churn rate", Kind::Number),
        ("95 % interval", Kind::Number),
    ];
    table("Churn by category", &columns, rows)
}
