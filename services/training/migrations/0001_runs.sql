-- Pipeline runs. Times are microseconds since 1970 UTC; `request`, `result` and `violations` are JSON of the format version in
-- `format_version`. `position` orders runs by creation and is what page tokens carry.
CREATE TABLE runs (
    position          INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id            TEXT    NOT NULL UNIQUE,
    model             TEXT    NOT NULL,
    state             TEXT    NOT NULL,
    format_version    INTEGER NOT NULL,
    request           TEXT    NOT NULL,
    idempotency_key   TEXT,
    created_at_us     INTEGER NOT NULL,
    ended_at_us       INTEGER,
    result            TEXT,
    error             TEXT,
    violations        TEXT    NOT NULL DEFAULT '[]',
    training_snapshot TEXT,
    test_snapshot     TEXT,
    last_sequence     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX runs_by_model ON runs (model, position);
CREATE UNIQUE INDEX runs_by_idempotency_key ON runs (idempotency_key) WHERE idempotency_key IS NOT NULL;
-- One run per model at a time.
CREATE UNIQUE INDEX runs_at_work ON runs (model) WHERE state = 'running';

CREATE TABLE steps (
    run_id        TEXT    NOT NULL REFERENCES runs (run_id),
    position      INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    started_at_us INTEGER,
    ended_at_us   INTEGER,
    message       TEXT    NOT NULL DEFAULT '',
    progress      REAL    NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, position)
) WITHOUT ROWID;

CREATE TABLE events (
    run_id   TEXT    NOT NULL REFERENCES runs (run_id),
    sequence INTEGER NOT NULL,
    at_us    INTEGER NOT NULL,
    step     TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    progress REAL    NOT NULL,
    message  TEXT    NOT NULL,
    PRIMARY KEY (run_id, sequence)
) WITHOUT ROWID;
