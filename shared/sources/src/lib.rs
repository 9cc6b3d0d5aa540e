//! Where customers come from and go to as tables: CSV and Parquet files and SQLite databases today, database servers later.
//!
//! A [`SourceSpec`] says where; [`read`] takes a whole table, [`ChunkReader`] goes through one of any size in bounded memory,
//! [`write()`] makes one, [`read_raw`] takes a table with
//! all its columns and checks nothing. Every kind is a module with a [`Source`], and all of them check rows by the same schema, so that a table
//! means the same wherever it lies. What is wrong with a table is said with file, row, column and rule ([`SourceError::Invalid`]).

mod blocking;
mod csv;
mod error;
mod header;
mod mysql;
mod parquet;
mod postgres;
mod raw;
mod read;
mod rows;
mod spec;
mod sqlite;
mod write;

pub use error::{LISTED_VIOLATIONS, SourceError};
pub use raw::{RawColumn, RawTable};
pub use read::{ChunkReader, Source, read, read_raw};
pub use rows::Rows;
pub use spec::{DEFAULT_TABLE, ServerUrl, SourceSpec, TableName};
pub use write::write;
