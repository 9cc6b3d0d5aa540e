//! What a version is made from: an address, which is resolved within the registry and never opened.
//!
//! Addresses of other places are kept as text. Those of a disk are refused, since whoever loads the version would read their own.

use super::refusal::Refusal;
use super::rules::LATEST;
use super::{NewVersion, Readiness, RegisteredModels, RegisteredVersion};
use crate::error::{Error, Result};
use crate::service::artifacts::ArtifactPath;
use crate::service::logged_models::LoggedModel;
use crate::service::search::IS_PROMPT_TAG;

/// Sources of MLflow's prompts, which have no files.
const PROMPT_SOURCES: [&str; 2] = ["prompt-template", "dummy-source"];

/// An address, taken apart.
#[derive(Debug, PartialEq, Eq)]
enum Source<'a> {
    /// `models:/m-…`
    LoggedModel(&'a str),
    /// `models:/<name>/<version>` and the like.
    Version { name: &'a str, which: Which<'a> },
    /// `runs:/<run>/<path>`
    Run { run_id: &'a str, path: &'a str },
    /// `mlflow-artifacts:/<path>`
    Artifacts(&'a str),
    /// Anywhere else.
    Elsewhere,
}

/// Which version of a model.
#[derive(Debug, PartialEq, Eq)]
enum Which<'a> {
    /// The number.
    Number(u32),
    /// The newest of all.
    Latest,
    /// The newest of a stage.
    Stage(&'a str),
    /// The one that an alias points at.
    Alias(&'a str),
}

impl RegisteredModels {
    /// Where the files of a version are: `mlflow-artifacts:/…` when they are in the registry, else its source. It fills in
    /// the run where the source tells it, and the number where the source names a version otherwise.
    pub(super) async fn resolve(&self, new: &mut NewVersion) -> Result<String> {
        let is_prompt = |tag: &crate::service::tracking::KeyValue| tag.key == IS_PROMPT_TAG && tag.value == "true";
        if new.tags.iter().any(is_prompt) {
            return prompt(&new.source).map_err(Error::from);
        }
        let source = new.source.clone();
        let parsed = parse(&source)?;
        if let Source::LoggedModel(id) = parsed {
            if !new.model_id.is_empty() && new.model_id != id {
                return Err(not_of(&source, "model_id").into());
            }
            id.clone_into(&mut new.model_id);
        }
        let logged = self.logged_model(new).await?;
        let location = match parsed {
            // Its files are where it says, and it has been looked up just now.
            Source::LoggedModel(_) => logged.map_or(source, |model| model.artifact_uri),
            Source::Version { name, which } => self.locate_version(name, which, new).await?,
            Source::Run { run_id, path } => self.locate_run(run_id, path, new).await?,
            Source::Artifacts(path) => self.locate_artifacts(path, new, logged.as_ref()).await?,
            Source::Elsewhere => source,
        };
        Ok(location)
    }

    /// The logged model that a version is made of, if one is named; its run becomes the version's.
    async fn logged_model(&self, new: &mut NewVersion) -> Result<Option<LoggedModel>> {
        if new.model_id.is_empty() {
            return Ok(None);
        }
        let model = match self.logged.logged_model(&new.model_id).await {
            Err(Error::NoSuchLoggedModel(id)) => return Err(no_logged_model(&id, &new.source).into()),
            found => found?,
        };
        if new.run_id.is_empty() {
            model.source_run_id.clone_into(&mut new.run_id);
        }
        Ok(Some(model))
    }

    async fn locate_version(&self, name: &str, which: Which<'_>, new: &mut NewVersion) -> Result<String> {
        let found = match self.pointed(name, which).await {
            // What is missing is not the model that the caller wants to add to, so it is an argument that is wrong.
            Err(Error::Registered(
                missing
                @ (Refusal::NoModel(_) | Refusal::NoVersion { .. } | Refusal::NoAlias(_) | Refusal::NoLatest(_)),
            )) => return Err(invalid(&new.source, "not_there", &missing.to_string()).into()),
            found => found?,
        };
        if found.readiness == Readiness::Reserved {
            return Err(invalid(&new.source, "not_ready", "The version is not ready.").into());
        }
        let differs = |given: &str, referenced: &str| !given.is_empty() && given != referenced;
        if differs(&new.run_id, &found.run_id) || differs(&new.model_id, &found.model_id) {
            let why = "The run_id and model_id request parameters must match the referenced model version.";
            return Err(invalid(&new.source, "mismatch", why).into());
        }
        new.source = format!("models:/{name}/{}", found.version);
        new.run_id = found.run_id;
        new.model_id = found.model_id;
        Ok(found.location)
    }

    async fn pointed(&self, name: &str, which: Which<'_>) -> Result<RegisteredVersion> {
        match which {
            Which::Number(version) => self.version(name, version).await,
            Which::Latest => self.by_alias(name, LATEST).await,
            Which::Alias(alias) => self.by_alias(name, alias).await,
            Which::Stage(stage) => {
                let newest = self.latest_versions(name, &[stage.to_owned()]).await?.pop();
                Ok(newest.ok_or_else(|| Refusal::NoLatest(name.to_owned()))?)
            }
        }
    }

    async fn locate_run(&self, run_id: &str, path: &str, new: &mut NewVersion) -> Result<String> {
        if !new.run_id.is_empty() && new.run_id != run_id {
            return Err(not_of(&new.source, "run_id").into());
        }
        run_id.clone_into(&mut new.run_id);
        if let Some(root) = self.run_root(run_id).await? {
            let text = if path.is_empty() {
                root
            } else {
                format!("{root}/{path}")
            };
            let folder = ArtifactPath::parse(&text).map_err(|_| relative(&new.source))?;
            if !self.files.artifact_children(Some(&folder), None, 1).await?.is_empty() {
                return Ok(address(folder.as_str()));
            }
        }
        Ok(new.source.clone())
    }

    async fn locate_artifacts(&self, path: &str, new: &NewVersion, logged: Option<&LoggedModel>) -> Result<String> {
        let path = ArtifactPath::parse(path).map_err(|_| relative(&new.source))?;
        let root = self.run_root(&new.run_id).await?;
        let within = |root: &String| {
            let below = path.as_str().strip_prefix(root.as_str());
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        };
        let of_model = logged.and_then(|model| folder(&model.artifact_uri));
        if root.as_ref().is_some_and(within) || of_model.as_ref().is_some_and(within) {
            return Ok(address(path.as_str()));
        }
        Err(not_of(&new.source, "run_id").into())
    }

    /// The folder of a run's files; `None` when there is no such run.
    async fn run_root(&self, run_id: &str) -> Result<Option<String>> {
        match self.runs.run(run_id).await {
            Ok(run) => Ok(folder(&run.artifact_uri)),
            Err(Error::NoSuchRun(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The folder behind an address of the registry's own artefacts.
fn folder(address: &str) -> Option<String> {
    let path = address.strip_prefix("mlflow-artifacts:/")?.trim_matches('/');
    (!path.is_empty()).then(|| path.to_owned())
}

fn address(path: &str) -> String {
    format!("mlflow-artifacts:/{path}")
}

fn invalid(source: &str, rule: &'static str, why: &str) -> Refusal {
    Refusal::field(
        "source",
        rule,
        format!("Invalid model version source: '{source}'. {why}"),
    )
}

fn no_logged_model(id: &str, source: &str) -> Refusal {
    let message = format!(
        "Unable to fetch model from model URI source artifact location '{source}'. Logged model with ID '{id}' not found"
    );
    Refusal::field("source", "not_there", message)
}

fn not_of(source: &str, parameter: &str) -> Refusal {
    let why = format!("The {parameter} request parameter must identify the resource that contains the source.");
    invalid(source, "not_contained", &why)
}

fn relative(source: &str) -> Refusal {
    let why = "If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide an absolute path.";
    invalid(source, "relative", why)
}

fn prompt(source: &str) -> Result<String, Refusal> {
    if PROMPT_SOURCES.contains(&source) {
        return Ok(source.to_owned());
    }
    let message = format!("Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder.");
    Err(Refusal::field("source", "prompt", message))
}

/// Takes an address apart.
fn parse(source: &str) -> Result<Source<'_>, Refusal> {
    if source.is_empty() {
        let message = "Missing value for required parameter 'source'.";
        return Err(Refusal::field("source", "required", message));
    }
    let Some((scheme, behind)) = scheme_of(source) else {
        return Err(local(source));
    };
    if has_relative_parts(source) {
        return Err(relative(source));
    }
    match scheme.to_ascii_lowercase().as_str() {
        "file" => Err(local(source)),
        "models" => model(source, behind),
        "runs" => {
            let path = path_of(behind).ok_or_else(|| not_of(source, "run_id"))?;
            let (run_id, path) = path.split_once('/').unwrap_or((path, ""));
            if run_id.is_empty() {
                return Err(not_of(source, "run_id"));
            }
            Ok(Source::Run {
                run_id,
                path: path.trim_matches('/'),
            })
        }
        "mlflow-artifacts" => {
            let path = path_of(behind).ok_or_else(|| not_of(source, "run_id"))?;
            Ok(Source::Artifacts(path.trim_matches('/')))
        }
        _ => Ok(Source::Elsewhere),
    }
}

fn local(source: &str) -> Refusal {
    let why = "To use a local path as a model version source, the run_id request parameter has to be specified and the local path has to be contained within the artifact directory of the run specified by the run_id.";
    invalid(source, "local", why)
}

/// The scheme of an address and what stands behind its colon. One letter is a drive of Windows.
fn scheme_of(source: &str) -> Option<(&str, &str)> {
    let (scheme, behind) = source.split_once(':')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let named = scheme.len() > 1 && scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(fits);
    named.then_some((scheme, behind))
}

/// The path of an address without its first slash; `None` when a host is named or there is none.
fn path_of(behind: &str) -> Option<&str> {
    let path = match behind.strip_prefix("//") {
        Some(authority) => authority,
        None => behind,
    };
    path.strip_prefix('/').filter(|path| !path.is_empty())
}

fn model<'a>(source: &'a str, behind: &'a str) -> Result<Source<'a>, Refusal> {
    let path = path_of(behind).ok_or_else(|| {
        invalid(
            source,
            "host",
            "Registered model sources must use the active model registry.",
        )
    })?;
    let ill_formed = || not_of(source, "model_id");
    match path.split_once('/') {
        Some((name, version)) if !name.trim().is_empty() && !version.trim().is_empty() => {
            let which = if version.contains('/') {
                return Err(ill_formed());
            } else if version.bytes().all(|byte| byte.is_ascii_digit()) {
                Which::Number(version.parse().map_err(|_| ill_formed())?)
            } else if version.eq_ignore_ascii_case(LATEST) {
                Which::Latest
            } else {
                Which::Stage(version)
            };
            Ok(Source::Version { name, which })
        }
        Some(_) => Err(ill_formed()),
        None => match path.rsplit_once('@') {
            Some((name, alias)) if !name.is_empty() && !alias.trim().is_empty() => Ok(Source::Version {
                name,
                which: Which::Alias(alias),
            }),
            Some(_) => Err(ill_formed()),
            None => Ok(Source::LoggedModel(path)),
        },
    }
}

/// Whether a part of an address goes up or stays, however often its characters are written as numbers.
fn has_relative_parts(source: &str) -> bool {
    let mut text = source.as_bytes().to_vec();
    loop {
        let odd = |part: &[u8]| part == b"." || part == b".." || part.contains(&0);
        if text.split(|byte| matches!(byte, b'/' | b'\\')).any(odd) {
            return true;
        }
        let decoded = percent_decoded(&text);
        if decoded.len() == text.len() {
            return false;
        }
        text = decoded;
    }
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        match (first, behind) {
            (b'%', [high, low, after @ ..]) if let (Some(high), Some(low)) = (digit(high), digit(low)) => {
                decoded.push(high * 16 + low);
                rest = after;
            }
            _ => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version<'a>(name: &'a str, which: Which<'a>) -> Source<'a> {
        Source::Version { name, which }
    }

    #[test]
    fn addresses_within_the_registry_are_known() {
        for (source, parsed) in [
            ("models:/m-0a1b", Source::LoggedModel("m-0a1b")),
            ("models:/churn/3", version("churn", Which::Number(3))),
            ("models:/churn clf/latest", version("churn clf", Which::Latest)),
            ("models:/churn/Production", version("churn", Which::Stage("Production"))),
            ("models:/churn@champion", version("churn", Which::Alias("champion"))),
            ("models:///churn/3", version("churn", Which::Number(3))),
            (
                "runs:/0a/model/sub",
                Source::Run {
                    run_id: "0a",
                    path: "model/sub",
                },
            ),
            ("runs:/0a", Source::Run { run_id: "0a", path: "" }),
            (
                "mlflow-artifacts:/3/0a/artifacts/m/",
                Source::Artifacts("3/0a/artifacts/m"),
            ),
            ("s3://bucket/a/b", Source::Elsewhere),
            ("https://example.com/a%20b?x=1", Source::Elsewhere),
            ("dbfs:/x", Source::Elsewhere),
        ] {
            assert_eq!(parse(source), Ok(parsed), "{source}");
        }
    }

    #[test]
    fn disks_and_ways_up_are_refused_with_mlflows_words() {
        let rule = |source: &str| match parse(source) {
            Err(Refusal::Field { rule, message, .. }) => {
                assert!(message.starts_with(&format!("Invalid model version source: '{source}'. ")));
                rule
            }
            other => unreachable!("{source}: {other:?}"),
        };
        for source in [
            "/etc/passwd",
            "model",
            "./model",
            "C:\\models",
            "file:///etc/passwd",
            "FILE:/x",
        ] {
            assert_eq!(rule(source), "local", "{source}");
        }
        for source in [
            "mlflow-artifacts:/1/../2",
            "mlflow-artifacts:/1/./2",
            "mlflow-artifacts:/1/%2e%2e/2",
            "mlflow-artifacts:/1/..%2f..%252f",
            "s3://bucket/a/%252e%252e/b",
            "runs:/0a/..\\b",
            "https://a/b%00c",
        ] {
            assert_eq!(rule(source), "relative", "{source}");
        }
        for source in ["models://host/churn/3", "models:churn", "models:/"] {
            assert_eq!(rule(source), "host", "{source}");
        }
        for source in [
            "models:/churn/3/4",
            "models:/churn/",
            "models:/@x",
            "runs:/",
            "runs://host/x",
            "mlflow-artifacts://host/x",
        ] {
            assert_eq!(rule(source), "not_contained", "{source}");
        }
    }
}
