-- What an admin may say of BMCs and consoles, and where in a console's log
-- something happened.

-- +goose Up

-- Empty: the defaults of the ipmi package.
ALTER TABLE bmcs ADD COLUMN cipher_suites TEXT NOT NULL DEFAULT ''; -- numbers, the preferred first, separated by commas
ALTER TABLE bmcs ADD COLUMN kg            TEXT NOT NULL DEFAULT ''; -- the BMC's own key: text, or 0x and hexadecimal digits
ALTER TABLE bmcs ADD COLUMN privilege     TEXT NOT NULL DEFAULT ''
  CHECK (privilege IN ('', 'user', 'operator', 'administrator'));

-- Whether the console is connected while nobody watches. Empty: as the site has it.
ALTER TABLE machines ADD COLUMN console TEXT NOT NULL DEFAULT ''
  CHECK (console IN ('', 'always', 'on-demand'));

-- Where in the log of the machine's console it happened: bytes that came before.
ALTER TABLE events ADD COLUMN log_position INTEGER;

-- What an admin has decided for the whole site. A name that is missing has its default.
CREATE TABLE settings (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

-- What a site looks for in the output of consoles, beside what is built in.
CREATE TABLE console_patterns (
  id         INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL COLLATE NOCASE UNIQUE,
  expression TEXT    NOT NULL, -- RE2
  created_at INTEGER NOT NULL
) STRICT;

-- +goose Down

DROP TABLE console_patterns;
DROP TABLE settings;
ALTER TABLE events DROP COLUMN log_position;
ALTER TABLE machines DROP COLUMN console;
ALTER TABLE bmcs DROP COLUMN privilege;
ALTER TABLE bmcs DROP COLUMN kg;
ALTER TABLE bmcs DROP COLUMN cipher_suites;
