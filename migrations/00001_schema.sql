-- The schema from which every later change starts.
--
-- Times are integers: milliseconds since 1970-01-01 UTC. Booleans are 0 or 1.
-- A name is unique without regard to case, since people type it.

-- +goose Up

CREATE TABLE users (
  id         INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL COLLATE NOCASE UNIQUE,
  role       TEXT    NOT NULL CHECK (role IN ('user', 'admin')),
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE ssh_keys (
  id           INTEGER PRIMARY KEY,
  user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  fingerprint  TEXT    NOT NULL, -- SHA256:..., as ssh-keygen -l prints it
  public_key   TEXT    NOT NULL, -- one line of an authorized_keys file, without its comment
  comment      TEXT    NOT NULL DEFAULT '',
  created_at   INTEGER NOT NULL,
  last_used_at INTEGER,
  UNIQUE (user_id, fingerprint)
) STRICT;

CREATE TABLE tokens (
  id             INTEGER PRIMARY KEY,
  user_id        INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name           TEXT    NOT NULL DEFAULT '',
  hash           BLOB    NOT NULL UNIQUE, -- SHA-256 of the token; the token itself is nowhere
  scope          TEXT    NOT NULL CHECK (scope IN ('read', 'operate', 'admin')),
  machine_filter TEXT    NOT NULL DEFAULT '', -- a query; empty for every machine
  created_at     INTEGER NOT NULL,
  expires_at     INTEGER,
  last_used_at   INTEGER
) STRICT;

CREATE TABLE architectures (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL COLLATE NOCASE UNIQUE
) STRICT;

CREATE TABLE images (
  id          INTEGER PRIMARY KEY,
  name        TEXT    NOT NULL COLLATE NOCASE UNIQUE,
  description TEXT    NOT NULL DEFAULT '',
  type        TEXT    NOT NULL CHECK (type IN ('kernel', 'initrd', 'bootloader')),
  arch_id     INTEGER NOT NULL REFERENCES architectures (id),
  filename    TEXT    NOT NULL, -- what machines see as the last element of its path
  sha256      TEXT    NOT NULL, -- in hexadecimal; names the file on disk
  size        INTEGER NOT NULL, -- in bytes
  user_id     INTEGER REFERENCES users (id) ON DELETE SET NULL,
  known_good  INTEGER NOT NULL DEFAULT 0,
  public      INTEGER NOT NULL DEFAULT 0,
  uploaded_at INTEGER NOT NULL
) STRICT;
CREATE INDEX images_by_content ON images (sha256);

-- The firmware flavours of an architecture. The bootloader hangs on it, and so
-- does whether the BMC is asked for a UEFI boot.
CREATE TABLE subarchitectures (
  id            INTEGER PRIMARY KEY,
  arch_id       INTEGER NOT NULL REFERENCES architectures (id),
  name          TEXT    NOT NULL COLLATE NOCASE,
  efi_boot      INTEGER NOT NULL,
  bootloader_id INTEGER REFERENCES images (id),
  UNIQUE (arch_id, name)
) STRICT;

CREATE TABLE preseeds (
  id          INTEGER PRIMARY KEY,
  name        TEXT    NOT NULL COLLATE NOCASE UNIQUE,
  type        TEXT    NOT NULL CHECK (type IN ('preseed', 'kickstart', 'autoyast')),
  description TEXT    NOT NULL DEFAULT '',
  content     TEXT    NOT NULL, -- a Jinja2 template
  user_id     INTEGER REFERENCES users (id) ON DELETE SET NULL,
  known_good  INTEGER NOT NULL DEFAULT 0,
  public      INTEGER NOT NULL DEFAULT 0,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE bmcs (
  id         INTEGER PRIMARY KEY,
  address    TEXT    NOT NULL, -- host or host:port
  type       TEXT    NOT NULL DEFAULT 'plain' CHECK (type IN ('plain', 'moonshot')),
  username   TEXT    NOT NULL,
  password   TEXT    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE machines (
  id              INTEGER PRIMARY KEY,
  name            TEXT    NOT NULL COLLATE NOCASE UNIQUE,
  subarch_id      INTEGER NOT NULL REFERENCES subarchitectures (id),
  bmc_id          INTEGER REFERENCES bmcs (id),
  bmc_slot        INTEGER NOT NULL DEFAULT 0, -- cartridge of a Moonshot chassis
  state           TEXT    NOT NULL CHECK (state IN ('unknown', 'provisioning', 'ready', 'error')),
  netboot_enabled INTEGER NOT NULL DEFAULT 0,
  kernel_id       INTEGER REFERENCES images (id),
  initrd_id       INTEGER REFERENCES images (id),
  kernel_options  TEXT    NOT NULL DEFAULT '',
  preseed_id      INTEGER REFERENCES preseeds (id),
  created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE networks (
  id            INTEGER PRIMARY KEY,
  name          TEXT    NOT NULL COLLATE NOCASE UNIQUE,
  subnet_v4     TEXT    NOT NULL, -- 10.0.0.0/16
  static_pool   TEXT    NOT NULL DEFAULT '', -- a subnet of it, or empty
  reserved_pool TEXT    NOT NULL DEFAULT '',
  gateway       TEXT    NOT NULL DEFAULT '',
  nameservers   TEXT    NOT NULL DEFAULT '' -- separated by spaces
) STRICT;

CREATE TABLE interfaces (
  id              INTEGER PRIMARY KEY,
  machine_id      INTEGER NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  mac             TEXT    NOT NULL UNIQUE, -- aa:bb:cc:dd:ee:ff
  identifier      TEXT    NOT NULL DEFAULT '', -- what the operating system calls it
  network_id      INTEGER REFERENCES networks (id),
  config_type_v4  TEXT    NOT NULL DEFAULT 'dynamic'
                  CHECK (config_type_v4 IN ('static', 'dynamic-reserved', 'dynamic')),
  configured_ipv4 TEXT,
  last_seen_at    INTEGER
) STRICT;
CREATE INDEX interfaces_by_machine ON interfaces (machine_id);
CREATE UNIQUE INDEX interfaces_by_address ON interfaces (network_id, configured_ipv4)
  WHERE configured_ipv4 IS NOT NULL;

CREATE TABLE leases (
  mac        TEXT    PRIMARY KEY,
  ipv4       TEXT    NOT NULL,
  started_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX leases_by_address ON leases (ipv4);

-- MAC addresses that asked for a boot and belong to no machine.
CREATE TABLE discovered_macs (
  mac           TEXT    PRIMARY KEY,
  vendor        TEXT    NOT NULL DEFAULT '',
  hostname      TEXT    NOT NULL DEFAULT '',
  client_arch   INTEGER, -- DHCP option 93 (RFC 4578 §2.1)
  first_seen_at INTEGER NOT NULL,
  last_seen_at  INTEGER NOT NULL,
  times_seen    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX discovered_macs_by_age ON discovered_macs (last_seen_at);

-- Who holds which machine, now (ended_at is null) and formerly.
CREATE TABLE reservations (
  id         INTEGER PRIMARY KEY,
  machine_id INTEGER NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  reason     TEXT    NOT NULL DEFAULT '',
  started_at INTEGER NOT NULL,
  expires_at INTEGER, -- null: no term
  ended_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX reservations_current ON reservations (machine_id, user_id) WHERE ended_at IS NULL;
CREATE INDEX reservations_by_user ON reservations (user_id);

-- One attempt to install a machine: from the request to its phone-home.
CREATE TABLE runs (
  id             INTEGER PRIMARY KEY,
  machine_id     INTEGER NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  user_id        INTEGER REFERENCES users (id) ON DELETE SET NULL,
  kernel_id      INTEGER REFERENCES images (id) ON DELETE SET NULL,
  initrd_id      INTEGER REFERENCES images (id) ON DELETE SET NULL,
  preseed_id     INTEGER REFERENCES preseeds (id) ON DELETE SET NULL,
  kernel_options TEXT    NOT NULL DEFAULT '',
  token          TEXT    NOT NULL UNIQUE, -- in the addresses the machine is given; worth nothing once the run has ended
  state          TEXT    NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
  stage          TEXT    NOT NULL DEFAULT '', -- how far the machine has come
  error          TEXT    NOT NULL DEFAULT '',
  started_at     INTEGER NOT NULL,
  ended_at       INTEGER
) STRICT;
CREATE UNIQUE INDEX runs_current ON runs (machine_id) WHERE state = 'running';
CREATE INDEX runs_by_machine ON runs (machine_id, started_at);

-- What happened, for people. Rows of a machine outlive it by name.
CREATE TABLE events (
  id      INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: readers follow it
  at      INTEGER NOT NULL,
  kind    TEXT    NOT NULL,
  machine TEXT    NOT NULL DEFAULT '',
  user    TEXT    NOT NULL DEFAULT '',
  run_id  INTEGER,
  detail  TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX events_by_machine ON events (machine, id);

-- Who did what, from where, with which key: for the admin who has to answer for it.
CREATE TABLE audit (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  actor   TEXT    NOT NULL,
  via     TEXT    NOT NULL, -- key SHA256:..., token 7, local command
  remote  TEXT    NOT NULL DEFAULT '',
  action  TEXT    NOT NULL,
  subject TEXT    NOT NULL DEFAULT '',
  detail  TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX audit_by_time ON audit (at);

INSERT INTO architectures (id, name) VALUES (1, 'amd64'), (2, 'arm64');
INSERT INTO subarchitectures (arch_id, name, efi_boot) VALUES
  (1, 'uefi', 1), (1, 'bios', 0), (2, 'uefi', 1);

-- +goose Down

DROP TABLE audit;
DROP TABLE events;
DROP TABLE runs;
DROP TABLE reservations;
DROP TABLE discovered_macs;
DROP TABLE leases;
DROP TABLE interfaces;
DROP TABLE networks;
DROP TABLE machines;
DROP TABLE bmcs;
DROP TABLE preseeds;
DROP TABLE subarchitectures;
DROP TABLE images;
DROP TABLE architectures;
DROP TABLE tokens;
DROP TABLE ssh_keys;
DROP TABLE users;
