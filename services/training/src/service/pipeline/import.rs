//! A model file of another library comes in: it is tried out, kept, and a run is started that makes a version of it.

use bytes::Bytes;
use holdfast_domain::{Digest, RunId};
use holdfast_interchange::Format;
use holdfast_records::model_file;
use tokio::sync::OwnedSemaphorePermit;

use super::Pipelines;
use crate::error::{Error, Result};
use crate::service::imported::{ForeignModelError, ImportPlan, ModelFile, Reading};
use crate::service::runs::RunRequest;

/// Model files that may be on their way at once: each is held in memory whole.
pub(super) const UPLOADS_AT_ONCE: usize = 4;

/// What a caller says of the file before it comes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SentFile {
    /// Its format; found out from the bytes when absent.
    pub format: Option<Format>,
    /// Where it comes from, for people.
    pub source: String,
    /// What it does not say itself.
    pub reading: Reading,
}

/// A model file that is being sent, and the run that it is for. Nothing of it is stored before [`finish`](Self::finish).
#[derive(Debug)]
pub struct ModelUpload {
    pipelines: Pipelines,
    request: RunRequest,
    sent: SentFile,
    bytes: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl Pipelines {
    /// Begins to take in a model file for a run.
    ///
    /// # Errors
    /// As [`start`](Self::start) for what the request names; [`Error::UploadsAtWork`] when as many files as may be are on their way.
    pub async fn model_upload(&self, request: RunRequest, sent: SentFile) -> Result<ModelUpload> {
        self.check(&request).await?;
        let place = self.uploads.clone().try_acquire_owned();
        Ok(ModelUpload {
            pipelines: self.clone(),
            request,
            sent,
            bytes: Vec::new(),
            _place: place.map_err(|_| Error::UploadsAtWork)?,
        })
    }
}

impl ModelUpload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::ModelFileTooLarge`] beyond the limit.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let limit = self.pipelines.parts.max_model_bytes;
        if (self.bytes.len() + bytes.len()) as u64 > limit {
            return Err(Error::ModelFileTooLarge { limit });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// All bytes are there: reads the file, binds it to the schema, keeps it under its digest, and starts the run. A file that is refused is not kept;
    /// one whose run could not be started is, and is the same file when it comes again.
    ///
    /// # Errors
    /// [`Error::ForeignModel`] when it is no model or does not fit the schema; the blob store's; as [`start`](Pipelines::start).
    pub async fn finish(self) -> Result<RunId> {
        let Self {
            pipelines,
            mut request,
            sent: SentFile {
                format,
                source,
                reading,
            },
            bytes,
            _place,
        } = self;
        let parts = &pipelines.parts;
        let recipe = parts.presets.get(&request.preset)?.recipe.clone();
        let bytes = Bytes::from(bytes);
        let (schema, tried) = (parts.schema, bytes.clone());
        let read = tokio::task::spawn_blocking(move || {
            let found = Format::detect(&tried).map_err(ForeignModelError::from)?;
            if format.is_some_and(|said| said != found) {
                let problem = format!("says otherwise: the file looks like {found}");
                return Err(Error::field("format", "format", problem));
            }
            let file = ModelFile {
                digest: Digest::of(&tried),
                source: if source.is_empty() { "upload".to_owned() } else { source },
                reading,
            };
            ImportPlan::new(&file, &recipe).read(&tried, schema)?;
            Ok(file)
        });
        let file = read.await.map_err(|_| Error::Panicked)??;
        model_file::write(&*parts.blobs, bytes).await?;
        tracing::info!(file = %file.digest, source = file.source, "model file kept");
        request.import = Some(file);
        pipelines.start(request).await
    }
}
