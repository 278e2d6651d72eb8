// Package storetest gives tests databases of their own, fast.
package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"provisioner/store"
)

// fresh is a new database's file. To migrate one for each test takes longer
// than most tests.
var fresh = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "storetest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "fresh.db")
	db, err := store.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// Open is [store.Open], but for the time that it takes.
func Open(ctx context.Context, path string) (*store.DB, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		file, err := fresh()
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, file, 0o600); err != nil {
			return nil, err
		}
	}
	return store.Open(ctx, path)
}
