-- Logged models of MLflow 3. Times are microseconds since 1970 UTC. Their files are artefacts below their folder.
CREATE TABLE logged_models (
    position      INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id      TEXT    NOT NULL UNIQUE,
    experiment_id INTEGER NOT NULL REFERENCES experiments (experiment_id),
    name          TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    lifecycle     TEXT    NOT NULL,
    model_type    TEXT    NOT NULL,
    source_run_id TEXT    NOT NULL,
    user_id       TEXT    NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    deleted_at_us INTEGER
);
CREATE INDEX logged_models_by_creation ON logged_models (experiment_id, created_at_us DESC, model_id);
CREATE INDEX logged_models_by_run ON logged_models (source_run_id) WHERE source_run_id <> '';

CREATE TABLE logged_model_params (
    model INTEGER NOT NULL,
    key   TEXT    NOT NULL,
    value TEXT    NOT NULL,
    PRIMARY KEY (model, key)
) WITHOUT ROWID;
CREATE TABLE logged_model_tags (
    model INTEGER NOT NULL,
    key   TEXT    NOT NULL,
    value TEXT    NOT NULL,
    PRIMARY KEY (model, key)
) WITHOUT ROWID;

-- The last value of a metric measured on a model by a run on a data set, which may be empty. A NULL value is NaN.
CREATE TABLE logged_model_metrics (
    model          INTEGER NOT NULL,
    key            TEXT    NOT NULL,
    run_id         TEXT    NOT NULL,
    dataset_name   TEXT    NOT NULL,
    dataset_digest TEXT    NOT NULL,
    step           INTEGER NOT NULL,
    measured_at_us INTEGER NOT NULL,
    value          REAL,
    PRIMARY KEY (model, key, run_id, dataset_name, dataset_digest)
) WITHOUT ROWID;
