//! Whether a version is proven to load.

use std::collections::BTreeSet;

use bytes::Bytes;
use holdfast_domain::{ModelName, ModelVersion, Schema};
use holdfast_model::Model;
use holdfast_records::champion::StoredEntry;

use super::Champions;
use crate::error::{Error, Result};
use crate::service::replicas::LoadOutcome;

impl Champions {
    /// Whether replicas can be expected to load a version that was champion: of those that tried, none failed last, and one
    /// has served it or its golden rows score to the bits that were recorded with them.
    pub(super) async fn proven_to_load(
        &self,
        model: &ModelName,
        version: ModelVersion,
        history: &[StoredEntry],
        artifact: Bytes,
    ) -> Result<()> {
        let was = history.iter().filter(|stored| stored.entry.version == version);
        let generations: BTreeSet<_> = was.map(|stored| stored.entry.generation).collect();
        let loads = self.replicas.loads(model, &generations);
        let refused = |why: String| Error::NotProvenToLoad {
            model: model.clone(),
            version,
            why,
        };
        let failed = loads.iter().find_map(|(replica, outcome)| match outcome {
            LoadOutcome::Failed { message, at } => {
                Some(format!("replica {replica} could not load it at {at}: {message}"))
            }
            LoadOutcome::Served => None,
        });
        if let Some(why) = failed {
            return Err(refused(why));
        }
        if !loads.is_empty() {
            return Ok(());
        }
        let checking = tokio::task::spawn_blocking(move || {
            let loaded = Model::decode(&artifact, Schema::embedded()).map_err(|error| error.to_string())?;
            loaded.check_golden().map_err(|error| error.to_string())
        });
        match checking.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(refused(format!("no replica has served it, and {why}"))),
            Err(stopped) => Err(refused(format!(
                "no replica has served it, and its check was cut short: {stopped}"
            ))),
        }
    }
}
