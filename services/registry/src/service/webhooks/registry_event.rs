//! Events of registered models, in the names and the format of MLflow's server, so that receivers written for it go on.

use holdfast_domain::ModelVersion;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::EventKind;
use crate::error::{Error, Result, Violation};
use crate::service::tracking::KeyValue;

/// Longest name of a webhook, in characters; MLflow's own limit.
const LONGEST_NAME: usize = 63;
/// The alias that shows who is champion.
const CHAMPION: &str = "champion";

/// What a webhook is told of instead of champions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its name; not unique.
    pub name: String,
    /// Of these events, at least one of [`EventKind::OF_REGISTRY`].
    pub events: Vec<EventKind>,
}

impl Subscription {
    /// Whether it is told of these events.
    pub fn has(&self, event: EventKind) -> bool {
        self.events.contains(&event)
    }

    /// Its events as the database has them.
    pub(crate) fn events_text(&self) -> String {
        let names: Vec<&str> = self.events.iter().map(|event| event.as_str()).collect();
        names.join(" ")
    }

    /// Reads what the database has; `None` for a webhook that is told of champions.
    pub(crate) fn stored(name: String, events: &str) -> Result<Option<Self>> {
        let events = events.split_ascii_whitespace().map(|text| {
            EventKind::of_registry(text).ok_or_else(|| Error::Corrupt(format!("event {text:?} of a webhook")))
        });
        let events = events.collect::<Result<Vec<_>>>()?;
        Ok((!events.is_empty()).then_some(Self { name, events }))
    }
}

/// Reads the names of events, each once.
///
/// # Errors
/// [`Error::Invalid`] when one is none of [`EventKind::OF_REGISTRY`].
pub fn events(names: &[String]) -> Result<Vec<EventKind>> {
    let mut found = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let event = event(&format!("events[{index}]"), name)?;
        if !found.contains(&event) {
            found.push(event);
        }
    }
    Ok(found)
}

/// Reads the name of one event, which stands in `field`.
pub(super) fn event(field: &str, name: &str) -> Result<EventKind> {
    EventKind::of_registry(name).ok_or_else(|| {
        let known: Vec<&str> = EventKind::OF_REGISTRY.iter().map(|event| event.as_str()).collect();
        let rule = format!("must be one of {}; {name:?} is not told of here", known.join(", "));
        Violation::new(field, "event", &rule).into()
    })
}

/// Checks the name of a webhook as MLflow does.
pub(super) fn check_name(name: &str) -> Result<()> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if name.len() <= LONGEST_NAME && name.chars().all(inner) && ends(name.chars().next()) && ends(name.chars().last()) {
        return Ok(());
    }
    let rule = "must have 1 to 63 letters, digits, dots, underscores and hyphens, the first and the last of them letters or digits";
    Err(Violation::new("name", "name", rule).into())
}

/// Something that happened to a registered model or a version of it.
#[derive(Clone, Debug)]
pub struct RegistryEvent {
    /// What.
    pub kind: EventKind,
    /// The model.
    pub model: String,
    data: Value,
}

impl RegistryEvent {
    fn new(kind: EventKind, model: &str, mut data: Value) -> Self {
        data["name"] = json!(model);
        Self {
            kind,
            model: model.to_owned(),
            data,
        }
    }

    /// A model was created.
    pub fn model_created(model: &str, description: &str, tags: &[KeyValue]) -> Self {
        let data = json!({"tags": tags_out(tags), "description": some(description)});
        Self::new(EventKind::ModelCreated, model, data)
    }

    /// A version was created.
    pub fn version_created(model: &str, version: u32, made: &Made<'_>) -> Self {
        let data = json!({
            "version": version.to_string(),
            "source": made.source,
            "run_id": some(made.run_id),
            "tags": tags_out(made.tags),
            "description": some(made.description),
        });
        Self::new(EventKind::VersionCreated, model, data)
    }

    /// A tag of a version was set.
    pub fn version_tag_set(model: &str, version: u32, tag: &KeyValue) -> Self {
        let data = json!({"version": version.to_string(), "key": tag.key, "value": tag.value});
        Self::new(EventKind::VersionTagSet, model, data)
    }

    /// A tag of a version was removed.
    pub fn version_tag_deleted(model: &str, version: u32, key: &str) -> Self {
        let data = json!({"version": version.to_string(), "key": key});
        Self::new(EventKind::VersionTagDeleted, model, data)
    }

    /// An alias was pointed at a version.
    pub fn alias_set(model: &str, alias: &str, version: u32) -> Self {
        let data = json!({"alias": alias, "version": version.to_string()});
        Self::new(EventKind::AliasSet, model, data)
    }

    /// An alias was removed.
    pub fn alias_deleted(model: &str, alias: &str) -> Self {
        Self::new(EventKind::AliasDeleted, model, json!({"alias": alias}))
    }

    /// A version became champion.
    pub(super) fn champion(model: &str, version: ModelVersion) -> Self {
        Self::alias_set(model, CHAMPION, version.0)
    }

    /// An example of one of [`EventKind::OF_REGISTRY`], for a test; MLflow's own.
    pub(super) fn example(kind: EventKind) -> Self {
        let model = "example_model";
        let tag = KeyValue {
            key: "example_key".into(),
            value: "example_value".into(),
        };
        let tags = std::slice::from_ref(&tag);
        match kind {
            EventKind::VersionCreated => {
                let made = Made {
                    source: "models:/123",
                    run_id: "abcd1234abcd5678",
                    tags,
                    description: "An example model version",
                };
                Self::version_created(model, 1, &made)
            }
            EventKind::VersionTagSet => Self::version_tag_set(model, 1, &tag),
            EventKind::VersionTagDeleted => Self::version_tag_deleted(model, 1, &tag.key),
            EventKind::AliasSet => Self::alias_set(model, "example_alias", 1),
            EventKind::AliasDeleted => Self::alias_deleted(model, "example_alias"),
            EventKind::ModelCreated | EventKind::ChampionChanged | EventKind::Test => {
                Self::model_created(model, "An example registered model", tags)
            }
        }
    }

    /// What is sent.
    pub fn body(&self, at: Timestamp) -> String {
        let (entity, action) = self.kind.as_str().split_once('.').unwrap_or_default();
        json!({"entity": entity, "action": action, "timestamp": at, "data": self.data}).to_string()
    }
}

/// What a version was made from.
#[derive(Clone, Copy, Debug)]
pub struct Made<'m> {
    /// Where its files came from.
    pub source: &'m str,
    /// The run that made it; empty where none is known.
    pub run_id: &'m str,
    /// Its tags.
    pub tags: &'m [KeyValue],
    /// Its description.
    pub description: &'m str,
}

fn tags_out(tags: &[KeyValue]) -> Value {
    let pairs = tags.iter().map(|tag| (tag.key.clone(), json!(tag.value)));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// Null where there is nothing.
fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_mlflow_takes() {
        for fine in ["a", "My.hook_1-b", "0", &"a".repeat(63)] {
            assert!(check_name(fine).is_ok(), "{fine}");
        }
        for refused in ["", ".a", "a-", "a b", "ä", &"a".repeat(64)] {
            assert!(check_name(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn events_are_named_once_and_unknown_ones_are_refused() {
        let names = [
            "model_version.created",
            "model_version.created",
            "model_version_tag.set",
        ]
        .map(str::to_owned);
        assert_eq!(
            events(&names).unwrap(),
            [EventKind::VersionCreated, EventKind::VersionTagSet]
        );
        for unknown in ["champion.changed", "webhook.test", "prompt.created", ""] {
            let refused = events(&[unknown.to_owned()]).unwrap_err().to_string();
            assert!(
                refused.contains("events[0] must be one of registered_model.created"),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_is_sent_has_the_shape_of_mlflows_server() {
        let at: Timestamp = "2026-11-27T02:00:00Z".parse().unwrap();
        for kind in EventKind::OF_REGISTRY {
            let body: Value = serde_json::from_str(&RegistryEvent::example(kind).body(at)).unwrap();
            let (entity, action) = kind.as_str().split_once('.').unwrap();
            assert_eq!((&body["entity"], &body["action"]), (&json!(entity), &json!(action)));
            assert_eq!(body["timestamp"], "2026-11-27T02:00:00Z");
            assert_eq!(body["data"]["name"], "example_model");
        }
        let made = Made {
            source: "s3://b/m",
            run_id: "",
            tags: &[],
            description: "",
        };
        let body: Value = serde_json::from_str(&RegistryEvent::version_created("churn", 3, &made).body(at)).unwrap();
        let data = json!({"name": "churn", "version": "3", "source": "s3://b/m", "run_id": null, "tags": {}, "description": null});
        assert_eq!(body["data"], data);
    }
}
