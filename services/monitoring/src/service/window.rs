//! Reading a window of the prediction log.

use std::sync::Arc;

use holdfast_domain::{ModelName, Schema};
use holdfast_records::prediction::{PredictionFilter, PredictionRecord, ReadCounts, WindowReader, WindowRequest};
use holdfast_storage::BlobStore;

use super::report::Window;
use crate::error::Result;

/// The prediction log.
#[derive(Clone, Debug)]
pub struct PredictionLog {
    blobs: Arc<dyn BlobStore>,
    maximum_rows: usize,
}

/// What reading a window took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRead {
    /// As the reader counted.
    pub counts: ReadCounts,
    /// Segments that are damaged and were left out.
    pub damaged: u64,
}

impl PredictionLog {
    /// The log in `blobs`; at most `maximum_rows` of a window are read.
    pub fn new(blobs: Arc<dyn BlobStore>, maximum_rows: usize) -> Self {
        Self { blobs, maximum_rows }
    }

    /// Gives a model's predictions of a window to `take`, segment by segment. A damaged segment is logged, counted and left out: one flipped
    /// byte must not end the watching of a day.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn read(
        &self,
        model: &ModelName,
        window: Window,
        schema: &Schema,
        mut take: impl FnMut(Vec<PredictionRecord>) + Send,
    ) -> Result<WindowRead> {
        let request = WindowRequest {
            from: window.from,
            to: window.to,
            filter: PredictionFilter::model(model.clone()),
            row_cap: self.maximum_rows,
        };
        let mut reader = WindowReader::new(Arc::clone(&self.blobs), schema, request);
        let mut damaged = 0;
        loop {
            match reader.next().await {
                Ok(Some(records)) => take(records),
                Ok(None) => break,
                Err(error @ holdfast_records::Error::Format { .. }) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "segment of the prediction log left out"
                    );
                    damaged += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(WindowRead {
            counts: reader.counts(),
            damaged,
        })
    }
}
