//! The threshold: how it was chosen, what it means in calls and in money.

use holdfast_model::ThresholdPolicy;
use holdfast_records::evaluation::Profit;

use super::NO_EVALUATION;
use crate::service::figures::{count, dollars, four, percent};
use crate::service::model_card::CardFacts;
use crate::service::model_card::document::Section;
use crate::service::plots::Plot;

pub(super) fn section(facts: &CardFacts, plots: &[Plot]) -> Section {
    let mut section = Section::new("Threshold and labels");
    let threshold = facts.model.threshold_policy();
    section.text(format!(
        "A customer is labelled as leaving from a probability of {} on. {}",
        four(threshold.value),
        policy(threshold.policy)
    ));
    let Some(evaluation) = &facts.evaluation else {
        section.notice(NO_EVALUATION);
        return section;
    };
    let full = &evaluation.full;
    let counts = &full.confusion;
    let called = counts.true_positives + counts.false_positives;
    section.text(format!(
        "On the test rows that is {} of {} customers ({}): {} of the {} who left are found and {} are missed, {} who stayed are called in error.",
        count(called),
        count(full.rows),
        percent(share(called, full.rows)),
        count(counts.true_positives),
        count(full.positives),
        count(counts.false_negatives),
        count(counts.false_positives)
    ));
    match (&evaluation.profit, threshold.policy) {
        (Some(profit), _) => {
            section.text(money(profit));
        }
        (None, ThresholdPolicy::Capacity { calls, population }) => {
            section.text(format!(
                "With {} customers scored in a period, a share of {} is {} calls; {} were to be made.",
                count(population),
                percent(share(called, full.rows)),
                count(scaled(called, full.rows, population)),
                count(calls)
            ));
        }
        (None, _) => {
            section.text("No cost of an offer and no value of a customer is on record, so nothing is said in money.");
        }
    }
    section.plots(plots, &["confusion.svg", "score_distribution.svg", "profit.svg"]);
    section
}

fn policy(policy: ThresholdPolicy) -> String {
    match policy {
        ThresholdPolicy::Fixed => "This threshold was given as it is.".to_owned(),
        ThresholdPolicy::BestF1 { f1 } => format!(
            "This threshold promises the best F1 by the probabilities of training rows held out for that purpose; their labels gave {}.",
            four(f1)
        ),
        ThresholdPolicy::Cost {
            offer_cost,
            lost_margin,
            success_rate,
        } => format!(
            "This threshold has the highest expected profit on training rows held out for that purpose, when an offer costs {}, keeps {} of the leaving customers it \
             reaches, and each customer kept is worth {}.",
            dollars(offer_cost),
            percent(success_rate),
            dollars(lost_margin)
        ),
        ThresholdPolicy::Capacity { calls, population } => format!(
            "This threshold labels as many training rows held out for that purpose as can be called: {} of {} customers in a period, or {}.",
            count(calls),
            count(population),
            percent(share(calls, population))
        ),
    }
}

fn money(profit: &Profit) -> String {
    let [called, earned] = profit.at_threshold;
    let best = profit.curve.iter().map(|point| point[1]).fold(0.0, f64::max);
    format!(
        "In money, on the test rows: {} of the customers get an offer, and the expected profit is {} per customer scored, or {} per 1,000. The best threshold in \
         hindsight would give {}.",
        percent(called),
        dollars(earned),
        dollars(earned * 1_000.0),
        dollars(best)
    )
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// So many of the population as `part` is of `whole`, rounded.
fn scaled(part: u64, whole: u64, population: u64) -> u64 {
    let whole = u128::from(whole.max(1));
    let scaled = (u128::from(part) * u128::from(population) + whole / 2) / whole;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_test_rows_is_scaled_to_the_population() {
        assert_eq!(scaled(305, 2_025, 10_000), 1_506);
        assert_eq!(scaled(1, 0, 10), 10);
    }

    #[test]
    fn every_policy_has_its_words() {
        let cost = ThresholdPolicy::Cost {
            offer_cost: 20.0,
            lost_margin: 400.0,
            success_rate: 0.4,
        };
        assert!(policy(cost).contains("costs $20.00, keeps 40.0 % of the leaving"));
        let capacity = ThresholdPolicy::Capacity {
            calls: 200,
            population: 1_000,
        };
        assert!(policy(capacity).contains("200 of 1,000 customers in a period, or 20.0 %"));
    }
}
