//! Reading, scoring and writing at once: one reader, as many scorers as there are threads, one writer, and bounded queues between them.
//! Chunks are written in the order in which they were read.

use std::fs::File;
use std::io;
use std::sync::Arc;

use futures::StreamExt as _;
use holdfast_domain::Schema;
use holdfast_model::{Direction, Explanation, Model, Reason};
use holdfast_sources::{FeatureReader, FeatureRows, LISTED_VIOLATIONS, RefusedRow, SourceSpec};
use tokio::sync::mpsc;

use super::artifact::Scorer;
use super::calls::{self, Call, CallRule};
use super::place::TableFormat;
use super::plan::{CHUNK_ROWS, OnBadRow, Plan};
use super::table::{Encoded, PartTable, Scores, in_words};
use super::workdir::{PartFacts, Piece, WorkDirectory, finish_part, piece_path};
use crate::failure::{BadCell, Failure, Result};
use crate::progress::Work;

/// Scored chunks that may wait for the writer.
const WAITING_CHUNKS: usize = 2;

/// Reasons on the call list when the table has none.
const CALL_REASONS: usize = 3;

/// What a chunk of rows became.
struct Scored {
    first_row: u64,
    rows_read: u64,
    rows: u64,
    expected_to_leave: u64,
    refused: Vec<RefusedRow>,
    table: Encoded,
    calls: Vec<Call>,
}

/// How rows are scored.
struct Scoring {
    scorer: Arc<Scorer>,
    reasons: usize,
    format: TableFormat,
    calls: Option<CallRule>,
}

impl Scoring {
    fn score(&self, rows: &FeatureRows) -> io::Result<Scored> {
        let model = &self.scorer.model;
        let mut probabilities = vec![0.0; rows.features.len()];
        let reasons = if self.reasons > 0 {
            let explanations = model.explain_batch(&rows.features);
            for (probability, explanation) in probabilities.iter_mut().zip(&explanations) {
                *probability = model.probability(explanation.margin);
            }
            Some(self.reasons_of(rows, &explanations))
        } else {
            model.score_batch(&rows.features, &mut probabilities);
            None
        };
        let labels: Vec<bool> = probabilities
            .iter()
            .map(|probability| model.label(*probability))
            .collect();
        let scores = Scores {
            keys: &rows.keys,
            probabilities: &probabilities,
            labels: &labels,
            version: self.scorer.version,
            reasons: reasons.as_deref(),
        };
        Ok(Scored {
            first_row: rows.first_row,
            rows_read: rows.rows,
            rows: probabilities.len() as u64,
            expected_to_leave: labels.iter().filter(|label| **label).count() as u64,
            table: scores.encode(self.format)?,
            calls: self
                .calls
                .map(|rule| self.calls(rule, rows, &scores))
                .unwrap_or_default(),
            refused: Vec::new(),
        })
    }

    fn reasons_of(&self, rows: &FeatureRows, explanations: &[Explanation]) -> Vec<Vec<Reason>> {
        let pairs = explanations.iter().zip(&rows.features);
        let model = &self.scorer.model;
        pairs
            .map(|(explanation, features)| {
                model.reasons_of(explanation, features, Direction::TowardsAttrition, self.reasons)
            })
            .collect()
    }

    /// Those of the chunk who may be on the list. Reasons are found for them alone when the table has none.
    fn calls(&self, rule: CallRule, rows: &FeatureRows, scores: &Scores<'_>) -> Vec<Call> {
        let mut chosen: Vec<usize> = (0..scores.keys.len())
            .filter(|row| rule.takes(scores.labels[*row]))
            .collect();
        chosen.sort_by(|a, b| {
            let place = |row: usize| (scores.probabilities[row], rows.numbers[row]);
            calls::rank(place(*a), place(*b))
        });
        chosen.truncate(rule.limit());
        let words: Vec<String> = match scores.reasons {
            Some(reasons) => chosen.iter().map(|row| in_words(&reasons[*row])).collect(),
            None => reasons_in_words(&self.scorer.model, rows, &chosen),
        };
        let calls = chosen.iter().zip(words).map(|(row, reasons)| Call {
            row: rows.numbers[*row],
            key: scores.keys[*row],
            probability: scores.probabilities[*row],
            reasons,
        });
        calls.collect()
    }
}

fn reasons_in_words(model: &Model, rows: &FeatureRows, chosen: &[usize]) -> Vec<String> {
    let features: Vec<_> = chosen.iter().map(|row| rows.features[*row]).collect();
    let explanations = model.explain_batch(&features);
    let pairs = explanations.iter().zip(&features);
    pairs
        .map(|(explanation, features)| {
            in_words(&model.reasons_of(explanation, features, Direction::TowardsAttrition, CALL_REASONS))
        })
        .collect()
}

/// What the writer is told.
enum Message {
    Rows(Scored),
    /// The source was read to its end. Without it, whatever ended the work, the part that is open is not whole.
    End,
}

/// Scores what is left of the source, part by part. `name` is what the source is called in messages. Answers how writing ended.
pub(super) async fn run(
    (spec, name): (&SourceSpec, &str),
    plan: &Plan,
    scorer: &Arc<Scorer>,
    directory: &WorkDirectory,
    threads: usize,
) -> Result<io::Result<()>> {
    let done = directory.parts().len();
    let skipped: u64 = directory.parts().iter().map(|part| part.rows_read).sum();
    let reader = FeatureReader::open(spec, Schema::embedded(), CHUNK_ROWS, skipped);
    let reader = reader
        .await
        .map_err(|error| renamed(Failure::from(error), spec, name))?;
    let work = progress(reader.rows_expected(), spec, skipped).await;
    let scoring = Arc::new(Scoring {
        scorer: Arc::clone(scorer),
        reasons: plan.reasons,
        format: plan.table,
        calls: plan.calls,
    });
    let on_bad_row = plan.on_bad_row;

    let chunks = futures::stream::try_unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Ok::<_, Failure>(chunk.map(|chunk| (chunk, reader)))
    });
    let scored = chunks.map(|chunk| {
        let scoring = Arc::clone(&scoring);
        async move {
            let chunk = chunk?;
            let scored = tokio::task::spawn_blocking(move || {
                let mut rows = chunk.decode();
                if on_bad_row == OnBadRow::Fail && !rows.refused.is_empty() {
                    return Err(bad_rows(&name_of(&rows), rows.refused));
                }
                let refused = std::mem::take(&mut rows.refused);
                let scored = scoring.score(&rows);
                let scored = scored.map_err(|error| Failure::new(format!("rows cannot be encoded: {error}")))?;
                Ok(Scored { refused, ..scored })
            });
            let scored = scored.await;
            scored.map_err(|error| Failure::new(format!("scoring gave up: {error}")))?
        }
    });
    // `buffered` gives the answers in the order of the chunks.
    let mut scored = std::pin::pin!(scored.buffered(threads));

    let (queue, waiting) = mpsc::channel(WAITING_CHUNKS);
    let mut writer = PartWriter::new(directory, plan, done);
    let writing = tokio::task::spawn_blocking(move || writer.write_all(waiting));
    let mut read = Ok(());
    while let Some(chunk) = scored.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(failure) => {
                read = Err(renamed(failure, spec, name));
                break;
            }
        };
        work.advance(chunk.rows_read);
        // A writer that ended says itself why.
        if queue.send(Message::Rows(chunk)).await.is_err() {
            break;
        }
    }
    if read.is_ok() {
        let _ = queue.send(Message::End).await;
    }
    drop(queue);
    // Nobody writes any more when this returns.
    let written = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    read.map(|()| written)
}

fn name_of(rows: &FeatureRows) -> String {
    format!(
        "rows {} to {}",
        rows.first_row,
        rows.first_row + rows.rows.saturating_sub(1)
    )
}

/// A local copy is called by what it is a copy of.
fn renamed(mut failure: Failure, spec: &SourceSpec, name: &str) -> Failure {
    failure.message = failure.message.replace(&spec.to_string(), name);
    failure
}

fn bad_rows(place: &str, refused: Vec<RefusedRow>) -> Failure {
    let rows = refused.len();
    let violations: Vec<_> = refused.into_iter().flat_map(|row| row.violations).collect();
    let more = violations.len().saturating_sub(LISTED_VIOLATIONS) as u64;
    let noun = if rows == 1 { "row breaks" } else { "rows break" };
    Failure {
        violations: violations.iter().take(LISTED_VIOLATIONS).map(BadCell::from).collect(),
        more,
        ..Failure::new(format!("{rows} {noun} the schema's rules in {place}; nothing is written"))
            .hint("correct these cells, or leave such rows out with --on-bad-row skip; rows are counted from 1, without the header")
    }
}

async fn progress(rows: Option<u64>, spec: &SourceSpec, done: u64) -> Work {
    let rows = match rows {
        Some(rows) => Some(rows),
        None => super::rows_of_csv(spec).await,
    };
    let work = match rows {
        Some(rows) => Work::bar(rows, "customers", "scoring"),
        None => Work::counter("customers", "scoring"),
    };
    work.begin_at(done);
    work
}

/// Writes scored chunks into parts.
struct PartWriter {
    directory: std::path::PathBuf,
    format: TableFormat,
    on_bad_row: OnBadRow,
    calls: Option<CallRule>,
    part_rows: u64,
    next: usize,
}

/// A part while it is written.
struct OpenPart {
    number: usize,
    facts: PartFacts,
    table: PartTable,
    refused: Option<csv::Writer<File>>,
    calls: Vec<Call>,
}

impl PartWriter {
    fn new(directory: &WorkDirectory, plan: &Plan, next: usize) -> Self {
        Self {
            directory: directory.path().to_owned(),
            format: plan.table,
            on_bad_row: plan.on_bad_row,
            calls: plan.calls,
            part_rows: plan.part_rows,
            next,
        }
    }

    /// Writes until it is told of the source's end, or until nobody sends any more.
    fn write_all(&mut self, mut waiting: mpsc::Receiver<Message>) -> io::Result<()> {
        let mut open: Option<OpenPart> = None;
        while let Some(message) = waiting.blocking_recv() {
            let Message::Rows(chunk) = message else {
                let last = match open {
                    Some(part) => part,
                    None => self.open(self.next)?,
                };
                return self.finish(last, true);
            };
            let number = usize::try_from((chunk.first_row - 1) / self.part_rows).map_err(io::Error::other)?;
            let mut part = match open.take() {
                Some(part) if part.number == number => part,
                Some(part) => {
                    self.finish(part, false)?;
                    self.open(number)?
                }
                None => self.open(number)?,
            };
            self.add(&mut part, chunk)?;
            open = Some(part);
        }
        Ok(())
    }

    fn open(&mut self, number: usize) -> io::Result<OpenPart> {
        self.next = number + 1;
        let path = |piece| piece_path(&self.directory, number, piece);
        let refused = match self.on_bad_row {
            OnBadRow::Fail => None,
            OnBadRow::Skip => Some(csv::Writer::from_writer(File::create(path(Piece::Refused))?)),
        };
        Ok(OpenPart {
            number,
            facts: PartFacts::default(),
            table: PartTable::create(&path(Piece::Table), self.format, self.part_rows)?,
            refused,
            calls: Vec::new(),
        })
    }

    fn add(&self, part: &mut OpenPart, chunk: Scored) -> io::Result<()> {
        part.facts.rows_read += chunk.rows_read;
        part.facts.rows += chunk.rows;
        part.facts.expected_to_leave += chunk.expected_to_leave;
        part.facts.refused += chunk.refused.len() as u64;
        part.table.write(&chunk.table)?;
        if let Some(refused) = &mut part.refused {
            for row in &chunk.refused {
                write_refused(refused, row)?;
            }
        }
        if let Some(rule) = self.calls {
            part.calls.extend(chunk.calls);
            // Kept short while it grows, sorted at the end.
            if part.calls.len() / 2 > rule.limit() {
                part.calls = calls::ranked(std::mem::take(&mut part.calls), rule.limit());
            }
        }
        Ok(())
    }

    fn finish(&self, part: OpenPart, last: bool) -> io::Result<()> {
        if let Some(refused) = part.refused {
            let file = refused.into_inner().map_err(csv::IntoInnerError::into_error)?;
            file.sync_all()?;
        }
        if let Some(rule) = self.calls {
            let file = File::create(piece_path(&self.directory, part.number, Piece::Calls))?;
            calls::write_part(&file, &calls::ranked(part.calls, rule.limit()))?;
            file.sync_all()?;
        }
        let facts = PartFacts {
            table_bytes: part.table.finish()?,
            last,
            ..part.facts
        };
        finish_part(&self.directory, part.number, &facts)
    }
}

fn write_refused(writer: &mut csv::Writer<File>, row: &RefusedRow) -> io::Result<()> {
    let key = row.key.map(|key| key.to_string()).unwrap_or_default();
    for violation in &row.violations {
        writer.write_record([
            &row.row.to_string(),
            &key,
            &violation.column,
            violation.rule.code(),
            &violation.message,
        ])?;
    }
    Ok(())
}
