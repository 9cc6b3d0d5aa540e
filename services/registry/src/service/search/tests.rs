use proptest::prelude::*;

use super::*;

fn refusal<C: std::fmt::Debug>(found: Result<C, Violation>) -> String {
    found.expect_err("must be refused").description
}

fn tag(key: &str, test: KeyTest) -> RunClause {
    RunClause::Tag {
        key: key.to_owned(),
        test,
    }
}

fn equal(text: &str) -> TextTest {
    TextTest::Equal(text.to_owned())
}

#[test]
fn clauses_of_all_kinds_are_joined_by_and() {
    let found = run_filter(
        "metrics.auc >= 0.9 and params.`learning rate` LIKE '0.%' AND tags.\"a b\" IS NOT NULL AND attributes.run_id IN ('a', \"b\",) \
         AND dataset.context != 'test' AND status = 'FINISHED'",
    );
    let key = |key: &str| key.to_owned();
    assert_eq!(
        found,
        Ok(vec![
            RunClause::Metric {
                key: key("auc"),
                op: NumberOp::GreaterOrEqual,
                value: 0.9
            },
            RunClause::Param {
                key: key("learning rate"),
                test: KeyTest::Value(TextTest::Like(key("0.%")))
            },
            tag("a b", KeyTest::Present),
            RunClause::Text {
                attribute: RunText::RunId,
                test: TextTest::In(vec![key("a"), key("b")])
            },
            RunClause::Dataset {
                attribute: DatasetText::Context,
                test: TextTest::NotEqual(key("test"))
            },
            RunClause::Text {
                attribute: RunText::Status,
                test: equal("FINISHED")
            },
        ])
    );
}

#[test]
fn an_empty_filter_selects_all_and_one_of_blanks_is_refused() {
    assert_eq!(run_filter(""), Ok(Vec::new()));
    assert_eq!(run_filter("AND"), Ok(Vec::new()));
    assert!(refusal(run_filter("  ")).contains("could not be parsed"));
}

#[test]
fn a_refusal_names_the_clause_and_what_is_allowed() {
    assert_eq!(
        refusal(experiment_filter("name = 'a' AND nome = 'x'")),
        "invalid attribute key 'nome' specified, valid keys are 'name', 'experiment_id', 'creation_time', 'last_update_time' \
         (in the clause \"nome = 'x'\")"
    );
    assert_eq!(
        refusal(run_filter("metrics.auc == 1")),
        "invalid comparator '==' for metric, not one of '=', '!=', '>', '>=', '<', '<=' (in the clause \"metrics.auc == 1\")"
    );
    assert!(refusal(run_filter("metrics.a > 1 OR metrics.b > 1")).contains("'OR'"));
    assert!(refusal(run_filter("params.a-b = 'x'")).contains("backticks"));
    assert!(refusal(run_filter("params.layer.0.units = '8'")).contains("backticks"));
    assert!(refusal(run_filter("params.a = x")).contains("quotes"));
    assert!(refusal(run_filter("tags.a IN ('x')")).contains("got a list"));
    assert!(refusal(run_filter("status IN ('x')")).contains("only 'run_id'"));
    assert!(refusal(run_filter("run_id IN ()")).contains("empty list"));
    assert!(refusal(run_filter("params.a = 'x")).contains("not closed"));
}

#[test]
fn a_quote_behind_a_backslash_goes_on_unless_nothing_closes_the_text() {
    assert_eq!(
        run_filter(r"tags.a = 'C:\'"),
        Ok(vec![tag("a", KeyTest::Value(equal(r"C:\")))])
    );
    assert_eq!(
        run_filter(r"tags.a = 'it\'s' AND tags.b = 'it''s'"),
        Ok(vec![
            tag("a", KeyTest::Value(equal(r"it\'s"))),
            tag("b", KeyTest::Value(equal("it''s"))),
        ])
    );
}

#[test]
fn milliseconds_become_ranges_of_microseconds() {
    let test = |text: &str| match run_filter(text).expect("a filter").pop() {
        Some(RunClause::Time { test, .. }) => test,
        other => panic!("{other:?}"),
    };
    assert_eq!(test("start_time = 5"), TimeTest::Inside(5_000..6_000));
    assert_eq!(test("start_time != 5"), TimeTest::Outside(5_000..6_000));
    assert_eq!(test("created > 5"), TimeTest::Inside(6_000..i64::MAX));
    assert_eq!(test("start_time >= 5.5"), TimeTest::Inside(6_000..i64::MAX));
    assert_eq!(test("end_time < 5.5"), TimeTest::Inside(i64::MIN..6_000));
    assert_eq!(test("end_time <= -1"), TimeTest::Inside(i64::MIN..0));
    assert_eq!(test("start_time = 5.5"), TimeTest::Inside(0..0));
    assert_eq!(
        test("start_time < 99999999999999999999"),
        TimeTest::Inside(i64::MIN..i64::MAX)
    );
}

#[test]
fn a_filter_asks_for_prompts_by_their_tag_alone() {
    let not_equal = |value: &str| TextTest::NotEqual(value.to_owned());
    assert!(!asks_for_prompts(IS_PROMPT_TAG, &equal("false")));
    assert!(!asks_for_prompts(IS_PROMPT_TAG, &not_equal("true")));
    assert!(asks_for_prompts(IS_PROMPT_TAG, &equal("true")));
    assert!(asks_for_prompts(IS_PROMPT_TAG, &not_equal("false")));
    assert!(!asks_for_prompts("team", &not_equal("true")));
    assert!(!asks_for_prompts("team", &equal("true")));
}

#[test]
fn versions_compare_whole_numbers_that_may_be_quoted() {
    let three = VersionClause::Number {
        op: NumberOp::Greater,
        value: 3,
    };
    assert_eq!(version_filter("version_number > 3"), Ok(vec![three.clone()]));
    assert_eq!(version_filter("version_number > '3'"), Ok(vec![three]));
    assert!(refusal(version_filter("version_number > 3.5")).contains("whole number"));
}

#[test]
fn logged_models_take_numbers_for_texts_and_lists_everywhere() {
    assert_eq!(
        logged_model_filter("params.lr = 0.01 AND tags.a NOT IN ('x')"),
        Ok(vec![
            LoggedModelClause::Param {
                key: "lr".to_owned(),
                test: equal("0.01")
            },
            LoggedModelClause::Tag {
                key: "a".to_owned(),
                test: TextTest::NotIn(vec!["x".to_owned()])
            },
        ])
    );
    assert!(refusal(logged_model_filter("metric.a > 1")).contains("'metrics'"));
}

#[test]
fn an_order_is_a_key_and_a_direction() {
    let keys = ["metrics.`a b` DESC", "created", "tags.x asc"].map(str::to_owned);
    assert_eq!(
        run_order(&keys),
        Ok(vec![
            Order {
                by: RunOrderKey::Metric("a b".to_owned()),
                direction: Direction::Descending
            },
            Order {
                by: RunOrderKey::Time(RunTime::StartedAt),
                direction: Direction::Ascending
            },
            Order {
                by: RunOrderKey::Tag("x".to_owned()),
                direction: Direction::Ascending
            },
        ])
    );
    let twice = ["start_time", "Created DESC"].map(str::to_owned);
    let found = run_order(&twice).expect_err("one field twice");
    assert_eq!(found.field, "order_by[1]");
    assert!(refusal(run_order(&["metrics.a down".to_owned()])).contains("'asc', 'desc'"));
}

#[test]
fn an_order_of_logged_models_may_name_the_data_set_of_a_metric() {
    let field = LoggedModelOrderField {
        field: "metrics.a.b",
        direction: Direction::Descending,
        dataset_name: "churn",
        dataset_digest: "",
    };
    assert_eq!(
        logged_model_order(&[field]),
        Ok(vec![Order {
            by: LoggedModelOrderKey::Metric {
                key: "a.b".to_owned(),
                dataset_name: Some("churn".to_owned()),
                dataset_digest: None
            },
            direction: Direction::Descending
        }])
    );
    let digest_alone = LoggedModelOrderField {
        dataset_name: "",
        dataset_digest: "d",
        ..field
    };
    assert!(refusal(logged_model_order(&[digest_alone])).contains("dataset_name"));
}

#[test]
fn a_filter_is_bounded() {
    let many = vec!["tags.a = 'x'"; MAX_CLAUSES].join(" AND ");
    assert_eq!(run_filter(&many).expect("as many as allowed").len(), MAX_CLAUSES);
    assert!(refusal(run_filter(&format!("{many} AND tags.a = 'x'"))).contains("100"));
    let ids = vec!["'a'"; MAX_LISTED + 1].join(",");
    assert!(refusal(run_filter(&format!("run_id IN ({ids})"))).contains("10,000"));
}

/// Pieces of which filters consist, and some of which none does.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("metrics.".to_owned()),
        Just("params.a".to_owned()),
        Just("run_id".to_owned()),
        Just("version_number".to_owned()),
        Just(" IN (".to_owned()),
        Just(" IS NOT NULL".to_owned()),
        Just(" LIKE ".to_owned()),
        Just(" AND ".to_owned()),
        Just("0x1e-5.".to_owned()),
        "[<>=!(),.'\"`\\\\;-]{1,3}",
        "\\PC{0,4}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![pieces(), any::<String>()]) {
        let _ = run_filter(&text);
        let _ = experiment_filter(&text);
        let _ = registered_model_filter(&text);
        let _ = version_filter(&text);
        let _ = logged_model_filter(&text);
        let keys = [text];
        let _ = run_order(&keys);
        let _ = experiment_order(&keys);
        let _ = registered_model_order(&keys);
        let _ = version_order(&keys);
    }

    #[test]
    fn any_key_in_backticks_and_any_value_in_quotes_come_through(key in "[^`]{1,20}", value in "[^'\\\\]{0,20}") {
        let found = run_filter(&format!("tags.`{key}` = '{value}'"));
        prop_assert_eq!(found, Ok(vec![tag(&key, KeyTest::Value(equal(&value)))]));
    }
}
