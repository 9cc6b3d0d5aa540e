//! What comes out of a file, before it is bound to a schema.

use holdfast_model::ensemble::MAX_DEPTH;
use holdfast_model::{Aggregation, Comparison, Ensemble, Family, Node, Provenance, Tree, TreeEnsemble};

use crate::error::ImportError;

/// The most trees that are read from a file.
pub const MAX_TREES: usize = 100_000;

/// The most categories a column may have: the sets of the artefact's categorical splits are 64 bits wide.
pub const MAX_CATEGORIES: usize = 64;

/// The library that wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// XGBoost.
    Xgboost,
    /// LightGBM.
    Lightgbm,
}

impl Library {
    /// The name in parameters and messages: `xgboost`, `lightgbm`.
    pub const fn name(self) -> &'static str {
        match self {
            Library::Xgboost => "xgboost",
            Library::Lightgbm => "lightgbm",
        }
    }

    /// What an artefact's origin calls models of this library.
    pub const fn provenance(self) -> Provenance {
        match self {
            Library::Xgboost => Provenance::ImportedXgboost,
            Library::Lightgbm => Provenance::ImportedLightgbm,
        }
    }
}

/// Which of a file's trees become the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounds {
    /// Those up to the best iteration, if early stopping recorded one: what XGBoost's scikit-learn interface predicts with.
    #[default]
    Best,
    /// All of them: what XGBoost's own `Booster.predict` takes unless told otherwise.
    All,
}

/// A model as its file describes it. Column names are still only names: [`bind`](crate::bind) connects them to a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Who wrote the file.
    pub library: Library,
    /// XGBoost: the version of the library that wrote the file, "3.2.0". LightGBM, which does not say: the version of the format, "v4".
    pub library_version: String,
    /// The objective, as the file words it: "binary:logistic", "binary sigmoid:1".
    pub objective: String,
    /// Boosted trees or a random forest.
    pub family: Family,
    /// The columns, in the order in which the trees count them.
    pub columns: Vec<ImportedColumn>,
    /// Who named the columns.
    pub column_names: ColumnNames,
    /// One member of trees and the logistic link. The sets of its categorical splits are only right once [`bind`](crate::bind) has cut
    /// them to the categories there are. A LightGBM `sigmoid` is the member's weight: margins are log-odds, LightGBM's raw score times it.
    pub ensemble: Ensemble,
    /// How many trees the ensemble has.
    pub trees: usize,
    /// How many trees the file has.
    pub trees_in_file: usize,
    /// The best iteration, from 0, if the file records one. LightGBM's does not: it saves the trees up to it and no others.
    pub best_iteration: Option<usize>,
    /// LightGBM's lists of pandas categories when they are more or fewer than the columns that the file marks as categorical (ordered ones are
    /// not marked), so that only the schema can tell whose they are. In column order; `None` for a list of other things than texts.
    pub unplaced_categories: Vec<Option<Vec<String>>>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedColumn {
    /// Its name in the file, or one made up from its place ("f0", "Column_0").
    pub name: String,
    /// What the file says it holds.
    pub kind: ImportedKind,
    /// Names of the categories in the order of their codes, if the file has them.
    pub categories: Option<Vec<String>>,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportedKind {
    /// A number. It may be the code of a category all the same: a library that was handed codes as numbers knows no better.
    Number,
    /// A category.
    Category {
        /// One more than the highest code that the file mentions.
        codes: usize,
    },
}

/// Who named the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnNames {
    /// The file.
    File,
    /// Nobody: the model was trained on an array.
    Generated,
}

impl Imported {
    /// What an artefact's origin should say of the file, as parameters: library, version, objective, trees.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters = vec![
            ("library".to_owned(), self.library.name().to_owned()),
            ("library_version".to_owned(), self.library_version.clone()),
            ("objective".to_owned(), self.objective.clone()),
            ("trees".to_owned(), self.trees.to_string()),
            ("trees_in_file".to_owned(), self.trees_in_file.to_string()),
        ];
        if let Some(iteration) = self.best_iteration {
            parameters.push(("best_iteration".to_owned(), iteration.to_string()));
        }
        parameters
    }
}

/// What the trees do with a column, collected while they are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ColumnUse {
    /// One more than the highest code in a categorical split; 0 when there is none.
    pub(crate) codes: usize,
}

impl ColumnUse {
    /// Notes a categorical split's code.
    pub(crate) fn note_code(&mut self, code: usize) {
        self.codes = self.codes.max(code + 1);
    }
}

/// The bit of a category's code in a set.
pub(crate) fn code_bit(code: u64) -> Result<u64, ImportError> {
    if code < MAX_CATEGORIES as u64 {
        Ok(1 << code)
    } else {
        Err(ImportError::unsupported(
            "categories",
            format!("a split on the category of code {code}: at most {MAX_CATEGORIES} categories are supported"),
        ))
    }
}

/// The trees as an ensemble.
pub(crate) fn tree_ensemble(
    comparison: Comparison,
    aggregation: Aggregation,
    base_margin: f64,
    trees: &[Tree],
) -> Result<TreeEnsemble, ImportError> {
    if let Some(index) = trees.iter().position(is_too_deep) {
        let problem = format!("deeper than {MAX_DEPTH} splits");
        return Err(ImportError::unsupported(format!("trees[{index}]"), problem));
    }
    TreeEnsemble::new(comparison, aggregation, base_margin, trees)
        .map_err(|error| ImportError::invalid(error.path, error.problem))
}

/// Whether a path is longer than any that is scored. Every node is met once, whatever the children say.
fn is_too_deep(tree: &Tree) -> bool {
    let mut met = vec![false; tree.nodes.len()];
    let mut level = vec![0_usize];
    for _ in 0..=MAX_DEPTH {
        let mut next = Vec::new();
        for at in level {
            let Some(Node::Split { left, right, .. }) = tree.nodes.get(at) else {
                continue;
            };
            if !std::mem::replace(&mut met[at], true) {
                next.extend([*left, *right]);
            }
        }
        level = next;
    }
    !level.is_empty()
}

#[cfg(test)]
mod tests {
    use holdfast_model::{MissingRule, SplitRule};

    use super::*;

    fn chain(splits: usize) -> Tree {
        let mut nodes = Vec::new();
        for _ in 0..splits {
            let at = nodes.len();
            nodes.push(Node::Split {
                column: 0,
                rule: SplitRule::Threshold(0.0),
                missing: MissingRule::Left,
                left: at + 1,
                right: at + 2,
                cover: 2.0,
            });
            nodes.push(Node::Leaf { value: 0.0, cover: 1.0 });
        }
        nodes.push(Node::Leaf { value: 0.0, cover: 1.0 });
        Tree { nodes }
    }

    #[test]
    fn a_tree_that_is_too_deep_is_not_supported_and_one_that_is_no_tree_is_invalid() {
        let build = |tree: Tree| tree_ensemble(Comparison::LessThanF32, Aggregation::Sum, 0.0, &[tree]);
        build(chain(MAX_DEPTH)).unwrap();
        assert_eq!(
            build(chain(MAX_DEPTH + 1)).unwrap_err().to_string(),
            "not supported: trees[0]: deeper than 64 splits"
        );
        let mut circle = chain(2);
        if let Node::Split { right, .. } = &mut circle.nodes[2] {
            *right = 0;
        }
        assert!(
            build(circle)
                .unwrap_err()
                .to_string()
                .starts_with("invalid model: trees[0]: ")
        );
    }
}
