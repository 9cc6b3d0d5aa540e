-- Experiments and runs. Times are microseconds since 1970 UTC.
CREATE TABLE experiments (
    experiment_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL UNIQUE,
    lifecycle     TEXT    NOT NULL,
    created_at_us INTEGER NOT NULL
);
CREATE TABLE experiment_tags (
    experiment_id INTEGER NOT NULL REFERENCES experiments (experiment_id),
    key           TEXT    NOT NULL,
    value         TEXT    NOT NULL,
    PRIMARY KEY (experiment_id, key)
) WITHOUT ROWID;

-- `position` orders runs by creation and is what page tokens carry.
CREATE TABLE runs (
    position      INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id        TEXT    NOT NULL UNIQUE,
    experiment_id INTEGER NOT NULL REFERENCES experiments (experiment_id),
    name          TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    started_at_us INTEGER NOT NULL,
    ended_at_us   INTEGER,
    lifecycle     TEXT    NOT NULL
);
CREATE INDEX runs_by_experiment ON runs (experiment_id, position);

CREATE TABLE params (
    run_id TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;
CREATE TABLE run_tags (
    run_id TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;

-- SQLite has no NaN: a NULL value is NaN. Infinities are stored as they are.
CREATE TABLE metrics (
    run_id         TEXT    NOT NULL,
    key            TEXT    NOT NULL,
    step           INTEGER NOT NULL,
    measured_at_us INTEGER NOT NULL,
    value          REAL
);
CREATE INDEX metrics_by_run ON metrics (run_id, key, step, measured_at_us);
CREATE TABLE latest_metrics (
    run_id         TEXT    NOT NULL,
    key            TEXT    NOT NULL,
    step           INTEGER NOT NULL,
    measured_at_us INTEGER NOT NULL,
    value          REAL,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;
