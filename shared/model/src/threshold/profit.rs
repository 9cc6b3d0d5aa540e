//! The threshold that earns most.

use super::{Threshold, ThresholdPolicy};
use crate::metrics::MetricError;
use crate::metrics::error::{both_classes, check_probabilities};
use crate::metrics::ranking::ties_from_the_top;

/// What an offer costs and what it brings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    /// Cost of one offer, US dollars, 0 or more.
    pub offer_cost: f64,
    /// Margin lost with a customer who leaves, US dollars, 0 or more.
    pub lost_margin: f64,
    /// Share of leaving customers whom an offer keeps, 0 to 1.
    pub success_rate: f64,
}

/// What offers to all customers from one threshold on bring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProfitPoint {
    /// Customers with a probability of at least this get an offer.
    pub threshold: f64,
    /// How many these are.
    pub labelled: u64,
    /// How many of them leave.
    pub leaving: u64,
    /// Expected profit of the offers, US dollars.
    pub profit: f64,
}

impl Offer {
    /// Expected profit of offers to `labelled` customers of whom `leaving` leave: each offer costs its cost, and to a leaving customer it saves the
    /// margin with the success rate (the cost matrix of Elkan 2001, "The foundations of cost-sensitive learning").
    pub fn profit(&self, labelled: u64, leaving: u64) -> f64 {
        leaving as f64 * self.success_rate * self.lost_margin - labelled as f64 * self.offer_cost
    }
}

/// Expected profit at every threshold that makes a difference, highest threshold first: no offer at all, then one point for each probability
/// that occurs.
///
/// # Errors
/// No rows, lengths that differ, one class only, a probability that is none.
pub fn profit_curve(labels: &[bool], probabilities: &[f64], offer: Offer) -> Result<Vec<ProfitPoint>, MetricError> {
    check_probabilities(labels, probabilities)?;
    both_classes(labels)?;
    let ties = ties_from_the_top(labels, probabilities);
    let nobody = ties.first().map_or(1.0, |top| super::just_above(top.score));
    let mut curve = vec![ProfitPoint {
        threshold: nobody,
        labelled: 0,
        leaving: 0,
        profit: 0.0,
    }];
    let (mut labelled, mut leaving) = (0, 0);
    for tie in ties {
        labelled += tie.rows();
        leaving += tie.positives;
        curve.push(ProfitPoint {
            threshold: tie.score,
            labelled,
            leaving,
            profit: offer.profit(labelled, leaving),
        });
    }
    Ok(curve)
}

impl Threshold {
    /// The threshold with the highest expected profit; of equal ones the highest, which makes the fewest offers.
    ///
    /// # Errors
    /// As [`profit_curve`].
    pub fn most_profitable(labels: &[bool], probabilities: &[f64], offer: Offer) -> Result<Self, MetricError> {
        let curve = profit_curve(labels, probabilities, offer)?;
        let mut best = curve[0];
        for point in &curve[1..] {
            if point.profit > best.profit {
                best = *point;
            }
        }
        Ok(Self {
            value: best.threshold,
            policy: ThresholdPolicy::Cost {
                offer_cost: offer.offer_cost,
                lost_margin: offer.lost_margin,
                success_rate: offer.success_rate,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer = Offer {
        offer_cost: 20.0,
        lost_margin: 400.0,
        success_rate: 0.25,
    };

    #[test]
    fn a_worked_curve() {
        // An offer costs 20 and saves a quarter of 400 when it reaches somebody who leaves.
        let curve = profit_curve(&[true, false, true, false], &[0.9, 0.6, 0.6, 0.2], OFFER).unwrap();
        let found: Vec<_> = curve
            .iter()
            .map(|point| (point.labelled, point.leaving, point.profit))
            .collect();
        assert_eq!(found, [(0, 0, 0.0), (1, 1, 80.0), (3, 2, 140.0), (4, 2, 120.0)]);
        let thresholds: Vec<f64> = curve[1..].iter().map(|point| point.threshold).collect();
        assert_eq!(thresholds, [0.9, 0.6, 0.2]);
        assert!(curve[0].threshold > 0.9);
    }

    #[test]
    fn the_best_point_is_taken_and_the_highest_of_equals() {
        let labels = [true, false, true, false];
        let best = Threshold::most_profitable(&labels, &[0.9, 0.7, 0.6, 0.2], OFFER).unwrap();
        assert_eq!(best.value, 0.6);
        best.validate().unwrap();
        // Four offers of 100 for one customer of five who is worth 100: nothing is won after the first.
        let dear = Offer {
            offer_cost: 100.0,
            ..OFFER
        };
        let best = Threshold::most_profitable(&labels, &[0.9, 0.7, 0.6, 0.2], dear).unwrap();
        assert!(best.value > 0.9 && best.value < 0.900_001, "nobody: {}", best.value);
    }

    #[test]
    fn well_calibrated_probabilities_give_the_threshold_of_the_formula() {
        // An offer pays when probability × success rate × margin reaches its cost: from 20 / 100 on.
        let probabilities: Vec<f64> = (0..10_000).map(|row| f64::from(row / 100) / 100.0 + 0.005).collect();
        let labels: Vec<bool> = (0..10_000).map(|row| row % 100 < row / 100).collect();
        let best = Threshold::most_profitable(&labels, &probabilities, OFFER).unwrap();
        assert!((best.value - 0.205).abs() < 0.011, "{}", best.value);
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        assert!(profit_curve(&[true, false], &[0.1, 1.1], OFFER).is_err());
        assert!(profit_curve(&[true, true], &[0.1, 0.2], OFFER).is_err());
        assert!(profit_curve(&[], &[], OFFER).is_err());
    }
}
