-- Imports of registered versions: their model file becomes an artefact. `claim`: number of the last time that a training
-- took it up, which has it until `lease_until_us`. `tries`: how often that has ended without a word. `wishes`: a message of
-- the protocol in hexadecimal digits. `plan`: what training has resolved to do, in its own words.
CREATE TABLE imports (
    model           TEXT COLLATE "C" NOT NULL,
    version         BIGINT           NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    why             TEXT COLLATE "C" NOT NULL DEFAULT '',
    run_id          TEXT COLLATE "C" NOT NULL DEFAULT '',
    library         TEXT COLLATE "C" NOT NULL,
    file            TEXT COLLATE "C" NOT NULL,
    columns         TEXT COLLATE "C" NOT NULL,
    requested_by    TEXT COLLATE "C" NOT NULL,
    requested_at_us BIGINT           NOT NULL,
    wishes          TEXT COLLATE "C" NOT NULL,
    plan            TEXT COLLATE "C" NOT NULL DEFAULT '',
    claim           BIGINT           NOT NULL DEFAULT 0,
    tries           BIGINT           NOT NULL DEFAULT 0,
    claimed_at_us   BIGINT           NOT NULL DEFAULT 0,
    lease_until_us  BIGINT           NOT NULL DEFAULT 0,
    PRIMARY KEY (model, version),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX imports_open ON imports (claimed_at_us, requested_at_us) WHERE state IN ('requested', 'running');

-- The run of training that made the artefact of a registered version; `run_id` is the notebook's.
ALTER TABLE model_versions ADD COLUMN made_by_run TEXT COLLATE "C" NOT NULL DEFAULT '';
