//! SVG as text: the few elements that plots are made of. Every text is escaped, every number is written the same way everywhere, and a
//! picture says in words what it shows.

use std::fmt::Write as _;

/// Text is the reader's own sans serif: no font is embedded or looked up.
const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/// Colour of text.
pub(super) const INK: &str = "#1f2937";
/// Colour of less important text and of axes.
pub(super) const MUTED: &str = "#5b6472";
/// Colour of grids.
pub(super) const GRID: &str = "#e3e7ec";

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    pub(super) color: &'static str,
    pub(super) width: f64,
    /// Lengths of dashes and gaps; empty for a solid line.
    pub(super) dash: &'static str,
}

impl Stroke {
    pub(super) const fn solid(color: &'static str, width: f64) -> Self {
        Self { color, width, dash: "" }
    }

    pub(super) const fn dashed(color: &'static str, width: f64, dash: &'static str) -> Self {
        Self { color, width, dash }
    }

    fn attributes(self) -> String {
        let mut text = format!("stroke=\"{}\" stroke-width=\"{}\"", self.color, number(self.width));
        if !self.dash.is_empty() {
            let _ = write!(text, " stroke-dasharray=\"{}\"", self.dash);
        }
        text
    }
}

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) color: &'static str,
    pub(super) bold: bool,
    pub(super) anchor: Anchor,
}

impl Type {
    /// Ordinary text from its point to the right.
    pub(super) const fn plain(size: f64) -> Self {
        Self {
            size,
            color: INK,
            bold: false,
            anchor: Anchor::Start,
        }
    }

    pub(super) const fn muted(self) -> Self {
        Self { color: MUTED, ..self }
    }

    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) const fn at(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

/// A box in the picture, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rect {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A picture being drawn.
#[derive(Debug)]
pub(super) struct Svg {
    out: String,
    name: &'static str,
    clips: u32,
}

impl Svg {
    /// A white picture with its heading. `name` is unique among the pictures of one page: ids begin with it.
    pub(super) fn new(name: &'static str, title: &str, description: &str, (width, height): (f64, f64)) -> Self {
        let (wide, high) = (number(width), number(height));
        let out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" viewBox=\"0 0 {wide} {high}\" \
             role=\"img\" aria-labelledby=\"{name}-title {name}-desc\" font-family=\"{FONT}\">\n\
             <title id=\"{name}-title\">{}</title>\n<desc id=\"{name}-desc\">{}</desc>\n\
             <rect width=\"{wide}\" height=\"{high}\" fill=\"#ffffff\"/>\n",
            escaped(title),
            escaped(description)
        );
        let mut svg = Self { out, name, clips: 0 };
        svg.text(20.0, 28.0, Type::plain(16.0).bold(), title);
        svg
    }

    /// The text of the picture.
    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }

    pub(super) fn text(&mut self, x: f64, y: f64, kind: Type, text: &str) {
        let attributes = attributes(kind);
        let (x, y) = (number(x), number(y));
        let _ = writeln!(
            self.out,
            "<text x=\"{x}\" y=\"{y}\" {attributes}>{}</text>",
            escaped(text)
        );
    }

    /// A text that reads upwards, for axes.
    pub(super) fn upright_text(&mut self, x: f64, y: f64, kind: Type, text: &str) {
        let attributes = attributes(kind);
        let (x, y) = (number(x), number(y));
        let _ = writeln!(
            self.out,
            "<text transform=\"translate({x} {y}) rotate(-90)\" {attributes}>{}</text>",
            escaped(text)
        );
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        let _ = writeln!(
            self.out,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" {}/>",
            number(from.0),
            number(from.1),
            number(to.0),
            number(to.1),
            stroke.attributes()
        );
    }

    pub(super) fn polyline(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        if points.len() > 1 {
            let _ = writeln!(
                self.out,
                "<polyline points=\"{}\" fill=\"none\" stroke-linejoin=\"round\" {}/>",
                joined(points),
                stroke.attributes()
            );
        }
    }

    /// A filled area without an outline.
    pub(super) fn polygon(&mut self, points: &[(f64, f64)], fill: &str, opacity: f64) {
        let _ = writeln!(
            self.out,
            "<polygon points=\"{}\" fill=\"{fill}\" fill-opacity=\"{}\"/>",
            joined(points),
            number(opacity)
        );
    }

    pub(super) fn rect(&mut self, area: Rect, fill: &str, outline: Option<Stroke>) {
        let outline = outline.map_or_else(String::new, |stroke| format!(" {}", stroke.attributes()));
        let _ = writeln!(
            self.out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\"{outline}/>",
            number(area.left),
            number(area.top),
            number(area.width),
            number(area.height)
        );
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), radius: f64, fill: &str, outline: Option<Stroke>) {
        let outline = outline.map_or_else(String::new, |stroke| format!(" {}", stroke.attributes()));
        let _ = writeln!(
            self.out,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{fill}\"{outline}/>",
            number(x),
            number(y),
            number(radius)
        );
    }

    /// What `draw` draws is cut off at the box.
    pub(super) fn clipped(&mut self, area: Rect, draw: impl FnOnce(&mut Self)) {
        self.clips += 1;
        let id = format!("{}-clip-{}", self.name, self.clips);
        let _ = writeln!(
            self.out,
            "<clipPath id=\"{id}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n<g clip-path=\"url(#{id})\">",
            number(area.left),
            number(area.top),
            number(area.width),
            number(area.height)
        );
        draw(self);
        self.out.push_str("</g>\n");
    }
}

fn attributes(kind: Type) -> String {
    let anchor = match kind.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let weight = if kind.bold { " font-weight=\"600\"" } else { "" };
    format!(
        "font-size=\"{}\" fill=\"{}\"{anchor}{weight}",
        number(kind.size),
        kind.color
    )
}

fn joined(points: &[(f64, f64)]) -> String {
    let mut text = String::with_capacity(points.len() * 14);
    for (x, y) in points {
        if !text.is_empty() {
            text.push(' ');
        }
        let _ = write!(text, "{},{}", number(*x), number(*y));
    }
    text
}

/// Two digits after the point, fewer where they are zeros.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text as it may stand in an element or an attribute. Characters that XML does not know become spaces.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escaped("<script>\"a\" & 'b'\u{0}</script>"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39; &lt;/script&gt;"
        );
    }

    #[test]
    fn numbers_are_short_and_never_minus_zero() {
        assert_eq!([1.0, 0.256, -0.001, 12.5].map(number), ["1", "0.26", "0", "12.5"]);
    }

    #[test]
    fn a_picture_says_in_words_what_it_shows() {
        let svg = Svg::new("roc", "A & B", "Two <lines>", (10.0, 20.0)).finish();
        assert!(svg.contains("<title id=\"roc-title\">A &amp; B</title>"), "{svg}");
        assert!(svg.contains("aria-labelledby=\"roc-title roc-desc\""), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }
}
