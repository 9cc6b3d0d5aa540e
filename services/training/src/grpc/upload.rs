//! Files that come message by message: a header, chunks, an end.

use holdfast_api::training::v1 as wire;
use tonic::{Status, Streaming};

use super::{MAX_CHUNK_BYTES, status};
use crate::error::Error;

/// What a message brings.
pub(super) enum Part<H> {
    /// What comes before the bytes.
    Header(H),
    /// Bytes.
    Chunk(Vec<u8>),
    /// How many bytes there were.
    End(u64),
}

/// A message of an upload.
pub(super) trait Message {
    /// What comes before the bytes.
    type Header;

    /// What it brings; nothing when it is empty.
    fn part(self) -> Option<Part<Self::Header>>;
}

/// A file on its way.
pub(super) struct Upload<M> {
    messages: Streaming<M>,
    received: u64,
}

impl<M: Message> Upload<M> {
    /// Waits for the header.
    pub(super) async fn begin(mut messages: Streaming<M>) -> Result<(M::Header, Self), Status> {
        match messages.message().await?.and_then(M::part) {
            Some(Part::Header(header)) => Ok((header, Self { messages, received: 0 })),
            _ => Err(status(Error::field("header", "required", "must be the first message"))),
        }
    }

    /// The next bytes; `None` when all have come. A call that is cancelled looks like a stream that has ended: only the end says that the file is
    /// whole.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Status> {
        loop {
            let Some(message) = self.messages.message().await? else {
                return Err(status(Error::field("end", "required", "must be the last message")));
            };
            match message.part() {
                Some(Part::Chunk(chunk)) if chunk.len() > MAX_CHUNK_BYTES => {
                    return Err(status(Error::field("chunk", "too_long", "must have at most 1 MiB")));
                }
                Some(Part::Chunk(chunk)) => {
                    self.received += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                Some(Part::Header(_)) => {
                    return Err(status(Error::field("header", "repeated", "must come once, first")));
                }
                Some(Part::End(promised)) if promised != self.received => {
                    let problem = format!("says {promised} bytes, but {} came", self.received);
                    return Err(status(Error::field("end.size_bytes", "size", &problem)));
                }
                Some(Part::End(_)) => return Ok(None),
                None => {}
            }
        }
    }
}

impl Message for wire::ImportSnapshotRequest {
    type Header = wire::ImportSnapshotHeader;

    fn part(self) -> Option<Part<Self::Header>> {
        use wire::import_snapshot_request::Part as Wire;
        Some(match self.part? {
            Wire::Header(header) => Part::Header(header),
            Wire::Chunk(chunk) => Part::Chunk(chunk),
            Wire::End(end) => Part::End(end.size_bytes),
        })
    }
}

impl Message for wire::ImportModelRequest {
    type Header = wire::ImportModelHeader;

    fn part(self) -> Option<Part<Self::Header>> {
        use wire::import_model_request::Part as Wire;
        Some(match self.part? {
            Wire::Header(header) => Part::Header(header),
            Wire::Chunk(chunk) => Part::Chunk(chunk),
            Wire::End(end) => Part::End(end.size_bytes),
        })
    }
}
