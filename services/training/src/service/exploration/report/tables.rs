//! Tables.

use std::fmt::Display;

use super::markup::{Element, element, text_in};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Words, set from the left.
    Words,
    /// Numbers, set from the right.
    Number,
}

/// A table with its caption; the first column names its row.
pub(super) fn table(caption: &str, columns: &[(&str, Kind)], rows: impl IntoIterator<Item = Vec<Element>>) -> Element {
    let class = |element: Element, kind: Kind| match kind {
        Kind::Words => element,
        Kind::Number => element.class("number"),
    };
    let heads = columns
        .iter()
        .map(|(name, kind)| class(text_in("th", name).with("scope", "col"), *kind));
    let rows = rows.into_iter().map(|cells| {
        let cells = cells
            .into_iter()
            .zip(columns)
            .enumerate()
            .map(|(place, (content, (_, kind)))| {
                let cell = if place == 0 {
                    element("th").with("scope", "row")
                } else {
                    element("td")
                };
                class(cell, *kind).child(content)
            });
        element("tr").children(cells)
    });
    let table = element("table")
        .child(text_in("caption", caption))
        .child(element("thead").child(element("tr").children(heads)))
        .child(element("tbody").children(rows));
    element("div")
        .class("scroll")
        .with("tabindex", "0")
        .with("role", "region")
        .with("aria-label", caption)
        .child(table)
}

/// A cell's text.
pub(super) fn cell(text: impl Display) -> Element {
    text_in("span", text)
}

/// A share as a bar with its text beside it.
pub(super) fn bar(share: f64, text: impl Display) -> Element {
    let width = format!("width:{:.1}%", share.clamp(0.0, 1.0) * 100.0);
    element("span")
        .class("bar")
        .child(element("i").with("style", width))
        .child(text_in("span", text))
}

/// What only some readers want to see.
pub(super) fn folded(summary: &str, content: Element) -> Element {
    element("details").child(text_in("summary", summary)).child(content)
}

/// A paragraph.
pub(super) fn paragraph(text: impl Display) -> Element {
    text_in("p", text)
}

/// A drawing with its caption, the title of the card above it.
pub(super) fn figure(title: Option<&str>, drawing: Element, caption: impl Display) -> Element {
    let figure = element("figure");
    let figure = match title {
        Some(title) => figure.child(text_in("h3", title)),
        None => figure,
    };
    figure
        .child(element("div").class("drawing").child(drawing))
        .child(text_in("figcaption", caption))
}
