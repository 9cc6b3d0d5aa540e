//! Whom to call: the customers that the threshold policy names, most urgent first.
//!
//! Each part of the work leaves its own customers ranked; the list is these merged. Memory: one part's customers, then one customer a part.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use holdfast_domain::CustomerKey;
use holdfast_model::{Offer, Threshold, ThresholdPolicy};
use serde::{Deserialize, Serialize};

/// Parts merged at once; more of them are merged in turns, so that the files open at a time stay few.
const MERGED_AT_ONCE: usize = 200;

/// The columns of the list.
const COLUMNS: [&str; 5] = ["rank", "CLIENTNUM", "probability", "expected_profit", "reasons"];

/// Who is on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CallRule {
    /// Everybody whom the version's threshold labels.
    Labelled,
    /// The first so many of these.
    Top(u64),
    /// So many, the most likely to leave, labelled or not.
    Capacity(u64),
}

impl CallRule {
    /// Whether a customer with this label may be on the list.
    pub(super) fn takes(self, label: bool) -> bool {
        label || matches!(self, Self::Capacity(_))
    }

    /// How many are on the list at most.
    pub(super) fn limit(self) -> usize {
        match self {
            Self::Labelled => usize::MAX,
            Self::Top(limit) | Self::Capacity(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }
}

/// A customer on the list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// Its row in the source, counted from 1.
    pub(super) row: u64,
    /// Its key.
    pub(super) key: Option<CustomerKey>,
    /// Probability of attrition, 0 to 1.
    pub(super) probability: f64,
    /// Why, in words.
    pub(super) reasons: String,
}

/// More likely to leave comes first; of equals, the one that the source has first. Expected profit rises with the probability, so that
/// the order by either is the same.
pub(super) fn rank(a: (f64, u64), b: (f64, u64)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

impl Call {
    fn place(&self) -> (f64, u64) {
        (self.probability, self.row)
    }
}

/// Ranks customers and keeps the first `limit`.
pub(super) fn ranked(mut calls: Vec<Call>, limit: usize) -> Vec<Call> {
    calls.sort_by(|a, b| rank(a.place(), b.place()));
    calls.truncate(limit);
    calls
}

/// Writes ranked customers of a part.
pub(super) fn write_part(file: &File, calls: &[Call]) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(BufWriter::new(file));
    for call in calls {
        write_call(&mut writer, call)?;
    }
    writer.flush()
}

fn write_call<W: std::io::Write>(writer: &mut csv::Writer<W>, call: &Call) -> std::io::Result<()> {
    writer.write_record([
        &call.row.to_string(),
        &call.key.map(|key| key.to_string()).unwrap_or_default(),
        &call.probability.to_string(),
        &call.reasons,
    ])?;
    Ok(())
}

/// A part being merged: its next customer, and those after it.
struct Part {
    next: Call,
    rest: csv::Reader<BufReader<File>>,
}

impl Part {
    fn open(path: &Path) -> std::io::Result<Option<Self>> {
        let mut rest = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(BufReader::new(File::open(path)?));
        Ok(read_call(&mut rest)?.map(|next| Self { next, rest }))
    }
}

fn read_call(reader: &mut csv::Reader<BufReader<File>>) -> std::io::Result<Option<Call>> {
    let mut record = csv::StringRecord::new();
    if !reader.read_record(&mut record)? {
        return Ok(None);
    }
    let damaged = || std::io::Error::new(std::io::ErrorKind::InvalidData, "a part of the call list is damaged");
    let cell = |place: usize| record.get(place).ok_or_else(damaged);
    let key = cell(1)?;
    Ok(Some(Call {
        row: cell(0)?.parse().map_err(|_| damaged())?,
        key: match key {
            "" => None,
            key => Some(CustomerKey(key.parse().map_err(|_| damaged())?)),
        },
        probability: cell(2)?.parse().map_err(|_| damaged())?,
        reasons: cell(3)?.to_owned(),
    }))
}

// A heap gives its greatest first, and the first to be called is the greatest.
impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        rank(other.next.place(), self.next.place())
    }
}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Part {}

/// Merges ranked parts and hands the first `limit` customers to `take`, in order.
fn merge(parts: &[PathBuf], limit: usize, mut take: impl FnMut(&Call) -> std::io::Result<()>) -> std::io::Result<u64> {
    let opened = parts.iter().map(|path| Part::open(path));
    let mut heap: BinaryHeap<Part> = opened.filter_map(Result::transpose).collect::<std::io::Result<_>>()?;
    let mut taken = 0;
    while taken < limit as u64
        && let Some(mut first) = heap.pop()
    {
        take(&first.next)?;
        taken += 1;
        if let Some(next) = read_call(&mut first.rest)? {
            first.next = next;
            heap.push(first);
        }
    }
    Ok(taken)
}

/// Writes the list of parts into a file and answers how many are on it. Intermediate files go into `scratch`.
pub(super) fn write_list(
    parts: Vec<PathBuf>,
    rule: CallRule,
    threshold: &Threshold,
    scratch: &Path,
    target: &Path,
) -> std::io::Result<u64> {
    let limit = rule.limit();
    let mut parts = parts;
    let mut turn = 0;
    while parts.len() > MERGED_AT_ONCE {
        let merged = parts.chunks(MERGED_AT_ONCE).enumerate().map(|(place, group)| {
            let path = scratch.join(format!("calls-{turn}-{place}"));
            let mut writer = csv::Writer::from_writer(BufWriter::new(File::create(&path)?));
            merge(group, limit, |call| write_call(&mut writer, call))?;
            writer.flush()?;
            Ok(path)
        });
        parts = merged.collect::<std::io::Result<_>>()?;
        turn += 1;
    }
    let file = File::create(target)?;
    let mut writer = csv::Writer::from_writer(BufWriter::new(&file));
    writer.write_record(COLUMNS)?;
    let offer = offer(threshold);
    let mut number = 0_u64;
    let called = merge(&parts, limit, |call| {
        number += 1;
        let profit = offer.map(|offer| expected_profit(offer, call.probability).to_string());
        writer.write_record([
            &number.to_string(),
            &call.key.map(|key| key.to_string()).unwrap_or_default(),
            &call.probability.to_string(),
            &profit.unwrap_or_default(),
            &call.reasons,
        ])?;
        Ok(())
    })?;
    writer.flush()?;
    drop(writer);
    file.sync_all()?;
    Ok(called)
}

/// The offer of a version whose threshold was chosen by profit.
fn offer(threshold: &Threshold) -> Option<Offer> {
    match threshold.policy {
        ThresholdPolicy::Cost {
            offer_cost,
            lost_margin,
            success_rate,
        } => Some(Offer {
            offer_cost,
            lost_margin,
            success_rate,
        }),
        _ => None,
    }
}

/// What an offer to a customer of this probability is expected to bring, US dollars.
fn expected_profit(offer: Offer, probability: f64) -> f64 {
    probability * offer.success_rate * offer.lost_margin - offer.offer_cost
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(row: u64, probability: f64) -> Call {
        Call {
            row,
            key: (row != 3).then(|| CustomerKey(i64::try_from(row).unwrap() + 1_000)),
            probability,
            reasons: format!("reason of {row}, \"quoted\""),
        }
    }

    fn list(parts: &[Vec<Call>], rule: CallRule, policy: ThresholdPolicy) -> Vec<Vec<String>> {
        let directory = tempfile::tempdir().unwrap();
        let write = |(number, calls): (usize, &Vec<Call>)| {
            let path = directory.path().join(format!("part-{number}"));
            write_part(&File::create(&path).unwrap(), &ranked(calls.clone(), rule.limit())).unwrap();
            path
        };
        let paths = parts.iter().enumerate().map(write).collect();
        let target = directory.path().join("list.csv");
        let threshold = Threshold { value: 0.5, policy };
        let called = write_list(paths, rule, &threshold, directory.path(), &target).unwrap();
        let rows: Vec<Vec<String>> = csv::Reader::from_path(&target)
            .unwrap()
            .records()
            .map(|row| row.unwrap().iter().map(str::to_owned).collect())
            .collect();
        assert_eq!(rows.len() as u64, called);
        rows
    }

    #[test]
    fn the_most_likely_come_first_and_equals_in_the_order_of_the_source() {
        let parts = [
            vec![call(1, 0.6), call(2, 0.9)],
            vec![],
            vec![call(3, 0.9), call(4, 0.95)],
        ];
        let rows = list(&parts, CallRule::Labelled, ThresholdPolicy::Fixed);
        let keys: Vec<&str> = rows.iter().map(|row| row[1].as_str()).collect();
        assert_eq!(keys, ["1004", "1002", "", "1001"]);
        assert_eq!(rows[0], ["1", "1004", "0.95", "", "reason of 4, \"quoted\""]);
    }

    #[test]
    fn a_limit_takes_the_first_of_all_parts_and_a_cost_policy_says_what_a_call_brings() {
        let parts = [vec![call(1, 0.5), call(2, 0.75)], vec![call(4, 0.875)]];
        let policy = ThresholdPolicy::Cost {
            offer_cost: 20.0,
            lost_margin: 400.0,
            success_rate: 0.5,
        };
        let rows = list(&parts, CallRule::Top(2), policy);
        let profits: Vec<&str> = rows.iter().map(|row| row[3].as_str()).collect();
        assert_eq!(profits, ["155", "130"]);
    }

    #[test]
    fn more_parts_than_may_be_open_give_the_same_list() {
        let parts: Vec<Vec<Call>> = (1..=450).map(|row| vec![call(row, (row % 7) as f64 / 8.0)]).collect();
        let one = list(&[parts.concat()], CallRule::Capacity(300), ThresholdPolicy::Fixed);
        assert_eq!(one.len(), 300);
        assert_eq!(list(&parts, CallRule::Capacity(300), ThresholdPolicy::Fixed), one);
    }
}
