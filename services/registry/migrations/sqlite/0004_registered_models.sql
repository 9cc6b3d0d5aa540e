-- Models and versions as MLflow knows them, over those of training. Times are microseconds since 1970 UTC.
ALTER TABLE models ADD COLUMN updated_at_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE models ADD COLUMN description TEXT NOT NULL DEFAULT '';
UPDATE models SET updated_at_us = max(
    created_at_us,
    coalesce((SELECT max(created_at_us) FROM model_versions WHERE model = models.name), 0)
);

-- The last version number that was given out under a name. It outlives versions, models and renaming: artefacts lie under
-- name and number in the blob store, and nothing else may ever come to lie there.
CREATE TABLE version_numbers (
    model TEXT    PRIMARY KEY,
    last  INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO version_numbers (model, last) SELECT model, max(version) FROM model_versions GROUP BY model;

-- `origin`: "training" when a run of Holdfast has reserved it, which it does once; "registered" when it was made from files
-- that were there, which a run may do as often as it likes. `status` is about the artefact of Holdfast: "pending" until there
-- is one. `source` is what the caller named, `location` where its files are within the registry, if they are there.
CREATE TABLE next_model_versions (
    model               TEXT    NOT NULL REFERENCES models (name) ON UPDATE CASCADE ON DELETE CASCADE,
    version             INTEGER NOT NULL,
    status              TEXT    NOT NULL,
    run_id              TEXT    NOT NULL,
    artifact_digest     TEXT,
    artifact_size_bytes INTEGER NOT NULL DEFAULT 0,
    family              TEXT    NOT NULL DEFAULT '',
    training_snapshot   TEXT    NOT NULL DEFAULT '',
    test_snapshot       TEXT    NOT NULL DEFAULT '',
    created_at_us       INTEGER NOT NULL,
    created_by          TEXT    NOT NULL,
    origin              TEXT    NOT NULL,
    updated_at_us       INTEGER NOT NULL,
    stage               TEXT    NOT NULL DEFAULT 'None',
    description         TEXT    NOT NULL DEFAULT '',
    source              TEXT    NOT NULL,
    location            TEXT    NOT NULL,
    run_link            TEXT    NOT NULL DEFAULT '',
    model_id            TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (model, version)
) WITHOUT ROWID;
INSERT INTO next_model_versions (
    model, version, status, run_id, artifact_digest, artifact_size_bytes, family, training_snapshot, test_snapshot,
    created_at_us, created_by, origin, updated_at_us, source, location
)
SELECT
    model, version, status, run_id, artifact_digest, artifact_size_bytes, family, training_snapshot, test_snapshot,
    created_at_us, created_by, 'training', created_at_us,
    'mlflow-artifacts:/models/' || model || '/' || version,
    'mlflow-artifacts:/models/' || model || '/' || version
FROM model_versions;
DROP TABLE model_versions;
ALTER TABLE next_model_versions RENAME TO model_versions;
CREATE UNIQUE INDEX model_versions_of_training ON model_versions (model, run_id) WHERE origin = 'training';
CREATE INDEX model_versions_by_run ON model_versions (run_id);
CREATE INDEX model_versions_by_logged_model ON model_versions (model_id) WHERE model_id <> '';
CREATE INDEX model_versions_by_update ON model_versions (updated_at_us);

CREATE TABLE model_tags (
    model TEXT NOT NULL REFERENCES models (name) ON UPDATE CASCADE ON DELETE CASCADE,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, key)
) WITHOUT ROWID;
CREATE TABLE model_version_tags (
    model   TEXT    NOT NULL,
    version INTEGER NOT NULL,
    key     TEXT    NOT NULL,
    value   TEXT    NOT NULL,
    PRIMARY KEY (model, version, key),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version) ON UPDATE CASCADE ON DELETE CASCADE
) WITHOUT ROWID;

-- The alias "champion" is never here: the champion log has it.
CREATE TABLE model_aliases (
    model   TEXT    NOT NULL,
    alias   TEXT    NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version) ON UPDATE CASCADE ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX model_aliases_by_version ON model_aliases (model, version);
