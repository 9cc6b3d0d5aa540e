//! A webhook: where it is, what it is told and how.

use holdfast_domain::ModelName;
use jiff::Timestamp;

use super::registry_event::Subscription;
use super::signing::SigningSecret;

/// An address and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// UUID version 7.
    pub webhook_id: String,
    /// The address.
    pub url: String,
    /// Only changes of this model; `None`: of all.
    pub model: Option<ModelName>,
    /// Whether it is told anything.
    pub enabled: bool,
    /// What it is for, in words.
    pub description: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// What it is told of instead of champions.
    pub subscription: Option<Subscription>,
}

impl Webhook {
    /// Whether changes of any champion are told.
    pub fn follows_champions(&self) -> bool {
        // To MLflow's users a new champion is an alias that was pointed at a version.
        let told = |subscription: &Subscription| subscription.has(EventKind::AliasSet);
        self.subscription.as_ref().is_none_or(told)
    }

    /// Whether changes of this model's champion are told.
    pub fn covers(&self, model: &ModelName) -> bool {
        self.follows_champions() && self.model.as_ref().is_none_or(|only| only == model)
    }

    /// How its deliveries are signed.
    pub fn convention(&self) -> Convention {
        match self.subscription {
            None => Convention::StandardWebhooks,
            Some(_) => Convention::Mlflow,
        }
    }
}

/// Whose headers a delivery carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// Those of <https://www.standardwebhooks.com>.
    StandardWebhooks,
    /// Those of MLflow's server.
    Mlflow,
}

/// What a caller wants to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhook {
    /// The address.
    pub url: String,
    /// Only changes of this model; `None`: of all.
    pub model: Option<ModelName>,
    /// What it is for, in words.
    pub description: String,
    /// "whsec_" and Base64, empty for one that is made; with events any text, empty for no signature.
    pub secret: String,
    /// Its name, where there are events.
    pub name: String,
    /// The events it is told of instead of champions, of [`EventKind::OF_REGISTRY`].
    pub events: Vec<EventKind>,
    /// Whether it is told anything.
    pub enabled: bool,
}

/// What a caller wants to change; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// The address.
    pub url: Option<String>,
    /// Only changes of this model, or of all.
    pub model: Option<Option<ModelName>>,
    /// Whether it is told anything.
    pub enabled: Option<bool>,
    /// What it is for, in words.
    pub description: Option<String>,
    /// Its name; only where there are events.
    pub name: Option<String>,
    /// The events; only where there are some.
    pub events: Option<Vec<EventKind>>,
    /// What deliveries are signed with, if with anything; only where there are events.
    pub secret: Option<Option<SigningSecret>>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A champion changed.
    ChampionChanged,
    /// Somebody tests the webhook.
    Test,
    /// A model was created.
    ModelCreated,
    /// A version was created.
    VersionCreated,
    /// A tag of a version was set.
    VersionTagSet,
    /// A tag of a version was removed.
    VersionTagDeleted,
    /// An alias was pointed at a version, or a version became champion.
    AliasSet,
    /// An alias was removed.
    AliasDeleted,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ChampionChanged,
        Self::Test,
        Self::ModelCreated,
        Self::VersionCreated,
        Self::VersionTagSet,
        Self::VersionTagDeleted,
        Self::AliasSet,
        Self::AliasDeleted,
    ];

    /// Those of registered models.
    pub const OF_REGISTRY: [Self; 6] = [
        Self::ModelCreated,
        Self::VersionCreated,
        Self::VersionTagSet,
        Self::VersionTagDeleted,
        Self::AliasSet,
        Self::AliasDeleted,
    ];

    /// One of those of registered models, by its name.
    pub fn of_registry(name: &str) -> Option<Self> {
        Self::OF_REGISTRY.into_iter().find(|event| event.as_str() == name)
    }

    /// As receivers and the database know it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChampionChanged => "champion.changed",
            Self::Test => "webhook.test",
            Self::ModelCreated => "registered_model.created",
            Self::VersionCreated => "model_version.created",
            Self::VersionTagSet => "model_version_tag.set",
            Self::VersionTagDeleted => "model_version_tag.deleted",
            Self::AliasSet => "model_version_alias.created",
            Self::AliasDeleted => "model_version_alias.deleted",
        }
    }
}
