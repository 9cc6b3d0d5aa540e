//! Where customers come from and go to as tables: CSV and Parquet files, here or in S3, and SQLite databases today, database servers
//! later.
//!
//! A [`SourceSpec`] says where; [`read`] takes a whole table, [`ChunkReader`] goes through one of any size in bounded memory,
//! [`FeatureReader`] does so for scoring (features alone, bad rows set aside, Parquet column by column), [`write()`] makes one, [`read_raw`]
//! takes a table with all its columns and checks nothing. An object of S3 is fetched first ([`fetch`]). Every kind is a module with a [`Source`], and all of them check rows by the same schema, so that a table
//! means the same wherever it lies. What is wrong with a table is said with file, row, column and rule ([`SourceError::Invalid`]).

mod blocking;
mod columnar;
mod csv;
mod error;
mod features;
mod header;
mod mysql;
mod parquet;
mod postgres;
mod raw;
mod read;
mod rows;
mod s3;
mod spec;
mod sqlite;
mod write;

pub use error::{LISTED_VIOLATIONS, SourceError};
pub use features::{FeatureReader, FeatureRows, PendingRows, RefusedRow};
pub use raw::{RawColumn, RawTable};
pub use read::{ChunkReader, Source, read, read_raw};
pub use rows::Rows;
pub use s3::{Fetched, fetch};
pub use spec::{DEFAULT_TABLE, ObjectFormat, S3Object, ServerUrl, SourceSpec, TableName};
pub use write::write;
