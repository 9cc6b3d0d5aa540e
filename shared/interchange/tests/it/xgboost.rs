//! XGBoost's files.

use holdfast_interchange::{AssumedOrder, BindOptions, ColumnNames, ImportedKind, Library, Rounds, bind, import};
use holdfast_model::{Family, Step};

use crate::support::{
    NUMBERS, assert_answers, assert_file, bound_model, bytes, expected, imported, owned, pandas_orders, schema,
};

fn assert_both(name: &str, options: &BindOptions) {
    for ending in ["json", "ubj"] {
        assert_file(&format!("{name}.{ending}"), name, options, 1.0);
    }
}

#[test]
fn numbers_with_missing_values_are_answered_as_there() {
    assert_both("xgboost-numeric", &BindOptions::default());
}

#[test]
fn one_hot_splits_of_categories_are_answered_as_there() {
    assert_both("xgboost-one-hot", &BindOptions::default());
}

#[test]
fn splits_that_part_the_categories_are_answered_as_there() {
    assert_both("xgboost-partition", &BindOptions::default());
}

#[test]
fn the_trees_of_dart_have_their_weights() {
    assert_both("xgboost-dart", &BindOptions::default());
}

#[test]
fn several_trees_an_iteration_are_counted_by_iterations() {
    assert_both("xgboost-forest", &BindOptions::default());
    let forest = imported("xgboost-forest.json");
    assert_eq!((forest.trees, forest.trees_in_file), (10, 15));
    assert_eq!(forest.family, Family::BoostedTrees);
}

#[test]
fn early_stopping_ends_with_the_best_iteration_or_not_as_asked() {
    assert_both("xgboost-early-stopping", &BindOptions::default());
    let best = imported("xgboost-early-stopping.ubj");
    assert_eq!(best.best_iteration.map(|best| best + 1), Some(best.trees));
    assert!(best.trees < best.trees_in_file);

    let all = import(&bytes("models/xgboost-early-stopping.ubj"), Rounds::All).unwrap();
    assert_eq!(all.trees, best.trees_in_file);
    let bound = bind(&all, &BindOptions::default(), schema()).unwrap();
    let expected = expected("expected/xgboost-early-stopping-all.json");
    assert_answers(&bound_model(bound), &expected, 1.0, "all trees");
}

#[test]
fn the_other_logistic_objectives_are_answered_as_there() {
    assert_both("xgboost-logitraw", &BindOptions::default());
    assert_both("xgboost-reg-logistic", &BindOptions::default());
}

#[test]
fn codes_that_were_taken_for_numbers_are_encoded_in_the_schemas_order() {
    assert_both("xgboost-integer-coded", &BindOptions::default());
    let bound = bind(
        &imported("xgboost-integer-coded.json"),
        &BindOptions::default(),
        schema(),
    )
    .unwrap();
    let coded = ["Gender", "Education_Level", "Income_Category", "Card_Category"];
    assert_eq!(bound.assumed_orders, coded);
}

#[test]
fn columns_without_names_are_named_by_the_caller() {
    let options = BindOptions {
        columns: owned(&NUMBERS),
        ..BindOptions::default()
    };
    assert_both("xgboost-unnamed", &options);
    assert_eq!(imported("xgboost-unnamed.ubj").column_names, ColumnNames::Generated);
}

#[test]
fn engineered_columns_are_made_by_the_callers_steps() {
    let options = BindOptions {
        steps: vec![
            Step::Ratio {
                name: "Activity_Growth".to_owned(),
                numerator: "Total_Amt_Chng_Q4_Q1".to_owned(),
                denominator: "Total_Trans_Amt".to_owned(),
                when_zero: 0.0,
            },
            Step::Product {
                name: "Customer_Value".to_owned(),
                factors: owned(&["Total_Revolving_Bal", "Avg_Utilization_Ratio", "Credit_Limit"]),
            },
        ],
        ..BindOptions::default()
    };
    assert_both("xgboost-engineered", &options);
}

#[test]
fn files_of_older_releases_are_answered_as_there() {
    for release in ["1.7", "2.1"] {
        // Before 3.1 the names of categories are not in the file.
        let options = BindOptions {
            categories: pandas_orders(),
            assumed_order: AssumedOrder::Refuse,
            ..BindOptions::default()
        };
        assert_both(&format!("xgboost-{release}-categories"), &options);
        // Where training had every category, pandas' order is the alphabetical one.
        let options = BindOptions {
            categories: pandas_orders()
                .into_iter()
                .filter(|(column, _)| ["Education_Level", "Card_Category"].contains(&column.as_str()))
                .collect(),
            assumed_order: AssumedOrder::Alphabetical,
            ..BindOptions::default()
        };
        assert_both(&format!("xgboost-{release}-categories"), &options);
        assert_both(&format!("xgboost-{release}-logitraw"), &BindOptions::default());
    }
}

#[test]
fn json_and_ubjson_of_a_model_are_the_same_model() {
    for name in [
        "xgboost-numeric",
        "xgboost-partition",
        "xgboost-dart",
        "xgboost-1.7-categories",
    ] {
        assert_eq!(
            imported(&format!("{name}.json")),
            imported(&format!("{name}.ubj")),
            "{name}"
        );
    }
}

#[test]
fn the_file_says_who_wrote_it_and_what_its_columns_are() {
    let partition = imported("xgboost-partition.json");
    assert_eq!(partition.library, Library::Xgboost);
    assert_eq!(partition.library_version, "3.2.0");
    assert_eq!(partition.objective, "binary:logistic");
    assert_eq!(partition.column_names, ColumnNames::File);
    assert!(
        partition
            .parameters()
            .contains(&("library_version".to_owned(), "3.2.0".to_owned()))
    );
    let columns: Vec<(&str, ImportedKind, Option<usize>)> = partition
        .columns
        .iter()
        .map(|column| {
            (
                column.name.as_str(),
                column.kind,
                column.categories.as_ref().map(Vec::len),
            )
        })
        .collect();
    let category = |codes| ImportedKind::Category { codes };
    assert_eq!(
        columns,
        [
            ("Total_Trans_Ct", ImportedKind::Number, None),
            ("Months_Inactive_12_mon", ImportedKind::Number, None),
            ("Gender", category(2), Some(2)),
            ("Education_Level", category(6), Some(6)),
            ("Income_Category", category(6), Some(6)),
            ("Card_Category", category(3), Some(3)),
        ]
    );
    assert_eq!(
        partition.columns[5].categories.as_deref().unwrap(),
        ["Blue", "Gold", "Silver"]
    );
    assert_eq!(imported("xgboost-1.7-categories.ubj").library_version, "1.7.6");
}

#[test]
fn categories_missing_values_and_early_stopping_in_one_are_answered_as_there() {
    let options = BindOptions::default();
    assert_file("customers-xgboost.ubj", "customers-xgboost", &options, 1.0);
}
