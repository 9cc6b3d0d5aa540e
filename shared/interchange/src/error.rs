//! What can be wrong with a foreign model, with binding it, and with writing one of ours.

use holdfast_model::InvalidPart;

use crate::format::Format;

/// Why a file is not imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file is larger than any that is read.
    #[error("the file has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Size found, in bytes.
        bytes: usize,
        /// Size allowed, in bytes.
        limit: usize,
    },
    /// The first bytes are of none of the formats.
    #[error("not a model that can be imported: {0}")]
    UnknownFormat(String),
    /// The bytes are not of the format they seem to be: cut off, damaged, or another kind of file.
    #[error("not {format}: {problem}")]
    Malformed {
        /// The format they seemed to be of.
        format: Format,
        /// Where reading stopped, and why.
        problem: String,
    },
    /// The file may be a good model, of a kind that has no counterpart here.
    #[error("not supported: {field}: {problem}")]
    Unsupported {
        /// The field of the file that says so.
        field: String,
        /// What it says, and what is supported.
        problem: String,
    },
    /// The file is readable and contradicts itself.
    #[error("invalid model: {field}: {problem}")]
    Invalid {
        /// The field of the file.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl ImportError {
    pub(crate) fn malformed(format: Format, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        ImportError::Malformed { format, problem }
    }

    pub(crate) fn unsupported(field: impl Into<String>, problem: impl Into<String>) -> Self {
        ImportError::Unsupported {
            field: field.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        ImportError::Invalid {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// The same problem, seen from further out in the file.
    pub(crate) fn inside(self, outer: &str) -> Self {
        match self {
            ImportError::Unsupported { field, problem } => Self::unsupported(format!("{outer}.{field}"), problem),
            ImportError::Invalid { field, problem } => Self::invalid(format!("{outer}.{field}"), problem),
            other => other,
        }
    }
}

/// Why an imported model cannot be bound to a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The file does not name its columns, and neither did the caller.
    #[error(
        "the file does not name its {columns} columns: give their names in the order the model was trained with (the option columns)"
    )]
    UnnamedColumns {
        /// How many there are.
        columns: usize,
    },
    /// The caller's list of columns does not fit the file.
    #[error("columns: {0}")]
    Columns(String),
    /// Columns that are neither features nor made by a step.
    #[error(
        "the schema has no {}, and no given step makes {}: declare the step, or rename the column (features that the model does not use: {})",
        .columns.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "),
        if .columns.len() == 1 { "it" } else { "them" },
        if .unused.is_empty() { "none".to_owned() } else { .unused.join(", ") },
    )]
    UnknownColumns {
        /// Their names, as the model has them.
        columns: Vec<String>,
        /// Features of the schema that no column of the model is.
        unused: Vec<String>,
    },
    /// A categorical column's codes cannot be given names.
    #[error("categories of {column:?}: {problem}")]
    Categories {
        /// The column.
        column: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// What came out breaks a rule of the artefact.
    #[error("the model cannot be bound: {0}")]
    Invalid(#[from] InvalidPart),
}

/// Why what MLflow has logged is not imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MlModelError {
    /// The description is larger than any that is read.
    #[error("the MLmodel has more than the {limit} bytes allowed")]
    TooLarge {
        /// Size allowed, in bytes.
        limit: usize,
    },
    /// The description is not what MLflow writes.
    #[error("the MLmodel cannot be read: {0}")]
    Malformed(String),
    /// The model is of a kind that is stored and never opened.
    #[error(
        "the model has the flavors {}, and only the flavors xgboost and lightgbm are imported: what other libraries save is stored and never \
         opened. Log the booster itself with mlflow.xgboost.log_model or mlflow.lightgbm.log_model",
        .flavors.join(", ")
    )]
    OtherFlavor {
        /// The flavors it has.
        flavors: Vec<String>,
    },
    /// The library's object was logged, and not the model.
    #[error(
        "{file:?} is a Python object ({class}), which is stored and never opened. Log the booster itself: \
         mlflow.{library}.log_model(model.{}, …)",
        if *.library == "lightgbm" { "booster_" } else { "get_booster()" }
    )]
    Pickled {
        /// The library.
        library: &'static str,
        /// Name of the file.
        file: String,
        /// What it is an object of.
        class: String,
    },
}

/// Why a model cannot be written as XGBoost JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// XGBoost has no way to say this.
    #[error("{part}: {problem}")]
    Inexpressible {
        /// The part of our model.
        part: String,
        /// What it is, and what could be written.
        problem: String,
    },
    /// The text could not be written.
    #[error("the model could not be written as json: {0}")]
    Json(String),
}

impl ExportError {
    pub(crate) fn inexpressible(part: impl Into<String>, problem: impl Into<String>) -> Self {
        ExportError::Inexpressible {
            part: part.into(),
            problem: problem.into(),
        }
    }
}
