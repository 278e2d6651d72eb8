package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

// maxPath bounds a file name, in bytes. A TFTP request holds 512 (RFC 1350 §5).
const maxPath = 255

// CleanPath turns the file name of a boot request into a relative path with
// forward slashes: leading slashes are dropped, the backslashes of old boot
// ROMs are slashes, empty and "." elements vanish. It refuses what can name no
// boot file: nothing, more than 255 bytes, NUL, bytes that are not UTF-8, and
// "..", even where it would stay inside.
//
// The error is [fs.ErrPermission], as are those of OpenInRoot about what is no
// boot file.
func CleanPath(name string) (string, error) {
	switch {
	case len(name) > maxPath:
		return "", denied("file name of %d bytes: at most %d are possible", len(name), maxPath)
	case strings.ContainsRune(name, 0):
		return "", denied("file name %q contains NUL", name)
	case !utf8.ValidString(name):
		return "", denied("file name %q is not UTF-8", name)
	}
	elements := strings.Split(strings.ReplaceAll(name, `\`, "/"), "/")
	elements = slices.DeleteFunc(elements, func(e string) bool { return e == "" || e == "." })
	switch {
	case len(elements) == 0:
		return "", denied("file name is empty")
	case slices.Contains(elements, ".."):
		return "", denied("file name %q climbs with \"..\"", name)
	}
	return strings.Join(elements, "/"), nil
}

// OpenInRoot opens the regular file that a boot request names, below root. A
// symbolic link is followed as long as it stays below root. A file that is not
// there gives an error that is fs.ErrNotExist; a folder, a device, and anything
// outside root give errors of their own.
func OpenInRoot(root *os.Root, name string) (TFTPFile, error) {
	path, err := CleanPath(name)
	if err != nil {
		return nil, err
	}
	// O_NONBLOCK: a FIFO without a writer would hold the transfer for ever.
	file, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	var system syscall.Errno
	switch {
	case errors.As(err, &system) && system != syscall.ENOTDIR && system != syscall.ELOOP:
		return nil, err // not there, not ours to read, or too many are open
	case err != nil:
		return nil, denied("%w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = denied("%s is not a regular file", path)
	}
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return &rootFile{File: file, size: info.Size()}, nil
}

// denied is an error about a name that is not served.
func denied(format string, args ...any) error { return deniedError{fmt.Errorf(format, args...)} }

type deniedError struct{ error }

func (e deniedError) Unwrap() error { return e.error }

// Is makes it an access violation, whatever it wraps.
func (deniedError) Is(target error) bool { return target == fs.ErrPermission }

type rootFile struct {
	*os.File
	size int64
}

func (f *rootFile) Size() int64 { return f.size }

// OnDisk returns the file that f reads from; nil where f is not of
// [OpenInRoot]. The kernel can copy it to a socket by itself.
func OnDisk(f TFTPFile) *os.File {
	if file, ok := f.(*rootFile); ok {
		return file.File
	}
	return nil
}
