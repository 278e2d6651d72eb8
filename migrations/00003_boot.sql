-- What machines say of themselves when they ask for a boot, and when.

-- +goose Up

-- When the run came as far as its stage. What is kept later than it happened
-- (a DHCP request is) does not set the run back. Null: when it began.
ALTER TABLE runs ADD COLUMN stage_at INTEGER;

INSERT INTO architectures (name) VALUES ('armhf'), ('riscv64') ON CONFLICT DO NOTHING;
INSERT INTO subarchitectures (arch_id, name, efi_boot)
  SELECT id, 'uefi', 1 FROM architectures WHERE name IN ('armhf', 'riscv64')
  ON CONFLICT DO NOTHING;

-- +goose Down

ALTER TABLE runs DROP COLUMN stage_at;
-- The architectures stay: machines may be of them.
