//! The settings that services and commands share, for commands that reach the blob store or S3 by themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use holdfast_chassis::settings::{Common, SettingsSources};
use holdfast_storage::{BlobStore, BlobStoreKind, BlobStoreSettings, DirectorySettings, S3Settings};
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::stack::{Ports, StackOptions};

/// Where the blob store is, for commands that read it without a running stack.
#[derive(Args, Clone, Debug)]
pub(crate) struct BlobStoreArgs {
    /// The data directory of a stack, as `holdfast up --data-dir` takes it
    #[arg(long, value_name = "DIR", conflicts_with = "blob_store")]
    data_dir: Option<PathBuf>,
    /// The blob store itself: a directory, or s3://bucket or s3://bucket/folder; without it, the one of the settings
    #[arg(long, value_name = "DIR_OR_URL")]
    blob_store: Option<String>,
    /// Settings; without it $HOLDFAST_CONFIG, else config/config.yaml if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl BlobStoreArgs {
    /// Opens the store. It must be there: a command that checks must not make an empty one and find it in order.
    pub(crate) async fn open(&self) -> Result<Arc<dyn BlobStore>> {
        let common = common(self.config.clone(), self.data_dir.as_deref())?;
        let settings = match &self.blob_store {
            Some(text) => named(text, &common.blob_store.s3)?,
            None => common.blob_store,
        };
        match settings.kind {
            BlobStoreKind::Memory => {
                return Err(
                    Failure::usage("blob_store.kind: memory keeps nothing that could be read")
                        .hint("name a store with --data-dir or --blob-store"),
                );
            }
            BlobStoreKind::Directory => {
                let below = settings.directory.path.as_deref().unwrap_or(Path::new("blobs"));
                let path = common.data_dir.join(below);
                if !path.is_dir() {
                    return Err(Failure::new(format!("there is no blob store in {}", path.display()))
                        .hint("name one with --data-dir or --blob-store"));
                }
            }
            BlobStoreKind::S3 => {}
        }
        Ok(settings.open(&common.data_dir).await?)
    }
}

/// The settings of files and environment.
pub(crate) fn common(config: Option<PathBuf>, data_dir: Option<&Path>) -> Result<Common> {
    let directory = data_dir.map(|directory| ("data_dir".to_owned(), Value::from(directory.to_string_lossy())));
    let options = StackOptions {
        sources: SettingsSources::from_process(config, directory.into_iter().collect()),
        http: None,
        ports: Ports::Settings,
    };
    options.common().map_err(|error| Failure::usage(format!("{error:#}")))
}

fn named(text: &str, s3: &S3Settings) -> Result<BlobStoreSettings> {
    let Some((scheme, rest)) = text.split_once("://") else {
        let path = std::path::absolute(text);
        let path = path.map_err(|error| Failure::usage(format!("--blob-store {text:?} is no path: {error}")))?;
        return Ok(BlobStoreSettings {
            kind: BlobStoreKind::Directory,
            directory: DirectorySettings { path: Some(path) },
            s3: s3.clone(),
        });
    };
    if !scheme.eq_ignore_ascii_case("s3") {
        return Err(Failure::usage(format!(
            "--blob-store {text:?} is neither a directory nor s3://bucket/folder"
        )));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    Ok(BlobStoreSettings {
        kind: BlobStoreKind::S3,
        directory: DirectorySettings::default(),
        s3: S3Settings {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
            ..s3.clone()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_its_directory_or_its_bucket() {
        let s3 = S3Settings {
            endpoint: Some("http://127.0.0.1:9000".to_owned()),
            ..S3Settings::default()
        };
        let directory = named("blobs", &s3).unwrap();
        assert_eq!(directory.kind, BlobStoreKind::Directory);
        assert!(directory.directory.path.unwrap().ends_with("blobs"));

        let bucket = named("s3://bank/holdfast/prod/", &s3).unwrap();
        assert_eq!((bucket.kind, bucket.s3.bucket.as_str()), (BlobStoreKind::S3, "bank"));
        assert_eq!(bucket.s3.prefix, "holdfast/prod");
        assert_eq!(bucket.s3.endpoint, s3.endpoint, "the rest stays as it is set");
        assert!(named("gs://bank", &s3).unwrap_err().usage);
    }
}
