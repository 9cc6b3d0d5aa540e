//! What a call agent can say about each feature. The wording is stable: a customer's reasons read the same from every model version.

use holdfast_domain::Feature;

/// How a feature's number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// A whole number.
    Count,
    /// US dollars, rounded: "$1,234".
    Money,
    /// Up to three decimals: "0.625".
    Ratio,
    /// A share as percent: "6 %".
    Percent,
}

/// The wording of a number: `typical` is for a customer at the median.
pub(super) struct Wording {
    pub(super) low: &'static str,
    pub(super) typical: &'static str,
    pub(super) high: &'static str,
    pub(super) style: Style,
}

/// Numeric features; categories have no low and high.
const WORDINGS: [(Feature, Wording); 14] = [
    (
        Feature::CustomerAge,
        Wording {
            low: "Younger than most customers",
            typical: "About as old as most customers",
            high: "Older than most customers",
            style: Style::Count,
        },
    ),
    (
        Feature::DependentCount,
        Wording {
            low: "Has fewer dependants than most customers",
            typical: "Has as many dependants as most customers",
            high: "Has more dependants than most customers",
            style: Style::Count,
        },
    ),
    (
        Feature::MonthsOnBook,
        Wording {
            low: "A customer for fewer months than most",
            typical: "A customer for about as many months as most",
            high: "A customer for more months than most",
            style: Style::Count,
        },
    ),
    (
        Feature::TotalRelationshipCount,
        Wording {
            low: "Holds fewer products than most customers",
            typical: "Holds as many products as most customers",
            high: "Holds more products than most customers",
            style: Style::Count,
        },
    ),
    (
        Feature::MonthsInactive12Mon,
        Wording {
            low: "Inactive for fewer months of the last year than most customers",
            typical: "Inactive for as many months of the last year as most customers",
            high: "Inactive for more months of the last year than most customers",
            style: Style::Count,
        },
    ),
    (
        Feature::ContactsCount12Mon,
        Wording {
            low: "In contact with the bank less often than most customers",
            typical: "In contact with the bank as often as most customers",
            high: "In contact with the bank more often than most customers",
            style: Style::Count,
        },
    ),
    (
        Feature::CreditLimit,
        Wording {
            low: "Has a lower credit limit than most customers",
            typical: "Has about the same credit limit as most customers",
            high: "Has a higher credit limit than most customers",
            style: Style::Money,
        },
    ),
    (
        Feature::TotalRevolvingBal,
        Wording {
            low: "Carries a smaller balance from month to month than most customers",
            typical: "Carries about the same balance from month to month as most customers",
            high: "Carries a larger balance from month to month than most customers",
            style: Style::Money,
        },
    ),
    (
        Feature::AvgOpenToBuy,
        Wording {
            low: "Has less unused credit than most customers",
            typical: "Has about as much unused credit as most customers",
            high: "Has more unused credit than most customers",
            style: Style::Money,
        },
    ),
    (
        Feature::TotalAmtChngQ4Q1,
        Wording {
            low: "Spending grew less, from the first quarter to the fourth, than for most customers",
            typical: "Spending changed, from the first quarter to the fourth, as for most customers",
            high: "Spending grew more, from the first quarter to the fourth, than for most customers",
            style: Style::Ratio,
        },
    ),
    (
        Feature::TotalTransAmt,
        Wording {
            low: "Spent less in the last year than most customers",
            typical: "Spent about as much in the last year as most customers",
            high: "Spent more in the last year than most customers",
            style: Style::Money,
        },
    ),
    (
        Feature::TotalTransCt,
        Wording {
            low: "Made fewer transactions than most customers",
            typical: "Made about as many transactions as most customers",
            high: "Made more transactions than most customers",
            style: Style::Count,
        },
    ),
    (
        Feature::TotalCtChngQ4Q1,
        Wording {
            low: "Number of transactions grew less, from the first quarter to the fourth, than for most customers",
            typical: "Number of transactions changed, from the first quarter to the fourth, as for most customers",
            high: "Number of transactions grew more, from the first quarter to the fourth, than for most customers",
            style: Style::Ratio,
        },
    ),
    (
        Feature::AvgUtilizationRatio,
        Wording {
            low: "Uses a smaller share of the credit limit than most customers",
            typical: "Uses about the same share of the credit limit as most customers",
            high: "Uses a larger share of the credit limit than most customers",
            style: Style::Percent,
        },
    ),
];

/// The wording of a numeric feature, `None` for a category.
pub(super) fn of(feature: Feature) -> Option<&'static Wording> {
    WORDINGS
        .iter()
        .find(|(own, _)| *own == feature)
        .map(|(_, wording)| wording)
}

/// What the feature is called in a sentence.
pub(super) const fn noun(feature: Feature) -> &'static str {
    match feature {
        Feature::CustomerAge => "Age",
        Feature::Gender => "Gender",
        Feature::DependentCount => "Number of dependants",
        Feature::EducationLevel => "Education",
        Feature::MaritalStatus => "Marital status",
        Feature::IncomeCategory => "Income band",
        Feature::CardCategory => "Card",
        Feature::MonthsOnBook => "Months as a customer",
        Feature::TotalRelationshipCount => "Number of products",
        Feature::MonthsInactive12Mon => "Months of inactivity",
        Feature::ContactsCount12Mon => "Number of contacts",
        Feature::CreditLimit => "Credit limit",
        Feature::TotalRevolvingBal => "Revolving balance",
        Feature::AvgOpenToBuy => "Unused credit",
        Feature::TotalAmtChngQ4Q1 => "Change of spending",
        Feature::TotalTransAmt => "Spending of the last year",
        Feature::TotalTransCt => "Number of transactions",
        Feature::TotalCtChngQ4Q1 => "Change of the number of transactions",
        Feature::AvgUtilizationRatio => "Share of the credit limit in use",
    }
}

/// A number in its style.
pub(super) fn number(value: f64, style: Style) -> String {
    match style {
        Style::Count => trimmed(value, 1),
        Style::Money => money(value),
        Style::Ratio => trimmed(value, 3),
        Style::Percent => format!("{} %", trimmed(value * 100.0, 1)),
    }
}

/// Fixed decimals without the zeros at the end.
fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn money(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3 + 2);
    if value < 0.0 && digits != "0" {
        grouped.push('-');
    }
    grouped.push('$');
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use holdfast_domain::FeatureKind;

    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        let written = [
            (42.0, Style::Count, "42"),
            (2.5, Style::Count, "2.5"),
            (1_234.4, Style::Money, "$1,234"),
            (999.5, Style::Money, "$1,000"),
            (1_234_567.0, Style::Money, "$1,234,567"),
            (-12.0, Style::Money, "-$12"),
            (-0.2, Style::Money, "$0"),
            (0.702, Style::Ratio, "0.702"),
            (0.5, Style::Ratio, "0.5"),
            (-0.000_1, Style::Ratio, "0"),
            (0.061, Style::Percent, "6.1 %"),
            (0.0, Style::Percent, "0 %"),
        ];
        for (value, style, text) in written {
            assert_eq!(number(value, style), text);
        }
    }

    #[test]
    fn every_number_has_a_wording_and_no_category_has() {
        for feature in Feature::ALL {
            assert_eq!(
                of(feature).is_some(),
                feature.kind() == FeatureKind::Numeric,
                "{feature}"
            );
        }
    }
}
