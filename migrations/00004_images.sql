-- Uploads of images that may be interrupted and continued.

-- +goose Up

CREATE TABLE uploads (
  id          TEXT    PRIMARY KEY, -- random; names the file that holds what has come
  user_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name        TEXT    NOT NULL, -- what the image is to be, from here to sha256
  description TEXT    NOT NULL,
  type        TEXT    NOT NULL,
  arch        TEXT    NOT NULL,
  subarch     TEXT    NOT NULL,
  filename    TEXT    NOT NULL,
  known_good  INTEGER NOT NULL,
  public      INTEGER NOT NULL,
  sha256      TEXT    NOT NULL, -- which it must have, in hexadecimal; empty: any
  size        INTEGER NOT NULL, -- in bytes, of the whole
  received    INTEGER NOT NULL DEFAULT 0, -- bytes that are on the disk for sure
  hash_state  BLOB,             -- of SHA-256 over these
  done        INTEGER NOT NULL DEFAULT 0, -- it has become an image
  created_at  INTEGER NOT NULL,
  touched_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX uploads_by_user ON uploads (user_id);
CREATE INDEX uploads_by_age ON uploads (touched_at);

-- +goose Down

DROP TABLE uploads;
