-- Experiments and runs as MLflow has them. Times are microseconds since 1970 UTC.
ALTER TABLE experiments ADD COLUMN artifact_location TEXT NOT NULL DEFAULT '';
ALTER TABLE experiments ADD COLUMN updated_at_us INTEGER NOT NULL DEFAULT 0;
UPDATE experiments SET artifact_location = 'mlflow-artifacts:/' || experiment_id, updated_at_us = created_at_us;
CREATE INDEX experiments_by_update ON experiments (updated_at_us);

-- Where runs go when nobody has named an experiment.
INSERT INTO experiments (experiment_id, name, lifecycle, created_at_us, artifact_location, updated_at_us)
SELECT
    0, CASE WHEN EXISTS (SELECT 1 FROM experiments WHERE name = 'Default') THEN 'Default of MLflow' ELSE 'Default' END,
    'active', CAST(strftime('%s', 'now') AS INTEGER) * 1000000, 'mlflow-artifacts:/0',
    CAST(strftime('%s', 'now') AS INTEGER) * 1000000;

-- `deleted_with_experiment`: 1 when the run was deleted by the deletion of its experiment, which then restores it too.
ALTER TABLE runs ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN deleted_at_us INTEGER;
ALTER TABLE runs ADD COLUMN deleted_with_experiment INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_start ON runs (experiment_id, started_at_us DESC, run_id);
UPDATE runs SET user_id = coalesce(
    (SELECT value FROM run_tags t WHERE t.run_id = runs.run_id AND t.key = 'mlflow.user'), ''
);

-- What is logged hangs on the run's position, which is a number: searches read millions of these rows. No foreign keys, which
-- would be looked up for each of them: writers have looked at the run.
CREATE TABLE next_params (
    run   INTEGER NOT NULL,
    key   TEXT    NOT NULL,
    value TEXT    NOT NULL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
INSERT INTO next_params SELECT r.position, p.key, p.value FROM params p JOIN runs r ON r.run_id = p.run_id;
DROP TABLE params;
ALTER TABLE next_params RENAME TO params;

CREATE TABLE next_run_tags (
    run   INTEGER NOT NULL,
    key   TEXT    NOT NULL,
    value TEXT    NOT NULL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
INSERT INTO next_run_tags SELECT r.position, t.key, t.value FROM run_tags t JOIN runs r ON r.run_id = t.run_id;
INSERT INTO next_run_tags SELECT position, 'mlflow.runName', name FROM runs WHERE true ON CONFLICT DO NOTHING;
DROP TABLE run_tags;
ALTER TABLE next_run_tags RENAME TO run_tags;

-- A point is there once, however often it is sent. SQLite has no NaN: `is_nan` is 1 and the value 0 then.
CREATE TABLE next_metrics (
    run            INTEGER NOT NULL,
    key            TEXT    NOT NULL,
    measured_at_us INTEGER NOT NULL,
    step           INTEGER NOT NULL,
    value          REAL    NOT NULL,
    is_nan         INTEGER NOT NULL,
    PRIMARY KEY (run, key, measured_at_us, step, value, is_nan)
) WITHOUT ROWID;
INSERT INTO next_metrics
SELECT DISTINCT r.position, m.key, m.measured_at_us, m.step, coalesce(m.value, 0.0), CASE WHEN m.value IS NULL THEN 1 ELSE 0 END
FROM metrics m JOIN runs r ON r.run_id = m.run_id;
DROP TABLE metrics;
ALTER TABLE next_metrics RENAME TO metrics;

-- A NULL value is NaN. The index serves filters and orders by a metric within an experiment.
CREATE TABLE next_latest_metrics (
    run            INTEGER NOT NULL,
    key            TEXT    NOT NULL,
    step           INTEGER NOT NULL,
    measured_at_us INTEGER NOT NULL,
    value          REAL,
    experiment_id  INTEGER NOT NULL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
INSERT INTO next_latest_metrics
SELECT r.position, m.key, m.step, m.measured_at_us, m.value, r.experiment_id
FROM latest_metrics m JOIN runs r ON r.run_id = m.run_id;
DROP TABLE latest_metrics;
ALTER TABLE next_latest_metrics RENAME TO latest_metrics;
CREATE INDEX latest_metrics_by_value ON latest_metrics (experiment_id, key, value);
