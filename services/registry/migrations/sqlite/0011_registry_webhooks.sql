-- Webhooks that are told of registered models as MLflow's server tells them: their name, and the events, a blank between two.
-- Both are empty for one that is told of champions.
ALTER TABLE webhooks ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN events TEXT NOT NULL DEFAULT '';
