//! Reports in the blob store: written once, read by id, listed newest first.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_domain::ModelName;
use holdfast_records::layout::{Location, date_of, report_key};
use holdfast_records::{ReportFormat, Slug};
use holdfast_storage::{BlobStore, Created, Key};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use uuid::Uuid;

use super::report::DriftReport;
use super::stored_json;
use crate::error::{Error, Result};

/// Keys asked for at a time.
const LISTED_AT_ONCE: usize = 1_000;

/// Reports read at once for a list.
const PARALLEL_READS: usize = 8;

/// The day before the first report there can be.
const BEGINNING: Date = Date::constant(2026, 1, 1);

/// The stored reports.
#[derive(Clone, Debug)]
pub struct Reports {
    blobs: Arc<dyn BlobStore>,
}

/// A report's id: a version 7 UUID of `at`, to the millisecond. The day it is filed under can be read off it.
pub fn new_id(at: Timestamp) -> String {
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    let mut random = [0; 10];
    random.copy_from_slice(&Uuid::now_v7().as_bytes()[6..]);
    uuid::Builder::from_unix_timestamp_millis(millis, &random)
        .into_uuid()
        .hyphenated()
        .to_string()
}

/// The day of an id made by [`new_id`]; `None` for any other text.
fn day_of(id: &str) -> Option<Date> {
    let uuid = Uuid::parse_str(id).ok()?;
    if uuid.hyphenated().to_string() != id {
        return None;
    }
    let (seconds, nanoseconds) = uuid.get_timestamp()?.to_unix();
    let at = Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()?;
    Some(date_of(at))
}

impl Reports {
    /// Reports in `blobs`.
    pub fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self { blobs }
    }

    /// Stores a report under its id.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn create(&self, report: &DriftReport) -> Result<()> {
        let id = Slug::parse(&report.report_id)?;
        let day = day_of(&report.report_id).unwrap_or_else(|| date_of(report.created_at));
        let key = report_key(&report.model, day, &id, ReportFormat::Json);
        // The id is this report's alone: what lies there already is this report, written by an attempt whose reply was lost.
        let (Created::Yes | Created::AlreadyExists) = stored_json::create(&*self.blobs, &key, report).await?;
        Ok(())
    }

    /// A report by its id, whatever model it is about: one look per model that has reports.
    ///
    /// # Errors
    /// [`Error::NoSuchReport`]; the blob store's.
    pub async fn get(&self, id: &str) -> Result<DriftReport> {
        let missing = || Error::NoSuchReport(id.chars().take(100).collect());
        let (Some(day), Ok(slug)) = (day_of(id), Slug::parse(id)) else {
            return Err(missing());
        };
        let mut after: Option<Key> = None;
        loop {
            let next = self.blobs.list("reports", after.as_ref(), 1).await?;
            let Some(object) = next.first() else {
                return Err(missing());
            };
            after = Some(object.key.clone());
            if let Some(Location::Report(model, ..)) = Location::parse(&object.key) {
                let key = report_key(&model, day, &slug, ReportFormat::Json);
                if let Some(report) = stored_json::read(&*self.blobs, &key).await? {
                    return Ok(report);
                }
                // Dates begin with digits, which sort before '~': on to the next model.
                after = Key::parse(format!("reports/{model}/~")).ok();
            }
        }
    }

    /// A model's newest reports, newest first. A damaged one is logged and left out.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn newest(&self, model: &ModelName, count: usize, now: Timestamp) -> Result<Vec<DriftReport>> {
        let keys = self.newest_keys(model, count, now).await?;
        let reports: Vec<Option<DriftReport>> = stream::iter(keys)
            .map(|key| async move { self.readable(&key).await })
            .buffered(PARALLEL_READS)
            .try_collect()
            .await?;
        Ok(reports.into_iter().flatten().collect())
    }

    async fn readable(&self, key: &Key) -> Result<Option<DriftReport>> {
        match stored_json::read(&*self.blobs, key).await {
            Err(Error::Records(error @ holdfast_records::Error::Format { .. })) => {
                tracing::error!(error = &error as &dyn std::error::Error, "report left out of a list");
                Ok(None)
            }
            other => other,
        }
    }

    /// Stores list upwards only. So today is listed, then the four days before, the eight before those and so on, until there are
    /// enough: what is listed for nothing is at most about as much as what there is.
    async fn newest_keys(&self, model: &ModelName, count: usize, now: Timestamp) -> Result<Vec<Key>> {
        // Beyond today: another replica's clock may be ahead.
        let mut end = date_of(now).saturating_add(2.days());
        let mut days = 2_i64;
        let mut newest = Vec::new();
        while newest.len() < count && end > BEGINNING {
            let begin = end.saturating_sub(days.days()).max(BEGINNING);
            let mut keys = self.keys_between(model, begin, end).await?;
            keys.reverse();
            newest.extend(keys);
            (end, days) = (begin, days.saturating_mul(2));
        }
        newest.truncate(count);
        Ok(newest)
    }

    /// Keys of the reports of the days `begin` to before `end`, oldest first.
    async fn keys_between(&self, model: &ModelName, begin: Date, end: Date) -> Result<Vec<Key>> {
        let prefix = format!("reports/{model}");
        let mut after = Key::parse(format!("{prefix}/{begin}")).ok();
        let mut keys = Vec::new();
        loop {
            let page = self.blobs.list(&prefix, after.as_ref(), LISTED_AT_ONCE).await?;
            for object in &page {
                match Location::parse(&object.key) {
                    Some(Location::Report(_, day, ..)) if day >= end => return Ok(keys),
                    Some(Location::Report(_, _, _, ReportFormat::Json)) => keys.push(object.key.clone()),
                    _ => {}
                }
            }
            match page.last() {
                Some(last) if page.len() == LISTED_AT_ONCE => after = Some(last.key.clone()),
                _ => return Ok(keys),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_can_be_read_off_an_id() {
        let at: Timestamp = "2026-11-23T23:59:59.999Z".parse().unwrap();
        let id = new_id(at);
        assert_eq!(day_of(&id), Some(date_of(at)));
        assert_ne!(new_id(at), id);
        for other in [
            "",
            "latest",
            &id.to_uppercase(),
            "a3bb189e-8bf9-4888-9912-ace4e6543002",
            "../../x",
        ] {
            assert_eq!(day_of(other), None, "{other}");
        }
    }
}
