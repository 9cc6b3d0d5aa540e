//! Elements of HTML and SVG. Text and attributes are escaped when they are written and elements close themselves, so that no data of a
//! table can become markup and no page can be unbalanced.

use std::fmt::{Display, Write as _};

/// An element with its attributes and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Element(Element),
    Text(String),
}

/// An empty element.
pub(crate) fn element(name: &'static str) -> Element {
    Element {
        name,
        attributes: Vec::new(),
        children: Vec::new(),
    }
}

/// An element with text in it.
pub(crate) fn text_in(name: &'static str, text: impl Display) -> Element {
    element(name).text(text)
}

impl Element {
    /// With an attribute.
    #[must_use]
    pub(crate) fn with(mut self, attribute: &'static str, value: impl Display) -> Self {
        self.attributes.push((attribute, value.to_string()));
        self
    }

    /// With a class.
    #[must_use]
    pub(crate) fn class(self, name: &str) -> Self {
        self.with("class", name)
    }

    /// With text after what is in it already.
    #[must_use]
    pub(crate) fn text(mut self, text: impl Display) -> Self {
        self.children.push(Node::Text(text.to_string()));
        self
    }

    /// With an element after what is in it already.
    #[must_use]
    pub(crate) fn child(mut self, child: Element) -> Self {
        self.children.push(Node::Element(child));
        self
    }

    /// With elements after what is in it already.
    #[must_use]
    pub(crate) fn children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children.into_iter().map(Node::Element));
        self
    }

    /// Writes the element: well-formed as XML and as HTML.
    pub(crate) fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(self.name);
        for (name, value) in &self.attributes {
            // Writing to a string does not fail.
            let _ = write!(out, " {name}=\"");
            escape(value, out);
            out.push('"');
        }
        if self.children.is_empty() && closes_itself(self.name) {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            match child {
                Node::Element(element) => element.write(out),
                Node::Text(text) => escape(text, out),
            }
        }
        let _ = write!(out, "</{}>", self.name);
    }
}

/// Elements that HTML lets close themselves: void ones, and the shapes of SVG.
fn closes_itself(name: &str) -> bool {
    matches!(
        name,
        "meta" | "br" | "hr" | "col" | "line" | "rect" | "circle" | "path" | "polyline" | "use"
    )
}

/// Text that can stand in an element and in a quoted attribute. Characters that XML does not have become the replacement character.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(character),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other if other.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(element: &Element) -> String {
        let mut out = String::new();
        element.write(&mut out);
        out
    }

    #[test]
    fn what_comes_from_data_cannot_become_markup() {
        let cell = element("td").with("title", "\"><script>").text("<b>&'\u{0}");
        assert_eq!(
            written(&cell),
            "<td title=\"&quot;&gt;&lt;script&gt;\">&lt;b&gt;&amp;&#39;\u{fffd}</td>"
        );
    }

    #[test]
    fn elements_close_and_only_void_ones_close_themselves() {
        let page = element("p").child(element("br")).text("a").child(element("span"));
        assert_eq!(written(&page), "<p><br/>a<span></span></p>");
    }
}
