use super::*;

const TEXT: &str = include_str!("../../../../config/schema.yaml");

fn refused(from: &str, to: &str) -> String {
    assert!(TEXT.contains(from), "{from}");
    Schema::parse(&TEXT.replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn the_embedded_schema_has_every_feature_in_order() {
    let schema = Schema::embedded();
    assert_eq!(schema.version(), 1);
    assert_eq!(schema.columns().len(), crate::FEATURE_COUNT);
    for feature in Feature::ALL {
        assert_eq!(schema.column(feature).feature, feature);
        assert!(!schema.column(feature).description.is_empty());
    }
}

#[test]
fn the_eight_required_features_are_those_of_the_published_interface() {
    let required: Vec<&str> = Schema::embedded().required().map(Feature::name).collect();
    let expected = [
        "Total_Relationship_Count",
        "Credit_Limit",
        "Total_Revolving_Bal",
        "Total_Amt_Chng_Q4_Q1",
        "Total_Trans_Amt",
        "Total_Trans_Ct",
        "Total_Ct_Chng_Q4_Q1",
        "Avg_Utilization_Ratio",
    ];
    assert_eq!(required, expected);
    assert_eq!(Schema::embedded().optional().count(), 11);
}

#[test]
fn leaking_columns_are_dropped_and_others_are_not() {
    let schema = Schema::embedded();
    assert!(schema.dropped("Naive_Bayes_Classifier_Attrition_Flag_1"));
    assert_eq!(schema.role("Naive_Bayes_x"), Some(ColumnRole::Dropped));
    assert!(!schema.dropped("Credit_Limit") && !schema.dropped("naive_bayes_x") && !schema.dropped("Naive_Bayes"));
    assert_eq!(schema.role("CLIENTNUM"), Some(ColumnRole::Key));
    assert_eq!(schema.role("Attrition_Flag"), Some(ColumnRole::Target));
    assert_eq!(schema.role("Gender"), Some(ColumnRole::Feature(Feature::Gender)));
    assert_eq!(schema.role("gender"), None);
}

#[test]
fn category_codes_and_names_are_inverse() {
    let schema = Schema::embedded();
    for column in schema.columns() {
        for (code, name) in column.categories.iter().enumerate() {
            assert_eq!(schema.category_code(column.feature, name), Some(code));
            assert_eq!(schema.category_name(column.feature, code), Some(name.as_str()));
        }
        assert_eq!(schema.category_name(column.feature, column.categories.len()), None);
    }
    assert_eq!(schema.category_code(Feature::IncomeCategory, "$40K - $60K"), Some(1));
    assert_eq!(schema.category_code(Feature::CreditLimit, "F"), None);
}

#[test]
fn wording_does_not_change_the_digest_and_rules_do() {
    let digest = Schema::embedded().digest();
    let reworded = TEXT
        .replacen("Age of the customer.", "How old the customer is.", 1)
        .replacen("unit: years", "unit: a", 1);
    assert_eq!(Schema::parse(&reworded).unwrap().digest(), digest);
    for (from, to) in [
        ("[18, 120]", "[18, 121]"),
        ("[F, M]", "[M, F]"),
        ("\"Naive_Bayes_*\"", "\"Naive_*\""),
        ("Attrited C", "Lost c"),
    ] {
        assert_ne!(
            Schema::parse(&TEXT.replacen(from, to, 1)).unwrap().digest(),
            digest,
            "{from}"
        );
    }
}

#[test]
fn the_order_of_the_file_does_not_matter() {
    let (head, rest) = TEXT.split_once("  - name: Customer_Age").unwrap();
    let (age, rest) = rest.split_once("  - name: Gender").unwrap();
    let (others, end) = rest.split_once("# Columns an import").unwrap();
    let moved = format!("{head}  - name: Gender{others}  - name: Customer_Age{age}# Columns an import{end}");
    assert_eq!(&Schema::parse(&moved).unwrap(), Schema::embedded());
}

#[test]
fn an_unknown_key_is_refused_with_its_path() {
    let error = refused("    range: [18, 120]", "    rnage: [18, 120]");
    assert!(error.starts_with("schema: columns[0]"), "{error}");
    assert!(error.contains("rnage"), "{error}");
    let error = refused("version: 1", "version: 1\nextra: 2");
    assert!(error.contains("extra"), "{error}");
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_path() {
    let error = refused("    range: [18, 120]", "    range: [18, old]");
    assert!(error.starts_with("schema: columns[0].range"), "{error}");
    let error = refused("presence: optional", "presence: sometimes");
    assert!(
        error.contains("columns[0].presence") && error.contains("sometimes"),
        "{error}"
    );
}

#[test]
fn features_must_be_listed_once_and_all() {
    let error = refused("name: Customer_Age", "name: Customer_Aeg");
    assert_eq!(
        error,
        "schema: columns[0].name: \"Customer_Aeg\" is not a feature; did you mean Customer_Age?"
    );
    let error = refused(
        "  - name: Gender\n    type: categorical\n    categories: [F, M]",
        "  - name: Customer_Age\n    type: numeric\n    range: [0, 1]",
    );
    assert_eq!(error, "schema: columns[1].name: Customer_Age is listed twice");
    let (head, rest) = TEXT.split_once("  - name: Customer_Age").unwrap();
    let (_, rest) = rest.split_once("  - name: Gender").unwrap();
    let error = Schema::parse(&format!("{head}  - name: Gender{rest}")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "schema: columns: these features are not listed: Customer_Age"
    );
}

#[test]
fn contradictions_are_refused() {
    for (from, to, path) in [
        ("version: 1", "version: 2", "version"),
        ("range: [18, 120]", "range: [120, 18]", "columns[0].range"),
        ("range: [18, 120]", "range: [18, .inf]", "columns[0].range"),
        ("range: [18, 120]", "range: [18.5, 120]", "columns[0].range"),
        ("    range: [18, 120]\n", "", "columns[0].range"),
        ("range: [18, 120]", "categories: [a]", "columns[0].categories"),
        ("categories: [F, M]", "categories: [F, F]", "columns[1].categories[1]"),
        (
            "categories: [F, M]",
            "categories: [F, \" M\"]",
            "columns[1].categories[1]",
        ),
        ("categories: [F, M]", "categories: []", "columns[1].categories"),
        ("    categories: [F, M]\n", "", "columns[1].categories"),
        (
            "categories: [F, M]",
            "categories: [F, M]\n    range: [0, 1]",
            "columns[1]",
        ),
        ("type: numeric", "type: categorical", "columns[0].type"),
        (
            "presence: required\n    nullable: false",
            "presence: required\n    nullable: true",
            "columns[8].nullable",
        ),
        ("Age of the customer.", "\"\"", "columns[0].description"),
        ("name: CLIENTNUM", "name: Gender", "key.name"),
        ("name: CLIENTNUM", "name: Attrition_Flag", "target.name"),
        (
            "positive: Attrited Customer",
            "positive: Existing Customer",
            "target.positive",
        ),
        ("[\"Naive_Bayes_*\"]", "[\"*\"]", "drop[0]"),
        ("[\"Naive_Bayes_*\"]", "[\"Credit_*\"]", "drop[0]"),
        ("[\"Naive_Bayes_*\"]", "[CLIENTNUM]", "drop[0]"),
    ] {
        let error = refused(from, to);
        assert!(
            error.starts_with(&format!("schema: {path}: ")),
            "{from} → {to}: {error}"
        );
    }
}

#[test]
fn text_that_is_no_yaml_is_an_error() {
    for text in [
        "",
        "[",
        "version: [",
        "\u{0}",
        "- a\n- b",
        "version: 1\n---\nversion: 1",
    ] {
        assert!(Schema::parse(text).is_err(), "{text:?}");
    }
}
