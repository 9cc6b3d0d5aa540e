//! The standard normal distribution, the same on every machine.

use holdfast_domain::Draws;

/// The probability of a value below `z`.
pub(super) fn below(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// A draw (Box & Muller).
pub(super) fn draw(random: &mut Draws) -> f64 {
    let (radius, angle) = (1.0 - random.unit(), random.unit());
    (-2.0 * libm::log(radius)).sqrt() * libm::cos(std::f64::consts::TAU * angle)
}
