//! An [`Exploration`] as one HTML file that needs nothing else: no script, no font, no picture and no network.
//!
//! [`markup`] writes elements, [`svg`] has what drawings are made of, [`charts`] are the drawings, `sections` the chapters, `style.css` the
//! looks: light, dark, narrow and on paper.

mod charts;
mod markup;
pub(super) mod numerals;
mod sections;
mod svg;
mod tables;

use super::Exploration;
use super::families::mean;
use super::leakage::Severity;
use markup::{Element, element, text_in};
use numerals::{counted, fixed, percent, thousands};

/// The style sheet. It must not have characters that HTML or XML would take for markup; a test says so.
const STYLE: &str = include_str!("style.css");

/// A chapter: its anchor, its title and what is in it.
struct Section {
    anchor: &'static str,
    title: &'static str,
    body: Vec<Element>,
}

/// The page, as UTF-8 text.
pub fn page(found: &Exploration) -> String {
    let sections = sections::all(found);
    let title = format!("Exploration of {}", file_name(&found.source));
    let links = sections
        .iter()
        .map(|section| element("li").child(text_in("a", section.title).with("href", format!("#{}", section.anchor))));
    let navigation = element("nav")
        .with("aria-label", "Chapters")
        .child(element("ol").children(links));
    let chapters = sections.into_iter().map(|section| {
        element("section")
            .with("id", section.anchor)
            .with("aria-labelledby", format!("{}-title", section.anchor))
            .child(text_in("h2", section.title).with("id", format!("{}-title", section.anchor)))
            .children(section.body)
    });
    let main = element("main")
        .child(header(found, &title))
        .children(chapters)
        .child(footer(found));
    let html = element("html")
        .with("lang", "en")
        .child(head(&title))
        .child(element("body").child(element("div").class("page").child(navigation).child(main)));
    let mut page = String::from("<!DOCTYPE html>\n");
    html.write(&mut page);
    page.push('\n');
    page
}

fn head(title: &str) -> Element {
    let meta = |name: &str, content: &str| element("meta").with("name", name).with("content", content);
    element("head")
        .child(element("meta").with("charset", "utf-8"))
        .child(meta("viewport", "width=device-width, initial-scale=1"))
        .child(meta("color-scheme", "light dark"))
        .child(meta("robots", "noindex"))
        .child(text_in("title", title))
        .child(text_in("style", STYLE))
}

fn header(found: &Exploration, title: &str) -> Element {
    let overview = &found.overview;
    let mut tiles = vec![
        tile(
            "customers",
            &thousands(overview.rows),
            &counted(overview.columns.len() + 1, "column", "columns"),
        ),
        tile(
            "left",
            &percent(overview.churn.value),
            &format!("{} customers", thousands(overview.left)),
        ),
    ];
    let leaks: Vec<&str> = found
        .screens
        .iter()
        .filter(|screen| screen.warnings.iter().any(|warning| warning.severity == Severity::Leak))
        .map(|screen| screen.name.as_str())
        .collect();
    tiles.push(match leaks.len() {
        0 => tile("columns that leak", "none", "each was tried on its own"),
        count => tile("columns that leak", &count.to_string(), "must not be used").with("data-tone", "bad"),
    });
    let problems: u64 = overview.problems.iter().map(|problem| problem.count).sum();
    tiles.push(match problems {
        0 => tile("schema violations", "none", "an import takes the table"),
        count => tile(
            "schema violations",
            &thousands(count as usize),
            "an import refuses the table",
        )
        .with("data-tone", "bad"),
    });
    if let Some(best) = found.families.as_ref().and_then(|families| families.families.first()) {
        tiles.push(tile(
            "best mean ROC-AUC",
            &fixed(mean(&best.full.roc_auc), 4),
            &format!("{}, cross-validated", best.name),
        ));
    }
    element("header")
        .child(text_in("p", "Holdfast · exploration").class("over"))
        .child(text_in("h1", title))
        .child(element("div").class("tiles").children(tiles))
        .child(legend())
}

fn tile(name: &str, value: &str, note: &str) -> Element {
    element("div")
        .class("tile")
        .child(text_in("span", name).class("name"))
        .child(text_in("strong", value))
        .child(text_in("span", note).class("note"))
}

/// The two colours of the whole page, told once.
fn legend() -> Element {
    let entry = |class: &str, text: &str| {
        element("span")
            .child(element("i").class(&format!("swatch {class}")))
            .text(text)
    };
    element("p")
        .class("legend")
        .child(entry(svg::colour::STAYED, "customers who stayed"))
        .child(entry(svg::colour::LEFT, "customers who left"))
}

fn footer(found: &Exploration) -> Element {
    let text = format!(
        "holdfast {} · seed {} · everything on this page was computed from {}",
        env!("CARGO_PKG_VERSION"),
        found.seed,
        file_name(&found.source)
    );
    element("footer").child(text_in("p", text))
}

/// The source without the machine's folders.
fn file_name(source: &str) -> &str {
    source
        .rsplit(['/', '\\'])
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_has_no_character_that_could_end_it() {
        assert!(!STYLE.contains(['<', '>', '&', '"', '\'']));
        assert!(!STYLE.contains("url("), "everything is in the page");
    }

    #[test]
    fn a_source_is_named_without_folders() {
        assert_eq!(file_name("/data/bank/customers.csv"), "customers.csv");
        assert_eq!(file_name("sqlite:///bank.db?table=t"), "bank.db?table=t");
        assert_eq!(file_name("a.csv"), "a.csv");
    }
}
