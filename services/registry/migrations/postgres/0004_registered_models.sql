-- Models and versions as MLflow knows them, over those of training. Times are microseconds since 1970 UTC.
ALTER TABLE models ADD COLUMN updated_at_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE models ADD COLUMN description TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE models SET updated_at_us = greatest(
    created_at_us,
    coalesce((SELECT max(v.created_at_us) FROM model_versions v WHERE v.model = models.name), 0)
);

-- The last version number that was given out under a name. It outlives versions, models and renaming: artefacts lie under
-- name and number in the blob store, and nothing else may ever come to lie there.
CREATE TABLE version_numbers (
    model TEXT COLLATE "C" PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO version_numbers (model, last) SELECT model, max(version) FROM model_versions GROUP BY model;

-- `origin`: "training" when a run of Holdfast has reserved it, which it does once; "registered" when it was made from files
-- that were there, which a run may do as often as it likes. `status` is about the artefact of Holdfast: "pending" until there
-- is one. `source` is what the caller named, `location` where its files are within the registry, if they are there.
ALTER TABLE model_versions DROP CONSTRAINT model_versions_model_run_id_key;
ALTER TABLE model_versions DROP CONSTRAINT model_versions_model_fkey;
ALTER TABLE model_versions ADD FOREIGN KEY (model) REFERENCES models (name) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE model_versions ADD COLUMN origin TEXT COLLATE "C" NOT NULL DEFAULT 'training';
ALTER TABLE model_versions ADD COLUMN updated_at_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE model_versions ADD COLUMN stage TEXT COLLATE "C" NOT NULL DEFAULT 'None';
ALTER TABLE model_versions ADD COLUMN description TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN source TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN location TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN run_link TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN model_id TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE model_versions SET
    updated_at_us = created_at_us,
    source = 'mlflow-artifacts:/models/' || model || '/' || version,
    location = 'mlflow-artifacts:/models/' || model || '/' || version;
ALTER TABLE model_versions ALTER COLUMN origin DROP DEFAULT;
ALTER TABLE model_versions ALTER COLUMN updated_at_us DROP DEFAULT;
ALTER TABLE model_versions ALTER COLUMN source DROP DEFAULT;
ALTER TABLE model_versions ALTER COLUMN location DROP DEFAULT;
CREATE UNIQUE INDEX model_versions_of_training ON model_versions (model, run_id) WHERE origin = 'training';
CREATE INDEX model_versions_by_run ON model_versions (run_id);
CREATE INDEX model_versions_by_logged_model ON model_versions (model_id) WHERE model_id <> '';
CREATE INDEX model_versions_by_update ON model_versions (updated_at_us);

CREATE TABLE model_tags (
    model TEXT COLLATE "C" NOT NULL REFERENCES models (name) ON UPDATE CASCADE ON DELETE CASCADE,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model, key)
);
CREATE TABLE model_version_tags (
    model TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model, version, key),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version) ON UPDATE CASCADE ON DELETE CASCADE
);

-- The alias "champion" is never here: the champion log has it.
CREATE TABLE model_aliases (
    model TEXT COLLATE "C" NOT NULL,
    alias TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX model_aliases_by_version ON model_aliases (model, version);
