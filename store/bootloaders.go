package store

import "context"

// BootloaderFile returns what a subarchitecture's machines load by that name
// before they ask for a configuration: its bootloader, or what lies beside it.
// [ErrNotFound] where there is none.
func (tx *Tx) BootloaderFile(ctx context.Context, arch, subarch, filename string) (Image, error) {
	s, err := tx.Subarch(ctx, arch, subarch)
	if err != nil {
		return Image{}, err
	}
	return one(ctx, tx, scanImage, selectImage+`WHERE images.filename = ?1 AND (images.id = ?2
		OR images.id IN (SELECT image_id FROM bootloader_files WHERE subarch_id = ?3))
		ORDER BY images.id = ?2 DESC LIMIT 1`, filename, s.BootloaderID, s.ID)
}

// SetBootloaderFiles hangs a bootloader on a subarchitecture, and lays files
// beside it in the place of those that were there.
func (tx *Tx) SetBootloaderFiles(ctx context.Context, subarchID, bootloaderID int64, beside []int64) error {
	if _, err := tx.tx.ExecContext(ctx, `DELETE FROM bootloader_files WHERE subarch_id = ?`, subarchID); err != nil {
		return plain(err)
	}
	for _, id := range beside {
		if _, err := tx.insert(ctx, `INSERT INTO bootloader_files (subarch_id, image_id) VALUES (?, ?)`, subarchID, id); err != nil {
			return err
		}
	}
	return tx.SetBootloader(ctx, subarchID, bootloaderID)
}
