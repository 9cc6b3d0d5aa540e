//! Which store to use, as one section of the settings file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::directory::DirectoryStore;
use crate::error::{Error, Result};
use crate::key::Prefix;
use crate::memory::MemoryStore;
use crate::s3::S3Store;
use crate::secret::Secret;
use crate::store::BlobStore;

/// Where a directory store lies when the settings do not say: below the data directory.
const DEFAULT_DIRECTORY: &str = "blobs";

/// Longest prefix in a bucket, in bytes. Together with the longest key it would pass the limit of S3, which then refuses the key; the layout's
/// own keys stay far below.
const MAX_BUCKET_PREFIX_BYTES: usize = 200;

/// The section `blob_store`. Sub-sections of the kinds that are not chosen are read and checked for spelling, but not used: so one environment
/// variable can switch the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlobStoreSettings {
    /// Which backend.
    pub kind: BlobStoreKind,
    /// For `kind: directory`.
    pub directory: DirectorySettings,
    /// For `kind: s3`.
    pub s3: S3Settings,
}

/// The backends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlobStoreKind {
    /// A local directory, shared by the processes of one machine.
    #[default]
    Directory,
    /// S3, or what speaks its protocol and honours `If-None-Match: *`.
    S3,
    /// The process's memory: nothing is kept, nothing is shared with other processes.
    Memory,
}

/// Settings of the directory backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DirectorySettings {
    /// The directory; a relative path starts at the data directory. Default: `blobs` there.
    pub path: Option<PathBuf>,
}

/// Settings of the S3 backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Settings {
    /// The bucket; it must exist.
    pub bucket: String,
    /// Folder in the bucket below which everything is kept; empty for the bucket's root.
    pub prefix: String,
    /// Address of an S3 server other than AWS, `https://host:port`.
    pub endpoint: Option<String>,
    /// Region. Default: as the AWS tools find it (`AWS_REGION`, profile, instance); with an `endpoint`, `us-east-1`.
    pub region: Option<String>,
    /// Put the bucket in the path and not in the host name; most servers other than AWS need it.
    pub path_style: bool,
    /// Allow an `http://` endpoint on a host that is not this machine: bodies then cross the network unencrypted.
    pub allow_plain_http: bool,
    /// Access key. Default: as the AWS tools find it (environment, profile, web identity, container or instance role).
    pub access_key_id: Option<String>,
    /// Its secret; set together with `access_key_id`.
    pub secret_access_key: Option<Secret>,
    /// Session token of temporary credentials.
    pub session_token: Option<Secret>,
    /// Deadline of one attempt, in milliseconds; bodies get a second more per MiB.
    pub timeout_ms: u64,
    /// Deadline of a connection's set-up, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Attempts of a call that may be repeated, the first included; waits between them grow and are jittered.
    pub max_attempts: u32,
    /// Attempts of a create that the store answers with "conflict" (409) or "slow down".
    pub max_create_attempts: u32,
}

impl Default for S3Settings {
    fn default() -> Self {
        Self {
            bucket: String::new(),
            prefix: String::new(),
            endpoint: None,
            region: None,
            path_style: false,
            allow_plain_http: false,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            timeout_ms: 10_000,
            connect_timeout_ms: 3_000,
            max_attempts: 3,
            max_create_attempts: 8,
        }
    }
}

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// Path of the setting inside the section, `s3.bucket`.
    pub field: String,
    /// What is wrong, lower case, no full stop.
    pub message: String,
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl BlobStoreSettings {
    /// Everything wrong with the chosen kind's settings; empty when they can be used.
    pub fn problems(&self) -> Vec<SettingsProblem> {
        match self.kind {
            BlobStoreKind::S3 => self.s3.problems(),
            BlobStoreKind::Directory | BlobStoreKind::Memory => Vec::new(),
        }
    }

    /// Opens the store. An S3 server is not contacted: services start while it is away.
    ///
    /// Boxed, so that its code is generated once, here, and not again in every crate that waits for it.
    ///
    /// # Errors
    /// [`Error::Settings`] when [`BlobStoreSettings::problems`] are found; [`Error::Io`] when the directory cannot be used.
    pub fn open<'a>(&'a self, data_dir: &'a Path) -> BoxFuture<'a, Result<Arc<dyn BlobStore>>> {
        Box::pin(self.opened(data_dir))
    }

    async fn opened(&self, data_dir: &Path) -> Result<Arc<dyn BlobStore>> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(Error::Settings(problems));
        }
        Ok(match self.kind {
            BlobStoreKind::Directory => {
                let path = self.directory.path.as_deref().unwrap_or(Path::new(DEFAULT_DIRECTORY));
                Arc::new(DirectoryStore::open(data_dir.join(path)).await?)
            }
            BlobStoreKind::S3 => Arc::new(S3Store::open(&self.s3).await?),
            BlobStoreKind::Memory => Arc::new(MemoryStore::new()),
        })
    }
}

impl S3Settings {
    pub(crate) fn problems(&self) -> Vec<SettingsProblem> {
        let mut problems = Vec::new();
        let mut add = |field: &str, message: &str| {
            problems.push(SettingsProblem {
                field: format!("s3.{field}"),
                message: message.to_owned(),
            });
        };
        if !is_bucket_name(&self.bucket) {
            add(
                "bucket",
                "must be a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens",
            );
        }
        if Prefix::parse(&self.prefix).is_err() || self.prefix.len() > MAX_BUCKET_PREFIX_BYTES {
            add("prefix", "must be empty or a key of at most 200 bytes");
        }
        if let Some(message) = self
            .endpoint
            .as_deref()
            .and_then(|endpoint| endpoint_problem(endpoint, self.allow_plain_http))
        {
            add("endpoint", message);
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            add("secret_access_key", "must be set together with access_key_id");
        }
        if self.session_token.is_some() && self.access_key_id.is_none() {
            add("session_token", "needs access_key_id and secret_access_key");
        }
        for (field, zero) in [
            ("timeout_ms", self.timeout_ms == 0),
            ("connect_timeout_ms", self.connect_timeout_ms == 0),
            ("max_attempts", self.max_attempts == 0),
            ("max_create_attempts", self.max_create_attempts == 0),
        ] {
            if zero {
                add(field, "must be greater than 0");
            }
        }
        problems
    }
}

fn is_bucket_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))
        && !name.starts_with(['.', '-'])
        && !name.ends_with(['.', '-'])
}

fn endpoint_problem(endpoint: &str, allow_plain_http: bool) -> Option<&'static str> {
    let Ok(url) = Url::parse(endpoint) else {
        return Some("must be a URL, https://host:port");
    };
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Some("must name a host"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("must not hold credentials; use access_key_id and secret_access_key");
    }
    match url.scheme() {
        "https" => None,
        "http" if here || allow_plain_http => None,
        "http" => Some("is plain http to another host; use https or set allow_plain_http"),
        _ => Some("must begin with https:// or http://"),
    }
}
