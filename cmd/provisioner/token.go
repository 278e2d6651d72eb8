package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

type tokenCommand struct {
	List   tokenListCommand   `cmd:"" default:"withargs" help:"Tokens, without what they are recognized by."`
	Create tokenCreateCommand `cmd:"" help:"Make a token and print it. It is shown this once."`
	Revoke tokenRevokeCommand `cmd:"" help:"End a token. What goes on with it ends, too."`
}

type tokenListCommand struct {
	data
	User string `placeholder:"NAME" help:"Those of one account. Left out: all."`
}

func (c *tokenListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		tokens, err := l.Tokens(ctx, lab.Local, c.User)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "ID\tUSER\tSCOPE\tMACHINES\tEXPIRES\tLAST USED\tNAME")
		for _, t := range tokens {
			machines := t.MachineFilter
			if machines == "" {
				machines = "all"
			}
			_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n",
				t.ID, t.User, t.Scope, machines, day(t.ExpiresAt, "never"), day(t.UsedAt, "never"), t.Name)
		}
		return table.Flush()
	})
}

type tokenCreateCommand struct {
	data
	User     string `required:"" help:"Whose token it is."`
	Name     string `help:"What it is for."`
	Scope    string `default:"operate" enum:"read,operate,admin" help:"read: look. operate: also take machines and work with them. admin: all that its user may."`
	Machines string `placeholder:"QUERY" help:"For which machines only, by name, id, arch and subarch, such as '(= arch \"arm64\")'. Left out: all."`
	Expires  span   `default:"none" placeholder:"TIME" help:"For how long: 8h, 90d, none."`
}

func (c *tokenCreateCommand) Run(ctx context.Context) error {
	token := lab.NewToken{User: c.User, Name: c.Name, Scope: store.TokenScope(c.Scope), Machines: c.Machines}
	if c.Expires != 0 {
		token.Expires = time.Now().Add(time.Duration(c.Expires))
	}
	return c.local(ctx, func(l *lab.Lab) error {
		text, err := l.CreateToken(ctx, lab.Local, token)
		if err != nil {
			return err
		}
		_, err = fmt.Println(text)
		return err
	})
}

type tokenRevokeCommand struct {
	data
	ID int64 `arg:"" name:"id" help:"Of the token, as token list shows it."`
}

func (c *tokenRevokeCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RevokeToken(ctx, lab.Local, c.ID) })
}
