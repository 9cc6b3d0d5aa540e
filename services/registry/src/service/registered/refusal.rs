//! What cannot be done to registered models, in the words of MLflow's own server where it has some: its clients' users know them.

use holdfast_chassis::error::{Code, Fault, FieldViolation};

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field breaks a rule.
    #[error("{message}")]
    Field {
        /// The field.
        field: &'static str,
        /// Stable name of the rule.
        rule: &'static str,
        /// The whole message.
        message: String,
    },
    /// There is no such model.
    #[error("Registered Model with name={0} not found")]
    NoModel(String),
    /// There is no such version.
    #[error("Model Version (name={name}, version={version}) not found")]
    NoVersion {
        /// The model.
        name: String,
        /// The version.
        version: u32,
    },
    /// The model has no version, so none is the latest.
    #[error("Latest version not found for model {0}.")]
    NoLatest(String),
    /// There is no such alias.
    #[error("Registered model alias {0} not found.")]
    NoAlias(String),
    /// The name is taken.
    #[error("Registered Model (name={0}) already exists.")]
    ModelExists(String),
    /// What the version is made from was removed a moment ago.
    #[error("Invalid model version source: '{0}'. A collection has removed what it names.")]
    SourceGone(String),
    /// All numbers of versions were given out.
    #[error("no version number is left for {0:?}")]
    NumbersUsedUp(String),
    /// The alias belongs to the gate.
    #[error(
        "the alias \"champion\" of {0:?} shows the champion log: it is moved by promoting a version or rolling back, and by nothing else"
    )]
    ChampionAlias(String),
    /// The version is in the champion log.
    #[error("version {version} of {name:?} was champion at generation {generation}: the champion log needs it")]
    WasChampion {
        /// The model.
        name: String,
        /// The version.
        version: u32,
        /// The newest generation at which it was.
        generation: u64,
    },
    /// The model has a champion log.
    #[error("{0:?} has a champion log, which carries its name")]
    ChampionLog(String),
    /// The version is on trial.
    #[error("version {version} of {name:?} is on trial beside the champion: end rollout {revision} first")]
    OnTrial {
        /// The model.
        name: String,
        /// The version.
        version: u32,
        /// The rollout.
        revision: u64,
    },
    /// A version waits to become champion.
    #[error("version {version} of {name:?} waits for approvers in promotion {promotion}")]
    PromotionWaits {
        /// The model.
        name: String,
        /// The version.
        version: u32,
        /// The promotion.
        promotion: u64,
    },
    /// Artefacts lie in the blob store under the model's name.
    #[error("version {version} of {name:?} is of Holdfast's training: its artefact lies under this name")]
    NameCarried {
        /// The model.
        name: String,
        /// A version that has, or will have, an artefact.
        version: u32,
    },
    /// Decisions of the gate about deleted versions go by this name.
    #[error("the gate has judged versions by the name {0:?}: give it another name")]
    NameJudged(String),
}

impl Refusal {
    /// A field that breaks a rule.
    pub fn field(field: &'static str, rule: &'static str, message: impl Into<String>) -> Self {
        Self::Field {
            field,
            rule,
            message: message.into(),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        let fault = |code, reason: &'static str| Fault::new(code, reason, message.clone());
        match refusal {
            Refusal::Field { field, rule, message } => {
                Fault::new(Code::InvalidArgument, "INVALID_FIELDS", message.clone())
                    .with_violation(FieldViolation::new(field, rule, message))
            }
            Refusal::NoModel(_) => fault(Code::NotFound, "NO_SUCH_MODEL"),
            Refusal::NoVersion { .. } | Refusal::NoLatest(_) => fault(Code::NotFound, "NO_SUCH_VERSION"),
            Refusal::NoAlias(_) => fault(Code::NotFound, "NO_SUCH_ALIAS"),
            Refusal::ModelExists(_) => fault(Code::AlreadyExists, "MODEL_EXISTS"),
            Refusal::SourceGone(_) => Fault::new(Code::InvalidArgument, "INVALID_FIELDS", message.clone())
                .with_violation(FieldViolation::new("source", "not_there", message)),
            Refusal::NumbersUsedUp(_) => fault(Code::ResourceExhausted, "VERSION_NUMBERS_USED_UP"),
            Refusal::ChampionAlias(_) => fault(Code::FailedPrecondition, "CHAMPION_ALIAS"),
            Refusal::WasChampion { generation, .. } => {
                fault(Code::FailedPrecondition, "WAS_CHAMPION").with("champion_generation", generation)
            }
            Refusal::ChampionLog(_) => fault(Code::FailedPrecondition, "HAS_CHAMPION_LOG"),
            Refusal::OnTrial { revision, .. } => {
                fault(Code::FailedPrecondition, "VERSION_ON_TRIAL").with("rollout_revision", revision)
            }
            Refusal::PromotionWaits { promotion, .. } => {
                fault(Code::FailedPrecondition, "PROMOTION_WAITS").with("promotion", promotion)
            }
            Refusal::NameCarried { .. } => fault(Code::FailedPrecondition, "NAME_CARRIED_BY_ARTIFACTS"),
            Refusal::NameJudged(_) => fault(Code::FailedPrecondition, "NAME_JUDGED"),
        }
    }
}
