package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/crypto/ssh"

	"provisioner/lab"
	"provisioner/store"
)

// User is an account in answers.
type User struct {
	ID       int64    `json:"id"`
	Name     string   `json:"name"`
	Role     string   `json:"role" enum:"user,admin"`
	Disabled bool     `json:"disabled" doc:"It may not log in, nor may its tokens"`
	Machines []string `json:"machines" doc:"That it holds"`
	Keys     int      `json:"keys" doc:"How many; 0 where that is not yours to know"`
	Tokens   int      `json:"tokens" doc:"Likewise"`
	LastUsed *string  `json:"last_used" doc:"When a key or token of it was last used (RFC 3339); null: never, or not yours to know"`
	Created  *string  `json:"created"`
}

func toUser(u store.Account) User {
	return User{
		ID: u.ID, Name: u.Name, Role: string(u.Role), Disabled: u.Disabled, Machines: notNil(u.Machines), Keys: u.Keys, Tokens: u.Tokens,
		LastUsed: moment(u.UsedAt), Created: moment(u.CreatedAt),
	}
}

func (a *api) userOperations() {
	tags := []string{"users"}
	operation(a, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: "/user", Tags: tags,
		Summary: "List accounts",
	}, a.listUsers)
	operation(a, huma.Operation{
		OperationID: "add-user", Method: http.MethodPost, Path: "/user", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Add an account", Description: "Admins only.",
	}, a.addUser)
	operation(a, huma.Operation{
		OperationID: "get-user", Method: http.MethodGet, Path: "/user/{user}", Tags: tags,
		Summary: "Look at an account",
	}, a.getUser)
	operation(a, huma.Operation{
		OperationID: "change-user", Method: http.MethodPut, Path: "/user/{user}", Tags: tags,
		Summary:     "Rename, promote, demote or disable an account",
		Description: "Admins only. One admin always stays. Sessions of an account that may less than before end.",
	}, a.changeUser)
	operation(a, huma.Operation{
		OperationID: "remove-user", Method: http.MethodDelete, Path: "/user/{user}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary:     "Remove an account with its keys and tokens",
		Description: "Admins only. While it holds machines it stays: 409, which names them. Its images and preseeds stay, and are nobody's.",
	}, a.removeUser)
}

type listUsersInput struct {
	Filtering
	Paging
}

func (a *api) listUsers(ctx context.Context, actor lab.Actor, in *listUsersInput) (*list[User], error) {
	accounts, err := a.lab.Users(ctx, actor)
	if err != nil {
		return nil, err
	}
	users := make([]User, len(accounts))
	for i, u := range accounts {
		users[i] = toUser(u)
	}
	return listOf(users, in.Filtering, &in.Paging, func(u User) string { return byName(u.Name) })
}

// UserPath names an account in a path.
type UserPath struct {
	User string `path:"user" maxLength:"64" doc:"The account: its name, or self" example:"ada"`
}

// name is the name of the account.
func (p UserPath) name(actor lab.Actor) string {
	if p.User == "self" {
		return actor.User.Name
	}
	return p.User
}

type userAnswer struct{ Body User }

func (a *api) getUser(ctx context.Context, actor lab.Actor, in *UserPath) (*userAnswer, error) {
	return a.user(ctx, actor, in.name(actor))
}

func (a *api) user(ctx context.Context, actor lab.Actor, name string) (*userAnswer, error) {
	accounts, err := a.lab.Users(ctx, actor)
	if err != nil {
		return nil, err
	}
	for _, u := range accounts {
		if strings.EqualFold(u.Name, name) {
			return &userAnswer{toUser(u)}, nil
		}
	}
	return nil, missing("user", name)
}

type addUserInput struct {
	Body struct {
		_    struct{}         `additionalProperties:"true"`
		Name string           `json:"name" maxLength:"64"`
		Role string           `json:"role,omitempty" enum:"user,admin" default:"user"`
		Key  optional[string] `json:"key,omitempty" maxLength:"16384" doc:"An ssh public key, as ssh-keygen writes it"`
	}
}

func (a *api) addUser(ctx context.Context, actor lab.Actor, in *addUserInput) (*userAnswer, error) {
	var key *lab.PublicKey
	if in.Body.Key.value != nil {
		parsed, err := parseKey(*in.Body.Key.value)
		if err != nil {
			return nil, err
		}
		key = &parsed
	}
	isNew := lab.OnlyIf(ctx, func(ctx context.Context) error {
		_, err := a.user(ctx, actor, in.Body.Name)
		return unlessThere(err, "a user", in.Body.Name)
	})
	if err := a.lab.AddUser(isNew, actor, in.Body.Name, in.Body.Role == string(store.RoleAdmin), key); err != nil {
		return nil, err
	}
	return a.user(ctx, actor, in.Body.Name)
}

type changeUserInput struct {
	UserPath
	Body struct {
		_        struct{}      `additionalProperties:"true"`
		Name     given[string] `json:"name,omitempty" maxLength:"64"`
		Role     given[string] `json:"role,omitempty" enum:"user,admin"`
		Disabled given[bool]   `json:"disabled,omitempty"`
	}
}

func (a *api) changeUser(ctx context.Context, actor lab.Actor, in *changeUserInput) (*userAnswer, error) {
	name := in.name(actor)
	change := lab.UserChange{Name: in.Body.Name.value, Role: (*store.Role)(in.Body.Role.value), Disabled: in.Body.Disabled.value}
	if err := a.lab.ChangeUser(ctx, actor, name, change); err != nil {
		return nil, err
	}
	setGiven(&name, in.Body.Name)
	return a.user(ctx, actor, name)
}

func (a *api) removeUser(ctx context.Context, actor lab.Actor, in *UserPath) (*nothing, error) {
	return nil, a.lab.RemoveUser(ctx, actor, in.name(actor))
}

// Key is an ssh key in answers.
type Key struct {
	ID          int64   `json:"id"`
	Fingerprint string  `json:"fingerprint" doc:"SHA256:..., as ssh-keygen -l prints it"`
	Key         string  `json:"key" doc:"Type and base64, as in authorized_keys"`
	Comment     string  `json:"comment"`
	Created     *string `json:"created"`
	LastUsed    *string `json:"last_used" doc:"null: never"`
}

func (a *api) keyOperations() {
	tags := []string{"users"}
	operation(a, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: "/user/{user}/key", Tags: tags,
		Summary: "List the ssh keys of an account", Description: "Your own; admins, anybody's. It needs a token with the scope admin, as all that is about keys does.",
	}, a.listKeys)
	operation(a, huma.Operation{
		OperationID: "add-key", Method: http.MethodPost, Path: "/user/{user}/key", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Enrol an ssh key", Description: "For your own account; admins, for anybody's.",
	}, a.addKey)
	operation(a, huma.Operation{
		OperationID: "remove-key", Method: http.MethodDelete, Path: "/user/{user}/key/{key}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Take an ssh key from an account", Description: "From your own; admins, from anybody's. The last key of the last admin stays. Sessions with the key end.",
	}, a.removeKey)
}

type listKeysInput struct {
	UserPath
	Filtering
	Paging
}

func (a *api) listKeys(ctx context.Context, actor lab.Actor, in *listKeysInput) (*list[Key], error) {
	keys, err := a.keys(ctx, actor, in.name(actor))
	if err != nil {
		return nil, err
	}
	return listOf(keys, in.Filtering, &in.Paging, func(k Key) int64 { return k.ID })
}

func (a *api) keys(ctx context.Context, actor lab.Actor, user string) ([]Key, error) {
	rows, err := a.lab.Keys(ctx, actor, user)
	keys := make([]Key, len(rows))
	for i, k := range rows {
		keys[i] = Key{
			ID: k.ID, Fingerprint: k.Fingerprint, Key: k.PublicKey, Comment: k.Comment, Created: moment(k.CreatedAt), LastUsed: moment(k.UsedAt),
		}
	}
	return keys, err
}

type addKeyInput struct {
	UserPath
	Body struct {
		_   struct{} `additionalProperties:"true"`
		Key string   `json:"key" maxLength:"16384" doc:"As ssh-keygen writes it into the file that ends in .pub"`
	}
}

type keyAnswer struct{ Body Key }

func (a *api) addKey(ctx context.Context, actor lab.Actor, in *addKeyInput) (*keyAnswer, error) {
	key, err := parseKey(in.Body.Key)
	if err == nil {
		err = a.lab.AddKey(ctx, actor, in.name(actor), key)
	}
	if err != nil {
		return nil, err
	}
	keys, err := a.keys(ctx, actor, in.name(actor))
	for _, k := range keys {
		if k.Fingerprint == key.Fingerprint {
			return &keyAnswer{k}, nil
		}
	}
	if err == nil {
		err = missing("key", key.Fingerprint) // somebody has removed it again
	}
	return nil, err
}

// KeyPath names an ssh key of an account in a path.
type KeyPath struct {
	UserPath
	Key int64 `path:"key" doc:"The number of the key"`
}

func (a *api) removeKey(ctx context.Context, actor lab.Actor, in *KeyPath) (*nothing, error) {
	keys, err := a.keys(ctx, actor, in.name(actor))
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.ID == in.Key {
			return nil, a.lab.RemoveKey(ctx, actor, in.name(actor), k.Fingerprint)
		}
	}
	return nil, &lab.Error{Code: lab.NotFound, Message: in.name(actor) + " has no such key"}
}

// parseKey reads an ssh public key, as ssh-keygen writes it.
func parseKey(text string) (lab.PublicKey, error) {
	if strings.Contains(text, "PRIVATE KEY") {
		return lab.PublicKey{}, invalid("key: this is a private key, which nobody else should have seen: make another one, and give what is in its file that ends in .pub")
	}
	parsed, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		return lab.PublicKey{}, invalid("key: this is no ssh public key: give what is in the file that ends in .pub")
	}
	return lab.PublicKey{
		Fingerprint: ssh.FingerprintSHA256(parsed), Authorized: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(parsed))), Comment: comment,
	}, nil
}
