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
	Owner       string // the name of that user
	KnownGood   bool
	Public      bool
	UploadedAt  time.Time
}

const selectImage = `SELECT images.id, images.name, images.description, images.type, architectures.name,
	images.filename, images.sha256, images.size, images.user_id, coalesce(users.name, ''),
	images.known_good, images.public, images.uploaded_at
	FROM images JOIN architectures ON architectures.id = images.arch_id
	LEFT JOIN users ON users.id = images.user_id `

func scanImage(r row) (i Image, err error) {
	var user sql.NullInt64
	err = r.Scan(&i.ID, &i.Name, &i.Description, &i.Type, &i.Arch, &i.Filename, &i.SHA256, &i.Size,
		&user, &i.Owner, &i.KnownGood, &i.Public, moment{&i.UploadedAt})
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
	arch, err := tx.archID(ctx, i.Arch)
	if err != nil {
		return 0, err
	}
	return tx.insert(ctx, `INSERT INTO images (name, description, type, arch_id, filename, sha256, size,
		user_id, known_good, public, uploaded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.Name, i.Description, i.Type, arch, i.Filename, i.SHA256, i.Size, optionalID(i.UserID),
		i.KnownGood, i.Public, millis(i.UploadedAt))
}

// UpdateImage keeps what people may change of an image: its name and file
// name, description, type, architecture, and whether it is known good and
// public. [ErrExists] where the name is taken, [ErrNotFound] where there is no
// such architecture.
func (tx *Tx) UpdateImage(ctx context.Context, i Image) error {
	arch, err := tx.archID(ctx, i.Arch)
	if err != nil {
		return err
	}
	return tx.change(ctx, `UPDATE images SET name = ?, filename = ?, description = ?, type = ?, arch_id = ?,
		known_good = ?, public = ? WHERE id = ?`,
		i.Name, i.Filename, i.Description, i.Type, arch, i.KnownGood, i.Public, i.ID)
}

// DeleteImage forgets an image. [ErrInUse] where a machine or a
// subarchitecture refers to it.
func (tx *Tx) DeleteImage(ctx context.Context, id int64) error {
	return tx.change(ctx, `DELETE FROM images WHERE id = ?`, id)
}

// ImageUse is what refers to an image, each by name and in order.
type ImageUse struct {
	Running  []string // machines that a run is installing with it now
	Machines []string // machines whose last choice it was, without those
	Subarchs []string // arch/subarch that it is the bootloader of
}

// None reports whether nothing refers to the image.
func (u ImageUse) None() bool { return len(u.Running)+len(u.Machines)+len(u.Subarchs) == 0 }

// ImageUse returns what refers to an image.
func (tx *Tx) ImageUse(ctx context.Context, id int64) (use ImageUse, err error) {
	name := func(r row) (s string, err error) {
		err = r.Scan(&s)
		return s, err
	}
	use.Running, err = all(ctx, tx, name, `SELECT machines.name FROM runs JOIN machines ON machines.id = runs.machine_id
		WHERE runs.state = 'running' AND ?1 IN (runs.kernel_id, runs.initrd_id) ORDER BY machines.name`, id)
	if err != nil {
		return use, err
	}
	use.Machines, err = all(ctx, tx, name, `SELECT name FROM machines WHERE (kernel_id = ?1 OR initrd_id = ?1) AND NOT EXISTS (
		SELECT 1 FROM runs WHERE runs.machine_id = machines.id AND runs.state = 'running' AND ?1 IN (runs.kernel_id, runs.initrd_id)
		) ORDER BY name`, id)
	if err != nil {
		return use, err
	}
	use.Subarchs, err = all(ctx, tx, name, `SELECT architectures.name || '/' || subarchitectures.name FROM subarchitectures
		JOIN architectures ON architectures.id = subarchitectures.arch_id WHERE bootloader_id = ?1
		OR subarchitectures.id IN (SELECT subarch_id FROM bootloader_files WHERE image_id = ?1) ORDER BY 1`, id)
	return use, err
}

// ForgetChoice makes machines forget that they were last installed with an image.
func (tx *Tx) ForgetChoice(ctx context.Context, imageID int64) error {
	_, err := tx.tx.ExecContext(ctx, `UPDATE machines SET kernel_id = nullif(kernel_id, ?1), initrd_id = nullif(initrd_id, ?1)
		WHERE kernel_id = ?1 OR initrd_id = ?1`, imageID)
	return plain(err)
}
