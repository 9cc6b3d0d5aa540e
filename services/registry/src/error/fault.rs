//! What callers are told of an [`Error`]: a code, a reason and words.

use holdfast_chassis::error::{Code, Fault, FieldViolation};
use sqlx::sqlite::SqliteError;

use super::Error;

/// Whether the database may do the same a little later: it cannot be reached, is busy, gave up waiting, or ended one of
/// two transactions that waited for each other.
fn comes_back(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            if error.try_downcast_ref::<SqliteError>().is_some() {
                // SQLITE_BUSY and SQLITE_LOCKED; the upper bits tell why.
                return code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6));
            }
            // Connection lost, transaction ended, out of connections or memory, ended by an operator or a timeout.
            ["08", "40", "53", "57", "55P03"]
                .iter()
                .any(|class| code.starts_with(class))
        }
        _ => false,
    }
}

/// Whether the disk of the database is full.
fn disk_is_full(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<SqliteError>().is_some() {
        return code == "13";
    }
    code == "53100"
}

fn database_fault(error: &Error) -> Fault {
    // The cause is for the log, not for the caller.
    tracing::error!(error = error as &dyn std::error::Error, "metadata database failed");
    let away = || Fault::new(Code::Unavailable, "DATABASE_AWAY", error.to_string());
    let source = match error {
        Error::Database(source) => source,
        Error::NotCommitted(source) => source,
        _ => return away(),
    };
    if disk_is_full(source) {
        return Fault::new(
            Code::ResourceExhausted,
            "DISK_FULL",
            "the disk of the metadata database is full",
        );
    }
    match error {
        // Whatever it was, this write was not made, and another try may be luckier than its group.
        Error::NotCommitted(_) => away(),
        _ if comes_back(source) => away(),
        _ => Fault::new(Code::Internal, "INTERNAL", error.to_string()),
    }
}

/// Code and reason of errors that need no details beside their words.
fn plain(error: &Error) -> Option<(Code, &'static str)> {
    Some(match error {
        Error::ExperimentExists(_) => (Code::AlreadyExists, "EXPERIMENT_EXISTS"),
        Error::NoSuchExperiment(_) => (Code::NotFound, "NO_SUCH_EXPERIMENT"),
        Error::NoSuchRun(_) => (Code::NotFound, "NO_SUCH_RUN"),
        Error::NoSuchLoggedModel(_) => (Code::NotFound, "NO_SUCH_LOGGED_MODEL"),
        Error::RenameDeleted(_) => (Code::FailedPrecondition, "RENAME_DELETED"),
        Error::NoSuchTag { .. } => (Code::NotFound, "NO_SUCH_TAG"),
        Error::DefaultExperiment => (Code::FailedPrecondition, "DEFAULT_EXPERIMENT"),
        Error::NoSuchModel(_) => (Code::NotFound, "NO_SUCH_MODEL"),
        Error::NoSuchVersion { .. } => (Code::NotFound, "NO_SUCH_VERSION"),
        Error::NoChampion(_) => (Code::NotFound, "NO_CHAMPION"),
        Error::NoChampionThen(..) => (Code::NotFound, "NO_CHAMPION_THEN"),
        Error::ExperimentDeleted(_) | Error::RunDeleted(_) => (Code::FailedPrecondition, "DELETED"),
        Error::VersionIsOther { .. } => (Code::FailedPrecondition, "VERSION_IS_OTHER"),
        Error::VersionNotReady { .. } => (Code::FailedPrecondition, "VERSION_NOT_READY"),
        Error::ArtifactDigest { .. } => (Code::FailedPrecondition, "ARTIFACT_DIGEST"),
        Error::ArtifactMissing(_) => (Code::FailedPrecondition, "ARTIFACT_MISSING"),
        Error::GateRefuses { .. } => (Code::FailedPrecondition, "GATE_REFUSES"),
        Error::NeverChampion { .. } => (Code::FailedPrecondition, "NEVER_CHAMPION"),
        Error::NoEarlierChampion(_) => (Code::FailedPrecondition, "NO_EARLIER_CHAMPION"),
        Error::NotProvenToLoad { .. } => (Code::FailedPrecondition, "NOT_PROVEN_TO_LOAD"),
        Error::StarterUnknown { .. } => (Code::FailedPrecondition, "STARTER_UNKNOWN"),
        Error::NoSuchPromotion { .. } => (Code::NotFound, "NO_SUCH_PROMOTION"),
        Error::PromotionClosed { .. } => (Code::FailedPrecondition, "PROMOTION_CLOSED"),
        Error::MayNotApprove { .. } => (Code::PermissionDenied, "MAY_NOT_APPROVE"),
        Error::AlreadyApproved { .. } => (Code::AlreadyExists, "ALREADY_APPROVED"),
        Error::RecordContended(_) => (Code::Unavailable, "RECORD_CONTENDED"),
        Error::RolloutNeedsChampion(_) => (Code::FailedPrecondition, "ROLLOUT_NEEDS_CHAMPION"),
        Error::IsChampion { .. } => (Code::FailedPrecondition, "IS_CHAMPION"),
        Error::NoRolloutRuns(_) => (Code::FailedPrecondition, "NO_ROLLOUT_RUNS"),
        Error::NoRollout(_) => (Code::NotFound, "NO_ROLLOUT"),
        Error::NoSuchThing(_) => (Code::NotFound, "NO_SUCH_THING"),
        Error::NoSuchArtifact(_) => (Code::NotFound, "NO_SUCH_ARTIFACT"),
        Error::ArtifactPathTaken { .. } => (Code::FailedPrecondition, "ARTIFACT_PATH_TAKEN"),
        Error::ReadOnlyPath(_) => (Code::FailedPrecondition, "READ_ONLY_PATH"),
        Error::NoSuchWebhook(_) => (Code::NotFound, "NO_SUCH_WEBHOOK"),
        Error::TooManyWebhooks(_) => (Code::ResourceExhausted, "TOO_MANY_WEBHOOKS"),
        Error::DiskFull(_) => (Code::ResourceExhausted, "DISK_FULL"),
        Error::CollectionAtWork => (Code::Aborted, "COLLECTION_AT_WORK"),
        Error::ArtifactBytesCollected(_) => (Code::Unavailable, "ARTIFACT_BYTES_COLLECTED"),
        _ => return None,
    })
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let fault = |code, reason: &'static str| Fault::new(code, reason, message.clone());
        if let Some((code, reason)) = plain(&error) {
            return fault(code, reason);
        }
        match error {
            Error::Invalid(violations) => {
                let violations = violations
                    .into_iter()
                    .map(|v| FieldViolation::new(v.field, v.rule, v.description));
                Fault::invalid_fields("INVALID_FIELDS", violations.collect())
            }
            Error::RolloutRuns { revision, .. } => {
                fault(Code::FailedPrecondition, "ROLLOUT_RUNS").with("rollout_revision", revision)
            }
            Error::RolloutLostRace { revision, running } => fault(Code::Aborted, "LOST_RACE")
                .with("newest_revision", revision)
                .with("rollout_revision", running.unwrap_or_default()),
            Error::LostRace { current, .. } => {
                let lost = fault(Code::Aborted, "LOST_RACE");
                match current {
                    Some(entry) => lost
                        .with("champion_generation", entry.generation.0)
                        .with("champion_version", entry.version)
                        .with("champion_digest", entry.artifact_digest),
                    None => lost.with("champion_generation", 0),
                }
            }
            Error::Registered(refusal) => refusal.into(),
            Error::Import(refusal) => refusal.into(),
            Error::ArtifactTooLarge { limit, .. } => {
                fault(Code::ResourceExhausted, "ARTIFACT_TOO_LARGE").with("limit_bytes", limit)
            }
            Error::SpoolLimit { limit } => fault(Code::ResourceExhausted, "SPOOL_FULL").with("limit_bytes", limit),
            Error::ArtifactDamaged { .. } => {
                tracing::error!(error = &error as &dyn std::error::Error, "artefact is damaged");
                fault(Code::DataLoss, "ARTIFACT_DAMAGED")
            }
            Error::Storage(source) if source.is_retryable() => fault(Code::Unavailable, "BLOB_STORE_AWAY"),
            Error::Records(source) if source.is_retryable() => fault(Code::Unavailable, "BLOB_STORE_AWAY"),
            Error::Database(_) | Error::NotCommitted(_) | Error::WriterGone => database_fault(&error),
            _ => {
                // The cause is for the log, not for the caller.
                tracing::error!(error = &error as &dyn std::error::Error, "request failed");
                fault(Code::Internal, "INTERNAL")
            }
        }
    }
}
