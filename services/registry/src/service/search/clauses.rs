//! What a search asks for, typed: each kind of thing that can be searched has its clauses and its order.
//!
//! All clauses of a filter hold at once (`AND`). Names, values and keys are as the caller wrote them, without their quotes. A doubled quote within
//! quotes stays doubled, as in MLflow.

use std::ops::Range;

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

/// A test of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// `=`
    Equal(String),
    /// `!=`. A text that is absent does not match.
    NotEqual(String),
    /// `LIKE`, by case: `%` stands for any characters, `_` for one; there is no escape.
    Like(String),
    /// `ILIKE`: as `LIKE`, whatever the case.
    ILike(String),
    /// `IN`; never empty.
    In(Vec<String>),
    /// `NOT IN`; never empty. A text that is absent does not match.
    NotIn(Vec<String>),
}

/// A test of a tag's or parameter's value, or of its being there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyTest {
    /// Its value; absent ones never match, not even `!=`. No lists here.
    Value(TextTest),
    /// `IS NULL`: there is none of this key.
    Absent,
    /// `IS NOT NULL`: there is one.
    Present,
}

/// A test of a time, whatever the comparator was: callers compare whole milliseconds since 1970 UTC, as MLflow shows them; the bounds
/// are microseconds, as the database keeps them. A time that is absent does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeTest {
    /// `start <= time < end`. An empty range matches nothing. `i64::MIN` and `i64::MAX` stand for no bound.
    Inside(Range<i64>),
    /// `time < start` or `time >= end`. An empty range matches every time.
    Outside(Range<i64>),
}

/// Texts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunText {
    /// Its id; the only one with `IN` and `NOT IN`.
    RunId,
    /// Its name for people.
    Name,
    /// Its status as MLflow writes it, for example `FINISHED`.
    Status,
    /// Who started it.
    UserId,
    /// Where its artefacts are.
    ArtifactUri,
}

/// Times of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunTime {
    /// When it began.
    StartedAt,
    /// When it ended; absent while it runs.
    EndedAt,
}

/// What is known of a data set that a run has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetText {
    /// Its name.
    Name,
    /// Its digest.
    Digest,
    /// What for it was read: the use's tag `mlflow.data.context`. A use without it does not match.
    Context,
}

/// One clause of a search for runs.
#[derive(Clone, Debug, PartialEq)]
pub enum RunClause {
    /// The last value of a metric. Absent ones never match; NaN matches `!=` alone.
    Metric {
        /// The metric.
        key: String,
        /// How it is compared.
        op: NumberOp,
        /// With what.
        value: f64,
    },
    /// A parameter.
    Param {
        /// Its key.
        key: String,
        /// The test.
        test: KeyTest,
    },
    /// A tag.
    Tag {
        /// Its key.
        key: String,
        /// The test.
        test: KeyTest,
    },
    /// A text of the run.
    Text {
        /// Which.
        attribute: RunText,
        /// The test.
        test: TextTest,
    },
    /// A time of the run.
    Time {
        /// Which.
        attribute: RunTime,
        /// The test.
        test: TimeTest,
    },
    /// One data set at least that the run has read passes the test. Several clauses may be met by several data sets.
    Dataset {
        /// What of it is tested.
        attribute: DatasetText,
        /// The test.
        test: TextTest,
    },
}

/// Times of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExperimentTime {
    /// When it was created.
    CreatedAt,
    /// When it or one of its tags was changed last.
    UpdatedAt,
}

/// A test of a number that names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdTest {
    /// One of these; never empty.
    In(Vec<i64>),
    /// None of these; never empty.
    NotIn(Vec<i64>),
}

/// One clause of a search for experiments.
#[derive(Clone, Debug, PartialEq)]
pub enum ExperimentClause {
    /// Its id.
    Id(IdTest),
    /// Its name. No lists here.
    Name(TextTest),
    /// A time of it.
    Time {
        /// Which.
        attribute: ExperimentTime,
        /// The test.
        test: TimeTest,
    },
    /// A tag.
    Tag {
        /// Its key.
        key: String,
        /// The test.
        test: KeyTest,
    },
}

/// The tag by which MLflow tells prompts, which are registered models too, from models.
///
/// Models lack it, and yet "no prompts" must find them: a filter finds prompts alone when it asks for them (see [`asks_for_prompts`]), and models
/// alone when it does not, whatever else it says of the tag.
pub const IS_PROMPT_TAG: &str = "mlflow.prompt.is_prompt";

/// Whether a test of a tag asks for prompts.
pub fn asks_for_prompts(key: &str, test: &TextTest) -> bool {
    key == IS_PROMPT_TAG
        && match test {
            TextTest::Equal(value) => value.eq_ignore_ascii_case("true"),
            TextTest::NotEqual(value) => value.eq_ignore_ascii_case("false"),
            TextTest::Like(_) | TextTest::ILike(_) | TextTest::In(_) | TextTest::NotIn(_) => false,
        }
}

/// One clause of a search for registered models.
#[derive(Clone, Debug, PartialEq)]
pub enum RegisteredModelClause {
    /// Its name.
    Name(TextTest),
    /// A tag; see [`IS_PROMPT_TAG`]. No lists here.
    Tag {
        /// Its key.
        key: String,
        /// The test.
        test: TextTest,
    },
}

/// Texts of a version of a registered model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionText {
    /// Name of its registered model.
    ModelName,
    /// The run it is from.
    RunId,
    /// Where its files came from. No lists here.
    Source,
}

/// One clause of a search for versions of registered models.
#[derive(Clone, Debug, PartialEq)]
pub enum VersionClause {
    /// A text of it.
    Text {
        /// Which.
        attribute: VersionText,
        /// The test.
        test: TextTest,
    },
    /// Its number.
    Number {
        /// How it is compared.
        op: NumberOp,
        /// With what.
        value: i64,
    },
    /// A tag; see [`IS_PROMPT_TAG`]. No lists here.
    Tag {
        /// Its key.
        key: String,
        /// The test.
        test: TextTest,
    },
}

/// Texts of a logged model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedModelText {
    /// Its id.
    ModelId,
    /// Its name for people.
    Name,
    /// Kind of model.
    ModelType,
    /// Its status as MLflow writes it: `PENDING`, `READY` or `FAILED`.
    Status,
    /// The run that logged it.
    SourceRunId,
}

/// Times of a logged model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedModelTime {
    /// When it was opened.
    CreatedAt,
    /// When it was changed last.
    UpdatedAt,
}

/// One clause of a search for logged models.
#[derive(Clone, Debug, PartialEq)]
pub enum LoggedModelClause {
    /// One value at least of a metric, of the data sets that the search names, passes.
    Metric {
        /// The metric.
        key: String,
        /// How it is compared.
        op: NumberOp,
        /// With what.
        value: f64,
    },
    /// A parameter; absent ones never match.
    Param {
        /// Its key.
        key: String,
        /// The test.
        test: TextTest,
    },
    /// A tag; absent ones never match.
    Tag {
        /// Its key.
        key: String,
        /// The test.
        test: TextTest,
    },
    /// A text of it.
    Text {
        /// Which.
        attribute: LoggedModelText,
        /// The test.
        test: TextTest,
    },
    /// A time of it.
    Time {
        /// Which.
        attribute: LoggedModelTime,
        /// The test.
        test: TimeTest,
    },
}

/// Which way an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// One key of an order. What has no value for it (and, of metrics, NaN before that) comes last, either way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order<K> {
    /// The key.
    pub by: K,
    /// Which way.
    pub direction: Direction,
}

/// What runs can be ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOrderKey {
    /// The last value of a metric.
    Metric(String),
    /// A parameter, as text.
    Param(String),
    /// A tag, as text.
    Tag(String),
    /// A text of the run.
    Text(RunText),
    /// A time of the run.
    Time(RunTime),
}

/// What experiments can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExperimentOrderKey {
    /// Its name.
    Name,
    /// Its id, as a number.
    Id,
    /// A time of it.
    Time(ExperimentTime),
}

/// What registered models can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisteredModelOrderKey {
    /// Its name.
    Name,
    /// When it was created.
    CreatedAt,
    /// When it was changed last.
    UpdatedAt,
}

/// What versions of registered models can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionOrderKey {
    /// Name of the registered model.
    ModelName,
    /// The version's number.
    Number,
    /// When it was created.
    CreatedAt,
    /// When it was changed last.
    UpdatedAt,
}

/// What logged models can be ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedModelOrderKey {
    /// The newest value of a metric.
    Metric {
        /// The metric.
        key: String,
        /// Only values measured on data sets of this name.
        dataset_name: Option<String>,
        /// Only values measured on data sets of this digest.
        dataset_digest: Option<String>,
    },
    /// A text of it.
    Text(LoggedModelText),
    /// A time of it.
    Time(LoggedModelTime),
}
