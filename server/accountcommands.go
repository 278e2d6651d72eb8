package server

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

type tokenCommand struct {
	List   tokenListCommand   `cmd:"" default:"withargs" help:"Tokens, without what they are recognized by."`
	Create tokenCreateCommand `cmd:"" help:"Make a token and print it. It is shown this once."`
	Revoke tokenRevokeCommand `cmd:"" help:"End a token. What goes on with it ends, too."`
}

// jsonToken is a token as scripts see it. Its keys stay as they are.
type jsonToken struct {
	ID        int64      `json:"id"`
	User      string     `json:"user"`
	Name      string     `json:"name"`
	Scope     string     `json:"scope"`    // read, operate, admin
	Machines  string     `json:"machines"` // a query; empty: all
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"` // null: never
	UsedAt    *time.Time `json:"used_at"`    // null: never; by the minute
}

func toJSONToken(t store.Token) jsonToken {
	return jsonToken{
		ID: t.ID, User: t.User, Name: t.Name, Scope: string(t.Scope), Machines: t.MachineFilter, CreatedAt: t.CreatedAt,
		ExpiresAt: optional(t.ExpiresAt), UsedAt: optional(t.UsedAt),
	}
}

type tokenListCommand struct {
	User string `complete:"users" xor:"whose" placeholder:"NAME" help:"Those of that account (admins). Left out: yours."`
	All  bool   `xor:"whose" help:"Those of all accounts (admins)."`
	JSON bool   `help:"As a JSON array."`
}

func (c tokenListCommand) Run(in *invocation) error {
	user := cmp.Or(c.User, in.actor.User.Name)
	if c.All {
		user = ""
	}
	tokens, err := in.lab.Tokens(in.ctx, in.actor, user)
	if err != nil {
		return err
	}
	if c.JSON {
		rows := make([]jsonToken, len(tokens))
		for i, t := range tokens {
			rows[i] = toJSONToken(t)
		}
		return in.print(true, rows, "")
	}
	table := in.table("ID\tUSER\tSCOPE\tMACHINES\tEXPIRES\tLAST USED\tNAME")
	for _, t := range tokens {
		table.row(strconv.FormatInt(t.ID, 10), t.User, string(t.Scope), cmp.Or(t.MachineFilter, "all"),
			momentOr(t.ExpiresAt, "never"), momentOr(t.UsedAt, "never"), t.Name)
	}
	return table.Flush()
}

// momentOr is moment, or what there is instead of one.
func momentOr(t time.Time, instead string) string {
	if t.IsZero() {
		return instead
	}
	return moment(t)
}

type tokenCreateCommand struct {
	Name     string  `arg:"" optional:"" help:"What it is for."`
	Scope    string  `default:"operate" enum:"read,operate,admin" help:"read: look. operate: also take machines and work with them. admin: all that its user may."`
	Machines string  `placeholder:"QUERY" help:"For which machines only, by name, id, arch and subarch, such as '(= arch \"arm64\")'. Left out: all."`
	Expires  lasting `placeholder:"TIME" help:"After how long: 8h, 90d. Left out: never."`
	User     string  `complete:"users" placeholder:"NAME" help:"Whose token it is (admins). Left out: yours."`
	JSON     bool    `help:"As JSON."`
}

func (c tokenCreateCommand) Run(in *invocation) error {
	token := lab.NewToken{
		User: cmp.Or(c.User, in.actor.User.Name), Name: c.Name, Scope: store.TokenScope(c.Scope), Machines: c.Machines,
	}
	if c.Expires != 0 {
		token.Expires = time.Now().Add(time.Duration(c.Expires))
	}
	text, err := in.lab.CreateToken(in.ctx, in.actor, token)
	if err != nil {
		return err
	}
	if c.JSON {
		return in.print(true, map[string]any{
			"token": text, "user": token.User, "name": token.Name, "scope": c.Scope, "machines": token.Machines,
			"expires_at": optional(token.Expires),
		}, "")
	}
	in.note("this is shown once: keep it where only you and your program can read it")
	return in.print(false, nil, text)
}

type tokenRevokeCommand struct {
	ID   int64 `arg:"" name:"id" help:"Number of the token: token list has it."`
	JSON bool  `help:"As JSON."`
}

func (c tokenRevokeCommand) Run(in *invocation) error {
	if err := in.lab.RevokeToken(in.ctx, in.actor, c.ID); err != nil {
		return err
	}
	return in.print(c.JSON, map[string]int64{"id": c.ID}, fmt.Sprintf("token %d is revoked", c.ID))
}

type keyCommand struct {
	List keyListCommand `cmd:"" default:"withargs" help:"The keys with which you log in."`
	Add  keyAddCommand  `cmd:"" help:"Enrol another key: ssh HOST key add <id_ed25519.pub"`
	Rm   keyRmCommand   `cmd:"" help:"Take a key away. Who is logged in with it is logged out."`
}

// jsonKey is an ssh key as scripts see it. Its keys stay as they are.
type jsonKey struct {
	Fingerprint string     `json:"fingerprint"` // SHA256:...
	PublicKey   string     `json:"public_key"`
	Comment     string     `json:"comment"`
	CreatedAt   time.Time  `json:"created_at"`
	UsedAt      *time.Time `json:"used_at"` // null: never
}

type keyListCommand struct {
	User string `complete:"users" placeholder:"NAME" help:"Those of that account (admins). Left out: yours."`
	JSON bool   `help:"As a JSON array."`
}

func (c keyListCommand) Run(in *invocation) error {
	keys, err := in.lab.Keys(in.ctx, in.actor, cmp.Or(c.User, in.actor.User.Name))
	if err != nil {
		return err
	}
	if c.JSON {
		rows := make([]jsonKey, len(keys))
		for i, k := range keys {
			rows[i] = jsonKey{k.Fingerprint, k.PublicKey, k.Comment, k.CreatedAt, optional(k.UsedAt)}
		}
		return in.print(true, rows, "")
	}
	table := in.table("FINGERPRINT\tTYPE\tADDED\tLAST USED\tCOMMENT")
	for _, k := range keys {
		kind, _, _ := strings.Cut(k.PublicKey, " ")
		table.row(k.Fingerprint, kind, moment(k.CreatedAt), momentOr(k.UsedAt, "never"), k.Comment)
	}
	return table.Flush()
}

// maxKey bounds what is read for a public key, in bytes. RSA's largest has 3 KiB.
const maxKey = 64 << 10

type keyAddCommand struct {
	Key  []string `arg:"" optional:"" help:"The key, as the file has it that ends in .pub. Left out: it comes on standard input."`
	User string   `complete:"users" placeholder:"NAME" help:"For that account (admins). Left out: yours."`
	JSON bool     `help:"As JSON."`
}

func (c keyAddCommand) Run(in *invocation) error {
	text := []byte(strings.Join(c.Key, " "))
	if len(text) == 0 {
		if in.terminal != nil {
			return &lab.Error{Code: lab.Invalid, Message: "send the key on standard input: ssh HOST key add <id_ed25519.pub"}
		}
		var err error
		if text, err = io.ReadAll(io.LimitReader(in.input(), maxKey)); err != nil {
			return &lab.Error{Code: lab.Unavailable, Message: "read the key: " + err.Error(), Err: err}
		}
	}
	key, err := lab.ParsePublicKey(text)
	if err != nil {
		return err
	}
	user := cmp.Or(c.User, in.actor.User.Name)
	if err := in.lab.AddKey(in.ctx, in.actor, user, key); err != nil {
		return err
	}
	return in.print(c.JSON, map[string]string{"user": user, "fingerprint": key.Fingerprint, "comment": key.Comment},
		key.Fingerprint+" is enrolled for "+user)
}

type keyRmCommand struct {
	Fingerprint string `arg:"" help:"Of the key, as key list has it: SHA256:..."`
	User        string `complete:"users" placeholder:"NAME" help:"Of that account (admins). Left out: yours."`
	JSON        bool   `help:"As JSON."`
}

func (c keyRmCommand) Run(in *invocation) error {
	user := cmp.Or(c.User, in.actor.User.Name)
	if err := in.lab.RemoveKey(in.ctx, in.actor, user, c.Fingerprint); err != nil {
		return err
	}
	return in.print(c.JSON, map[string]string{"user": user, "fingerprint": c.Fingerprint}, c.Fingerprint+" is taken from "+user)
}
