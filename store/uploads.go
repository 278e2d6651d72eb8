package store

import (
	"context"
	"time"
)

// Upload is an image that comes in pieces. What has come lies in a file that
// its ID names.
type Upload struct {
	ID        string
	Image     Image  // what it is to be; its size is that of the whole, its SHA256 is empty where any will do
	Subarch   string // of a bootloader: what it is for
	Received  int64  // bytes that are on the disk for sure
	HashState []byte // of SHA-256 over these; nil: none have come
	Done      bool   // it has become an image
	CreatedAt time.Time
	TouchedAt time.Time
}

const selectUpload = `SELECT uploads.id, user_id, users.name, uploads.name, description, type, arch, subarch, filename,
	known_good, public, sha256, size, received, hash_state, done, uploads.created_at, touched_at
	FROM uploads JOIN users ON users.id = uploads.user_id `

func scanUpload(r row) (u Upload, err error) {
	i := &u.Image
	err = r.Scan(&u.ID, &i.UserID, &i.Owner, &i.Name, &i.Description, &i.Type, &i.Arch, &u.Subarch, &i.Filename,
		&i.KnownGood, &i.Public, &i.SHA256, &i.Size, &u.Received, &u.HashState, &u.Done, moment{&u.CreatedAt}, moment{&u.TouchedAt})
	return u, err
}

// Upload returns an upload.
func (tx *Tx) Upload(ctx context.Context, id string) (Upload, error) {
	return one(ctx, tx, scanUpload, selectUpload+`WHERE uploads.id = ?`, id)
}

// UploadsBefore returns the ids of the uploads that nobody has touched since.
func (tx *Tx) UploadsBefore(ctx context.Context, t time.Time) ([]string, error) {
	return all(ctx, tx, func(r row) (id string, err error) {
		err = r.Scan(&id)
		return id, err
	}, `SELECT id FROM uploads WHERE touched_at < ?`, millis(t))
}

// UnfinishedUploads counts the uploads of a user that go on.
func (tx *Tx) UnfinishedUploads(ctx context.Context, userID int64) (n int, err error) {
	err = tx.tx.QueryRowContext(ctx, `SELECT count(*) FROM uploads WHERE user_id = ? AND NOT done`, userID).Scan(&n)
	return n, plain(err)
}

// AddUpload keeps an upload of which nothing has come yet.
func (tx *Tx) AddUpload(ctx context.Context, u Upload) error {
	i := u.Image
	_, err := tx.insert(ctx, `INSERT INTO uploads (id, user_id, name, description, type, arch, subarch, filename,
		known_good, public, sha256, size, created_at, touched_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		u.ID, i.UserID, i.Name, i.Description, i.Type, i.Arch, u.Subarch, i.Filename,
		i.KnownGood, i.Public, i.SHA256, i.Size, millis(u.CreatedAt), millis(u.CreatedAt))
	return err
}

// SetUploadReceived notes how much of an upload has come.
func (tx *Tx) SetUploadReceived(ctx context.Context, id string, received int64, hashState []byte, at time.Time) error {
	return tx.change(ctx, `UPDATE uploads SET received = ?, hash_state = ?, touched_at = ? WHERE id = ?`,
		received, hashState, millis(at), id)
}

// FinishUpload notes that an upload has become an image.
func (tx *Tx) FinishUpload(ctx context.Context, id string) error {
	return tx.change(ctx, `UPDATE uploads SET done = 1, received = size WHERE id = ?`, id)
}

// DeleteUpload forgets an upload.
func (tx *Tx) DeleteUpload(ctx context.Context, id string) error {
	return tx.change(ctx, `DELETE FROM uploads WHERE id = ?`, id)
}

// DeleteUploadBefore forgets an upload that nobody has touched since.
// [ErrNotFound] where somebody has.
func (tx *Tx) DeleteUploadBefore(ctx context.Context, id string, t time.Time) error {
	return tx.change(ctx, `DELETE FROM uploads WHERE id = ? AND touched_at < ?`, id, millis(t))
}
