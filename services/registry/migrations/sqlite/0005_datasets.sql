-- Data sets that runs have read, and logged models that went into and came out of runs.
CREATE TABLE datasets (
    dataset_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment_id INTEGER NOT NULL REFERENCES experiments (experiment_id),
    name          TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    source_type   TEXT    NOT NULL,
    source        TEXT    NOT NULL,
    schema        TEXT    NOT NULL,
    profile       TEXT    NOT NULL,
    UNIQUE (experiment_id, name, digest)
);
CREATE TABLE run_datasets (
    run_id     TEXT    NOT NULL REFERENCES runs (run_id),
    dataset_id INTEGER NOT NULL REFERENCES datasets (dataset_id),
    PRIMARY KEY (run_id, dataset_id)
) WITHOUT ROWID;
CREATE INDEX run_datasets_by_dataset ON run_datasets (dataset_id);
-- Tags of a use, "mlflow.data.context" among them.
CREATE TABLE run_dataset_tags (
    run_id     TEXT    NOT NULL,
    dataset_id INTEGER NOT NULL,
    key        TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    PRIMARY KEY (run_id, dataset_id, key),
    FOREIGN KEY (run_id, dataset_id) REFERENCES run_datasets (run_id, dataset_id)
) WITHOUT ROWID;

CREATE TABLE run_model_inputs (
    run_id   TEXT NOT NULL REFERENCES runs (run_id),
    model_id TEXT NOT NULL,
    PRIMARY KEY (run_id, model_id)
) WITHOUT ROWID;
CREATE INDEX run_model_inputs_by_model ON run_model_inputs (model_id);
CREATE TABLE run_model_outputs (
    run_id   TEXT    NOT NULL REFERENCES runs (run_id),
    model_id TEXT    NOT NULL,
    step     INTEGER NOT NULL,
    PRIMARY KEY (run_id, model_id)
) WITHOUT ROWID;
CREATE INDEX run_model_outputs_by_model ON run_model_outputs (model_id);
