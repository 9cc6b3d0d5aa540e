//! Features as people call them, for plots and documents: the words of the reasons.

use holdfast_domain::{Feature, Schema};

use super::phrases;
use crate::preprocess::transform::code;

/// What a feature is called in a sentence: "Number of transactions".
pub const fn plain_name(feature: Feature) -> &'static str {
    phrases::noun(feature)
}

/// A feature's value as people write it: "$1,234", "6.1 %", "Gold".
pub fn plain_value(feature: Feature, value: f64, schema: &Schema) -> String {
    match phrases::of(feature) {
        Some(wording) => phrases::number(value, wording.style),
        None => code(value)
            .and_then(|code| schema.category_name(feature, code))
            .unwrap_or("not listed")
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_in_the_reasons() {
        let schema = Schema::embedded();
        let gold = schema.category_code(Feature::CardCategory, "Gold").unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a small code")]
        let written = [
            (Feature::CreditLimit, 12_550.0, "$12,550"),
            (Feature::AvgUtilizationRatio, 0.061, "6.1 %"),
            (Feature::TotalTransCt, 42.0, "42"),
            (Feature::CardCategory, gold as f64, "Gold"),
            (Feature::CardCategory, -1.0, "not listed"),
        ];
        for (feature, value, text) in written {
            assert_eq!(plain_value(feature, value, schema), text);
        }
        assert_eq!(plain_name(Feature::TotalTransCt), "Number of transactions");
    }
}
