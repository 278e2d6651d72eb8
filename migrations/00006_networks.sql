-- What our own DHCP server says to the clients of a network.

-- +goose Up

ALTER TABLE networks ADD COLUMN domain      TEXT    NOT NULL DEFAULT '';
ALTER TABLE networks ADD COLUMN dhcp_pool   TEXT    NOT NULL DEFAULT '';   -- 10.0.0.100-10.0.0.199 or a subnet, lent to whoever asks; empty: none
ALTER TABLE networks ADD COLUMN lease_time  INTEGER NOT NULL DEFAULT 3600; -- in seconds
ALTER TABLE networks ADD COLUMN known_only  INTEGER NOT NULL DEFAULT 0;    -- the pool is for machines, not for addresses of no machine

-- +goose Down

ALTER TABLE networks DROP COLUMN known_only;
ALTER TABLE networks DROP COLUMN lease_time;
ALTER TABLE networks DROP COLUMN dhcp_pool;
ALTER TABLE networks DROP COLUMN domain;
