//! Reading and writing real files through the public interface.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, in its helpers too")]

mod bank;
mod chunks;
mod csv_files;
mod features;
mod parquet_files;
mod raw;
mod s3_objects;
mod sqlite_tables;
mod support;
