//! Where Holdfast keeps everything that outlives a process: datasets, model artefacts, the champion log, prediction logs, reports.
//!
//! One trait, [`BlobStore`], and three backends: a local directory, S3 (and what speaks its protocol), and memory. All of them pass one
//! contract suite (`testing::contract`, feature `testing`). The only primitive that correctness rests on is [`BlobStore::create`]: create if
//! absent, atomic, with exactly one winner among any number of writers in any number of processes.
//!
//! What is *not* promised: no transaction over two keys, no order between a listing and writes that run at the same time, no lock. A `create` whose
//! reply is lost ends in [`Error::Ambiguous`], which only a caller who can recognise its own bytes may resolve: see [`create_resolving`].

mod checksum;
mod directory;
mod error;
mod key;
mod landing;
pub mod lock_file;
mod memory;
mod s3;
mod secret;
mod settings;
mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use checksum::{sha256, sha256_file};
pub use directory::DirectoryStore;
pub use error::{Error, Operation, Result};
pub use key::{InvalidKey, Key, MAX_KEY_BYTES, MAX_SEGMENT_BYTES, Prefix};
pub use memory::MemoryStore;
pub use s3::{MAX_PUT_BYTES, S3Store};
pub use secret::Secret;
pub use settings::{BlobStoreKind, BlobStoreSettings, DirectorySettings, S3Settings, SettingsProblem};
pub use store::{BlobBody, BlobMeta, BlobStore, BodyStream, Created, create_resolving, list_all};
