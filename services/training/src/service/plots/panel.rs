//! A panel: a box with two axes that data are drawn in.

use super::svg::{Anchor, GRID, INK, MUTED, Rect, Stroke, Svg, Type};

/// About how wide a character of a mark is.
const CHARACTER: f64 = 6.4;

/// From data to pixels along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// From the first value to the second.
    Linear(f64, f64),
    /// The same by powers of ten; both above 0.
    Log(f64, f64),
}

impl Scale {
    /// Where a value lies, 0 at the beginning and 1 at the end.
    fn place(self, value: f64) -> f64 {
        match self {
            Scale::Linear(from, to) => (value - from) / (to - from),
            Scale::Log(from, to) => (value.max(from).ln() - from.ln()) / (to.ln() - from.ln()),
        }
    }
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) text: String,
}

/// An axis: what it shows, and its marks.
#[derive(Clone, Debug)]
pub(super) struct Axis<'a> {
    pub(super) label: &'a str,
    pub(super) ticks: Vec<Tick>,
}

/// A box with its axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub(super) area: Rect,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Panel {
    pub(super) fn px(&self, x: f64) -> f64 {
        self.area.left + self.area.width * self.x.place(x)
    }

    pub(super) fn py(&self, y: f64) -> f64 {
        self.area.top + self.area.height * (1.0 - self.y.place(y))
    }

    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.px(x), self.py(y))
    }

    fn bottom(&self) -> f64 {
        self.area.top + self.area.height
    }

    fn right(&self) -> f64 {
        self.area.left + self.area.width
    }

    /// Grid, marks, labels and frame.
    pub(super) fn frame(&self, svg: &mut Svg, x: &Axis<'_>, y: &Axis<'_>) {
        let (grid, axis) = (Stroke::solid(GRID, 1.0), Stroke::solid(MUTED, 1.0));
        let text = Type::plain(11.5).muted();
        for tick in &x.ticks {
            let at = self.px(tick.at);
            svg.line((at, self.area.top), (at, self.bottom()), grid);
            svg.text(at, self.bottom() + 16.0, text.at(Anchor::Middle), &tick.text);
        }
        for tick in &y.ticks {
            let at = self.py(tick.at);
            svg.line((self.area.left, at), (self.right(), at), grid);
            svg.text(self.area.left - 7.0, at + 4.0, text.at(Anchor::End), &tick.text);
        }
        svg.line((self.area.left, self.bottom()), (self.right(), self.bottom()), axis);
        svg.line((self.area.left, self.area.top), (self.area.left, self.bottom()), axis);
        let label = Type::plain(12.5).at(Anchor::Middle);
        let middle = self.area.left + self.area.width / 2.0;
        if !x.label.is_empty() {
            svg.text(middle, self.bottom() + 36.0, label, x.label);
        }
        if !y.label.is_empty() {
            let middle = self.area.top + self.area.height / 2.0;
            let longest = y.ticks.iter().map(|tick| tick.text.chars().count()).max().unwrap_or(0);
            #[expect(clippy::cast_precision_loss, reason = "a few characters")]
            let away = (longest as f64 * CHARACTER + 16.0).max(48.0);
            svg.upright_text(self.area.left - away, middle, label, y.label);
        }
    }

    /// A curve through points of data, cut off at the box.
    pub(super) fn curve(&self, svg: &mut Svg, points: &[[f64; 2]], stroke: Stroke) {
        let points: Vec<(f64, f64)> = points.iter().map(|[x, y]| self.at(*x, *y)).collect();
        svg.clipped(self.area, |svg| svg.polyline(&points, stroke));
    }

    /// A vertical bar from `lower` to `upper` at `x`, with feet.
    pub(super) fn whisker(&self, svg: &mut Svg, x: f64, (lower, upper): (f64, f64), stroke: Stroke) {
        let (low, high) = (self.at(x, lower), self.at(x, upper));
        svg.line(low, high, stroke);
        for (x, y) in [low, high] {
            svg.line((x - 3.0, y), (x + 3.0, y), stroke);
        }
    }

    /// A horizontal bar from `lower` to `upper` at `y`, with feet; ends beyond the box are cut off there, without a foot.
    pub(super) fn level_whisker(&self, svg: &mut Svg, y: f64, (lower, upper): (f64, f64), stroke: Stroke) {
        let (low, high) = (self.px(lower), self.px(upper));
        let (left, right) = (low.max(self.area.left), high.min(self.right()));
        svg.line((left, y), (right, y), stroke);
        for (end, cut) in [(low, left), (high, right)] {
            if (end - cut).abs() < 0.01 {
                svg.line((cut, y - 3.0), (cut, y + 3.0), stroke);
            }
        }
    }
}

/// One line of a legend.
pub(super) struct Key<'a> {
    pub(super) stroke: Stroke,
    pub(super) name: &'a str,
    /// A second line with figures; may be empty.
    pub(super) figures: String,
}

/// A legend from a point downwards.
pub(super) fn legend(svg: &mut Svg, left: f64, top: f64, keys: &[Key<'_>]) {
    let mut y = top;
    for key in keys {
        svg.line((left, y - 4.0), (left + 26.0, y - 4.0), key.stroke);
        svg.text(
            left + 34.0,
            y,
            Type {
                color: INK,
                ..Type::plain(12.5)
            },
            key.name,
        );
        y += 16.0;
        if !key.figures.is_empty() {
            svg.text(left + 34.0, y, Type::plain(11.5).muted(), &key.figures);
            y += 16.0;
        }
        y += 7.0;
    }
}

/// Small print at the bottom of a picture of this height, one line each.
pub(super) fn small_print(svg: &mut Svg, height: f64, lines: &[&str]) {
    for (from_the_end, line) in (0_u8..).zip(lines.iter().rev()) {
        let y = height - 14.0 - 15.0 * f64::from(from_the_end);
        svg.text(20.0, y, Type::plain(11.0).muted(), line);
    }
}

/// Marks at round values, about `count` of them, within two values.
pub(super) fn ticks(from: f64, to: f64, count: u32, text: impl Fn(f64) -> String) -> Vec<Tick> {
    let step = round_step((to - from) / f64::from(count.max(1)));
    let mut found = Vec::new();
    let mut index = (from / step - 1e-9).ceil();
    while index * step <= to + step * 1e-9 && found.len() < 50 {
        // Adding zero makes the two zeros one.
        let at = index * step + 0.0;
        found.push(Tick { at, text: text(at) });
        index += 1.0;
    }
    found
}

/// The next larger of 1, 2, 2.5, 5 times a power of ten.
pub(super) fn round_step(least: f64) -> f64 {
    if !(least > 0.0 && least.is_finite()) {
        return 1.0;
    }
    let power = 10.0_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .find(|factor| factor * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// Marks at every `step` of a hundredth from 0 to 1, as whole percent.
pub(super) fn percent_ticks(from: f64, to: f64, count: u32) -> Vec<Tick> {
    ticks(from, to, count, |share| format!("{:.0} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_within() {
        let texts = |from, to| -> Vec<String> {
            ticks(from, to, 5, |at| format!("{at}"))
                .into_iter()
                .map(|tick| tick.text)
                .collect()
        };
        assert_eq!(texts(0.0, 1.0), ["0", "0.2", "0.4", "0.6000000000000001", "0.8", "1"]);
        assert_eq!(texts(-3.0, 42.0), ["0", "10", "20", "30", "40"]);
        assert_eq!(percent_ticks(0.0, 0.2, 2)[0].text, "0 %");
        assert_eq!((round_step(0.13), round_step(2.6), round_step(0.0)), (0.2, 5.0, 1.0));
    }

    #[test]
    fn an_empty_range_has_few_marks() {
        assert!(ticks(1.0, 1.0, 5, |at| at.to_string()).len() <= 1);
    }

    #[test]
    fn scales_map_their_ends_to_the_box() {
        let panel = Panel {
            area: Rect {
                left: 10.0,
                top: 20.0,
                width: 100.0,
                height: 50.0,
            },
            x: Scale::Linear(0.0, 2.0),
            y: Scale::Log(1.0, 100.0),
        };
        assert_eq!(panel.at(0.0, 1.0), (10.0, 70.0));
        assert_eq!(panel.at(2.0, 100.0), (110.0, 20.0));
        assert!((panel.py(10.0) - 45.0).abs() < 1e-9);
        // Below the scale: at its edge.
        assert_eq!(panel.py(0.0), 70.0);
    }
}
