-- Reservations that end, are lent and waited for; and who may have which machines.

-- +goose Up

-- Who holds which machine, now (ended_at is null) and formerly. What was held
-- is remembered longer than the machine and the user are.
CREATE TABLE reservations_new (
  id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: readers page by it
  machine_id INTEGER REFERENCES machines (id) ON DELETE SET NULL,
  machine    TEXT    NOT NULL, -- what it was called when it was taken
  user_id    INTEGER REFERENCES users (id) ON DELETE SET NULL,
  user       TEXT    NOT NULL,
  reason     TEXT    NOT NULL DEFAULT '',
  started_at INTEGER NOT NULL,
  counted_at INTEGER NOT NULL, -- from when on it counts for the site's maximum: earlier, where it was lent meanwhile
  expires_at INTEGER, -- null: no term
  ended_at   INTEGER,
  ended_by   TEXT    NOT NULL DEFAULT '', -- the name of who ended it
  ended_why  TEXT    NOT NULL DEFAULT ''
             CHECK (ended_why IN ('', 'released', 'term', 'idle', 'lent', 'returned', 'missed')),

  -- What the holder has been told.
  warned_at  INTEGER, -- last, that the term ends soon
  over_at    INTEGER, -- that the term is over, and the grace has begun
  idle_at    INTEGER, -- that nobody seems to use the machine

  -- Of a machine that was lent: what becomes of it afterwards.
  lender_id      INTEGER REFERENCES users (id) ON DELETE SET NULL,
  lender_reason  TEXT NOT NULL DEFAULT '',
  lender_expires INTEGER, -- null: no term

  CHECK (ended_at IS NOT NULL OR (machine_id IS NOT NULL AND user_id IS NOT NULL))
) STRICT;
INSERT INTO reservations_new (id, machine_id, machine, user_id, user, reason, started_at, counted_at, expires_at, ended_at, ended_why)
  SELECT reservations.id, machine_id, machines.name, user_id, users.name, reason, started_at, started_at, expires_at, ended_at,
    iif(ended_at IS NULL, '', 'released')
  FROM reservations JOIN machines ON machines.id = machine_id JOIN users ON users.id = user_id;
DROP TABLE reservations;
ALTER TABLE reservations_new RENAME TO reservations;
CREATE UNIQUE INDEX reservations_current ON reservations (machine_id, user_id) WHERE ended_at IS NULL;
CREATE INDEX reservations_by_machine ON reservations (machine_id, id);
CREATE INDEX reservations_by_user ON reservations (user_id, id);
CREATE INDEX reservations_by_term ON reservations (expires_at) WHERE ended_at IS NULL AND expires_at IS NOT NULL;

-- Who waits for a machine: the highest priority first, and who came first.
CREATE TABLE queue (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id        INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  machine_id     INTEGER REFERENCES machines (id) ON DELETE CASCADE, -- this one; null: any that the query matches
  query          TEXT    NOT NULL DEFAULT '',
  reason         TEXT    NOT NULL DEFAULT '',
  term           INTEGER NOT NULL DEFAULT 0, -- milliseconds; 0: what the site has
  priority       INTEGER NOT NULL DEFAULT 0,
  admin          INTEGER NOT NULL DEFAULT 0, -- it was asked for as an administrator
  keep           INTEGER NOT NULL DEFAULT 0, -- the place is kept while nobody waits at it
  created_at     INTEGER NOT NULL,
  seen_at        INTEGER NOT NULL,           -- when somebody waited at it last
  reservation_id INTEGER REFERENCES reservations (id) ON DELETE CASCADE -- what it has led to; null: it waits
) STRICT;
CREATE INDEX queue_waiting ON queue (priority DESC, id) WHERE reservation_id IS NULL;
CREATE INDEX queue_by_user ON queue (user_id);

-- Machines that were given back, and are to be turned off for it.
CREATE TABLE power_offs (
  machine_id INTEGER PRIMARY KEY REFERENCES machines (id) ON DELETE CASCADE,
  asked_at   INTEGER NOT NULL,
  next_at    INTEGER NOT NULL, -- when their BMC is told next
  tries      INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Groups of users may use the machines of pools. A machine in no pool is for all.
CREATE TABLE user_groups (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL COLLATE NOCASE UNIQUE
) STRICT;
CREATE TABLE group_members (
  group_id INTEGER NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
  user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_members_by_user ON group_members (user_id);
CREATE TABLE pools (
  id          INTEGER PRIMARY KEY,
  name        TEXT NOT NULL COLLATE NOCASE UNIQUE,
  description TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE pool_machines (
  pool_id    INTEGER NOT NULL REFERENCES pools (id) ON DELETE CASCADE,
  machine_id INTEGER NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  PRIMARY KEY (pool_id, machine_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pool_machines_by_machine ON pool_machines (machine_id);
CREATE TABLE pool_groups (
  pool_id  INTEGER NOT NULL REFERENCES pools (id) ON DELETE CASCADE,
  group_id INTEGER NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
  PRIMARY KEY (pool_id, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pool_groups_by_group ON pool_groups (group_id);

-- Who is told of reservations over HTTP.
CREATE TABLE webhooks (
  id         INTEGER PRIMARY KEY,
  url        TEXT    NOT NULL UNIQUE,
  secret     TEXT    NOT NULL, -- signs what is sent
  position   INTEGER NOT NULL, -- the last event that they have, or have missed
  created_at INTEGER NOT NULL
) STRICT;

-- +goose Down

DROP TABLE webhooks;
DROP TABLE pool_groups;
DROP TABLE pool_machines;
DROP TABLE pools;
DROP TABLE group_members;
DROP TABLE user_groups;
DROP TABLE power_offs;
DROP TABLE queue;
DROP INDEX reservations_by_term;
DROP INDEX reservations_by_machine;
CREATE TABLE reservations_old (
  id         INTEGER PRIMARY KEY,
  machine_id INTEGER NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  reason     TEXT    NOT NULL DEFAULT '',
  started_at INTEGER NOT NULL,
  expires_at INTEGER, -- null: no term
  ended_at   INTEGER
) STRICT;
INSERT INTO reservations_old
  SELECT id, machine_id, user_id, reason, started_at, expires_at, ended_at FROM reservations
  WHERE machine_id IS NOT NULL AND user_id IS NOT NULL;
DROP TABLE reservations;
ALTER TABLE reservations_old RENAME TO reservations;
CREATE UNIQUE INDEX reservations_current ON reservations (machine_id, user_id) WHERE ended_at IS NULL;
CREATE INDEX reservations_by_user ON reservations (user_id);
