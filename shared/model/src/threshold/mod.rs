//! The probability from which a customer is labelled as leaving, and how it was chosen.

mod capacity;
mod expected_f1;
mod profit;

use crate::error::InvalidPart;
use crate::wire;
use crate::wire::threshold::Policy;

pub use profit::{Offer, ProfitPoint, profit_curve};

/// The decision threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Within 0..1; a probability equal to it is labelled positive.
    pub value: f64,
    /// How it was chosen.
    pub policy: ThresholdPolicy,
}

/// How a threshold was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ThresholdPolicy {
    /// Given as it is.
    Fixed,
    /// The best expected F1 on held-out rows.
    BestF1 {
        /// F1 reached by their labels, 0..1.
        f1: f64,
    },
    /// The highest expected profit of making an offer, on held-out rows.
    Cost {
        /// Cost of one offer, US dollars.
        offer_cost: f64,
        /// Margin lost with a customer who leaves, US dollars.
        lost_margin: f64,
        /// Share of leaving customers whom an offer keeps, 0..1.
        success_rate: f64,
    },
    /// As many customers as can be called.
    Capacity {
        /// Customers that can be called in a period.
        calls: u64,
        /// Customers scored in a period.
        population: u64,
    },
}

impl Threshold {
    /// A threshold given as it is.
    pub const fn fixed(value: f64) -> Self {
        Self {
            value,
            policy: ThresholdPolicy::Fixed,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidPart> {
        let share = |what: &str, value: f64| {
            if (0.0..=1.0).contains(&value) {
                Ok(())
            } else {
                Err(InvalidPart::new(what, format!("{value} is not within 0..1")))
            }
        };
        share("value", self.value)?;
        match self.policy {
            ThresholdPolicy::Fixed => Ok(()),
            ThresholdPolicy::BestF1 { f1 } => share("best_f1.f1", f1),
            ThresholdPolicy::Cost {
                offer_cost,
                lost_margin,
                success_rate,
            } => {
                share("cost.success_rate", success_rate)?;
                for (what, amount) in [("cost.offer_cost", offer_cost), ("cost.lost_margin", lost_margin)] {
                    if !(amount >= 0.0 && amount.is_finite()) {
                        return Err(InvalidPart::new(what, format!("{amount} is not an amount of money")));
                    }
                }
                Ok(())
            }
            ThresholdPolicy::Capacity { calls, population } if calls > population => Err(InvalidPart::new(
                "capacity.calls",
                format!("{calls} calls are more than {population} customers"),
            )),
            ThresholdPolicy::Capacity { .. } => Ok(()),
        }
    }

    pub(crate) fn to_wire(self) -> wire::Threshold {
        let policy = match self.policy {
            ThresholdPolicy::Fixed => None,
            ThresholdPolicy::BestF1 { f1 } => Some(Policy::BestF1(wire::BestF1Policy { f1 })),
            ThresholdPolicy::Cost {
                offer_cost,
                lost_margin,
                success_rate,
            } => Some(Policy::Cost(wire::CostPolicy {
                offer_cost,
                lost_margin,
                success_rate,
            })),
            ThresholdPolicy::Capacity { calls, population } => {
                Some(Policy::Capacity(wire::CapacityPolicy { calls, population }))
            }
        };
        wire::Threshold {
            value: self.value,
            policy,
        }
    }

    pub(crate) fn from_wire(message: wire::Threshold) -> Self {
        let policy = match message.policy {
            None => ThresholdPolicy::Fixed,
            Some(Policy::BestF1(wire::BestF1Policy { f1 })) => ThresholdPolicy::BestF1 { f1 },
            Some(Policy::Cost(wire::CostPolicy {
                offer_cost,
                lost_margin,
                success_rate,
            })) => ThresholdPolicy::Cost {
                offer_cost,
                lost_margin,
                success_rate,
            },
            Some(Policy::Capacity(wire::CapacityPolicy { calls, population })) => {
                ThresholdPolicy::Capacity { calls, population }
            }
        };
        Self {
            value: message.value,
            policy,
        }
    }
}

/// The smallest threshold that a probability does not reach. Nothing is above 1.
fn just_above(probability: f64) -> f64 {
    probability.next_up().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_reads_back() {
        let policies = [
            ThresholdPolicy::Fixed,
            ThresholdPolicy::BestF1 { f1: 0.9 },
            ThresholdPolicy::Cost {
                offer_cost: 20.0,
                lost_margin: 400.0,
                success_rate: 0.4,
            },
            ThresholdPolicy::Capacity {
                calls: 200,
                population: 10_127,
            },
        ];
        for policy in policies {
            let threshold = Threshold { value: 0.35, policy };
            threshold.validate().unwrap();
            assert_eq!(Threshold::from_wire(threshold.to_wire()), threshold);
        }
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        let wrong = [
            Threshold::fixed(1.1),
            Threshold::fixed(f64::NAN),
            Threshold {
                value: 0.5,
                policy: ThresholdPolicy::BestF1 { f1: -0.1 },
            },
            Threshold {
                value: 0.5,
                policy: ThresholdPolicy::Capacity {
                    calls: 2,
                    population: 1,
                },
            },
            Threshold {
                value: 0.5,
                policy: ThresholdPolicy::Cost {
                    offer_cost: -1.0,
                    lost_margin: 1.0,
                    success_rate: 0.5,
                },
            },
        ];
        for threshold in wrong {
            assert!(threshold.validate().is_err(), "{threshold:?}");
        }
    }
}
