-- One row: until when a collection is at work, in microseconds since 1970 UTC; 0 when none is.
CREATE TABLE collections (
    id       INTEGER PRIMARY KEY,
    until_us INTEGER NOT NULL
);
INSERT INTO collections (id, until_us) VALUES (1, 0);
