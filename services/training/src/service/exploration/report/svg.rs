//! What all drawings are made of: scales, ticks, axes, shapes. Colours are names of the page's style sheet, which knows light, dark and
//! paper; escaping and balance are [`Element`]'s.

use std::fmt::Display;

use super::markup::{Element, element, text_in};
use super::numerals::measured;

/// Colours by what they mean; the style sheet has a pair of each for light and dark. Blue and orange are told apart by everybody.
pub(crate) mod colour {
    /// Customers who stayed.
    pub(crate) const STAYED: &str = "stayed";
    /// Customers who left.
    pub(crate) const LEFT: &str = "left";
    /// The one series of a drawing that has one.
    pub(crate) const MARK: &str = "mark";
    /// What is there for orientation only.
    pub(crate) const FAINT: &str = "faint";
}

/// A drawing with a name and a description for those who do not see it. `id` must be the page's only one.
pub(crate) fn drawing(id: &str, size: (f64, f64), title: &str, description: &str) -> Element {
    let (width, height) = size;
    element("svg")
        .with("xmlns", "http://www.w3.org/2000/svg")
        .with("viewBox", format!("0 0 {} {}", place(width), place(height)))
        .with("role", "img")
        .with("aria-labelledby", format!("{id}-t {id}-d"))
        .child(text_in("title", title).with("id", format!("{id}-t")))
        .child(text_in("desc", description).with("id", format!("{id}-d")))
}

/// From values to places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// From values `low..high` to places `start..end`. A span of nothing is widened, so that everything has a place.
    pub(crate) fn new((low, high): (f64, f64), (start, end): (f64, f64)) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, start, end }
    }

    /// The place of a value.
    pub(crate) fn at(&self, value: f64) -> f64 {
        self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)
    }

    /// The place of a value, at the end of the scale where it lies beyond.
    pub(crate) fn within(&self, value: f64) -> f64 {
        self.at(value.clamp(self.low, self.high))
    }

    /// Round values within the scale, about `wanted` of them: steps of 1, 2 or 5 times a power of ten.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<f64> {
        let rough = (self.high - self.low) / wanted.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(10.0 * power);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|count| count as f64 * step).collect()
    }
}

/// A number of a drawing: a tenth of a unit is finer than anybody sees.
pub(crate) fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    (if text == "-0" { "0" } else { text }).to_owned()
}

/// A straight line.
pub(crate) fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Element {
    element("line")
        .with("x1", place(from.0))
        .with("y1", place(from.1))
        .with("x2", place(to.0))
        .with("y2", place(to.1))
        .class(class)
}

/// A rectangle.
pub(crate) fn rectangle(corner: (f64, f64), size: (f64, f64), class: &str) -> Element {
    element("rect")
        .with("x", place(corner.0))
        .with("y", place(corner.1))
        .with("width", place(size.0.max(0.0)))
        .with("height", place(size.1.max(0.0)))
        .class(class)
}

/// A disc.
pub(crate) fn dot(centre: (f64, f64), radius: f64, class: &str) -> Element {
    element("circle")
        .with("cx", place(centre.0))
        .with("cy", place(centre.1))
        .with("r", place(radius))
        .class(class)
}

/// Where a text's place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// At its start.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

/// A text with its baseline at a place.
pub(crate) fn label(at: (f64, f64), anchor: Anchor, class: &str, text: impl Display) -> Element {
    let element = text_in("text", text).with("x", place(at.0)).with("y", place(at.1));
    let element = match anchor {
        Anchor::Start => element,
        Anchor::Middle => element.with("text-anchor", "middle"),
        Anchor::End => element.with("text-anchor", "end"),
    };
    if class.is_empty() {
        element
    } else {
        element.class(class)
    }
}

/// What appears when a shape is pointed at; for those who do not point, the same is said elsewhere.
pub(crate) fn hint(shape: Element, text: impl Display) -> Element {
    shape.child(text_in("title", text))
}

/// An axis along the bottom: ticks with their values, thin lines up to `top`.
pub(crate) fn bottom_axis(scale: &Scale, ticks: &[f64], (top, bottom): (f64, f64)) -> Vec<Element> {
    let mut parts = Vec::new();
    let step = match ticks {
        [first, second, ..] => second - first,
        _ => 1.0,
    };
    for tick in ticks {
        let x = scale.at(*tick);
        parts.push(line((x, top), (x, bottom), "grid"));
        parts.push(label(
            (x, bottom + 14.0),
            Anchor::Middle,
            "tick",
            tick_text(*tick, step),
        ));
    }
    parts.push(line((scale.start, bottom), (scale.end, bottom), "axis"));
    parts
}

/// A tick's value with as many digits as its step has; thousands as k, millions as M.
pub(crate) fn tick_text(value: f64, step: f64) -> String {
    let in_units = |unit: f64, sign: &str| {
        let digits = if (step / unit).fract().abs() < 1e-9 { 0 } else { 1 };
        let text = format!("{:.digits$}{sign}", value / unit);
        text.replace('-', "−")
    };
    if value.abs() < 1e-12 * step.abs().max(1e-300) || value == 0.0 {
        "0".to_owned()
    } else if value.abs() >= 1e6 {
        in_units(1e6, "M")
    } else if value.abs() >= 1e4 || (value.abs() >= 1e3 && step >= 500.0) {
        in_units(1e3, "k")
    } else if step >= 1.0 {
        measured(value)
    } else {
        let digits = (-step.log10().floor()).clamp(1.0, 6.0) as usize;
        format!("{value:.digits$}").replace('-', "−")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_maps_its_ends_and_widens_nothing() {
        let scale = Scale::new((0.0, 10.0), (100.0, 0.0));
        assert_eq!([scale.at(0.0), scale.at(10.0), scale.within(99.0)], [100.0, 0.0, 0.0]);
        assert!(Scale::new((3.0, 3.0), (0.0, 1.0)).at(3.0).is_finite());
    }

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(
            Scale::new((0.0, 1.0), (0.0, 1.0)).ticks(5),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(
            Scale::new((480.0, 18_500.0), (0.0, 1.0)).ticks(4),
            [5_000.0, 10_000.0, 15_000.0]
        );
        assert_eq!(
            Scale::new((-0.5, 6.5), (0.0, 1.0)).ticks(7),
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        );
    }

    #[test]
    fn ticks_read_short() {
        let texts = [
            tick_text(0.0, 0.2),
            tick_text(0.4, 0.2),
            tick_text(15_000.0, 5_000.0),
            tick_text(1_500.0, 500.0),
            tick_text(40.0, 20.0),
            tick_text(-0.002, 0.002),
            tick_text(2.5e6, 5e5),
        ];
        assert_eq!(texts, ["0", "0.4", "15k", "1.5k", "40", "−0.002", "2.5M"]);
    }

    #[test]
    fn places_are_short() {
        assert_eq!([place(12.04), place(-0.01), place(3.26)], ["12", "0", "3.3"]);
    }
}
