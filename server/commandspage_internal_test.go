package server

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"provisioner/lab"
)

const commandsPage = "../docs/commands.md"

var update = flag.Bool("update", false, "write docs/commands.md anew")

// TestCommandsPageIsFresh checks docs/commands.md against the grammar; with
// -update it writes the page.
func TestCommandsPageIsFresh(t *testing.T) {
	page := writeCommandsPage(t)
	if *update {
		if err := os.WriteFile(commandsPage, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(commandsPage)
	if err != nil || !bytes.Equal(kept, page) {
		t.Errorf("docs/commands.md is stale (%v): run go test ./server -run TestCommandsPage -update", err)
	}
}

// codes says what each exit code means.
var codes = map[lab.Code]string{
	lab.Internal:    "something went wrong that nobody foresaw; the server's log has it",
	lab.Invalid:     "the command can never succeed as it is",
	lab.NotFound:    "there is no such thing, or it is not for you to see",
	lab.Denied:      "you may not",
	lab.Conflict:    "something is in the way, such as somebody who holds the machine",
	lab.Unavailable: "something that is needed does not work now, such as a BMC that does not answer; later, it may",
}

func writeCommandsPage(t *testing.T) []byte {
	var page bytes.Buffer
	page.WriteString(`# Commands

What ` + "`ssh provisioner COMMAND`" + ` understands. This page is made from the grammar: ` + "`go test ./server -run TestCommandsPage -update`" + `.

    ssh lab list --query '"(and (= arch arm64) (= assignee_count 0))"'   # quoted twice: for your shell, and for the server
    ssh lab reserve --query '"(= arch arm64)"' --wait --for 4h --json
    ssh lab provision web-01 --kernel linux-6.12 --initrd debian-12-initrd --preseed debian-12 --wait
    ssh lab log web-01 --event provision --format text >boot.log
    ssh lab release web-01

What a command found out is on standard output, and everything else on standard error: what it is waiting for, what it was not asked for, and errors. Columns and sentences are for people and may change;
` + "`--json`" + ` is for programs: its keys stay, and new ones may come. Times are RFC 3339, a list is an array, and empty where there is nothing. An empty argument does not
come through ssh: write ` + "`--reason=`" + `, not ` + "`--reason ''`" + `.

| exit code | |
|---|---|
| 0 | done |
`)
	ordered := make([]lab.Code, 0, len(exitCode))
	for code := range exitCode {
		ordered = append(ordered, code)
	}
	slices.SortFunc(ordered, func(a, b lab.Code) int { return exitCode[a] - exitCode[b] })
	for _, code := range ordered {
		if codes[code] == "" {
			t.Errorf("no description of %s", code)
		}
		fmt.Fprintf(&page, "| %d | %s: %s |\n", exitCode[code], code, codes[code])
	}
	fmt.Fprintf(&page, "| %d | an installation that was waited for has failed, or was cancelled |\n| 255 | ssh itself: the server is not there, or your key is not enrolled |\n", exitRunFailed)
	for _, command := range leaves(t) {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n    %s\n", command.Path(), sentence(command.Help), usage(command))
		var rows []string
		for _, v := range command.Positional {
			rows = append(rows, fmt.Sprintf("| `%s` | %s |", strings.ToUpper(v.Name), cell(v.Help)))
		}
		for _, group := range command.AllFlags(true) {
			for _, f := range group {
				if f.Name != "help" {
					rows = append(rows, fmt.Sprintf("| %s | %s |", flagCell(f), cell(f.Help)))
				}
			}
		}
		if len(rows) > 0 {
			page.WriteString("\n| | |\n|---|---|\n" + strings.Join(rows, "\n") + "\n")
		}
		if flagNamed(command, "--json") != nil {
			fmt.Fprintf(&page, "\nJSON: %s.\n", answerOf(t, command.Path()))
		}
	}
	return page.Bytes()
}

// leaves are all commands that do something, in the order of the grammar.
func leaves(t *testing.T) []*kong.Node {
	parser, err := newParser(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Leaves(true)
}

func usage(command *kong.Node) string {
	line := "ssh lab " + command.Path()
	for _, v := range command.Positional {
		name := strings.ToUpper(v.Name)
		if v.IsCumulative() {
			name += " ..."
		}
		if !v.Required {
			name = "[" + name + "]"
		}
		line += " " + name
	}
	for _, group := range command.AllFlags(true) {
		for _, f := range group {
			switch {
			case f.Name == "help":
			case f.Required:
				line += " --" + f.Name + " " + strings.ToUpper(f.FormatPlaceHolder())
			}
		}
	}
	return line
}

func flagCell(f *kong.Flag) string {
	text := "`--" + f.Name + "`"
	switch {
	case f.Tag.Negatable != "":
		text += ", `--no-" + f.Name + "`"
	case !f.IsBool():
		text = "`--" + f.Name + " " + strings.ToUpper(strings.Trim(f.FormatPlaceHolder(), `"`)) + "`"
	}
	if f.Short != 0 {
		text = "`-" + string(f.Short) + "`, " + text
	}
	return text
}

func sentence(help string) string { return strings.ReplaceAll(help, "*", `\*`) }

func cell(help string) string { return strings.ReplaceAll(sentence(help), "|", `\|`) }
