//! Objects in an S3 bucket, or on a server that speaks its protocol.
//!
//! `create` is a PUT with `If-None-Match: *`. It is never repeated blindly: 412 means that somebody was first; 409 and "slow down" mean that nothing
//! was written, and are tried again after a jittered wait; a lost reply ends in [`Error::Ambiguous`], because a second PUT would then be refused
//! on account of our own first one. All other calls are idempotent and are repeated by the SDK.
//!
//! The server must honour `If-None-Match: *` atomically; the contract suite's race finds those that do not. SeaweedFS keeps a tree, and three deviations
//! of it are known and harmless to Holdfast's layout: it refuses to create `a` once `a/b` exists; it lists folder by folder, so that a listing
//! taken in pages is out of order where a folder's sibling has its name and then a character below `/` (`a/`, `a-b`); and a listing after the
//! name of a folder leaves out what is in it. Its losers of a race to create can wait for seconds, so its deadlines should not be short.

mod body;
mod connect;
mod failure;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use backon::BackoffBuilder;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use jiff::Timestamp;

use self::failure::{CreateOutcome, create_outcome, is_missing, to_error};
use crate::error::{Error, Operation, Result};
use crate::key::{Key, Prefix};
use crate::landing::Landing;
use crate::settings::S3Settings;
use crate::store::{BlobBody, BlobMeta, BlobStore, Created};

const MIB: u64 = 1024 * 1024;

/// The most that S3 lists at a time.
const PAGE_SIZE: usize = 1000;

/// The largest body that S3 takes in one piece: 5 GiB.
pub const MAX_PUT_BYTES: u64 = 5 << 30;

/// Memory set aside on a server's word for a body's length; a longer body grows it as it comes.
const MAX_RESERVED_BYTES: u64 = 64 * MIB;

/// What a create sends; opened anew for every attempt.
enum Body {
    Bytes(Bytes),
    File(PathBuf),
}

impl Body {
    async fn stream(&self) -> Result<ByteStream> {
        match self {
            Self::Bytes(bytes) => Ok(ByteStream::from(bytes.clone())),
            Self::File(path) => ByteStream::from_path(path)
                .await
                .map_err(|error| unreadable(path, std::io::Error::other(error))),
        }
    }
}

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    Error::io(Operation::Create, path.display().to_string(), cause)
}

#[derive(Default)]
struct Received {
    /// Empty when the body went to a file.
    body: BytesMut,
    bytes: u64,
}

/// A blob store in a bucket. Cheap to clone.
#[derive(Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
    /// Empty, or a folder with its closing slash.
    prefix: String,
    endpoint: Option<String>,
    timeout: Duration,
    max_attempts: u32,
    max_create_attempts: u32,
}

impl S3Store {
    /// Prepares a client; the server is not contacted.
    ///
    /// Boxed, so that its code is generated once, here, and not again in every crate that waits for it.
    ///
    /// # Errors
    /// [`Error::Settings`] when the settings are not usable, or no region is found.
    pub fn open(settings: &S3Settings) -> BoxFuture<'_, Result<Self>> {
        Box::pin(Self::opened(settings))
    }

    async fn opened(settings: &S3Settings) -> Result<Self> {
        let problems = settings.problems();
        if !problems.is_empty() {
            return Err(Error::Settings(problems));
        }
        Ok(Self {
            client: connect::client(settings).await?,
            bucket: settings.bucket.clone(),
            prefix: Prefix::parse(&settings.prefix)?.to_string(),
            endpoint: settings.endpoint.clone(),
            timeout: Duration::from_millis(settings.timeout_ms),
            max_attempts: settings.max_attempts,
            max_create_attempts: settings.max_create_attempts,
        })
    }

    /// Creates or replaces the object with a file's content, streamed; readers see the old body or the new. S3 takes up to
    /// [`MAX_PUT_BYTES`] this way. The file must not change meanwhile.
    ///
    /// Boxed, so that its code is generated once, here, and not again in every crate that waits for it.
    ///
    /// # Errors
    /// As [`BlobStore::put`], and [`Error::Io`] when the file cannot be read.
    pub fn put_file<'a>(&'a self, key: &'a Key, path: &'a Path) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.stream_file(key, path))
    }

    async fn stream_file(&self, key: &Key, path: &Path) -> Result<()> {
        let metadata = tokio::fs::metadata(path).await;
        let length = metadata.map_err(|cause| unreadable(path, cause))?.len();
        let body = Body::File(path.to_owned()).stream().await?;
        let sent = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.name(key))
            .body(body);
        let outcome = sent.customize().config_override(self.override_for(length)).send().await;
        outcome
            .map(drop)
            .map_err(|error| to_error(Operation::Put, key, &error, self.deadline(length)))
    }

    fn name(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    fn key(&self, name: &str) -> Option<Key> {
        name.strip_prefix(&self.prefix).and_then(|key| Key::parse(key).ok())
    }

    /// Deadline of one attempt that carries a body: the plain one, and a second more per MiB.
    fn deadline(&self, body_bytes: u64) -> Duration {
        self.timeout + Duration::from_secs(body_bytes / MIB)
    }

    fn override_for(&self, body_bytes: u64) -> aws_sdk_s3::config::Builder {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(self.deadline(body_bytes))
            .build();
        aws_sdk_s3::Config::builder().timeout_config(timeouts)
    }

    async fn create_body(&self, key: &Key, body: &Body, body_bytes: u64) -> Result<Created> {
        let mut delays = backon::ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(25))
            .with_max_delay(Duration::from_secs(2))
            .with_max_times(self.max_create_attempts.saturating_sub(1) as usize)
            .build();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let sent = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(self.name(key))
                .if_none_match("*")
                .body(body.stream().await?);
            let once = self.override_for(body_bytes).retry_config(RetryConfig::disabled());
            let outcome = sent.customize().config_override(once).send().await;
            match create_outcome(key, outcome.map(drop), attempts) {
                CreateOutcome::Done(created) => return Ok(created),
                CreateOutcome::Failed(error) => return Err(error),
                CreateOutcome::NothingWritten(error) => match delays.next() {
                    Some(delay) => {
                        tracing::debug!(%key, attempts, %error, "create will be repeated");
                        tokio::time::sleep(delay).await;
                    }
                    None => return Err(error),
                },
            }
        }
    }

    /// Reads the object into memory, or into the file at `target`; begins again when the body breaks off.
    async fn read(&self, key: &Key, target: Option<&Path>) -> Result<Received> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let object = body::request(self, key, 0, None).await?;
            match self.receive(key, object, target).await {
                Err(error) if error.is_retryable() && attempts < self.max_attempts => {
                    tracing::debug!(%key, attempts, %error, "read will be repeated");
                }
                outcome => return outcome,
            }
        }
    }

    async fn receive(&self, key: &Key, mut object: GetObjectOutput, target: Option<&Path>) -> Result<Received> {
        let expected = object.content_length().and_then(|length| u64::try_from(length).ok());
        let mut landing = match target {
            Some(path) => Some(Landing::open(path).await?),
            None => None,
        };
        let mut received = Received::default();
        if landing.is_none() {
            received
                .body
                .reserve(usize::try_from(expected.unwrap_or(0).min(MAX_RESERVED_BYTES)).unwrap_or(0));
        }
        while let Some(chunk) = self.next_chunk(key, &mut object.body).await? {
            received.bytes += chunk.len() as u64;
            match &mut landing {
                Some(landing) => landing.write(&chunk).await?,
                None => received.body.extend_from_slice(&chunk),
            }
        }
        if let Some(expected) = expected
            && expected != received.bytes
        {
            return Err(broken_off(
                key,
                &format!("{} of {expected} bytes received", received.bytes),
            ));
        }
        if let Some(landing) = landing {
            landing.finish().await?;
        }
        Ok(received)
    }

    /// The next piece of a body, with a deadline of its own: a stalled download ends, a slow one goes on.
    async fn next_chunk(&self, key: &Key, body: &mut ByteStream) -> Result<Option<Bytes>> {
        match tokio::time::timeout(self.timeout, body.try_next()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(broken_off(key, &error.to_string())),
            Err(_) => Err(Error::TimedOut {
                operation: Operation::Get,
                target: key.to_string(),
                after: self.timeout,
            }),
        }
    }
}

impl std::fmt::Debug for S3Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("S3Store").field(&self.describe()).finish()
    }
}

#[async_trait]
impl BlobStore for S3Store {
    async fn create(&self, key: &Key, body: Bytes) -> Result<Created> {
        let length = body.len() as u64;
        self.create_body(key, &Body::Bytes(body), length).await
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<()> {
        let length = body.len() as u64;
        let sent = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.name(key))
            .body(ByteStream::from(body));
        let outcome = sent.customize().config_override(self.override_for(length)).send().await;
        outcome
            .map(drop)
            .map_err(|error| to_error(Operation::Put, key, &error, self.deadline(length)))
    }

    async fn create_from_file(&self, key: &Key, path: &Path) -> Result<Created> {
        let length = tokio::fs::metadata(path)
            .await
            .map_err(|cause| unreadable(path, cause))?
            .len();
        self.create_body(key, &Body::File(path.to_owned()), length).await
    }

    async fn get(&self, key: &Key) -> Result<Bytes> {
        Ok(self.read(key, None).await?.body.freeze())
    }

    async fn open(&self, key: &Key) -> Result<BlobBody> {
        body::open(self.clone(), key.clone()).await
    }

    async fn get_to_file(&self, key: &Key, path: &Path) -> Result<u64> {
        Ok(self.read(key, Some(path)).await?.bytes)
    }

    async fn head(&self, key: &Key) -> Result<Option<BlobMeta>> {
        match self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.name(key))
            .send()
            .await
        {
            Ok(head) => Ok(Some(BlobMeta {
                key: key.clone(),
                size_bytes: head
                    .content_length()
                    .and_then(|length| u64::try_from(length).ok())
                    .unwrap_or(0),
                modified: timestamp(head.last_modified()),
                etag: head.e_tag().map(str::to_owned),
            })),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(to_error(Operation::Head, key, &error, self.timeout)),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<BlobMeta>> {
        let prefix = Prefix::parse(prefix)?;
        let mut found: Vec<BlobMeta> = Vec::new();
        let mut more: Option<String> = None;
        while found.len() < limit {
            let wanted = i32::try_from((limit - found.len()).min(PAGE_SIZE)).unwrap_or(1);
            let call = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(format!("{}{prefix}", self.prefix))
                .max_keys(wanted);
            let call = match &more {
                Some(token) => call.continuation_token(token),
                None => call.set_start_after(after.map(|key| self.name(key))),
            };
            let page = call
                .send()
                .await
                .map_err(|error| to_error(Operation::List, &prefix, &error, self.timeout))?;
            // Names that are no keys are passed over: folder markers of consoles, foreign objects.
            found.extend(page.contents().iter().filter_map(|object| {
                Some(BlobMeta {
                    key: self.key(object.key()?)?,
                    size_bytes: u64::try_from(object.size()?).ok()?,
                    modified: timestamp(object.last_modified()),
                    etag: object.e_tag().map(str::to_owned),
                })
            }));
            more = page.next_continuation_token().map(str::to_owned);
            if page.is_truncated() != Some(true) || more.is_none() {
                break;
            }
        }
        // S3 lists in this order. Servers that keep a tree list folder by folder (`a/b` before `a-b`), which this mends for a listing that fits one call.
        found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let outcome = self
            .client
            .delete_object()
            .bucket(&self.bucket)
            .key(self.name(key))
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(to_error(Operation::Delete, key, &error, self.timeout)),
        }
    }

    fn describe(&self) -> String {
        let place = self
            .endpoint
            .as_deref()
            .map_or_else(String::new, |endpoint| format!(" at {endpoint}"));
        match self.prefix.as_str() {
            "" => format!("s3 bucket {}{place}", self.bucket),
            prefix => format!("s3 bucket {} below {prefix}{place}", self.bucket),
        }
    }
}

fn broken_off(key: &Key, reason: &str) -> Error {
    Error::Backend {
        operation: Operation::Get,
        target: key.to_string(),
        retryable: true,
        reason: format!("body broke off: {reason}"),
    }
}

/// The epoch where the server gave no time; S3 always gives one.
fn timestamp(time: Option<&DateTime>) -> Timestamp {
    time.and_then(|time| Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}
