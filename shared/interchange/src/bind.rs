//! From a file's columns to a schema's features, by name.

mod categories;

use holdfast_domain::{Feature, FeatureKind, Schema};
use holdfast_model::{
    Ensemble, Estimator, Member, Node, Preprocessing, Preprocessor, SplitRule, Step, Tree, TreeEnsemble,
    UnlistedCategory,
};

use crate::error::BindError;
use crate::imported::{ColumnNames, Imported, ImportedKind};

/// What a file does not say about its columns. The default is right for a file that names its columns as the schema does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BindOptions {
    /// The names of all columns in the model's order: for a file that does not name them, and for no other.
    pub columns: Vec<String>,
    /// (name in the file, name here): for a file that calls its columns otherwise.
    pub rename: Vec<(String, String)>,
    /// The steps that make the columns that are no features, in order: ratios, products, scaling. They run before categories are encoded. A step
    /// may encode a categorical column itself; it is then left alone.
    pub steps: Vec<Step>,
    /// (column name here, categories in the order of their codes): goes before what the file says.
    pub categories: Vec<(String, Vec<String>)>,
    /// In which order categories have codes where neither the file nor `categories` says so.
    pub assumed_order: AssumedOrder,
    /// What becomes of a category that the model does not know. `None`: in a column that the model splits by categories it is the code -1,
    /// which goes left in XGBoost's trees and right in LightGBM's, as there; in a column of codes taken as numbers it counts as missing.
    pub unlisted: Option<UnlistedCategory>,
}

/// An order of categories that is assumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AssumedOrder {
    /// The schema's.
    #[default]
    Schema,
    /// By the names' bytes: what pandas' `astype("category")` does with texts, where every category of the schema occurred in training. XGBoost
    /// before 3.1 does not write the names down.
    Alphabetical,
    /// None: the column is refused.
    Refuse,
}

/// A model's parts, bound to a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// From features to the model's columns.
    pub preprocessing: Preprocessing,
    /// The trees, with sets of categories that fit the columns.
    pub ensemble: Ensemble,
    /// Columns whose categories have codes in the order that was assumed: worth a second look, because nothing else would notice a wrong one.
    pub assumed_orders: Vec<String>,
}

/// Binds an imported model to a schema, by the names of its columns. A column is a feature of the schema or made by one of the caller's steps. A
/// categorical feature gets an encoding into the codes that the model knows; the order is the caller's, else the file's, else the assumed one.
///
/// What comes out has been checked: it encodes into an artefact.
///
/// # Errors
/// [`BindError`] names the column and what would help.
pub fn bind(imported: &Imported, options: &BindOptions, schema: &Schema) -> Result<Bound, BindError> {
    let columns = column_names(imported, options)?;
    let encoded: Vec<Option<Feature>> = columns
        .iter()
        .map(|column| {
            let feature = Feature::from_name(column);
            feature.filter(|feature| feature.kind() == FeatureKind::Categorical && !is_encoded(column, &options.steps))
        })
        .collect();
    refuse_unknown(&columns, options)?;
    let orders = categories::orders(imported, &columns, &encoded, options, schema)?;
    let mut steps = options.steps.clone();
    let mut assumed_orders = Vec::new();
    for ((column, order), of_file) in columns.iter().zip(orders).zip(&imported.columns) {
        let Some(order) = order else { continue };
        if order.is_assumed {
            assumed_orders.push(column.clone());
        }
        let by_kind = match of_file.kind {
            ImportedKind::Category { .. } => UnlistedCategory::Code,
            ImportedKind::Number => UnlistedCategory::Missing,
        };
        steps.push(Step::OrdinalEncoding {
            column: column.clone(),
            categories: order.names,
            unlisted: options.unlisted.unwrap_or(by_kind),
        });
    }
    let preprocessing = Preprocessing { steps, columns };
    let preprocessor = Preprocessor::new(&preprocessing, schema)?;
    let counts = categories::counts(&preprocessing);
    categories::check_codes(imported, &preprocessing.columns, &counts)?;
    let ensemble = cut_sets(imported, &counts)?;
    ensemble.validate(preprocessor.kinds())?;
    Ok(Bound {
        preprocessing,
        ensemble,
        assumed_orders,
    })
}

/// The names of the columns, as the caller calls them.
fn column_names(imported: &Imported, options: &BindOptions) -> Result<Vec<String>, BindError> {
    let count = imported.columns.len();
    let of_file = imported.columns.iter().map(|column| column.name.clone());
    let mut names: Vec<String> = match (imported.column_names, options.columns.as_slice()) {
        (ColumnNames::Generated, []) => return Err(BindError::UnnamedColumns { columns: count }),
        (ColumnNames::Generated, given) => given.to_vec(),
        (ColumnNames::File, []) => of_file.collect(),
        (ColumnNames::File, given) => {
            if !of_file.eq(given.iter().cloned()) {
                let problem = "the file names its columns itself, and otherwise (to call one differently, rename it)";
                return Err(BindError::Columns(problem.to_owned()));
            }
            given.to_vec()
        }
    };
    if names.len() != count {
        return Err(BindError::Columns(format!(
            "{} names, and the model has {count} columns",
            names.len()
        )));
    }
    for (from, to) in &options.rename {
        let Some(place) = imported.columns.iter().position(|column| column.name == *from) else {
            return Err(BindError::Columns(format!("there is no column {from:?} to rename")));
        };
        names[place].clone_from(to);
    }
    Ok(names)
}

/// Refuses columns that are neither features nor made by a step, all of them at once.
fn refuse_unknown(columns: &[String], options: &BindOptions) -> Result<(), BindError> {
    let is_known = |column: &&String| Feature::from_name(column).is_some() || is_made(column, &options.steps);
    let unknown: Vec<String> = columns.iter().filter(|column| !is_known(column)).cloned().collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let names = Feature::ALL.iter().map(|feature| feature.name());
    let unused = names.filter(|name| !columns.iter().any(|column| column == name));
    Err(BindError::UnknownColumns {
        columns: unknown,
        unused: unused.map(str::to_owned).collect(),
    })
}

/// Whether a step encodes this categorical column already.
fn is_encoded(column: &str, steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::OrdinalEncoding { column: encoded, .. } | Step::OneHotEncoding { column: encoded, .. } => {
            encoded == column
        }
        _ => false,
    })
}

/// Whether a step makes this column.
fn is_made(column: &str, steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Ratio { name, .. } | Step::Product { name, .. } => name == column,
        Step::OneHotEncoding {
            column: encoded,
            categories,
        } => column
            .strip_prefix(encoded.as_str())
            .and_then(|rest| rest.strip_prefix('='))
            .is_some_and(|category| categories.iter().any(|known| known == category)),
        _ => false,
    })
}

/// The ensemble with sets of categories that hold no code beyond those of their column.
fn cut_sets(imported: &Imported, counts: &[Option<usize>]) -> Result<Ensemble, BindError> {
    let cut = |node: Node| match node {
        Node::Split {
            column,
            rule: SplitRule::Categories(set),
            missing,
            left,
            right,
            cover,
        } => {
            let listed = match counts.get(column).copied().flatten() {
                Some(count) if count < 64 => (1_u64 << count) - 1,
                _ => u64::MAX,
            };
            let rule = SplitRule::Categories(set & listed);
            Node::Split {
                column,
                rule,
                missing,
                left,
                right,
                cover,
            }
        }
        other => other,
    };
    let mut ensemble = imported.ensemble.clone();
    for Member { estimator, .. } in &mut ensemble.members {
        let Estimator::Trees(trees) = estimator else { continue };
        let nodes: Vec<Tree> = trees
            .trees()
            .map(|tree| Tree {
                nodes: tree.nodes.into_iter().map(cut).collect(),
            })
            .collect();
        *trees = TreeEnsemble::new(trees.comparison(), trees.aggregation(), trees.base_margin(), &nodes)?
            .with_unlisted_code(trees.unlisted_code());
    }
    Ok(ensemble)
}
