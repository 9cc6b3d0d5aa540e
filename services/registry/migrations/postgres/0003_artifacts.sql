-- Files of runs and logged models: a path, and which bytes it has. Paths are compared by their bytes.
CREATE TABLE artifacts (
    path TEXT COLLATE "C" PRIMARY KEY,
    digest TEXT COLLATE "C" NOT NULL,
    size_bytes BIGINT NOT NULL,
    created_at_us BIGINT NOT NULL,
    updated_at_us BIGINT NOT NULL
);
CREATE INDEX artifacts_by_digest ON artifacts (digest);

-- Bytes that lie, or are about to lie, in the blob store. `touched_at_us`: when a file last came to have them or ceased
-- to. `condemned`: 1 while a collection removes them; who brings them again then stores them as the next edition.
CREATE TABLE artifact_blobs (
    digest TEXT COLLATE "C" PRIMARY KEY,
    size_bytes BIGINT NOT NULL,
    edition BIGINT NOT NULL,
    touched_at_us BIGINT NOT NULL,
    condemned BIGINT NOT NULL
);
