package main

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"text/template"
)

//go:embed completion/*.tmpl
var completionTemplates embed.FS

// completionCommand prints what a shell needs for the commands of a server: a
// function that runs them, and what completes its words. The server knows what
// they are: it is asked each time.
type completionCommand struct {
	Shell     string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
	Name      string `default:"lab" env:"-" help:"What the commands are called by."`
	SSH       string `name:"ssh" env:"-" xor:"way" placeholder:"HOST" help:"They are run over ssh: HOST or USER@HOST, as your ssh configuration knows it."`
	Server    string `env:"-" xor:"way" placeholder:"URL" help:"They are run by a token, as provisioner --server URL does. Without --ssh and --server: NAME is a program or function of yours."`
	TokenFile string `env:"-" type:"path" placeholder:"FILE" help:"With --server: file that holds the token."`
	CAFile    string `name:"ca-file" env:"-" type:"path" placeholder:"FILE" help:"With --server: who signed its certificate."`
}

// Help is shown below the flags.
func (completionCommand) Help() string {
	return `In ~/.bashrc, ~/.zshrc and ~/.config/fish/config.fish:

    source <(provisioner completion bash --ssh HOST)
    source <(provisioner completion zsh --ssh HOST)
    provisioner completion fish --ssh HOST | source`
}

var completionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,31}$`)

func (c completionCommand) Run() error {
	switch {
	case !completionName.MatchString(c.Name):
		return errors.New("completion: a name has up to 32 letters, digits, `_` and `-`, and begins with a letter")
	case strings.HasPrefix(c.SSH, "-") || strings.ContainsFunc(c.SSH+c.Server, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("completion: %q is no host", c.SSH+c.Server)
	case c.Server == "" && c.TokenFile+c.CAFile != "":
		return errors.New("completion: --token-file and --ca-file are for --server")
	}
	var command []string
	if c.Server != "" {
		command = []string{"provisioner", "--server", c.Server}
		if c.TokenFile != "" {
			command = append(command, "--token-file", c.TokenFile)
		}
		if c.CAFile != "" {
			command = append(command, "--ca-file", c.CAFile)
		}
	}
	templates, err := template.New("").Funcs(template.FuncMap{"quote": quote, "quoteFish": quoteFish}).ParseFS(completionTemplates, "completion/*.tmpl")
	if err != nil {
		return err
	}
	return templates.ExecuteTemplate(os.Stdout, c.Shell+".tmpl", struct {
		Name, SSH string
		Command   []string // nil: NAME is there already
	}{c.Name, c.SSH, command})
}

// quote makes one word of text for bash and zsh.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// quoteFish does for fish, which knows \' and \\ in single quotes.
func quoteFish(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
