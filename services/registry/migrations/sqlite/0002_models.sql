-- Model versions and the gate's decisions about them. Who is champion is not here: the champion log in the blob
-- store is the only record of that.
CREATE TABLE models (
    name          TEXT    PRIMARY KEY,
    created_at_us INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE model_versions (
    model               TEXT    NOT NULL REFERENCES models (name),
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
    PRIMARY KEY (model, version),
    UNIQUE (model, run_id)
) WITHOUT ROWID;

-- `decision` is the decision with its evidence as JSON, exactly as stored in the blob store.
CREATE TABLE gate_decisions (
    model             TEXT    NOT NULL,
    version           INTEGER NOT NULL,
    evaluation_digest TEXT    NOT NULL,
    decided_at_us     INTEGER NOT NULL,
    decision          TEXT    NOT NULL,
    PRIMARY KEY (model, version, evaluation_digest)
) WITHOUT ROWID;
