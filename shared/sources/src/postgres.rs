//! Postgres as a source: its place is here, the reader is not built yet.
//!
//! To build it: enable sqlx's `postgres` feature, read the table name from the URL's `table` argument (as a
//! [`TableName`](crate::TableName)), take the column names from the server's catalogue through [`header`](crate::header), and stream
//! rows through a bounded channel as [`sqlite`](crate::sqlite) does. The rest of the crate needs no change.

use crate::error::SourceError;
use crate::read::Source;
use crate::spec::{ServerUrl, WORKS_TODAY};

/// Refuses, in words that help.
pub(crate) fn open(url: &ServerUrl) -> Result<Box<dyn Source>, SourceError> {
    let reason =
        format!("reading from a Postgres server is not built in yet; {WORKS_TODAY}; export the table to one of these");
    Err(SourceError::unsupported(url.to_string(), reason))
}
