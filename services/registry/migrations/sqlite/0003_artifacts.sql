-- Files of runs and logged models: a path, and which bytes it has. Paths are compared by their bytes.
CREATE TABLE artifacts (
    path          TEXT    PRIMARY KEY,
    digest        TEXT    NOT NULL,
    size_bytes    INTEGER NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX artifacts_by_digest ON artifacts (digest);

-- Bytes that lie, or are about to lie, in the blob store. `touched_at_us`: when a file last came to have them or ceased
-- to. `condemned`: 1 while a collection removes them; who brings them again then stores them as the next edition.
CREATE TABLE artifact_blobs (
    digest        TEXT    PRIMARY KEY,
    size_bytes    INTEGER NOT NULL,
    edition       INTEGER NOT NULL,
    touched_at_us INTEGER NOT NULL,
    condemned     INTEGER NOT NULL
) WITHOUT ROWID;
