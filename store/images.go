package store

import (
	"context"
	"database/sql"
	"time"
)

// ImageType is what an image is good for.
type ImageType string

const (
	ImageKernel     ImageType = "kernel"
	ImageInitrd     ImageType = "initrd"
	ImageBootloader ImageType = "bootloader"
)

// Image is a file that machines load. Its content lies beside the database,
// under its SHA-256.
type Image struct {
	ID          int64
	Name        string
	Description string
	Type        ImageType
	Arch        string
	Filename    string
	SHA256      string // in hexadecimal
	Size        int64  // in bytes
	UserID      int64  // who uploaded it; 0: nobody who still is
	KnownGood   bool
	Public      bool
	UploadedAt  time.Time
}

const selectImage = `SELECT images.id, images.name, images.description, images.type, architectures.name,
	images.filename, images.sha256, images.size, images.user_id, images.known_good, images.public, images.uploaded_at
	FROM images JOIN architectures ON architectures.id = images.arch_id `

func scanImage(r row) (i Image, err error) {
	var user sql.NullInt64
	err = r.Scan(&i.ID, &i.Name, &i.Description, &i.Type, &i.Arch, &i.Filename, &i.SHA256, &i.Size,
		&user, &i.KnownGood, &i.Public, moment{&i.UploadedAt})
	i.UserID = user.Int64
	return i, err
}

// Images returns all images by name.
func (tx *Tx) Images(ctx context.Context) ([]Image, error) {
	return all(ctx, tx, scanImage, selectImage+`ORDER BY images.name`)
}

// Image returns an image.
func (tx *Tx) Image(ctx context.Context, id int64) (Image, error) {
	return one(ctx, tx, scanImage, selectImage+`WHERE images.id = ?`, id)
}

// ImageByName returns the image of that name, without regard to case.
func (tx *Tx) ImageByName(ctx context.Context, name string) (Image, error) {
	return one(ctx, tx, scanImage, selectImage+`WHERE images.name = ?`, name)
}

// ImagesWithContent counts the images that share one file on disk.
func (tx *Tx) ImagesWithContent(ctx context.Context, sha256 string) (n int, err error) {
	err = tx.tx.QueryRowContext(ctx, `SELECT count(*) FROM images WHERE sha256 = ?`, sha256).Scan(&n)
	return n, plain(err)
}

// AddImage keeps a new image and returns its id. [ErrExists] where the name is
// taken, [ErrNotFound] where there is no such architecture.
func (tx *Tx) AddImage(ctx context.Context, i Image) (int64, error) {
	arch, err := one(ctx, tx, func(r row) (id int64, err error) { return id, r.Scan(&id) },
		`SELECT id FROM architectures WHERE name = ?`, i.Arch)
	if err != nil {
		return 0, err
	}
	return tx.insert(ctx, `INSERT INTO images (name, description, type, arch_id, filename, sha256, size,
		user_id, known_good, public, uploaded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.Name, i.Description, i.Type, arch, i.Filename, i.SHA256, i.Size, optionalID(i.UserID),
		i.KnownGood, i.Public, millis(i.UploadedAt))
}
