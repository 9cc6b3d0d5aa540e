//! A model file of another library comes in: it is tried out, kept, and a run is started that makes a version of it.

use bytes::Bytes;
use holdfast_domain::{Digest, ModelName, RunId};
use holdfast_interchange::{ColumnNames, Format, Rounds, import};
use holdfast_records::model_file;
use tokio::sync::OwnedSemaphorePermit;

use super::Pipelines;
use super::data::database_rows;
use super::error::StepError;
use crate::error::{Error, Result};
use crate::service::imported::{ForeignModelError, ImportPlan, ModelFile, Reading};
use crate::service::runs::{Input, RunRequest, State};

/// Model files that may be on their way at once: each is held in memory whole.
pub(super) const UPLOADS_AT_ONCE: usize = 4;
/// Runs among which the newest that came to its end is looked for.
const RUNS_LOOKED_AT: u32 = 100;

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
            request,
            sent,
            bytes,
            _place,
        } = self;
        let request = pipelines.take_in(request, sent, bytes, Vec::new()).await?;
        pipelines.start(request).await
    }
}

impl Pipelines {
    /// Takes in a model file: reads it, binds it to the schema and keeps it under its digest. Answers the run that is to be started.
    /// A file that does not name its columns has those of `signature`, unless they were sent.
    ///
    /// # Errors
    /// [`Error::ForeignModel`] when it is no model or does not fit the schema; the blob store's.
    pub async fn take_in(
        &self,
        mut request: RunRequest,
        sent: SentFile,
        bytes: Vec<u8>,
        signature: Vec<String>,
    ) -> Result<RunRequest> {
        let SentFile {
            format,
            source,
            mut reading,
        } = sent;
        let parts = &self.parts;
        let recipe = parts.presets.get(&request.preset)?.recipe.clone();
        let bytes = Bytes::from(bytes);
        let (schema, tried) = (parts.schema, bytes.clone());
        let read = tokio::task::spawn_blocking(move || {
            let found = Format::detect(&tried).map_err(ForeignModelError::from)?;
            if format.is_some_and(|said| said != found) {
                let problem = format!("says otherwise: the file looks like {found}");
                return Err(Error::field("format", "format", problem));
            }
            if reading.columns.is_empty() && !signature.is_empty() {
                let imported = import(&tried, Rounds::All).map_err(ForeignModelError::from)?;
                if imported.column_names == ColumnNames::Generated {
                    reading.columns = signature;
                }
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
        Ok(request)
    }

    /// Keeps a model file that was taken in before, and has been read anew from where it came.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is another one by now; the blob store's.
    pub async fn keep_again(&self, expected: &Digest, bytes: Vec<u8>) -> Result<()> {
        let found = model_file::write(&*self.parts.blobs, Bytes::from(bytes)).await?;
        if found == *expected {
            return Ok(());
        }
        let why = "is another file than when its import began: register it as a new version";
        Err(Error::field("file", "changed", why))
    }

    /// Labelled rows for a model file that comes without: what the champion was calibrated and tested on, else the rows of the newest run that
    /// came to its end, else those of the database, which become a snapshot.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are none of these; the registry's, the stores'.
    pub async fn known_rows(&self, model: &ModelName) -> Result<Input> {
        let parts = &self.parts;
        let of = |table, test| Input::Snapshot { table, test };
        if let Some(champion) = parts.registry.champion(model).await? {
            let rests_on = parts.registry.snapshots(model, champion.id.version).await?;
            if let (Some(training), Some(test)) = (rests_on.training, rests_on.test) {
                return Ok(of(training, Some(test)));
            }
        }
        let runs = parts.store.runs(Some(model), None, RUNS_LOOKED_AT).await?.runs;
        let done = runs.into_iter().filter(|run| run.state == State::Done);
        if let Some((training, test)) = done
            .filter_map(|run| run.training_snapshot.zip(run.test_snapshot))
            .next()
        {
            return Ok(of(training, Some(test)));
        }
        match database_rows(parts).await {
            Ok((name, rows)) => Ok(of(parts.snapshots.store(&name, rows).await?.digest, None)),
            Err(StepError::Service(Error::NoDatabase)) => {
                let why = format!(
                    "must name labelled rows to test the model on: {model} has no champion, no finished run and no database to take them from"
                );
                Err(Error::field("snapshot", "required", why))
            }
            Err(StepError::Service(error)) => Err(error),
            Err(other) => Err(Error::Unreadable {
                table: "the database".to_owned(),
                reason: other.to_string(),
            }),
        }
    }
}
