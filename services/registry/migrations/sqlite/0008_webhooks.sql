-- Addresses that are told when a champion changes. `model` is empty for all models.
CREATE TABLE webhooks (
    position      INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id    TEXT    NOT NULL UNIQUE,
    url           TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    enabled       INTEGER NOT NULL,
    description   TEXT    NOT NULL,
    secret        TEXT    NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL
);
-- The last generation of a model's champion log that a webhook has a delivery for, or was not to be told; 0 where absent.
CREATE TABLE webhook_cursors (
    webhook_id TEXT    NOT NULL REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    model      TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (webhook_id, model)
) WITHOUT ROWID;
-- `claim` is whose attempt it is, until `claimed_until_us`.
CREATE TABLE webhook_deliveries (
    position           INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id        TEXT    NOT NULL UNIQUE,
    webhook_id         TEXT    NOT NULL REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    event              TEXT    NOT NULL,
    model              TEXT    NOT NULL,
    generation         INTEGER NOT NULL,
    body               TEXT    NOT NULL,
    state              TEXT    NOT NULL,
    attempts           INTEGER NOT NULL DEFAULT 0,
    http_status        INTEGER NOT NULL DEFAULT 0,
    error              TEXT    NOT NULL DEFAULT '',
    created_at_us      INTEGER NOT NULL,
    attempted_at_us    INTEGER,
    next_attempt_at_us INTEGER,
    claim              TEXT    NOT NULL DEFAULT '',
    claimed_until_us   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, position);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, model, generation) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (created_at_us) WHERE state <> 'pending';
