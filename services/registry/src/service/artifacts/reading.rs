//! Bytes on their way out, checked before the last of them is handed over.

use std::pin::Pin;

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _, stream};
use holdfast_domain::Digest;
use holdfast_storage::BodyStream;
use sha2::{Digest as _, Sha256};

use super::ArtifactPath;
use crate::error::{Error, Result};

/// The bytes of a file, in order. An error is the last item.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// A body of which the last piece is kept back until the digest is right.
pub(super) struct Verified {
    path: String,
    body: BodyStream,
    hasher: Sha256,
    expected: Option<Digest>,
    held: Option<Bytes>,
}

impl Verified {
    /// The pieces of `body`; whatever they are if nothing is expected.
    pub(super) fn pieces(path: &ArtifactPath, body: BodyStream, expected: Option<Digest>) -> Pieces {
        let verified = Self {
            path: path.to_string(),
            body,
            hasher: Sha256::new(),
            expected,
            held: None,
        };
        Box::pin(stream::try_unfold(verified, |mut verified| async move {
            Ok(verified.next().await?.map(|piece| (piece, verified)))
        }))
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(piece) = self.body.try_next().await? {
                if self.expected.is_some() {
                    self.hasher.update(&piece);
                }
                if let Some(earlier) = self.held.replace(piece) {
                    return Ok(Some(earlier));
                }
                continue;
            }
            if let Some(expected) = self.expected.take() {
                let found = Digest::from_bytes(std::mem::take(&mut self.hasher).finalize().into());
                if found != expected {
                    return Err(Error::ArtifactDamaged {
                        path: self.path.clone(),
                        problem: format!("its bytes have the digest {found} and not {expected}"),
                    });
                }
            }
            return Ok(self.held.take());
        }
    }
}
