//! What may go: found by looking only.

use std::collections::{BTreeMap, HashMap, HashSet};

use holdfast_domain::Digest;
use jiff::Timestamp;

use super::{GarbageKind, Kept, Makers};
use crate::error::Result;
use crate::service::store::{DeletedModel, DeletedRun, How, Of, Reference, RetentionStore, StoredBytes};

/// Files looked at in one query.
const PAGE: u32 = 1_000;

/// A file whose run or logged model is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stray {
    pub(super) path: String,
    /// The run or logged model that its path names.
    pub(super) owner: String,
    /// The folder of its files.
    pub(super) folder: String,
}

/// Bytes that no file has, or will have when the plan is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) bytes: StoredBytes,
}

/// What may go, in the order in which it goes, and what stays.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) models: Vec<DeletedModel>,
    pub(super) runs: Vec<DeletedRun>,
    pub(super) strays: Vec<Stray>,
    pub(super) experiments: Vec<i64>,
    pub(super) blobs: Vec<Blob>,
    pub(super) kept: Vec<Kept>,
}

pub(super) async fn make(
    store: &dyn RetentionStore,
    makers: &Makers,
    (cutoff, bytes_cutoff): (Timestamp, Timestamp),
) -> Result<Plan> {
    let mut plan = Plan::default();
    owners(store, makers, cutoff, &mut plan).await?;
    let freed = files(store, cutoff, &mut plan).await?;
    experiments(store, cutoff, &mut plan).await?;
    blobs(store, &freed, bytes_cutoff, &mut plan).await?;
    Ok(plan)
}

impl Plan {
    fn keep(&mut self, kind: GarbageKind, id: impl Into<String>, reason: String) {
        let id = id.into();
        self.kept.push(Kept { kind, id, reason });
    }
}

/// A deleted run or logged model.
enum Owner {
    Run(DeletedRun),
    Model(DeletedModel),
}

impl Owner {
    fn kind(&self) -> GarbageKind {
        match self {
            Self::Run(_) => GarbageKind::Run,
            Self::Model(_) => GarbageKind::LoggedModel,
        }
    }
}

/// Deleted runs and logged models that no version needs, and that nothing refers to which stays.
async fn owners(store: &dyn RetentionStore, makers: &Makers, cutoff: Timestamp, plan: &mut Plan) -> Result<()> {
    let mut going = BTreeMap::new();
    for run in store.deleted_runs(cutoff).await? {
        let of = Of {
            run_id: Some(&run.run_id),
            folder: run.folder.as_deref(),
            ..Of::default()
        };
        let needed = match makers.get(&run.run_id) {
            Some(version) => Some(version.clone()),
            None => store.version_of(of).await?.map(in_words),
        };
        match needed {
            Some(version) => plan.keep(GarbageKind::Run, run.run_id, format!("{version} was made of it")),
            None => drop(going.insert(run.run_id.clone(), Owner::Run(run))),
        }
    }
    for model in store.deleted_logged_models(cutoff).await? {
        let of = Of {
            model_id: Some(&model.model_id),
            folder: model.folder.as_deref(),
            ..Of::default()
        };
        match store.version_of(of).await?.map(in_words) {
            Some(version) => plan.keep(
                GarbageKind::LoggedModel,
                model.model_id,
                format!("{version} was made of it"),
            ),
            None => drop(going.insert(model.model_id.clone(), Owner::Model(model))),
        }
    }
    keep_referred(store, &mut going, plan).await?;
    for owner in going.into_values() {
        match owner {
            Owner::Run(run) => plan.runs.push(run),
            Owner::Model(model) => plan.models.push(model),
        }
    }
    Ok(())
}

/// Takes out what something refers to that stays, until nothing more is taken out.
async fn keep_referred(store: &dyn RetentionStore, going: &mut BTreeMap<String, Owner>, plan: &mut Plan) -> Result<()> {
    if going.is_empty() {
        return Ok(());
    }
    let references = store.references().await?;
    let mut changed = true;
    while changed {
        changed = false;
        for Reference { by, to, how } in &references {
            if going.contains_key(by) {
                continue;
            }
            let Some(owner) = going.remove(to) else { continue };
            let reason = match how {
                How::Nested => format!("run {by}, which stays, is nested in it"),
                How::CameFrom => format!("logged model {by}, which stays, came from it"),
                How::Uses => format!("run {by}, which stays, has it"),
            };
            plan.keep(owner.kind(), to, reason);
            changed = true;
        }
    }
    Ok(())
}

fn in_words((model, version): (String, u32)) -> String {
    format!("version {version} of {model}")
}

/// Files whose owner is gone. Answers how many files of each digest go, those of deleted runs and logged models among them.
async fn files(store: &dyn RetentionStore, cutoff: Timestamp, plan: &mut Plan) -> Result<HashMap<Digest, u64>> {
    let of_runs = plan.runs.iter().filter_map(|run| run.folder.clone());
    let of_models = plan.models.iter().filter_map(|model| model.folder.clone());
    let going: HashSet<String> = of_runs.chain(of_models).collect();
    let mut owners = Owners::default();
    let mut freed = HashMap::new();
    let mut after = String::new();
    loop {
        let page = store.stored_paths(&after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.path);
        for file in page {
            let Some((folder, owner)) = owner(&file.path) else {
                continue;
            };
            let goes = if going.contains(folder) {
                true
            } else if file.updated_at > cutoff || !owners.is_gone(store, folder, owner, plan).await? {
                false
            } else {
                let (folder, owner) = (folder.to_owned(), owner.to_owned());
                let path = file.path.clone();
                plan.strays.push(Stray { path, owner, folder });
                true
            };
            if goes {
                *freed.entry(file.digest).or_default() += 1;
            }
        }
    }
    Ok(freed)
}

/// What is known of folders already.
#[derive(Debug, Default)]
struct Owners(HashMap<String, bool>);

impl Owners {
    /// Whether the owner of a folder is gone and no version's files lie there.
    async fn is_gone(
        &mut self,
        store: &dyn RetentionStore,
        folder: &str,
        owner: &str,
        plan: &mut Plan,
    ) -> Result<bool> {
        if let Some(gone) = self.0.get(folder) {
            return Ok(*gone);
        }
        let of = Of {
            folder: Some(folder),
            ..Of::default()
        };
        let gone = if store.has_owner(owner).await? {
            false
        } else {
            match store.version_of(of).await? {
                None => true,
                Some((model, version)) => {
                    let reason = format!("version {version} of {model} has its files there");
                    plan.keep(GarbageKind::Artifact, folder, reason);
                    false
                }
            }
        };
        self.0.insert(folder.to_owned(), gone);
        Ok(gone)
    }
}

/// The folder of a run's or logged model's files that a path lies in, and the id of the owner. Only paths as MLflow's clients make them have one:
/// nothing is known of others.
fn owner(path: &str) -> Option<(&str, &str)> {
    let (before, _) = path.split_once("/artifacts/")?;
    let (rest, owner) = before.rsplit_once('/')?;
    let hexadecimal = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
    };
    let is_owner = match owner.strip_prefix("m-") {
        Some(model) => hexadecimal(model) && model.len() == 32 && rest.ends_with("/models"),
        None => hexadecimal(owner) && matches!(owner.len(), 32 | 36),
    };
    let folder = path.get(..before.len() + "/artifacts".len())?;
    is_owner.then_some((folder, owner))
}

/// Deleted experiments whose runs and logged models all go.
async fn experiments(store: &dyn RetentionStore, cutoff: Timestamp, plan: &mut Plan) -> Result<()> {
    let runs = plan.runs.iter().map(|run| run.run_id.clone());
    let models = plan.models.iter().map(|model| model.model_id.clone());
    let going: HashSet<String> = runs.chain(models).collect();
    for experiment in store.deleted_experiments(cutoff).await? {
        let all = experiment.runs.iter().chain(&experiment.models);
        let staying = all.filter(|owner| !going.contains(*owner)).count();
        if staying == 0 {
            plan.experiments.push(experiment.id);
        } else {
            let reason = format!("{staying} of its runs and logged models stay");
            plan.keep(GarbageKind::Experiment, experiment.id.to_string(), reason);
        }
    }
    Ok(())
}

/// Bytes that no file has, or that only files that go have.
async fn blobs(
    store: &dyn RetentionStore,
    freed: &HashMap<Digest, u64>,
    cutoff: Timestamp,
    plan: &mut Plan,
) -> Result<()> {
    let unused = store.unused_bytes(cutoff).await?;
    let mut found: BTreeMap<String, StoredBytes> = BTreeMap::new();
    for (digest, files) in freed {
        if let Some(kept) = store.kept_bytes(digest).await?
            && kept.paths == *files
            && kept.touched_at <= cutoff
            && !kept.is_condemned
        {
            found.insert(digest.to_string(), kept.bytes);
        }
    }
    found.extend(
        unused
            .into_iter()
            .map(|kept| (kept.bytes.digest.to_string(), kept.bytes)),
    );
    plan.blobs = found.into_values().map(|bytes| Blob { bytes }).collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn a_path_names_its_owner_only_where_clients_put_it() {
        let run = "b1d80bcad8444a88a704cac5b08ef9a6";
        let path = format!("1/{run}/artifacts/model/artifacts/MLmodel");
        let folder = format!("1/{run}/artifacts");
        assert_eq!(owner(&path), Some((folder.as_str(), run)));
        let uuid = "01a219b6-4c41-71cd-a6ff-f1ef383052f3";
        assert_eq!(
            owner(&format!("a/b/{uuid}/artifacts/x")).map(|(_, run)| run),
            Some(uuid)
        );
        let model = format!("m-{run}");
        let path = format!("1/models/{model}/artifacts/MLmodel");
        assert_eq!(owner(&path).map(|(_, owner)| owner), Some(model.as_str()));
        for path in [
            "model/MLmodel",
            "1/run/artifacts/x",
            &format!("{run}/artifacts/x"),
            &format!("1/m-{run}/artifacts/MLmodel"),
            &format!("1/{run}/artifacts"),
        ] {
            assert_eq!(owner(path), None, "{path}");
        }
    }
}
