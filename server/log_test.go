package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestLogIsSearchedCutAndExported(t *testing.T) {
	p := start(t)
	ada, grace := p.enrolled("ada", true), p.enrolled("grace", false)
	machine := <-p.bmc.opened
	c := p.console("ada", ada, false)
	const printed = "booting\r\n\x1b[31mKernel panic\x1b[0m - not syncing\r\n10 %\r20 %\r\nrebooting\r\nübung \xff\r\nlogin: "
	if _, err := io.WriteString(machine, printed); err != nil {
		t.Fatal(err)
	}
	expect(t, c.out, printed)
	const text = "booting\nKernel panic - not syncing\n20 %\nrebooting\nübung \uFFFD\nlogin: \n"
	for command, want := range map[string]string{
		"log web-01": printed,
		"log web-01 --since 1h --until 2999-01-01":           printed,
		"log web-01 --format raw --last 1":                   "login: ",
		"log web-01 --format text":                           text,
		"log web-01 --format text --last 2":                  "übung \uFFFD\nlogin: \n",
		"log web-01 --grep boot":                             "booting\nrebooting\n",
		"log web-01 --grep boot --last 4":                    "rebooting\n",
		"log web-01 --grep 'PANIC - n' -i":                   "Kernel panic - not syncing\n",
		"log web-01 --grep '^login: $' --context 1":          "übung \uFFFD\nlogin: \n",
		"log web-01 --grep '^booting|^login' --context 1":    "booting\nKernel panic - not syncing\n--\nübung \uFFFD\nlogin: \n",
		"log web-01 --grep 'booting|^20' --context 1":        "booting\nKernel panic - not syncing\n20 %\nrebooting\nübung \uFFFD\n",
		"log web-01 --event user-added":                      "",
		"log web-01 --event machine-added":                   printed,
		"log web-01 --until 2001-01-01":                      "",
		"log web-02 --format text":                           "",
		"log web-02 --format asciicast":                      `{"version":2,"width":80,"height":25,"idle_time_limit":2,"title":"web-02"}` + "\n",
		"log web-02 --format asciicast --idle 0s --since 1h": `{"version":2,"width":80,"height":25,"title":"web-02"}` + "\n",
		"replay web-01 --speed 1000":                         printed,
		"replay web-01 --event 'machine added' --idle 1ms":   printed,
		"replay web-02":                                      "",
		"log web-01 --grep nothing":                          "",
	} {
		r := p.run("ada", ada, command, "")
		code := 0
		if strings.HasSuffix(command, "nothing") || strings.HasSuffix(command, "user-added") {
			code = 3
		}
		if r.code != code || r.out != want {
			t.Errorf("%s: %+v, want %q", command, r, want)
		}
	}
	for command, want := range map[string]struct {
		code  int
		notes string
	}{
		"log web-01 --since yesterday":             {2, "--since yesterday: give how long ago"},
		"log web-01 --until -1h":                   {2, "--until"},
		"log web-01 --since 1h --until 2h":         {2, "is not after since"},
		"log web-01 --grep '(a'":                   {2, "missing closing )"},
		"log web-01 --grep 'ab**'":                 {2, "invalid nested repetition operator at character 3"},
		"log web-01 -i":                            {2, "go with --grep"},
		"log web-01 --context 1":                   {2, "go with --grep"},
		"log web-01 --grep a --context 100000":     {2, "from 0 to 1000"},
		"log web-01 --grep a --format raw":         {2, "write text, not raw"},
		"log web-01 --times --format asciicast":    {2, "write text, not asciicast"},
		"log web-01 --format pdf":                  {2, "must be one of"},
		"log web-01 --last=-1":                     {2, "1 or more"},
		"log web-01 --event earthquake":            {3, "machine added"},
		"log web-01 --idle=-1s --format asciicast": {2, "--idle"},
		"log web-01 --grep nothing":                {3, "no line of web-01 matches nothing"},
		"log web-02":                               {0, "web-02 printed nothing in that time"},
		"replay web-01 --speed 0":                  {2, "--speed"},
		"replay web-01 --speed NaN":                {2, "--speed"},
		"replay web-01 --idle=-1s":                 {2, "--idle"},
		"replay no-such":                           {3, "no-such"},
	} {
		if r := p.run("ada", ada, command, ""); r.code != want.code || !strings.Contains(r.notes, want.notes) {
			t.Errorf("%s: %+v, want %+v", command, r, want)
		}
	}
	for _, command := range []string{"log web-01 --format text", "log web-01 --event machine-added", "replay web-01"} {
		if r := p.run("grace", grace, command, ""); r.code != 4 || r.out != "" {
			t.Errorf("a stranger: %s: %+v", command, r)
		}
	}
	r := p.run("ada", ada, "log web-01 --times --grep boot", "")
	if match, err := regexp.MatchString(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d  booting\n`, r.out); err != nil || !match {
		t.Errorf("with times: %q", r.out)
	}
	cast := p.run("ada", ada, "log web-01 --format asciicast", "").out
	if got := castOutput(t, cast); got != strings.ReplaceAll(printed, "\xff", "\uFFFD") {
		t.Errorf("asciicast: %q", got)
	}
}

// castOutput returns what an asciicast prints.
func castOutput(t *testing.T, cast string) (output string) {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSpace(cast), "\n") {
		if i == 0 {
			var header struct{ Version, Timestamp int64 }
			if err := json.Unmarshal([]byte(line), &header); err != nil || header.Version != 2 || time.Since(time.Unix(header.Timestamp, 0)).Abs() > time.Hour {
				t.Errorf("header %s: %v", line, err)
			}
			continue
		}
		var event []any
		if err := json.Unmarshal([]byte(line), &event); err != nil || len(event) != 3 || event[1] != "o" {
			t.Fatalf("event %s: %v", line, err)
		}
		output += fmt.Sprint(event[2])
	}
	return output
}

func TestFormerHolderReadsTheirLogOverSSH(t *testing.T) {
	p := start(t)
	ada, grace := p.enrolled("ada", false), p.enrolled("grace", false)
	machine := <-p.bmc.opened
	p.run("ada", ada, "reserve web-01", "")
	c := p.console("ada", ada, false)
	if _, err := io.WriteString(machine, "of ada\r\n"); err != nil {
		t.Fatal(err)
	}
	expect(t, c.out, "of ada\r\n")
	p.run("ada", ada, "release web-01", "")
	if r := p.run("grace", grace, "reserve web-01", ""); r.code != 0 {
		t.Fatalf("reserve: %+v", r)
	}
	c = p.console("grace", grace, false)
	if _, err := io.WriteString(machine, "of grace\r\n"); err != nil {
		t.Fatal(err)
	}
	expect(t, c.out, "of grace\r\n")
	for who, want := range map[string]string{"ada": "of ada\r\n", "grace": "of grace\r\n"} {
		key := ada
		if who == "grace" {
			key = grace
		}
		if r := p.run(who, key, "log web-01", ""); r.code != 0 || r.out != want {
			t.Errorf("%s: %+v, want %q", who, r, want)
		}
	}
}

func TestReplayOnATerminalIsLeftByAKey(t *testing.T) {
	p := start(t)
	ada := p.enrolled("ada", true)
	machine := <-p.bmc.opened
	for _, text := range []string{"first", "second"} { // in pieces of their own
		if _, err := io.WriteString(machine, text); err != nil {
			t.Fatal(err)
		}
		for p.run("ada", ada, "log web-01 --since 600ms", "").out != "" || !strings.HasSuffix(p.run("ada", ada, "log web-01", "").out, text) {
			if t.Context().Err() != nil {
				t.Fatal("the test ends")
			}
		}
	}
	c := p.start("ada", ada, "replay web-01 --speed 0.07 --idle 1h", true)
	expect(t, c.out, "first")
	if _, err := io.WriteString(c.in, "q"); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(c.out)
	if err != nil || strings.Contains(string(rest), "second") {
		t.Errorf("after q: %q, %v", rest, err)
	}
	if err := c.Wait(); err != nil || !strings.Contains(c.notes.String(), "left the log of web-01") {
		t.Errorf("%v, notes %q", err, c.notes)
	}
}
