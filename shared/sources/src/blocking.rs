//! Running sources that read files with ordinary blocking calls off the runtime's threads.

use async_trait::async_trait;

use crate::error::SourceError;
use crate::read::Source;
use crate::rows::Rows;

/// A source whose reads block.
pub(crate) trait BlockingSource: Send + 'static {
    /// As [`Source::column_names`].
    fn column_names(&self) -> &[String];

    /// As [`Source::fill`].
    fn fill(&mut self, limit: usize, rows: &mut Rows) -> Result<(), SourceError>;
}

/// Makes a [`Source`] of a [`BlockingSource`].
pub(crate) struct Blocking<S> {
    name: String,
    column_names: Vec<String>,
    /// `None` only after a read that panicked took it away.
    source: Option<S>,
}

impl<S: BlockingSource> Blocking<S> {
    /// Opens a source on a blocking thread.
    pub(crate) async fn open<F>(name: &str, open: F) -> Result<Box<dyn Source>, SourceError>
    where
        F: FnOnce() -> Result<S, SourceError> + Send + 'static,
    {
        let source = tokio::task::spawn_blocking(open)
            .await
            .map_err(|error| lost(name, &error))??;
        Ok(Box::new(Self {
            name: name.to_owned(),
            column_names: source.column_names().to_vec(),
            source: Some(source),
        }))
    }
}

#[async_trait]
impl<S: BlockingSource> Source for Blocking<S> {
    fn column_names(&self) -> &[String] {
        &self.column_names
    }

    async fn fill(&mut self, limit: usize, mut rows: Rows) -> Result<Rows, SourceError> {
        let Some(mut source) = self.source.take() else {
            return Err(SourceError::malformed(&self.name, "reading it failed before"));
        };
        let task = tokio::task::spawn_blocking(move || {
            let outcome = source.fill(limit, &mut rows);
            (source, outcome.map(|()| rows))
        });
        let (source, outcome) = task.await.map_err(|error| lost(&self.name, &error))?;
        self.source = Some(source);
        outcome
    }
}

/// A panic inside a format's decoder: damaged files must not take the process down.
fn lost(name: &str, error: &tokio::task::JoinError) -> SourceError {
    SourceError::malformed(name, format!("it could not be decoded: {error}"))
}
