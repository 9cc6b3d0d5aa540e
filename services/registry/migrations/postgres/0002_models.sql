-- Model versions and the gate's decisions about them. Who is champion is not here: the champion log in the blob
-- store is the only record of that.
CREATE TABLE models (
    name TEXT COLLATE "C" PRIMARY KEY,
    created_at_us BIGINT NOT NULL
);

CREATE TABLE model_versions (
    model TEXT COLLATE "C" NOT NULL REFERENCES models (name),
    version BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C" NOT NULL,
    artifact_digest TEXT COLLATE "C",
    artifact_size_bytes BIGINT NOT NULL DEFAULT 0,
    family TEXT COLLATE "C" NOT NULL DEFAULT '',
    training_snapshot TEXT COLLATE "C" NOT NULL DEFAULT '',
    test_snapshot TEXT COLLATE "C" NOT NULL DEFAULT '',
    created_at_us BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model, version),
    UNIQUE (model, run_id)
);

-- `decision` is the decision with its evidence as JSON, exactly as stored in the blob store.
CREATE TABLE gate_decisions (
    model TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    evaluation_digest TEXT COLLATE "C" NOT NULL,
    decided_at_us BIGINT NOT NULL,
    decision TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model, version, evaluation_digest)
);
