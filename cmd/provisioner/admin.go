package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"provisioner/lab"
)

// local opens the lab on a data folder, beside a server that may run on it,
// for one command of whoever may write that folder.
func (d data) local(ctx context.Context, fn func(*lab.Lab) error) (err error) {
	return d.localAt(ctx, nil, fn)
}

// localAt is local with the base of the addresses that machines are given.
func (d data) localAt(ctx context.Context, publicURL *url.URL, fn func(*lab.Lab) error) (err error) {
	db, _, err := openData(ctx, d.Data, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	l, err := lab.New(lab.Config{Store: db, DataDir: d.Data, PublicURL: publicURL})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return fn(l)
}

// readFile reads a file, or standard input for a dash, of at most limit bytes.
func readFile(path string, limit int64) (content []byte, err error) {
	file := os.Stdin
	if path != "-" {
		if file, err = os.Open(path); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
	}
	content, err = io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return content, err
}

// readSecret reads a secret that a file holds as its only line. what names it
// in the error.
func readSecret(path, what string) (string, error) {
	text, err := readFile(path, 1<<10)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}
