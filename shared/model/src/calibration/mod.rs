//! From the margin to the probability that is answered.

#[cfg(test)]
mod fixtures;
mod isotonic;
mod platt;

use crate::ensemble::{Link, MAX_MAGNITUDE, is_bounded};
use crate::error::InvalidPart;
use crate::math;
use crate::wire;
use crate::wire::calibration::Method;

pub use isotonic::{IsotonicBlock, isotonic_regression};

/// A map from margin or raw probability to probability that never decreases, so that it changes no ranking's order.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Calibration {
    /// The raw probability is answered.
    #[default]
    None,
    /// Platt scaling: probability = 1 / (1 + e^-(slope × margin + intercept)).
    Platt {
        /// Above zero.
        slope: f64,
        /// Unit of the margin.
        intercept: f64,
    },
    /// Isotonic regression: linear between points of (raw probability, probability), constant outside of them.
    Isotonic {
        /// Raw probabilities, strictly increasing within 0..1.
        raw_probabilities: Vec<f64>,
        /// Calibrated probabilities, never decreasing within 0..1.
        probabilities: Vec<f64>,
    },
}

impl Calibration {
    /// The calibrated probability of a margin.
    pub fn probability(&self, margin: f64, link: Link) -> f64 {
        match self {
            Calibration::None => link.probability(margin),
            Calibration::Platt { slope, intercept } => math::logistic(slope * margin + intercept),
            Calibration::Isotonic {
                raw_probabilities,
                probabilities,
            } => interpolate(raw_probabilities, probabilities, link.probability(margin)),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidPart> {
        match self {
            Calibration::None => Ok(()),
            Calibration::Platt { slope, intercept } => {
                if !(*slope > 0.0 && *slope <= MAX_MAGNITUDE) {
                    return Err(InvalidPart::new(
                        "platt.slope",
                        format!("{slope} is not finite and above zero"),
                    ));
                }
                if !is_bounded(*intercept) {
                    return Err(InvalidPart::new(
                        "platt.intercept",
                        format!("{intercept} is not within 1e30"),
                    ));
                }
                Ok(())
            }
            Calibration::Isotonic {
                raw_probabilities,
                probabilities,
            } => validate_points(raw_probabilities, probabilities),
        }
    }

    pub(crate) fn to_wire(&self) -> wire::Calibration {
        let method = match self.clone() {
            Calibration::None => None,
            Calibration::Platt { slope, intercept } => Some(Method::Platt(wire::PlattScaling { slope, intercept })),
            Calibration::Isotonic {
                raw_probabilities,
                probabilities,
            } => Some(Method::Isotonic(wire::IsotonicRegression {
                raw_probabilities,
                probabilities,
            })),
        };
        wire::Calibration { method }
    }

    pub(crate) fn from_wire(message: wire::Calibration) -> Self {
        match message.method {
            None => Calibration::None,
            Some(Method::Platt(wire::PlattScaling { slope, intercept })) => Calibration::Platt { slope, intercept },
            Some(Method::Isotonic(wire::IsotonicRegression {
                raw_probabilities,
                probabilities,
            })) => Calibration::Isotonic {
                raw_probabilities,
                probabilities,
            },
        }
    }
}

fn validate_points(raw: &[f64], calibrated: &[f64]) -> Result<(), InvalidPart> {
    let invalid = |problem: String| Err(InvalidPart::new("isotonic", problem));
    if raw.is_empty() || raw.len() != calibrated.len() {
        return invalid(format!(
            "{} raw and {} calibrated probabilities are not a curve",
            raw.len(),
            calibrated.len()
        ));
    }
    if let Some(index) =
        (0..raw.len()).find(|index| !(0.0..=1.0).contains(&raw[*index]) || !(0.0..=1.0).contains(&calibrated[*index]))
    {
        return invalid(format!(
            "point {index}, ({}, {}), is not within 0..1",
            raw[index], calibrated[index]
        ));
    }
    if let Some(index) = raw.windows(2).position(|pair| pair[0] >= pair[1]) {
        return invalid(format!("raw probabilities do not increase after point {index}"));
    }
    if let Some(index) = calibrated.windows(2).position(|pair| pair[0] > pair[1]) {
        return invalid(format!("probabilities decrease after point {index}"));
    }
    Ok(())
}

/// Linear interpolation; `xs` increases strictly and is not empty.
fn interpolate(xs: &[f64], ys: &[f64], x: f64) -> f64 {
    let above = xs.partition_point(|point| *point <= x);
    if above == 0 {
        return ys[0];
    }
    if above == xs.len() {
        return ys[above - 1];
    }
    let (x0, x1) = (xs[above - 1], xs[above]);
    let (y0, y1) = (ys[above - 1], ys[above]);
    // Cut to the ends, which rounding could pass by a hair.
    (y0 + (y1 - y0) * ((x - x0) / (x1 - x0))).clamp(y0, y1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isotonic() -> Calibration {
        Calibration::Isotonic {
            raw_probabilities: vec![0.2, 0.4, 0.8],
            probabilities: vec![0.1, 0.1, 0.9],
        }
    }

    #[test]
    fn isotonic_is_linear_between_points_and_flat_outside() {
        let calibration = isotonic();
        calibration.validate().unwrap();
        let expected = [(0.0, 0.1), (0.2, 0.1), (0.3, 0.1), (0.6, 0.5), (0.8, 0.9), (1.0, 0.9)];
        for (raw, probability) in expected {
            assert!(
                (calibration.probability(raw, Link::Identity) - probability).abs() < 1e-15,
                "{raw}"
            );
        }
    }

    #[test]
    fn platt_shifts_the_margin() {
        let calibration = Calibration::Platt {
            slope: 2.0,
            intercept: -1.0,
        };
        calibration.validate().unwrap();
        assert!((calibration.probability(0.5, Link::Logistic) - 0.5).abs() < 1e-16);
        assert!(calibration.probability(1.0, Link::Logistic) > calibration.probability(0.9, Link::Logistic));
    }

    #[test]
    fn curves_that_decrease_or_leave_the_range_are_refused() {
        let curve = |raw: &[f64], calibrated: &[f64]| Calibration::Isotonic {
            raw_probabilities: raw.to_vec(),
            probabilities: calibrated.to_vec(),
        };
        let wrong = [
            (curve(&[], &[]), "not a curve"),
            (curve(&[0.1], &[0.1, 0.2]), "not a curve"),
            (curve(&[0.1, 0.1], &[0.1, 0.2]), "do not increase after point 0"),
            (curve(&[0.1, 0.2], &[0.3, 0.2]), "decrease after point 0"),
            (curve(&[0.1, 1.2], &[0.1, 0.2]), "point 1"),
            (curve(&[0.1, f64::NAN], &[0.1, 0.2]), "point 1"),
            (
                Calibration::Platt {
                    slope: 0.0,
                    intercept: 0.0,
                },
                "above zero",
            ),
            (
                Calibration::Platt {
                    slope: f64::NAN,
                    intercept: 0.0,
                },
                "above zero",
            ),
            (
                Calibration::Platt {
                    slope: 1.0,
                    intercept: f64::INFINITY,
                },
                "intercept",
            ),
        ];
        for (calibration, why) in wrong {
            let error = calibration.validate().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
