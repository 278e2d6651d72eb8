-- What admins do: accounts that are switched off, machines and accounts that
-- go, and how a run came from stage to stage.

-- +goose Up

ALTER TABLE users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;

-- The highest id that a removed row of a table had. Logs of consoles and open
-- sessions go by ids, so that none is ever given twice.
CREATE TABLE spent_ids (
  kind TEXT    PRIMARY KEY, -- machines, users
  id   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- When a run came to each of its stages. Its first one began with it.
CREATE TABLE run_stages (
  run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  stage  TEXT    NOT NULL,
  at     INTEGER NOT NULL
) STRICT;
CREATE INDEX run_stages_by_run ON run_stages (run_id);
INSERT INTO run_stages (run_id, stage, at)
  SELECT id, stage, coalesce(stage_at, started_at) FROM runs WHERE stage <> '';

CREATE INDEX runs_by_start ON runs (started_at);
CREATE INDEX events_by_kind ON events (kind, id);
CREATE INDEX events_by_user ON events (user, id);
CREATE INDEX audit_by_actor ON audit (actor, id);
CREATE INDEX audit_by_subject ON audit (subject, id);
CREATE INDEX machines_by_bmc ON machines (bmc_id);
CREATE INDEX tokens_by_user ON tokens (user_id);

-- +goose Down

DROP INDEX tokens_by_user;
DROP INDEX machines_by_bmc;
DROP INDEX audit_by_subject;
DROP INDEX audit_by_actor;
DROP INDEX events_by_user;
DROP INDEX events_by_kind;
DROP INDEX runs_by_start;
DROP TABLE run_stages;
DROP TABLE spent_ids;
ALTER TABLE users DROP COLUMN disabled;
