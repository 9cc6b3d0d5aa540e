//! The columns that a recipe's estimators see, as steps of the artefact's preprocessing.

use holdfast_domain::{Feature, FeatureKind, FeatureVector, Schema};
use holdfast_model::preprocess::ColumnKind;
use holdfast_model::{Preprocessing, Preprocessor, Step, UnlistedCategory};

use super::TrainError;
use crate::service::recipe::{CategoryEncoding, Formula, Recipe, Scaling};

/// The preprocessing of a recipe; means and deviations are those of `rows`.
///
/// Columns stand in the order of the schema, engineered ones after them. All estimators of a recipe see the same columns: with a logistic
/// regression among them, numbers are standardised and categories have columns of their own for all.
pub(super) fn preprocessing(
    recipe: &Recipe,
    rows: &[FeatureVector],
    schema: &Schema,
) -> Result<Preprocessing, TrainError> {
    let plan = &recipe.features;
    let (categories, scaling) = if recipe.has_logistic() {
        (CategoryEncoding::OneHot, Scaling::Standard)
    } else {
        (plan.categories, plan.scaling)
    };
    let kept = |name: &str| !plan.drop.iter().any(|dropped| dropped == name);
    let mut steps: Vec<Step> = plan
        .engineered
        .iter()
        .map(|made| engineered(&made.name, &made.formula))
        .collect();
    let mut columns = Vec::new();
    for feature in Feature::ALL.into_iter().filter(|feature| kept(feature.name())) {
        let column = feature.name().to_owned();
        if feature.kind() == FeatureKind::Numeric {
            columns.push(column);
            continue;
        }
        let listed = schema.column(feature).categories.clone();
        if categories == CategoryEncoding::OneHot {
            columns.extend(listed.iter().map(|category| format!("{column}={category}")));
            steps.push(Step::OneHotEncoding {
                column,
                categories: listed,
            });
        } else {
            columns.push(column.clone());
            steps.push(Step::OrdinalEncoding {
                column,
                categories: listed,
                unlisted: UnlistedCategory::Missing,
            });
        }
    }
    let made = plan.engineered.iter().map(|made| made.name.clone());
    columns.extend(made.filter(|name| kept(name)));
    let mut preprocessing = Preprocessing { steps, columns };
    if scaling == Scaling::Standard {
        let scaled = scaling_steps(&preprocessing, rows, schema)?;
        preprocessing.steps.extend(scaled);
    }
    Ok(preprocessing)
}

/// The step that makes an engineered column.
pub(in crate::service) fn engineered(name: &str, formula: &Formula) -> Step {
    let name = name.to_owned();
    match formula.clone() {
        Formula::Ratio { numerator, denominator } => Step::Ratio {
            name,
            numerator,
            denominator,
            when_zero: 0.0,
        },
        Formula::Product(factors) => Step::Product { name, factors },
    }
}

/// One step for each number; columns of 0 and 1 stay as they are, and so do codes.
fn scaling_steps(unscaled: &Preprocessing, rows: &[FeatureVector], schema: &Schema) -> Result<Vec<Step>, TrainError> {
    let preprocessor = bind(unscaled, schema)?;
    let moments = moments(&preprocessor, rows);
    let numbers = preprocessor.columns().iter().zip(preprocessor.kinds()).zip(moments);
    let steps = numbers
        .filter(|((name, kind), _)| **kind == ColumnKind::Number && !name.contains('='))
        .map(|((name, _), (mean, deviation))| Step::Scaling {
            column: name.clone(),
            mean,
            scale: if deviation > 0.0 { deviation } else { 1.0 },
        });
    Ok(steps.collect())
}

/// Mean and standard deviation of each column over the rows that have a value; 0 where none has.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn moments(preprocessor: &Preprocessor, rows: &[FeatureVector]) -> Vec<(f64, f64)> {
    let rows: Vec<_> = rows.iter().map(|features| preprocessor.row(features)).collect();
    let of_column = |column: usize| {
        let values = || rows.iter().map(|row| row[column]).filter(|value| !value.is_nan());
        let count = values().count().max(1) as f64;
        let mean = values().sum::<f64>() / count;
        let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt())
    };
    (0..preprocessor.columns().len()).map(of_column).collect()
}

pub(super) fn bind(preprocessing: &Preprocessing, schema: &Schema) -> Result<Preprocessor, TrainError> {
    Preprocessor::new(preprocessing, schema).map_err(|problem| TrainError::Rows(problem.to_string()))
}

#[cfg(test)]
mod tests {
    use holdfast_domain::Customer;

    use super::*;
    use crate::service::params::Presets;

    fn recipe(name: &str) -> Recipe {
        Presets::load(None).unwrap().get(name).unwrap().recipe.clone()
    }

    fn rows() -> Vec<FeatureVector> {
        let customers: Vec<Customer> = holdfast_simulator::customers(300, 2);
        customers.iter().map(|customer| customer.features).collect()
    }

    #[test]
    fn the_predecessors_columns_are_five_of_its_eight_and_two_made_of_them() {
        let schema = Schema::embedded();
        let rows = rows();
        let preprocessing = preprocessing(&recipe("predecessor_xgboost"), &rows, schema).unwrap();
        let expected = [
            "Total_Relationship_Count",
            "Total_Trans_Amt",
            "Total_Trans_Ct",
            "Total_Ct_Chng_Q4_Q1",
            "Avg_Utilization_Ratio",
            "Activity_Growth",
            "Customer_Value",
        ];
        assert_eq!(preprocessing.columns, expected);
        let preprocessor = bind(&preprocessing, schema).unwrap();
        for (mean, deviation) in moments(&preprocessor, &rows) {
            assert!(
                mean.abs() < 1e-9 && (deviation - 1.0).abs() < 1e-9,
                "{mean} {deviation}"
            );
        }
    }

    #[test]
    fn an_engineered_ratio_is_0_where_its_divisor_is_0_and_is_made_of_a_dropped_column() {
        let mut recipe = recipe("predecessor_xgboost");
        recipe.features.scaling = Scaling::None;
        recipe.features.drop.push("Total_Trans_Amt".to_owned());
        let preprocessing = preprocessing(&recipe, &[], Schema::embedded()).unwrap();
        let preprocessor = bind(&preprocessing, Schema::embedded()).unwrap();
        let place = preprocessing
            .columns
            .iter()
            .position(|name| name == "Activity_Growth")
            .unwrap();
        let growth = |change: f64, amount: f64| {
            let mut features = FeatureVector::MISSING;
            features.set(Feature::TotalAmtChngQ4Q1, change);
            features.set(Feature::TotalTransAmt, amount);
            preprocessor.row(&features)[place]
        };
        assert_eq!((growth(1.5, 3.0), growth(1.5, 0.0)), (0.5, 0.0));
        assert!(growth(f64::NAN, 3.0).is_nan());
        assert!(!preprocessing.columns.iter().any(|name| name == "Total_Trans_Amt"));
    }

    #[test]
    fn categories_are_codes_or_columns_of_their_own_as_the_recipe_says() {
        let schema = Schema::embedded();
        let mut recipe = recipe("default");
        recipe.features.engineered.clear();
        recipe.features.drop.clear();
        let width = |recipe: &Recipe| preprocessing(recipe, &rows(), schema).unwrap().columns.len();
        recipe.features.categories = CategoryEncoding::Codes;
        assert_eq!(width(&recipe), 19);
        let categories: usize = schema.columns().iter().map(|column| column.categories.len()).sum();
        recipe.features.categories = CategoryEncoding::OneHot;
        assert_eq!(width(&recipe), 14 + categories);
        // With a logistic regression it makes no difference what the recipe says.
        recipe.features.categories = CategoryEncoding::Native;
        assert_eq!(width(&recipe.baseline_recipe()), 14 + categories);
        recipe.features.drop = vec!["Gender".to_owned(), "Customer_Age".to_owned()];
        assert_eq!(width(&recipe), 17);
        assert_eq!(
            width(&recipe.baseline_recipe()),
            13 + categories - schema.column(Feature::Gender).categories.len()
        );
    }

    #[test]
    fn columns_of_0_and_1_are_not_scaled_and_a_constant_number_is_not_divided() {
        let mut rows = rows();
        for row in &mut rows {
            row.set(Feature::CustomerAge, 40.0);
        }
        let recipe = recipe("logistic");
        let preprocessing = preprocessing(&recipe, &rows, Schema::embedded()).unwrap();
        let preprocessor = bind(&preprocessing, Schema::embedded()).unwrap();
        for (name, (mean, deviation)) in preprocessing.columns.iter().zip(moments(&preprocessor, &rows)) {
            if name == "Customer_Age" {
                assert_eq!((mean, deviation), (0.0, 0.0));
            } else if name.contains('=') {
                assert!((0.0..=1.0).contains(&mean), "{name}");
            } else {
                assert!(mean.abs() < 1e-9 && (deviation - 1.0).abs() < 1e-9, "{name}");
            }
        }
    }
}
