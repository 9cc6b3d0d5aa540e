//! Named ways in which a bank's customers, or its data, change.

use std::fmt;
use std::str::FromStr;

use holdfast_domain::{Customer, Feature, FeatureVector};

use crate::population::to_places;
use crate::random::{Purpose, Stream, Streams};

/// A named change of the customers over time.
///
/// Labels and keys are kept: the customers are the same, and so is who leaves; what the bank's tables say of them changes. Values
/// stay within the schema's ranges, counts stay whole, missing values stay missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// Nothing changes.
    None,
    /// Spending slides: amounts and counts fall in proportion to the progress, by about 30 % at its end.
    Gradual,
    /// A market shock at half of the progress: in the last quarter small payments move to a competitor's scheme and prices rise,
    /// so customers make far fewer but larger transactions. Nothing shifts before, everything at once after. The order of
    /// customers along each feature hardly changes, so a retrained model is about as good as the old one was; but where the old
    /// one learned to draw its lines, other customers stand now.
    Sudden,
    /// One feature moves, `Total_Amt_Chng_Q4_Q1`, up to 1.4 times; all others stay.
    OneFeature,
    /// A year's wave: amounts and counts follow a sine over the progress, up a quarter at 0.25, down a quarter at 0.75, unchanged
    /// at 0, 0.5 and 1.
    Seasonal,
    /// An upstream fault: `Total_Trans_Ct` arrives as 0, a valid value, for a share of the rows equal to the progress, as when a
    /// join loses its right side in one region after the other.
    BrokenColumn,
}

/// A name that is no scenario's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scenario {name:?}: expected one of none, gradual, sudden, one-feature, seasonal, broken-column")]
pub struct UnknownScenario {
    /// The name as given.
    pub name: String,
}

/// Where in the progress the shock of [`Scenario::Sudden`] strikes.
const SHOCK_AT: f64 = 0.5;

impl Scenario {
    /// Every scenario.
    pub const ALL: [Scenario; 6] = [
        Scenario::None,
        Scenario::Gradual,
        Scenario::Sudden,
        Scenario::OneFeature,
        Scenario::Seasonal,
        Scenario::BrokenColumn,
    ];

    /// The name in settings and on the command line, in kebab case.
    pub const fn name(self) -> &'static str {
        match self {
            Scenario::None => "none",
            Scenario::Gradual => "gradual",
            Scenario::Sudden => "sudden",
            Scenario::OneFeature => "one-feature",
            Scenario::Seasonal => "seasonal",
            Scenario::BrokenColumn => "broken-column",
        }
    }

    /// What happens, in a sentence for people.
    pub const fn describe(self) -> &'static str {
        match self {
            Scenario::None => "nothing changes",
            Scenario::Gradual => "amounts and counts of transactions slide, by about 30 % at the end",
            Scenario::Sudden => {
                "a market shock halfway: far fewer but larger transactions, and an old model misreads them"
            }
            Scenario::OneFeature => "Total_Amt_Chng_Q4_Q1 moves up to 1.4 times, all other features stay",
            Scenario::Seasonal => "amounts and counts rise and fall by a quarter, and return to the start",
            Scenario::BrokenColumn => "Total_Trans_Ct arrives as 0 for a growing share of the rows",
        }
    }

    /// The customers as this scenario shows them at `progress` of its course, from 0 (start) to 1 (end); values outside are
    /// taken as the nearer end, NaN as the start.
    ///
    /// Each customer's own deviation is drawn from the seed and the customer's key (its place in the slice if it has none), so a
    /// customer changes in the same way in whatever batch it comes, and smoothly along the progress.
    pub fn apply(self, customers: &[Customer], progress: f64, seed: u64) -> Vec<Customer> {
        let progress = if progress.is_nan() {
            0.0
        } else {
            progress.clamp(0.0, 1.0)
        };
        let streams = Streams::new(seed, Purpose::Scenario);
        let changed = |(place, customer): (usize, &Customer)| {
            let mut customer = *customer;
            let number = customer.key.map_or(!(place as u64), |key| key.0.cast_unsigned());
            self.change(&mut customer.features, progress, &mut streams.stream(number));
            customer
        };
        customers.iter().enumerate().map(changed).collect()
    }

    fn change(self, features: &mut FeatureVector, progress: f64, stream: &mut Stream) {
        match self {
            Scenario::None => {}
            Scenario::Gradual => {
                let pace = progress * stream.between(0.85, 1.15);
                scale(features, Feature::TotalTransAmt, 1.0 - 0.30 * pace);
                scale(features, Feature::TotalTransCt, 1.0 - 0.30 * pace);
                scale(features, Feature::TotalAmtChngQ4Q1, 1.0 - 0.15 * pace);
                scale(features, Feature::TotalCtChngQ4Q1, 1.0 - 0.15 * pace);
            }
            Scenario::Sudden if progress >= SHOCK_AT => {
                scale(features, Feature::TotalTransAmt, 1.30 * stream.between(0.95, 1.05));
                scale(features, Feature::TotalTransCt, 0.60 * stream.between(0.95, 1.05));
                scale(features, Feature::TotalAmtChngQ4Q1, 1.60 * stream.between(0.95, 1.05));
                scale(features, Feature::TotalCtChngQ4Q1, 0.55 * stream.between(0.95, 1.05));
            }
            Scenario::Sudden => {}
            Scenario::OneFeature => {
                scale(
                    features,
                    Feature::TotalAmtChngQ4Q1,
                    1.0 + 0.40 * progress * stream.between(0.9, 1.1),
                );
            }
            Scenario::Seasonal => {
                let wave = libm::sin(std::f64::consts::TAU * (progress % 1.0)) * stream.between(0.9, 1.1);
                scale(features, Feature::TotalTransAmt, 1.0 + 0.25 * wave);
                scale(features, Feature::TotalTransCt, 1.0 + 0.25 * wave);
            }
            Scenario::BrokenColumn => {
                let arrives = features.get(Feature::TotalTransCt).is_some();
                if stream.chance(progress) && arrives {
                    features.set(Feature::TotalTransCt, 0.0);
                }
            }
        }
    }
}

/// [`Scenario::apply`], as a function.
pub fn apply(scenario: &Scenario, customers: &[Customer], progress: f64, seed: u64) -> Vec<Customer> {
    scenario.apply(customers, progress, seed)
}

/// Multiplies a feature, in the grain the bank's tables have: whole dollars and counts, ratios to three places. A factor of 1 leaves
/// the value as it is, whatever its grain.
#[expect(clippy::float_cmp, reason = "exactly 1 is what progress 0 gives")]
fn scale(features: &mut FeatureVector, feature: Feature, factor: f64) {
    let Some(value) = features.get(feature).filter(|_| factor != 1.0) else {
        return;
    };
    let parts = match feature {
        Feature::TotalAmtChngQ4Q1 | Feature::TotalCtChngQ4Q1 => 1_000.0,
        _ => 1.0,
    };
    features.set(feature, to_places(value * factor, parts));
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(name: &str) -> Result<Self, UnknownScenario> {
        Scenario::ALL
            .into_iter()
            .find(|scenario| scenario.name() == name)
            .ok_or_else(|| UnknownScenario { name: name.to_owned() })
    }
}
