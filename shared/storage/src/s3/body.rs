//! A body that is read piece by piece, and gone on with where it broke off.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::stream;

use super::failure::{is_missing, to_error};
use super::{S3Store, broken_off};
use crate::error::{Error, Operation, Result};
use crate::key::Key;
use crate::store::BlobBody;

/// Opens the body of `key`.
pub(super) async fn open(store: S3Store, key: Key) -> Result<BlobBody> {
    let object = request(&store, &key, 0, None).await?;
    let size_bytes = object
        .content_length()
        .and_then(|length| u64::try_from(length).ok())
        .ok_or_else(|| broken_off(&key, "length is not told"))?;
    let reading = Reading {
        etag: object.e_tag().map(str::to_owned),
        store,
        key,
        body: object.body,
        received: 0,
        size_bytes,
        attempts: 1,
    };
    Ok(BlobBody {
        size_bytes,
        chunks: Box::pin(stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|chunk| (chunk, reading)))
        })),
    })
}

struct Reading {
    store: S3Store,
    key: Key,
    /// What the rest must be of: an object that was replaced meanwhile is not gone on with.
    etag: Option<String>,
    body: ByteStream,
    received: u64,
    size_bytes: u64,
    attempts: u32,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let broken = match self.store.next_chunk(&self.key, &mut self.body).await {
                Ok(Some(chunk)) if chunk.is_empty() => continue,
                Ok(Some(chunk)) => {
                    self.received += chunk.len() as u64;
                    if self.received > self.size_bytes {
                        return Err(broken_off(&self.key, "more bytes came than were told"));
                    }
                    return Ok(Some(chunk));
                }
                Ok(None) if self.received == self.size_bytes => return Ok(None),
                Ok(None) => {
                    let told = format!("{} of {} bytes received", self.received, self.size_bytes);
                    broken_off(&self.key, &told)
                }
                // All is there; only the end of the connection was not clean.
                Err(_) if self.received == self.size_bytes => return Ok(None),
                Err(error) => error,
            };
            if !broken.is_retryable() || self.attempts >= self.store.max_attempts {
                return Err(broken);
            }
            self.attempts += 1;
            tracing::debug!(key = %self.key, attempts = self.attempts, received = self.received, %broken, "read goes on where it broke off");
            let rest = request(&self.store, &self.key, self.received, self.etag.clone()).await?;
            // A server that does not know ranges would begin anew.
            let begins = format!("bytes {}-", self.received);
            let goes_on = rest.content_range().is_some_and(|range| range.starts_with(&begins));
            if self.received > 0 && !goes_on {
                return Err(broken);
            }
            self.body = rest.body;
        }
    }
}

/// The object from byte `from` on, if it is still the one of `etag`.
pub(super) async fn request(store: &S3Store, key: &Key, from: u64, etag: Option<String>) -> Result<GetObjectOutput> {
    let range = (from > 0).then(|| format!("bytes={from}-"));
    let sent = store
        .client
        .get_object()
        .bucket(&store.bucket)
        .key(store.name(key))
        .set_range(range)
        .set_if_match(etag)
        .send()
        .await;
    match sent {
        Ok(object) => Ok(object),
        Err(error) if is_missing(&error) => Err(Error::NotFound { key: key.clone() }),
        Err(error) => Err(to_error(Operation::Get, key, &error, store.timeout)),
    }
}
