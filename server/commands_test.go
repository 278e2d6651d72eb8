package server_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

func TestCommandsSayWhatHappened(t *testing.T) {
	p := start(t)
	keys := map[string]gossh.Signer{"ada": p.enrolled("ada", false), "grace": p.enrolled("grace", false)}
	for _, step := range []struct {
		user    string
		command string
		code    int
		out     string // contained in the output
		notes   string // contained in the notes
	}{
		{"ada", "reserve web-01 --reason bisect", 0, "web-01 is yours until ", ""},
		{"ada", "reserve web-01", 5, "", "provisioner: reserve web-01: you hold it already\n"},
		{"grace", "reserve web-01", 5, "", "it is held by ada"},
		{"grace", "release web-01", 4, "", "it is held by ada, not by you"},
		{"grace", "power web-01 off", 4, "", "it is held by ada"},
		{"grace", "console web-01", 4, "", "it is held by ada"},
		{"ada", "power web-01 reset", 0, "web-01: power reset done\n", ""},
		{"ada", "power web-01 cycle", 0, "web-01: power cycle done\n", ""},
		{"ada", "power web-01 soft", 0, "web-01: told to shut down", ""},
		{"ada", "power web-01 diag", 0, "web-01: power diag done\n", ""},
		{"ada", "power web-01 status", 0, "on\n", ""},
		{"ada", "boot web-01 pxe", 0, "web-01: next boot from pxe\n", ""},
		{"ada", "boot web-01 disk --persistent", 0, "web-01: every boot from disk\n", ""},
		{"ada", "boot web-01 pxe --legacy", 0, "web-01: next boot from pxe by legacy BIOS\n", ""},
		{"ada", "boot web-01 pxe --efi --persistent", 0, "web-01: every boot from pxe by UEFI\n", ""},
		{"ada", "boot web-01 pxe --efi --json", 0, `"firmware": "efi"`, ""},
		{"ada", "boot web-01 pxe --efi --legacy", 2, "", "can't be used together"},
		{"ada", "boot web-01 none", 0, "web-01: boots as its firmware is set up\n", ""},
		{"ada", "boot web-01 bios --json", 0, `"device": "bios"`, ""},
		{"ada", "boot web-01 floppy", 2, "", "must be one of"},
		{"grace", "boot web-01 pxe", 4, "", "it is held by ada"},
		{"ada", "identify web-01", 0, "web-01: light on for 15 s\n", ""},
		{"ada", "identify web-01 --on", 0, "web-01: light on\n", ""},
		{"ada", "identify web-01 --off --json", 0, `"light": "off"`, ""},
		{"ada", "identify web-01 --on --off", 2, "", "can't be used together"},
		{"grace", "identify web-01", 4, "", "it is held by ada"},
		{"ada", "power web-01 status --json", 0, `"power": "on"`, ""},
		{"ada", "power web-02 status", 6, "unknown\n", "no answer"},
		{"ada", "power web-01 explode", 2, "", "must be one of"},
		{"ada", "power no-such status", 3, "", `there is no machine "no-such"`},
		{"ada", "reserve no-such", 3, "", `there is no machine "no-such"`},
		{"ada", "frobnicate", 2, "", "frobnicate"},
		{"ada", "list --nonsense", 2, "", "nonsense"},
		{"ada", "list \x1b[2J", 2, "", "unexpected argument"},
		{"ada", "help", 0, "console", ""},
		{"ada", "list --help", 0, "--json", ""},
		{"ada", "whoami", 0, "ada (user), by key SHA256:", ""},
		{"ada", "release web-01", 0, "web-01 is released\n", ""},
	} {
		r := p.run(step.user, keys[step.user], step.command, "")
		if r.code != step.code || !strings.Contains(r.out, step.out) || !strings.Contains(r.notes, step.notes) || strings.Contains(r.notes, "\x1b") {
			t.Errorf("%s: %s: %+v", step.user, step.command, r)
		}
	}
}

func TestListForScripts(t *testing.T) {
	p := start(t)
	ada := p.enrolled("ada", false)
	p.run("ada", ada, "reserve web-01", "")
	p.run("ada", ada, "power web-01 status", "")
	r := p.run("ada", ada, "list --json", "")
	var machines []struct {
		Name, Arch, Power, State string
		Holders                  []string
	}
	if err := json.Unmarshal([]byte(r.out), &machines); err != nil {
		t.Fatalf("%v in %s", err, r.out)
	}
	if len(machines) != 2 || machines[0].Name != "web-01" || machines[0].Arch != "amd64" || machines[0].Power != "on" ||
		machines[0].State != "unknown" || !slices.Equal(machines[0].Holders, []string{"ada"}) {
		t.Errorf("machines: %+v", machines)
	}
	if machines[1].Power != "unknown" || machines[1].Holders == nil {
		t.Errorf("the machine without an answer: %+v", machines[1])
	}
	if r := p.run("ada", ada, "list", ""); !strings.HasPrefix(r.out, "NAME    ARCH   POWER    STATE    HOLDERS\nweb-01  amd64  on       unknown  ada\n") {
		t.Errorf("table:\n%s", r.out)
	}
}
