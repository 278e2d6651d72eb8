package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

type userCommand struct {
	List userListCommand `cmd:"" default:"withargs" help:"Accounts, and what they hold."`
	Add  userAddCommand  `cmd:"" help:"Make an account, or enrol a key for one."`
	Set  userSetCommand  `cmd:"" help:"Change an account."`
	Rm   userRmCommand   `cmd:"" help:"Forget an account with its keys and tokens. It must hold nothing; set --disabled keeps its history."`
}

type userListCommand struct{ data }

func (c *userListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		accounts, err := l.Users(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "NAME\tROLE\tKEYS\tTOKENS\tLAST USED\tMACHINES")
		for _, a := range accounts {
			role := string(a.Role)
			if a.Disabled {
				role += " (disabled)"
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\t%s\n", a.Name, role, a.Keys, a.Tokens, day(a.UsedAt, "never"), listed(a.Machines))
		}
		return table.Flush()
	})
}

// day is a date in a table.
func day(t time.Time, otherwise string) string {
	if t.IsZero() {
		return otherwise
	}
	return t.Local().Format(time.DateOnly)
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
		parsed, err := readPublicKey(c.Key)
		if err != nil {
			return err
		}
		key = &parsed
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.AddUser(ctx, lab.Local, c.Name, c.Admin, key) })
}

type userSetCommand struct {
	data
	Name     string `arg:"" help:"Name of the account."`
	Rename   string `placeholder:"NAME" help:"What it is called from now on."`
	Admin    *bool  `negatable:"" help:"It answers for everybody's machines, or does not any more."`
	Disabled *bool  `negatable:"" help:"Nobody comes in with its keys and tokens. It keeps what it holds."`
}

func (c *userSetCommand) Run(ctx context.Context) error {
	if c.Rename == "" && c.Admin == nil && c.Disabled == nil {
		return errors.New("user set: say what; --help lists it")
	}
	change := lab.UserChange{Disabled: c.Disabled}
	if c.Rename != "" {
		change.Name = &c.Rename
	}
	if c.Admin != nil {
		role := store.RoleUser
		if *c.Admin {
			role = store.RoleAdmin
		}
		change.Role = &role
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.ChangeUser(ctx, lab.Local, c.Name, change) })
}

type userRmCommand struct {
	data
	Name string `arg:"" help:"Name of the account."`
}

func (c *userRmCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemoveUser(ctx, lab.Local, c.Name) })
}

type keyCommand struct {
	List keyListCommand `cmd:"" default:"withargs" help:"The ssh keys of an account."`
	Add  keyAddCommand  `cmd:"" help:"Enrol a key for an account."`
	Rm   keyRmCommand   `cmd:"" help:"Take a key from an account. Who came in with it is sent away."`
}

type keyListCommand struct {
	data
	User string `arg:"" help:"Name of the account."`
}

func (c *keyListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		keys, err := l.Keys(ctx, lab.Local, c.User)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "FINGERPRINT\tADDED\tLAST USED\tCOMMENT")
		for _, k := range keys {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", k.Fingerprint, day(k.CreatedAt, "-"), day(k.UsedAt, "never"), k.Comment)
		}
		return table.Flush()
	})
}

type keyAddCommand struct {
	data
	User string `arg:"" help:"Name of the account."`
	File string `arg:"" help:"File of the public key, such as id_ed25519.pub. A dash: standard input." type:"path"`
}

func (c *keyAddCommand) Run(ctx context.Context) error {
	key, err := readPublicKey(c.File)
	if err != nil {
		return err
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.AddKey(ctx, lab.Local, c.User, key) })
}

type keyRmCommand struct {
	data
	User        string `arg:"" help:"Name of the account."`
	Fingerprint string `arg:"" help:"Of the key, as key list shows it: SHA256:..."`
}

func (c *keyRmCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemoveKey(ctx, lab.Local, c.User, c.Fingerprint) })
}

// readPublicKey reads an ssh public key, as ssh-keygen writes it.
func readPublicKey(path string) (lab.PublicKey, error) {
	text, err := readFile(path, 64<<10)
	if err != nil {
		return lab.PublicKey{}, fmt.Errorf("read the public key: %w", err)
	}
	key, err := lab.ParsePublicKey(text)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return key, err
}
