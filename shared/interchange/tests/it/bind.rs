//! What binding asks for, and what it refuses.

use holdfast_domain::Feature;
use holdfast_interchange::{AssumedOrder, BindOptions, Imported, bind};
use holdfast_model::{Preprocessor, Step, UnlistedCategory};

use crate::support::{NUMBERS, imported, owned, schema};

fn refused(imported: &Imported, options: &BindOptions) -> String {
    bind(imported, options, schema()).unwrap_err().to_string()
}

#[test]
fn columns_without_names_are_asked_for() {
    let unnamed = imported("xgboost-unnamed.json");
    assert_eq!(
        refused(&unnamed, &BindOptions::default()),
        "the file does not name its 9 columns: give their names in the order the model was trained with (the option columns)"
    );
    let two = BindOptions {
        columns: owned(&NUMBERS[..2]),
        ..BindOptions::default()
    };
    assert_eq!(refused(&unnamed, &two), "columns: 2 names, and the model has 9 columns");
    let twice = BindOptions {
        columns: owned(&[NUMBERS.as_slice(), &["Customer_Age"]].concat()[1..]),
        ..BindOptions::default()
    };
    bind(&unnamed, &twice, schema()).unwrap();
    let mut same = twice;
    same.columns[1] = "Customer_Age".to_owned();
    assert!(refused(&unnamed, &same).contains("is listed twice"));
}

#[test]
fn names_of_the_file_are_kept_or_renamed_and_never_given_anew() {
    let named = imported("xgboost-numeric.json");
    let same = BindOptions {
        columns: owned(&NUMBERS),
        ..BindOptions::default()
    };
    bind(&named, &same, schema()).unwrap();
    let mut other = same;
    other.columns.swap(0, 1);
    assert!(refused(&named, &other).starts_with("columns: the file names its columns itself"));

    let mut foreign = named.clone();
    foreign.columns[0].name = "age".to_owned();
    foreign.columns[1].name = "wealth".to_owned();
    let refusal = refused(&foreign, &BindOptions::default());
    assert!(refusal.starts_with("the schema has no \"age\", \"wealth\", and no given step makes them"));
    assert!(
        refusal.contains("does not use: ") && refusal.contains(NUMBERS[0]) && refusal.contains(NUMBERS[1]),
        "{refusal}"
    );
    foreign.columns[1].name = NUMBERS[1].to_owned();
    let renamed = BindOptions {
        rename: vec![("age".to_owned(), "Customer_Age".to_owned())],
        ..BindOptions::default()
    };
    let bound = bind(&foreign, &renamed, schema()).unwrap();
    assert_eq!(bound.preprocessing.columns, NUMBERS);
    assert!(refused(&named, &renamed).contains("there is no column \"age\" to rename"));
}

#[test]
fn engineered_columns_must_be_declared() {
    let engineered = imported("xgboost-engineered.ubj");
    let error = refused(&engineered, &BindOptions::default());
    assert!(
        error.starts_with("the schema has no \"Activity_Growth\", \"Customer_Value\", and no given step makes them"),
        "{error}"
    );
}

#[test]
fn a_category_is_bound_by_its_name_whatever_its_code() {
    let bound = bind(&imported("xgboost-one-hot.json"), &BindOptions::default(), schema()).unwrap();
    let card = bound.preprocessing.steps.iter().find_map(|step| match step {
        Step::OrdinalEncoding {
            column,
            categories,
            unlisted,
        } if column == "Card_Category" => Some((categories.clone(), *unlisted)),
        _ => None,
    });
    assert_eq!(
        card.unwrap(),
        (owned(&["Blue", "Gold", "Silver"]), UnlistedCategory::Code)
    );
    assert_eq!(bound.assumed_orders, Vec::<String>::new());
    let preprocessor = Preprocessor::new(&bound.preprocessing, schema()).unwrap();
    assert!(preprocessor.uses(Feature::CardCategory));
}

#[test]
fn an_order_is_assumed_only_as_asked() {
    let coded = imported("xgboost-integer-coded.json");
    let with = |assumed_order| BindOptions {
        assumed_order,
        ..BindOptions::default()
    };
    let order = |options: &BindOptions| {
        let bound = bind(&coded, options, schema()).unwrap();
        let first = bound.preprocessing.steps.iter().find_map(|step| match step {
            Step::OrdinalEncoding { column, categories, .. } if column == "Card_Category" => Some(categories.clone()),
            _ => None,
        });
        first.unwrap()
    };
    assert_eq!(order(&BindOptions::default()), ["Blue", "Silver", "Gold", "Platinum"]);
    assert_eq!(
        order(&with(AssumedOrder::Alphabetical)),
        ["Blue", "Gold", "Platinum", "Silver"]
    );
    assert_eq!(
        refused(&coded, &with(AssumedOrder::Refuse)),
        "categories of \"Gender\": the file does not name them: give them in the order of their codes"
    );
    let given = BindOptions {
        categories: vec![("Card_Category".to_owned(), owned(&["Gold", "Blue"]))],
        ..BindOptions::default()
    };
    assert_eq!(order(&given), ["Gold", "Blue"]);
}

#[test]
fn an_order_that_does_not_fit_the_model_is_refused() {
    let native = imported("xgboost-1.7-categories.json");
    let given = |column: &str, names: &[&str]| BindOptions {
        categories: vec![(column.to_owned(), owned(names))],
        ..BindOptions::default()
    };
    let error = refused(&native, &given("Income_Category", &["Unknown"]));
    assert!(
        error.starts_with("categories of \"Income_Category\": the model knows codes up to"),
        "{error}"
    );
    let error = refused(&native, &given("Credit_Limit", &["low", "high"]));
    assert!(error.contains("the model has no such column"), "{error}");
    let error = refused(&native, &given("Gender", &["F", "F"]));
    assert!(error.contains("\"F\" is listed twice"), "{error}");

    let mut foreign = imported("xgboost-partition.json");
    foreign.columns[2].categories = Some(owned(&["female", "male"]));
    let error = refused(&foreign, &BindOptions::default());
    assert_eq!(
        error,
        "categories of \"Gender\": the file lists [\"female\", \"male\"], none of which is in the schema"
    );
}

#[test]
fn a_caller_may_encode_a_category_himself() {
    let coded = imported("xgboost-integer-coded.json");
    let own = Step::OrdinalEncoding {
        column: "Gender".to_owned(),
        categories: owned(&["M", "F"]),
        unlisted: UnlistedCategory::Missing,
    };
    let options = BindOptions {
        steps: vec![own.clone()],
        ..BindOptions::default()
    };
    let bound = bind(&coded, &options, schema()).unwrap();
    assert_eq!(bound.preprocessing.steps[0], own);
    assert!(!bound.assumed_orders.contains(&"Gender".to_owned()));
}

#[test]
fn one_hot_columns_of_the_caller_are_found_by_their_names() {
    let mut named = imported("xgboost-numeric.json");
    named.columns[0].name = "Gender=F".to_owned();
    let options = BindOptions {
        steps: vec![Step::OneHotEncoding {
            column: "Gender".to_owned(),
            categories: owned(&["F", "M"]),
        }],
        ..BindOptions::default()
    };
    let bound = bind(&named, &options, schema()).unwrap();
    assert_eq!(bound.preprocessing.columns[0], "Gender=F");
}

#[test]
fn categories_of_a_number_are_refused() {
    let mut native = imported("xgboost-one-hot.json");
    // Place 2 is split by category; a feature that holds numbers cannot be.
    native.columns[2].name = "Credit_Limit".to_owned();
    let error = refused(&native, &BindOptions::default());
    assert!(
        error.contains("a categorical split of column 2, which holds numbers"),
        "{error}"
    );
}
