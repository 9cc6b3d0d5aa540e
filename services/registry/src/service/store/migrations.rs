//! The tables of both databases, step by step. A step that was released never changes: databases hold its checksum.

use sqlx::migrate::{Migration, MigrationType, Migrator};

/// One step: its number, its name, and its SQL for SQLite and for Postgres.
type Step = (i64, &'static str, &'static str, &'static str);

macro_rules! step {
    ($version:literal, $name:literal, $file:literal) => {
        (
            $version,
            $name,
            include_str!(concat!("../../../migrations/sqlite/", $file)),
            include_str!(concat!("../../../migrations/postgres/", $file)),
        )
    };
}

const STEPS: &[Step] = &[
    step!(1, "tracking", "0001_tracking.sql"),
    step!(2, "models", "0002_models.sql"),
    step!(3, "artifacts", "0003_artifacts.sql"),
    step!(4, "registered models", "0004_registered_models.sql"),
    step!(5, "data sets", "0005_datasets.sql"),
    step!(6, "tracking", "0006_tracking.sql"),
    step!(7, "logged models", "0007_logged_models.sql"),
    step!(8, "webhooks", "0008_webhooks.sql"),
    step!(9, "imports", "0009_imports.sql"),
    step!(10, "retention", "0010_retention.sql"),
    step!(11, "registry webhooks", "0011_registry_webhooks.sql"),
];

/// The steps for SQLite.
pub(super) fn sqlite() -> Migrator {
    migrator(|step| step.2)
}

/// The steps for Postgres. A lock in the database lets one registry at a time apply them.
pub(super) fn postgres() -> Migrator {
    migrator(|step| step.3)
}

fn migrator(sql: fn(&Step) -> &'static str) -> Migrator {
    let migrations = STEPS.iter().map(|step| {
        let text = sqlx::SqlStr::from_static(sql(step));
        Migration::new(step.0, step.1.into(), MigrationType::Simple, text, false)
    });
    Migrator {
        migrations: migrations.collect::<Vec<_>>().into(),
        ..Migrator::DEFAULT
    }
}
