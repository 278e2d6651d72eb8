package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

func TestPatternsOverSSH(t *testing.T) {
	p := start(t)
	keys := map[string]gossh.Signer{"ada": p.enrolled("ada", false), "root": p.enrolled("root", true)}
	for _, step := range []struct {
		user    string
		command string
		code    int
		out     string // contained in the output
		notes   string // contained in the notes
	}{
		{"ada", "patterns", 0, "NAME             EXPRESSION\nkernel panic     (built in) the end of Linux", ""},
		{"ada", "patterns add raid degraded", 4, "", "only an admin may"},
		{"ada", "patterns remove raid", 4, "", "only an admin may"},
		{"root", `patterns add "disk failure" "md\\d+: .*degraded"`, 0, "disk failure is looked for on every console\n", ""},
		{"root", "patterns add 'Disk Failure' x", 5, "", "there is a pattern of that name already: remove it first"},
		{"root", "patterns add x 'a**'", 2, "", "invalid nested repetition operator at character 2: `**`"},
		{"root", "patterns add oom 'Out of memory' --json", 0, `"expression": "Out of memory"`, ""},
		{"ada", "patterns list", 0, "\ndisk failure     md\\d+: .*degraded\noom              Out of memory\n", ""},
		{"ada", "patterns --json", 0, `"name": "oom"`, ""},
		{"root", "patterns remove oom", 0, "oom is looked for no more\n", ""},
		{"root", "patterns remove oom", 3, "", `there is no pattern of this site's own "oom"`},
		{"ada", "help", 0, "patterns", ""},
	} {
		r := p.run(step.user, keys[step.user], step.command, "")
		if r.code != step.code || !strings.Contains(r.out, step.out) || !strings.Contains(r.notes, step.notes) {
			t.Errorf("%s: %s: %+v", step.user, step.command, r)
		}
	}
	var rows []struct {
		Name, Expression, Finds string
		BuiltIn                 bool `json:"built_in"`
	}
	r := p.run("ada", keys["ada"], "patterns list --json", "")
	if err := json.Unmarshal([]byte(r.out), &rows); err != nil || len(rows) < 2 {
		t.Fatalf("%v in %s", err, r.out)
	}
	if last := rows[len(rows)-1]; !rows[0].BuiltIn || rows[0].Finds == "" || last.BuiltIn || last.Name != "disk failure" || last.Expression != `md\d+: .*degraded` {
		t.Errorf("patterns: %+v", rows)
	}
}
