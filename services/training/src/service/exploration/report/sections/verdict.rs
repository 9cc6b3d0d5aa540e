//! What we would do.

use super::super::Section;
use super::super::markup::{element, text_in};
use super::super::tables::paragraph;
use crate::service::exploration::Exploration;

pub(super) fn section(found: &Exploration) -> Section {
    let items = found.advice.iter().map(|advice| {
        let item = element("li")
            .child(text_in("strong", &advice.action))
            .child(text_in("p", &advice.reason));
        if advice.urgent { item.class("urgent") } else { item }
    });
    Section {
        anchor: "verdict",
        title: "What we would do",
        body: vec![
            paragraph(
                "Each of these follows from the numbers below by a fixed rule; nothing here is an opinion about banks.",
            ),
            element("ol").class("advice").children(items),
        ],
    }
}
