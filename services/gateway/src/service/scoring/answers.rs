//! Answers as lines: one prediction, or what is wrong with a record, each with the line it is for and the version that answered.

use bytes::Bytes;
use csv::Writer;
use holdfast_chassis::Fault;
use holdfast_chassis::error::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::Form;
use crate::service::predictions::{Prediction, Predictions, ServedModel};

/// One record's score, as a line of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamedPrediction<'a> {
    /// The line of the upload on which the record begins, from 1.
    #[schema(example = 1)]
    pub line: u64,
    /// The record's key, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub customer_key: Option<i64>,
    /// The score.
    #[serde(flatten)]
    pub prediction: Prediction,
    /// The version that answered.
    #[serde(flatten)]
    #[schema(value_type = ServedModel)]
    pub served_by: &'a ServedModel,
    /// The id under which the prediction log has it: that of the header `x-request-id` and a line.
    pub request_id: &'a str,
}

/// A record that was not scored, as a line of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamedError {
    /// The line of the upload on which the record begins, from 1; where the stream ended, when it ended early.
    #[schema(example = 7)]
    pub line: u64,
    /// What is wrong: field and rule of each violation.
    #[schema(value_type = crate::rest::openapi::ProblemDocument)]
    pub error: Problem,
}

/// Writes the lines of an answer.
#[derive(Debug)]
pub struct AnswerWriter {
    form: Form,
    buffer: Vec<u8>,
}

/// The columns of an answer as CSV. Lists are separated by semicolons; of reasons, the codes.
const COLUMNS: [&str; 14] = [
    "line",
    "customer_key",
    "probability",
    "label",
    "threshold",
    "out_of_domain",
    "reasons",
    "model",
    "version",
    "artifact_digest",
    "generation",
    "request_id",
    "error_rule",
    "error",
];

impl AnswerWriter {
    /// An empty answer.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            buffer: Vec::new(),
        }
    }

    /// An answer with what comes before all lines: the header of CSV.
    pub fn headed(form: Form) -> Self {
        let mut writer = Self::new(form);
        if form == Form::Csv {
            writer.row(COLUMNS);
        }
        writer
    }

    /// Adds a score.
    pub fn score(&mut self, score: &StreamedPrediction<'_>) {
        match self.form {
            Form::Ndjson => self.json(score),
            Form::Csv => {
                let prediction = &score.prediction;
                let flags = prediction.out_of_domain.iter();
                let flags: Vec<String> = flags
                    .map(|flag| format!("{}:{}", flag.feature, flag.kind.name()))
                    .collect();
                let reasons: Vec<&str> = prediction.reasons.iter().map(|reason| reason.code.as_str()).collect();
                let served = score.served_by;
                self.row([
                    &*score.line.to_string(),
                    &score.customer_key.map(|key| key.to_string()).unwrap_or_default(),
                    &prediction.probability.to_string(),
                    if prediction.label { "true" } else { "false" },
                    &prediction.threshold.to_string(),
                    &flags.join(";"),
                    &reasons.join(";"),
                    &served.model,
                    &served.version.to_string(),
                    &served.artifact_digest,
                    &served.generation.to_string(),
                    score.request_id,
                    "",
                    "",
                ]);
            }
        }
    }

    /// Adds a record that was not scored.
    pub fn error(&mut self, line: u64, error: Problem) {
        match self.form {
            Form::Ndjson => self.json(&StreamedError { line, error }),
            Form::Csv => {
                let rules = error.errors.iter();
                let rules: Vec<String> = rules
                    .map(|broken| format!("{}:{}", broken.field, broken.rule))
                    .collect();
                let rules = if rules.is_empty() {
                    error.reason
                } else {
                    rules.join(";")
                };
                let mut cells = [""; COLUMNS.len()];
                let line = line.to_string();
                (cells[0], cells[12], cells[13]) = (&line, &rules, &error.detail);
                self.row(cells);
            }
        }
    }

    /// The bytes so far.
    pub fn finish(self) -> Bytes {
        self.buffer.into()
    }

    fn json(&mut self, line: &impl Serialize) {
        // Our shapes have no map with keys other than text, the one thing that cannot be written as JSON; and memory takes all bytes.
        let _ = serde_json::to_writer(&mut self.buffer, line);
        self.buffer.push(b'\n');
    }

    fn row<const N: usize>(&mut self, cells: [&str; N]) {
        let mut writer = Writer::from_writer(&mut self.buffer);
        // Memory takes all bytes.
        let _ = writer.write_record(cells);
        let _ = writer.flush();
    }
}

/// The answer to a batch as CSV; its lines are counted from 1, in the order of the records.
pub fn as_csv(answer: Predictions, keys: &[Option<i64>]) -> Bytes {
    let mut writer = AnswerWriter::headed(Form::Csv);
    for ((prediction, key), line) in answer.predictions.into_iter().zip(keys).zip(1..) {
        writer.score(&StreamedPrediction {
            line,
            customer_key: *key,
            prediction,
            served_by: &answer.served_by,
            request_id: &answer.request_id,
        });
    }
    writer.finish()
}

/// Adds what a caller of this stream sees of a fault.
pub(super) fn problem(fault: Fault) -> Problem {
    let mut problem = crate::ApiError::from(fault).problem("");
    problem.instance = None;
    problem
}
