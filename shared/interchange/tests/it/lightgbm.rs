//! LightGBM's files.

use holdfast_interchange::{BindError, BindOptions, ColumnNames, Library, bind};
use holdfast_model::{Family, UnlistedCategory};

use crate::support::{NUMBERS, assert_file, imported, owned, pandas_orders, schema};

fn assert_default(name: &str, scale: f64) {
    assert_file(&format!("{name}.txt"), name, &BindOptions::default(), scale);
}

#[test]
fn numbers_with_missing_values_are_answered_as_there() {
    assert_default("lightgbm-numeric", 1.0);
}

#[test]
fn zero_counts_as_missing_where_the_model_says_so() {
    assert_default("lightgbm-zero-as-missing", 1.0);
}

#[test]
fn a_missing_number_is_zero_where_training_had_none() {
    assert_default("lightgbm-no-missing", 1.0);
}

#[test]
fn splits_of_categories_are_answered_as_there() {
    assert_default("lightgbm-categories", 1.0);
    assert_default("lightgbm-3.3-categories", 1.0);
}

#[test]
fn early_stopping_has_left_the_trees_up_to_the_best_iteration() {
    assert_default("lightgbm-early-stopping", 1.0);
}

#[test]
fn the_trees_of_dart_are_saved_with_their_weights() {
    assert_default("lightgbm-dart", 1.0);
}

#[test]
fn a_random_forest_is_the_mean_of_its_trees() {
    // LightGBM's raw scores and contributions are sums, its probabilities are of the mean.
    let forest = imported("lightgbm-forest.txt");
    assert_eq!(forest.family, Family::RandomForest);
    assert_default("lightgbm-forest", 1.0 / forest.trees as f64);
}

#[test]
fn sigmoid_stretches_the_margin_and_columns_without_names_are_named_by_the_caller() {
    let options = BindOptions {
        columns: owned(&NUMBERS),
        ..BindOptions::default()
    };
    let name = "lightgbm-sigmoid-unnamed";
    assert_file(&format!("{name}.txt"), name, &options, 1.7);
    assert_eq!(
        imported("lightgbm-sigmoid-unnamed.txt").column_names,
        ColumnNames::Generated
    );
}

#[test]
fn codes_that_were_marked_as_categories_are_encoded_in_the_schemas_order() {
    assert_default("lightgbm-codes", 1.0);
    let bound = bind(&imported("lightgbm-codes.txt"), &BindOptions::default(), schema()).unwrap();
    assert_eq!(bound.assumed_orders.len(), 4);
}

#[test]
fn ordered_categories_are_taken_for_numbers_and_their_names_are_placed_by_the_schema() {
    let ordered = imported("lightgbm-ordered.txt");
    assert_eq!(ordered.unplaced_categories.len(), 4);
    assert!(ordered.columns.iter().all(|column| column.categories.is_none()));
    assert_default("lightgbm-ordered", 1.0);
    let bound = bind(&ordered, &BindOptions::default(), schema()).unwrap();
    assert_eq!(bound.assumed_orders, Vec::<String>::new());

    let mut odd = ordered;
    odd.unplaced_categories.pop();
    let error = bind(&odd, &BindOptions::default(), schema()).unwrap_err();
    assert!(error.to_string().contains("does not say whose they are"), "{error}");
    let given = BindOptions {
        categories: pandas_orders(),
        ..BindOptions::default()
    };
    bind(&odd, &given, schema()).unwrap();
    let three = BindOptions {
        categories: pandas_orders()[..3].to_vec(),
        ..BindOptions::default()
    };
    assert!(
        matches!(bind(&odd, &three, schema()), Err(BindError::Categories { column, .. }) if column == "Card_Category")
    );
}

#[test]
fn an_unknown_category_may_count_as_missing_which_goes_the_same_way() {
    let options = BindOptions {
        unlisted: Some(UnlistedCategory::Missing),
        ..BindOptions::default()
    };
    assert_file("lightgbm-categories.txt", "lightgbm-categories", &options, 1.0);
}

#[test]
fn the_file_says_who_wrote_it() {
    let model = imported("lightgbm-categories.txt");
    assert_eq!(model.library, Library::Lightgbm);
    assert_eq!(model.library_version, "v4");
    assert_eq!(model.objective, "binary sigmoid:1");
    assert_eq!(model.column_names, ColumnNames::File);
    assert_eq!(model.best_iteration, None);
    assert_eq!(
        model.columns[5].categories.as_deref().unwrap(),
        ["Blue", "Gold", "Silver"]
    );
    assert_eq!(imported("lightgbm-3.3-categories.txt").library_version, "v3");
}

#[test]
fn categories_missing_values_and_early_stopping_in_one_are_answered_as_there() {
    let options = BindOptions::default();
    assert_file("customers-lightgbm.txt", "customers-lightgbm", &options, 1.0);
}
