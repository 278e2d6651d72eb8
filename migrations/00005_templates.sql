-- What a site's bootloaders load beside themselves, and are configured by.

-- +goose Up

-- Templates of a site's own. Of a kind that is missing, ours is used.
CREATE TABLE templates (
  kind       TEXT    PRIMARY KEY, -- grub-netboot, grub-disk, pxelinux-netboot, ...
  content    TEXT    NOT NULL,    -- Go's text/template
  updated_at INTEGER NOT NULL
) STRICT;

-- Files that lie beside the bootloader of a subarchitecture: what it loads
-- before it asks for its configuration.
CREATE TABLE bootloader_files (
  subarch_id INTEGER NOT NULL REFERENCES subarchitectures (id) ON DELETE CASCADE,
  image_id   INTEGER NOT NULL REFERENCES images (id),
  PRIMARY KEY (subarch_id, image_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX bootloader_files_by_image ON bootloader_files (image_id);

-- +goose Down

DROP TABLE bootloader_files;
DROP TABLE templates;
