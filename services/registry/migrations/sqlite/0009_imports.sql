-- Imports of registered versions: their model file becomes an artefact. `claim`: number of the last time that a training
-- took it up, which has it until `lease_until_us`. `tries`: how often that has ended without a word. `wishes`: a message of
-- the protocol in hexadecimal digits. `plan`: what training has resolved to do, in its own words.
CREATE TABLE imports (
    model           TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    why             TEXT    NOT NULL DEFAULT '',
    run_id          TEXT    NOT NULL DEFAULT '',
    library         TEXT    NOT NULL,
    file            TEXT    NOT NULL,
    columns         TEXT    NOT NULL,
    requested_by    TEXT    NOT NULL,
    requested_at_us INTEGER NOT NULL,
    wishes          TEXT    NOT NULL,
    plan            TEXT    NOT NULL DEFAULT '',
    claim           INTEGER NOT NULL DEFAULT 0,
    tries           INTEGER NOT NULL DEFAULT 0,
    claimed_at_us   INTEGER NOT NULL DEFAULT 0,
    lease_until_us  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (model, version),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version) ON UPDATE CASCADE ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX imports_open ON imports (claimed_at_us, requested_at_us) WHERE state IN ('requested', 'running');

-- The run of training that made the artefact of a registered version; `run_id` is the notebook's.
ALTER TABLE model_versions ADD COLUMN made_by_run TEXT NOT NULL DEFAULT '';
