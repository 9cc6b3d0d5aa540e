//! What is searched: the parameters of a recipe's estimator, each with a range.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Reals are tried with so many significant digits: what is tried can be read, typed and repeated.
const DIGITS: usize = 4;

/// How a range is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Equal steps are equal differences.
    Linear,
    /// Equal steps are equal ratios.
    Log,
}

/// What a parameter may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Range {
    /// A real number.
    Real {
        /// The least.
        from: f64,
        /// The largest.
        to: f64,
        /// How the range is walked.
        scale: Scale,
    },
    /// A whole number.
    Integer {
        /// The least.
        from: i64,
        /// The largest.
        to: i64,
        /// How the range is walked.
        scale: Scale,
    },
    /// One of some.
    Choice {
        /// Which; two or more.
        of: Vec<Json>,
    },
}

/// A parameter that is searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in the recipe.
    pub name: String,
    /// What it may be.
    pub range: Range,
}

/// A value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A real number.
    Real(f64),
    /// A whole number.
    Integer(i64),
    /// The place among the choices.
    Choice(usize),
}

/// A value for each parameter, in the space's order.
pub type Point = Vec<Value>;

/// The parameters that are searched, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    parameters: Vec<Parameter>,
    /// The parameter that a trial passes through, by its place.
    passed: Option<usize>,
}

impl Space {
    /// A space of these parameters.
    ///
    /// # Errors
    /// A sentence for each range that is none, each beginning with the parameter's name.
    pub fn new(ranges: BTreeMap<String, Range>) -> Result<Self, Vec<String>> {
        let wrong: Vec<String> = ranges
            .iter()
            .filter_map(|(name, range)| Some(format!("{name} {}", range.problem()?)))
            .collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let parameters = ranges.into_iter().map(|(name, range)| Parameter { name, range });
        Ok(Self {
            parameters: parameters.collect(),
            passed: None,
        })
    }

    /// The same space, but that a trial passes through the whole numbers of the parameter `name` on its way and takes the best: no place is chosen
    /// for it. Without such a parameter the space stays as it is.
    pub fn passing(mut self, name: &str) -> Self {
        let is_named =
            |parameter: &Parameter| parameter.name == name && matches!(parameter.range, Range::Integer { .. });
        self.passed = self.parameters.iter().position(is_named);
        self
    }

    /// The parameter that a trial passes through, by its place, and its range.
    pub fn passed(&self) -> Option<(usize, i64, i64)> {
        let place = self.passed?;
        match self.parameters.get(place)?.range {
            Range::Integer { from, to, .. } => Some((place, from, to)),
            _ => None,
        }
    }

    /// The point with the last value of the parameter that a trial passes through: how a point is told from others.
    pub fn unpassed(&self, point: &[Value]) -> Point {
        let mut point = point.to_vec();
        if let Some((place, _, to)) = self.passed() {
            point[place] = Value::Integer(to);
        }
        point
    }

    /// The parameters, in order of their names.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The point at these places, one a parameter, each 0 to 1 within its range.
    pub fn at(&self, places: &[f64]) -> Point {
        let pairs = self.parameters.iter().zip(places);
        let point: Point = pairs.map(|(parameter, place)| parameter.range.at(*place)).collect();
        self.unpassed(&point)
    }

    /// The places of a point, each 0 to 1. A value outside its range is taken as the nearest inside.
    pub fn places(&self, point: &[Value]) -> Vec<f64> {
        let pairs = self.parameters.iter().zip(point);
        pairs.map(|(parameter, value)| parameter.range.place(*value)).collect()
    }

    /// How many coordinates [`Space::coordinates`] has.
    pub fn dimensions(&self) -> usize {
        let searched = self
            .parameters
            .iter()
            .enumerate()
            .filter(|(place, _)| Some(*place) != self.passed);
        searched.map(|(_, parameter)| parameter.range.width()).sum()
    }

    /// A point as a distance sees it: numbers by their place, a choice as a corner of a simplex whose sides have length 1.
    pub fn coordinates(&self, point: &[Value]) -> Vec<f64> {
        let mut all = Vec::with_capacity(self.dimensions());
        for (place, (parameter, value)) in self.parameters.iter().zip(point).enumerate() {
            if Some(place) == self.passed {
                continue;
            }
            match (&parameter.range, value) {
                (Range::Choice { of }, Value::Choice(chosen)) => {
                    let side = std::f64::consts::FRAC_1_SQRT_2;
                    all.extend((0..of.len()).map(|place| if place == *chosen { side } else { 0.0 }));
                }
                (range, value) => all.push(range.place(*value)),
            }
        }
        all
    }

    /// The values of a point by name, as a recipe has them.
    pub fn named(&self, point: &[Value]) -> BTreeMap<String, Json> {
        let pairs = self.parameters.iter().zip(point);
        pairs
            .map(|(parameter, value)| (parameter.name.clone(), parameter.range.json(*value)))
            .collect()
    }

    /// The point with these values, as far as they are named here and inside their range; `None` for a parameter that is neither. A number outside
    /// its range is kept: the parameters of a set are tried as they are.
    pub fn point_of(&self, named: &serde_json::Map<String, Json>) -> Vec<Option<Value>> {
        let found = self.parameters.iter().map(|parameter| {
            let json = named.get(&parameter.name)?;
            match &parameter.range {
                Range::Real { .. } => json.as_f64().map(Value::Real),
                Range::Integer { .. } => json.as_i64().map(Value::Integer),
                Range::Choice { of } => of.iter().position(|choice| choice == json).map(Value::Choice),
            }
        });
        found.collect()
    }

    /// The names that are not among `known`.
    pub fn unknown<'a>(&'a self, known: &BTreeSet<&str>) -> Vec<&'a str> {
        let names = self.parameters.iter().map(|parameter| parameter.name.as_str());
        names.filter(|name| !known.contains(name)).collect()
    }
}

/// A value as people read it.
pub fn text_of(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Range {
    fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Real { from, to, .. } if !(from.is_finite() && to.is_finite() && from < to) => {
                Some("must go from a number to a larger one")
            }
            Self::Real { from, scale, .. } if *scale == Scale::Log && *from <= 0.0 => {
                Some("must begin above 0 on a log scale")
            }
            Self::Integer { from, to, .. } if from >= to => Some("must go from a whole number to a larger one"),
            Self::Integer { from, to, .. } if *from < -LARGEST_INTEGER || *to > LARGEST_INTEGER => {
                Some("must lie within -1,000,000,000 to 1,000,000,000")
            }
            Self::Integer { from, scale, .. } if *scale == Scale::Log && *from < 1 => {
                Some("must begin at 1 or above on a log scale")
            }
            Self::Choice { of } if of.len() < 2 => Some("must have two choices or more"),
            Self::Choice { of } if (1..of.len()).any(|place| of[..place].contains(&of[place])) => {
                Some("must have choices that differ")
            }
            _ => None,
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Choice { of } => of.len(),
            _ => 1,
        }
    }

    /// The ends on the scale that is walked. A whole number has half a step on each side, so that the ends are as likely as the others.
    #[expect(clippy::cast_precision_loss, reason = "whole numbers are within a billion")]
    fn ends(&self) -> (f64, f64, Scale) {
        let (from, to, scale) = match self {
            Self::Real { from, to, scale } => (*from, *to, *scale),
            Self::Integer { from, to, scale } => (*from as f64 - 0.5, *to as f64 + 0.5, *scale),
            Self::Choice { of } => (0.0, of.len() as f64, Scale::Linear),
        };
        match scale {
            Scale::Linear => (from, to, scale),
            Scale::Log => (libm::log(from), libm::log(to), scale),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "cut to a range that is inside these types first"
    )]
    fn at(&self, place: f64) -> Value {
        let (from, to, scale) = self.ends();
        let walked = from + place.clamp(0.0, 1.0) * (to - from);
        let number = match scale {
            Scale::Linear => walked,
            Scale::Log => libm::exp(walked),
        };
        match self {
            Self::Real { from, to, .. } => Value::Real(rounded(number).clamp(*from, *to)),
            Self::Integer { from, to, .. } => Value::Integer((number.round() as i64).clamp(*from, *to)),
            Self::Choice { of } => Value::Choice((number as usize).min(of.len() - 1)),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "whole numbers are within a billion")]
    fn place(&self, value: Value) -> f64 {
        let (from, to, scale) = self.ends();
        let number = match value {
            Value::Real(real) => real,
            Value::Integer(integer) => integer as f64,
            Value::Choice(place) => place as f64 + 0.5,
        };
        let walked = match scale {
            Scale::Linear => number,
            // 0 lies below every range of this kind.
            Scale::Log => libm::log(number.max(f64::MIN_POSITIVE)),
        };
        ((walked - from) / (to - from)).clamp(0.0, 1.0)
    }

    fn json(&self, value: Value) -> Json {
        match (self, value) {
            (_, Value::Real(real)) => Json::from(real),
            (_, Value::Integer(integer)) => Json::from(integer),
            (Self::Choice { of }, Value::Choice(place)) => of.get(place).cloned().unwrap_or_default(),
            (_, Value::Choice(_)) => Json::Null,
        }
    }
}

const LARGEST_INTEGER: i64 = 1_000_000_000;

fn rounded(number: f64) -> f64 {
    // Through text: the nearest double to a short decimal, which prints as that decimal.
    format!("{number:.*e}", DIGITS - 1).parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::fixtures::fixture;
    use super::*;

    #[test]
    fn the_ends_of_a_range_are_its_first_and_last_values() {
        let space = fixture().space();
        let count = space.parameters().len();
        let low = space.named(&space.at(&vec![0.0; count]));
        let high = space.named(&space.at(&vec![1.0; count]));
        let ends = |name: &str| (low[name].clone(), high[name].clone());
        assert_eq!(ends("rate"), (json!(0.01), json!(0.3)));
        assert_eq!(ends("many"), (json!(200), json!(1500)));
        assert_eq!(ends("steps"), (json!(1), json!(64)));
        assert_eq!(ends("choice"), (json!("a"), json!("c")));
    }

    #[test]
    fn equal_steps_on_a_log_scale_are_equal_ratios() {
        let range = Range::Real {
            from: 0.01,
            to: 1.0,
            scale: Scale::Log,
        };
        assert_eq!(range.at(0.5), Value::Real(0.1));
        assert!((range.place(Value::Real(0.1)) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn all_choices_are_equally_far_apart() {
        let space = Space::new(
            [(
                "c".to_owned(),
                Range::Choice {
                    of: vec![json!(1), json!(2), json!(3)],
                },
            )]
            .into(),
        )
        .unwrap();
        let corners: Vec<Vec<f64>> = (0..3)
            .map(|choice| space.coordinates(&[Value::Choice(choice)]))
            .collect();
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let squares = corners[a].iter().zip(&corners[b]).map(|(x, y)| (x - y) * (x - y));
            assert!((squares.sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn ranges_that_are_none_are_named() {
        let real = |from, to, scale| Range::Real { from, to, scale };
        for (range, rule) in [
            (real(1.0, 1.0, Scale::Linear), "must go from a number to a larger one"),
            (real(0.0, 1.0, Scale::Log), "must begin above 0 on a log scale"),
            (
                Range::Integer {
                    from: 0,
                    to: 5,
                    scale: Scale::Log,
                },
                "must begin at 1 or above on a log scale",
            ),
            (Range::Choice { of: vec![json!("a")] }, "must have two choices or more"),
            (
                Range::Choice {
                    of: vec![json!("a"), json!("a")],
                },
                "must have choices that differ",
            ),
        ] {
            let problems = Space::new([("eta".to_owned(), range)].into()).unwrap_err();
            assert_eq!(problems, [format!("eta {rule}")]);
        }
    }

    proptest! {
        #[test]
        fn a_point_lies_in_its_ranges_and_keeps_its_place(places in prop::collection::vec(0.0..=1.0_f64, 6)) {
            let space = fixture().space();
            let point = space.at(&places);
            let named: serde_json::Map<String, Json> = space.named(&point).into_iter().collect();
            prop_assert_eq!(space.point_of(&named).into_iter().collect::<Option<Point>>(), Some(point.clone()));
            // What is tried has four digits: its place is that of what was drawn, nearly.
            prop_assert_eq!(space.at(&space.places(&point)), point);
        }
    }
}
