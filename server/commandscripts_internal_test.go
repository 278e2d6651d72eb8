package server

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryCommandIsTriedWithOpenSSH checks that the scripts, which run what
// people run, leave no command out, with --json and without.
func TestEveryCommandIsTriedWithOpenSSH(t *testing.T) {
	var scripts strings.Builder
	folder := os.DirFS("../cmd/provisioner/testdata/script")
	names, err := fs.Glob(folder, "*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("%v in %v", err, names)
	}
	for _, name := range names {
		text, err := fs.ReadFile(folder, filepath.Base(name))
		if err != nil {
			t.Fatal(err)
		}
		scripts.Write(text)
	}
	for _, command := range leaves(t) {
		path := strings.Join(strings.Fields(command.Path()), " ")
		if parent := command.Parent; parent.DefaultCmd == command {
			path = strings.TrimSuffix(path, " "+command.Name) + "( " + command.Name + ")?"
		}
		line := `(?m)ssh .*\blab ` + path + `\b`
		if !regexp.MustCompile(line).MatchString(scripts.String()) {
			t.Errorf("no script runs %s", command.Path())
		}
		if flagNamed(command, "--json") == nil {
			continue
		}
		if !regexp.MustCompile(line + `.* --json\b`).MatchString(scripts.String()) {
			t.Errorf("no script runs %s --json", command.Path())
		}
	}
}
