package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	gossh "golang.org/x/crypto/ssh"

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

type userCommand struct {
	Add userAddCommand `cmd:"" help:"Make an account, or enrol a key for one."`
}

type userAddCommand struct {
	data
	Name  string `arg:"" help:"What is typed before the @ of ssh."`
	Admin bool   `help:"The user answers for everybody's machines."`
	Key   string `help:"File of the ssh public key, such as id_ed25519.pub. A dash: standard input." type:"path"`
}

func (c *userAddCommand) Run(ctx context.Context) error {
	var key *lab.PublicKey
	if c.Key != "" {
		text, err := readFile(c.Key, 64<<10)
		if err != nil {
			return fmt.Errorf("read the public key: %w", err)
		}
		parsed, comment, _, _, err := gossh.ParseAuthorizedKey(text)
		if err != nil {
			return fmt.Errorf("%s holds no ssh public key: give the file that ends in .pub", c.Key)
		}
		key = &lab.PublicKey{
			Fingerprint: gossh.FingerprintSHA256(parsed),
			Authorized:  strings.TrimSpace(string(gossh.MarshalAuthorizedKey(parsed))),
			Comment:     comment,
		}
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.AddUser(ctx, lab.Local, c.Name, c.Admin, key) })
}

type tokenCommand struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token and print it. It is shown this once."`
}

type tokenCreateCommand struct {
	data
	User string `required:"" help:"Whose token it is."`
	Name string `help:"What it is for."`
}

func (c *tokenCreateCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		token, err := l.CreateToken(ctx, lab.Local, lab.NewToken{User: c.User, Name: c.Name})
		if err != nil {
			return err
		}
		_, err = fmt.Println(token)
		return err
	})
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
