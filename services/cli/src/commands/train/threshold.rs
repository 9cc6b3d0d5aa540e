//! The rule by which a threshold is chosen, as it is typed.

use serde_json::{Value, json};

const SHAPE: &str = "expected best-f1, cost:OFFER_COST,LOST_MARGIN,SUCCESS_RATE or capacity:CALLS/CUSTOMERS";

/// The rule as the API takes it. Whether its numbers are in their ranges is the service's to say.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let number = |text: &str| {
        text.trim()
            .parse::<f64>()
            .map_err(|_| format!("{text:?} is no number; {SHAPE}"))
    };
    let count = |text: &str| {
        text.trim()
            .parse::<u64>()
            .map_err(|_| format!("{text:?} is no whole number; {SHAPE}"))
    };
    match text.split_once(':') {
        None if text == "best-f1" => Ok(json!({"policy": "best_f1"})),
        Some(("cost", numbers)) => match *numbers.split(',').collect::<Vec<_>>() {
            [offer, margin, rate] => Ok(json!({
                "policy": "cost",
                "offer_cost": number(offer)?,
                "lost_margin": number(margin)?,
                "success_rate": number(rate)?,
            })),
            _ => Err(SHAPE.to_owned()),
        },
        Some(("capacity", share)) => match share.split_once('/') {
            Some((calls, customers)) => Ok(json!({
                "policy": "capacity",
                "calls": count(calls)?,
                "population": count(customers)?,
            })),
            None => Err(SHAPE.to_owned()),
        },
        _ => Err(SHAPE.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_what_the_api_takes() {
        assert_eq!(parse("best-f1"), Ok(json!({"policy": "best_f1"})));
        let cost = json!({"policy": "cost", "offer_cost": 25.0, "lost_margin": 400.0, "success_rate": 0.4});
        assert_eq!(parse("cost:25,400,0.4"), Ok(cost));
        let capacity = json!({"policy": "capacity", "calls": 200, "population": 10_000});
        assert_eq!(parse("capacity:200/10000"), Ok(capacity));
    }

    #[test]
    fn what_is_no_rule_is_told_what_rules_look_like() {
        for wrong in [
            "f1",
            "cost:25",
            "cost:25,400,much",
            "capacity:200",
            "capacity:-1/5",
            "cost",
        ] {
            let said = parse(wrong).unwrap_err();
            assert!(said.contains("expected best-f1, cost:"), "{wrong}: {said}");
        }
    }
}
