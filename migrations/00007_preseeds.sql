-- Preseeds for more installers, and the disks that they may be told of.

-- +goose Up

-- A CHECK cannot be changed, but it goes with its column. The table is not
-- rebuilt: dropping it would take its id from machines and runs.
ALTER TABLE preseeds RENAME COLUMN type TO type_before;
ALTER TABLE preseeds ADD COLUMN type TEXT NOT NULL DEFAULT 'preseed'
  CHECK (type IN ('preseed', 'kickstart', 'autoyast', 'cloud-init', 'ignition'));
UPDATE preseeds SET type = type_before;
ALTER TABLE preseeds DROP COLUMN type_before;

-- The disks that a machine may be installed on, as people have named them.
CREATE TABLE machine_disks (
  machine_id INTEGER NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  position   INTEGER NOT NULL, -- from 0, which is where the system goes
  device     TEXT    NOT NULL, -- /dev/sda
  PRIMARY KEY (machine_id, position)
) STRICT, WITHOUT ROWID;

-- +goose Down

DROP TABLE machine_disks;
ALTER TABLE preseeds RENAME COLUMN type TO type_before;
ALTER TABLE preseeds ADD COLUMN type TEXT NOT NULL DEFAULT 'preseed'
  CHECK (type IN ('preseed', 'kickstart', 'autoyast'));
-- What an older release has no word for is kept as what it can keep.
UPDATE preseeds SET type = iif(type_before IN ('kickstart', 'autoyast'), type_before, 'preseed'),
  description = iif(type_before IN ('cloud-init', 'ignition'), type_before || ': ' || description, description);
ALTER TABLE preseeds DROP COLUMN type_before;
