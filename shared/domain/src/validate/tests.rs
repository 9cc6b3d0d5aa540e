use crate::feature::FEATURE_COUNT;
use proptest::prelude::*;

use super::*;
use crate::feature::Feature;

fn complete() -> Vec<(&'static str, FieldValue<'static>)> {
    vec![
        ("CLIENTNUM", FieldValue::Integer(768_805_383)),
        ("Attrition_Flag", FieldValue::Text("Existing Customer")),
        ("Customer_Age", FieldValue::Number(45.0)),
        ("Gender", FieldValue::Text("M")),
        ("Dependent_count", FieldValue::Text("3")),
        ("Education_Level", FieldValue::Text("High School")),
        ("Marital_Status", FieldValue::Text("Married")),
        ("Income_Category", FieldValue::Text("$60K - $80K")),
        ("Card_Category", FieldValue::Text("Blue")),
        ("Months_on_book", FieldValue::Integer(39)),
        ("Total_Relationship_Count", FieldValue::Number(5.0)),
        ("Months_Inactive_12_mon", FieldValue::Number(1.0)),
        ("Contacts_Count_12_mon", FieldValue::Number(3.0)),
        ("Credit_Limit", FieldValue::Text("12691")),
        ("Total_Revolving_Bal", FieldValue::Number(777.0)),
        ("Avg_Open_To_Buy", FieldValue::Number(11_914.0)),
        ("Total_Amt_Chng_Q4_Q1", FieldValue::Text("1.335")),
        ("Total_Trans_Amt", FieldValue::Number(1_144.0)),
        ("Total_Trans_Ct", FieldValue::Number(42.0)),
        ("Total_Ct_Chng_Q4_Q1", FieldValue::Text("1.625e0")),
        ("Avg_Utilization_Ratio", FieldValue::Number(0.061)),
    ]
}

fn with(name: &'static str, value: FieldValue<'static>) -> Vec<(&'static str, FieldValue<'static>)> {
    let mut fields = complete();
    for field in &mut fields {
        if field.0 == name {
            field.1 = value;
        }
    }
    fields
}

fn violation(name: &'static str, value: FieldValue<'static>, strictness: Strictness) -> Violation {
    let mut violations = Schema::embedded().customer(with(name, value), strictness).unwrap_err();
    assert_eq!(violations.len(), 1, "{violations:?}");
    violations.remove(0)
}

#[test]
fn a_complete_row_becomes_a_customer() {
    let schema = Schema::embedded();
    let customer = schema.customer(complete(), Strictness::Training).unwrap();
    assert_eq!(customer.key, Some(CustomerKey(768_805_383)));
    assert_eq!(customer.label, Some(false));
    assert_eq!(customer.features.get(Feature::CreditLimit), Some(12_691.0));
    assert_eq!(customer.features.get(Feature::Gender), Some(1.0));
    assert_eq!(customer.features.get(Feature::TotalCtChngQ4Q1), Some(1.625));
    assert_eq!(customer.features.missing().count(), 0);
    assert_eq!(schema.check(&customer, Strictness::Training), []);
}

#[test]
fn messages_about_numbers_name_column_value_and_what_is_allowed() {
    for (column, value, rule, message) in [
        (
            "Credit_Limit",
            FieldValue::Number(-5.0),
            Rule::BelowMinimum,
            "Credit_Limit is -5, which is too small; allowed are numbers from 0 to 100000000 (US dollars)",
        ),
        (
            "Customer_Age",
            FieldValue::Text("450"),
            Rule::AboveMaximum,
            "Customer_Age is \"450\", which is too large; allowed are whole numbers from 18 to 120 (years)",
        ),
        (
            "Total_Trans_Ct",
            FieldValue::Number(5.5),
            Rule::NotInteger,
            "Total_Trans_Ct is 5.5, which is not a whole number; allowed are whole numbers from 0 to 1000000 (transactions)",
        ),
        (
            "Avg_Utilization_Ratio",
            FieldValue::Text("high"),
            Rule::NotANumber,
            "Avg_Utilization_Ratio is \"high\", which is not a number; allowed are numbers from 0 to 2 (ratio)",
        ),
        (
            "Credit_Limit",
            FieldValue::Text("$12,691"),
            Rule::NotANumber,
            "Credit_Limit is \"$12,691\", which is not a number (write digits and a decimal point only, such as 12691); allowed are numbers from 0 to 100000000 (US dollars)",
        ),
        (
            "Credit_Limit",
            FieldValue::Number(f64::INFINITY),
            Rule::NotFinite,
            "Credit_Limit is inf, which is not a finite number; allowed are numbers from 0 to 100000000 (US dollars)",
        ),
    ] {
        let found = violation(column, value, Strictness::Training);
        assert_eq!(
            (found.column.as_str(), found.rule, found.message.as_str()),
            (column, rule, message)
        );
    }
}

#[test]
fn messages_about_names_and_keys_name_column_value_and_what_is_allowed() {
    for (column, value, rule, message) in [
        (
            "Gender",
            FieldValue::Text("Male"),
            Rule::UnknownCategory,
            "Gender is \"Male\", which is not a known category; allowed are \"F\", \"M\"",
        ),
        (
            "Card_Category",
            FieldValue::Text("sliver"),
            Rule::UnknownCategory,
            "Card_Category is \"sliver\", which is not a known category; did you mean \"Silver\"? allowed are \"Blue\", \"Silver\", \"Gold\", \"Platinum\"",
        ),
        (
            "Gender",
            FieldValue::Number(1.0),
            Rule::NotText,
            "Gender is 1, which is not a category; allowed are \"F\", \"M\"",
        ),
        (
            "Attrition_Flag",
            FieldValue::Text("1"),
            Rule::Label,
            "Attrition_Flag is \"1\"; allowed are \"Attrited Customer\" and \"Existing Customer\"",
        ),
        (
            "CLIENTNUM",
            FieldValue::Text("C-17"),
            Rule::Key,
            "CLIENTNUM is \"C-17\"; a customer key is a whole number from 1",
        ),
        (
            "Total_Trans_Ct",
            FieldValue::Missing,
            Rule::Required,
            "Total_Trans_Ct is missing; training data needs it in every row",
        ),
    ] {
        let found = violation(column, value, Strictness::Training);
        assert_eq!(
            (found.column.as_str(), found.rule, found.message.as_str()),
            (column, rule, message)
        );
    }
}

#[test]
fn numbers_as_text_are_read_strictly() {
    for text in ["5", "5.0", "+5", "5e0", "0.5e1"] {
        let customer = Schema::embedded()
            .customer(with("Total_Trans_Ct", FieldValue::Text(text)), Strictness::Serving)
            .unwrap();
        assert_eq!(customer.features.get(Feature::TotalTransCt), Some(5.0), "{text}");
    }
    for text in [" 5", "5 ", "5,0", "0x5", "5_000", "five", "--5", "5.0.0", "٥"] {
        assert_eq!(
            violation("Total_Trans_Ct", FieldValue::Text(text), Strictness::Serving).rule,
            Rule::NotANumber,
            "{text}"
        );
    }
    for text in ["NaN", "nan", "inf", "-Infinity", "1e999"] {
        assert_eq!(
            violation("Total_Trans_Ct", FieldValue::Text(text), Strictness::Serving).rule,
            Rule::NotFinite,
            "{text}"
        );
    }
    assert_eq!(
        violation("Total_Trans_Ct", FieldValue::Number(f64::NAN), Strictness::Serving).rule,
        Rule::NotFinite
    );
}

#[test]
fn keys_keep_every_digit() {
    for (value, key) in [
        (FieldValue::Integer(i64::MAX), i64::MAX),
        (FieldValue::Text("9223372036854775807"), i64::MAX),
        (FieldValue::Text("768805383.0"), 768_805_383),
        (FieldValue::Number(7.0), 7),
    ] {
        let customer = Schema::embedded()
            .customer(with("CLIENTNUM", value), Strictness::Training)
            .unwrap();
        assert_eq!(customer.key, Some(CustomerKey(key)));
    }
    let refused = [
        FieldValue::Integer(0),
        FieldValue::Number(1.5),
        FieldValue::Number(1e17),
        FieldValue::Number(f64::NAN),
        FieldValue::Text("-3"),
        FieldValue::Text("9223372036854775808"),
    ];
    for value in refused {
        assert_eq!(
            violation("CLIENTNUM", value, Strictness::Training).rule,
            Rule::Key,
            "{value:?}"
        );
    }
}

#[test]
fn serving_needs_the_required_features_alone() {
    let schema = Schema::embedded();
    let required: Vec<_> = complete()
        .into_iter()
        .filter(|(name, _)| schema.required().any(|f| f.name() == *name))
        .collect();
    let customer = schema.customer(required.clone(), Strictness::Serving).unwrap();
    assert_eq!(
        (customer.key, customer.label, customer.features.missing().count()),
        (None, None, 11)
    );
    let rules: Vec<_> = schema
        .customer(required, Strictness::Training)
        .unwrap_err()
        .into_iter()
        .map(|v| v.column)
        .collect();
    assert_eq!(rules, ["CLIENTNUM", "Attrition_Flag"]);
    let nothing = schema.customer([], Strictness::Serving).unwrap_err();
    assert_eq!(nothing.len(), 8);
    assert_eq!(
        nothing[0].message,
        "Total_Relationship_Count is missing; every prediction needs it"
    );
}

#[test]
fn an_unlisted_category_is_marked_when_serving() {
    let customer = Schema::embedded()
        .customer(with("Card_Category", FieldValue::Text("Obsidian")), Strictness::Serving)
        .unwrap();
    assert_eq!(customer.features.get(Feature::CardCategory), Some(UNKNOWN_CATEGORY));
}

#[test]
fn every_violation_is_reported_and_a_refused_value_is_not_missing_as_well() {
    let fields = [
        ("Credit_Limit", FieldValue::Text("much")),
        ("Credit_Limit", FieldValue::Number(1.0)),
        ("Total_Tran_Ct", FieldValue::Number(1.0)),
        ("Naive_Bayes_Classifier_1", FieldValue::Text("whatever")),
        ("shoe size", FieldValue::Missing),
    ];
    let violations = Schema::embedded().customer(fields, Strictness::Serving).unwrap_err();
    let found: Vec<_> = violations.iter().map(|v| (v.column.as_str(), v.rule.code())).collect();
    assert_eq!(
        found[..4],
        [
            ("Credit_Limit", "not_a_number"),
            ("Credit_Limit", "duplicate_column"),
            ("Total_Tran_Ct", "unknown_column"),
            ("shoe size", "unknown_column")
        ]
    );
    assert_eq!(found.len(), 4 + 7);
    assert_eq!(
        violations[2].message,
        "Total_Tran_Ct is not a known column; did you mean Total_Trans_Ct?"
    );
    assert_eq!(
        violations[3].message,
        "shoe size is not a known column; the schema has no column of that name"
    );
}

#[test]
fn a_negative_zero_is_zero() {
    let customer = Schema::embedded()
        .customer(with("Credit_Limit", FieldValue::Text("-0")), Strictness::Serving)
        .unwrap();
    assert_eq!(
        customer.features.0[Feature::CreditLimit.index()].to_bits(),
        0.0_f64.to_bits()
    );
}

fn any_feature_value(feature: Feature) -> BoxedStrategy<f64> {
    let column = Schema::embedded().column(feature);
    let value = match (column.minimum, column.maximum) {
        (Some(low), Some(high)) if column.integer => (low..=high).prop_map(f64::round).boxed(),
        (Some(low), Some(high)) => (low..=high).boxed(),
        _ => (0..column.categories.len()).prop_map(|code| code as f64).boxed(),
    };
    if column.required {
        value
    } else {
        prop_oneof![4 => value, 1 => Just(f64::NAN)].boxed()
    }
}

fn any_customer() -> impl Strategy<Value = Customer> {
    let features: Vec<_> = Feature::ALL.into_iter().map(any_feature_value).collect();
    (1..i64::MAX, any::<bool>(), features).prop_map(|(key, label, values)| {
        let mut features = FeatureVector::MISSING;
        for (feature, value) in Feature::ALL.into_iter().zip(values) {
            features.set(feature, value);
        }
        Customer {
            key: Some(CustomerKey(key)),
            label: Some(label),
            features,
        }
    })
}

#[derive(Clone, Debug)]
enum Garbage {
    Missing,
    Number(f64),
    Integer(i64),
    Text(String),
}

fn any_garbage() -> impl Strategy<Value = Garbage> {
    prop_oneof![
        Just(Garbage::Missing),
        prop::num::f64::ANY.prop_map(Garbage::Number),
        any::<i64>().prop_map(Garbage::Integer),
        any::<String>().prop_map(Garbage::Text),
        "[-+0-9.eE$, ]{0,12}".prop_map(Garbage::Text),
    ]
}

proptest! {
    #[test]
    fn a_customer_rendered_and_read_back_is_the_same(customer in any_customer()) {
        let schema = Schema::embedded();
        prop_assert_eq!(schema.customer(schema.fields(&customer), Strictness::Training).unwrap(), customer);
        let written: Vec<(String, String)> = schema.fields(&customer).map(|(name, value)| {
            let text = match value {
                FieldValue::Missing => String::new(),
                FieldValue::Number(number) => number.to_string(),
                FieldValue::Integer(number) => number.to_string(),
                FieldValue::Text(text) => text.to_owned(),
            };
            (name.to_owned(), text)
        }).collect();
        let as_text = written.iter().map(|(name, text)| (name.as_str(), FieldValue::Text(text)));
        prop_assert_eq!(schema.customer(as_text, Strictness::Training).unwrap(), customer);
    }

    #[test]
    fn garbage_is_refused_in_words_and_never_panics(
        row in prop::collection::vec((prop_oneof![Just(None), any::<String>().prop_map(Some)], 0..21_usize, any_garbage()), 0..30),
        training: bool,
    ) {
        let schema = Schema::embedded();
        let names: Vec<&str> = schema.column_names().collect();
        let fields = row.iter().map(|(other, index, value)| {
            let value = match value {
                Garbage::Missing => FieldValue::Missing,
                Garbage::Number(number) => FieldValue::Number(*number),
                Garbage::Integer(number) => FieldValue::Integer(*number),
                Garbage::Text(text) => FieldValue::Text(text),
            };
            (other.as_deref().unwrap_or(names[*index]), value)
        });
        let strictness = if training { Strictness::Training } else { Strictness::Serving };
        match schema.customer(fields, strictness) {
            Ok(customer) => prop_assert_eq!(schema.check(&customer, strictness), []),
            Err(violations) => {
                prop_assert!(!violations.is_empty());
                for violation in violations {
                    prop_assert!(!violation.message.is_empty() && violation.message.chars().count() < 500, "{}", violation.message);
                }
            }
        }
    }

    #[test]
    fn arbitrary_text_is_never_a_schema_and_never_a_panic(text in any::<String>()) {
        prop_assert!(Schema::parse(&text).is_err());
    }
}

proptest! {
    /// Rows are built in a hurry; what they hold and refuse is what the rules say of each value.
    #[test]
    fn a_row_holds_what_the_rules_say_of_its_values(
        numbers in prop::collection::vec(
            prop_oneof![
                any::<f64>(),
                (-3_i64..400).prop_map(|number| number as f64),
                (-3.0..400.0),
                Just(-0.0),
                Just(9_007_199_254_740_993.0),
            ],
            FEATURE_COUNT,
        ),
        whole in any::<bool>(),
        strictness in prop_oneof![Just(Strictness::Training), Just(Strictness::Serving)],
    ) {
        let schema = Schema::embedded();
        let mut row = RowBuilder::new(schema, strictness);
        let mut expected = FeatureVector::MISSING;
        let mut broken = Vec::new();
        for (feature, number) in Feature::ALL.into_iter().zip(numbers) {
            let value = if whole { FieldValue::Integer(number as i64) } else { FieldValue::Number(number) };
            row.set(ColumnRole::Feature(feature), value);
            match schema.feature_value(feature, value, strictness) {
                Ok(value) => expected.set(feature, value),
                Err(violation) => broken.push(violation),
            }
        }
        let (customer, violations) = row.finish_with_violations();
        let bits = |features: &FeatureVector| features.0.map(|value| (!value.is_nan()).then(|| value.to_bits()));
        prop_assert_eq!(bits(&customer.features), bits(&expected));
        let violations: Vec<Violation> = violations.into_iter().filter(|found| found.rule != Rule::Required).collect();
        prop_assert_eq!(violations, broken);
    }

    /// Whatever is left out: a row is finished exactly when nothing is wrong with it.
    #[test]
    fn a_row_is_finished_when_what_it_needs_is_there(
        given in prop::collection::vec(any::<bool>(), 21),
        strictness in prop_oneof![Just(Strictness::Training), Just(Strictness::Serving)],
    ) {
        let schema = Schema::embedded();
        let fields: Vec<_> = complete().into_iter().zip(&given).filter(|(_, given)| **given).map(|(field, _)| field).collect();
        let there = |name: &str| fields.iter().any(|field| field.0 == name);
        let needed = schema.columns().iter().filter(|column| match strictness {
            Strictness::Training => !column.nullable,
            Strictness::Serving => column.required,
        });
        let mut missing: Vec<&str> = needed.map(Column::name).filter(|name| !there(name)).collect();
        if strictness == Strictness::Training {
            missing.extend(["CLIENTNUM", "Attrition_Flag"].into_iter().filter(|name| !there(name)));
        }
        missing.sort_unstable();
        let outcome = schema.customer(fields.iter().copied(), strictness);
        let mut found: Vec<String> = outcome.err().unwrap_or_default().into_iter().map(|broken| broken.column).collect();
        found.sort_unstable();
        prop_assert_eq!(found, missing);
    }
}
