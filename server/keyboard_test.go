package server_test

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"provisioner/lab"
)

// types has a person type something.
func (c consoleSession) types(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c.in, text); err != nil {
		t.Fatal(err)
	}
}

func TestMachineIsTurnedAndBootedFromItsConsole(t *testing.T) {
	for name, test := range map[string]struct {
		typed string
		off   bool
		asked []string // of the BMC
		notes []string
	}{
		"on":                     {"~po", true, []string{"power on"}, []string{"o on, f off", "on]", "web-01: power on done"}},
		"reset":                  {"~pry", false, []string{"power reset"}, []string{"reset]", "power reset web-01? y or n: yes]", "web-01: power reset done"}},
		"reset, line by line":    {"~p\nr\ny", false, []string{"power reset"}, []string{"web-01: power reset done"}},
		"off":                    {"~pfY", false, []string{"power off"}, []string{"web-01: power off done"}},
		"cycle":                  {"~pcy", false, []string{"power cycle"}, []string{"web-01: power cycle done"}},
		"shut down":              {"~psy", false, []string{"power soft"}, []string{"told to shut down"}},
		"crash dump":             {"~pdy", false, []string{"power diag"}, []string{"web-01: power diag done"}},
		"a slip":                 {"~prn", false, nil, []string{"power reset web-01? y or n: nothing done]"}},
		"another slip":           {"~pq", false, nil, []string{"status: nothing done]"}},
		"Enter is no answer":     {"~p\r", false, nil, []string{"status: nothing done]"}},
		"second thoughts":        {"~p~prn", false, nil, []string{"status: nothing done]", "power reset web-01? y or n: nothing done]"}},
		"state":                  {"~p?", false, nil, []string{"status]", "web-01: power on]"}},
		"network, later":         {"~nn", false, []string{"boot pxe"}, []string{"next boot from the network; power reset now? y or n: nothing done]"}},
		"network, now":           {"~ny", false, []string{"boot pxe", "power reset"}, []string{"web-01: power reset done"}},
		"network, and it is off": {"~ny", true, []string{"boot pxe", "power on"}, []string{"power on now? y or n: yes]", "web-01: power on done"}},
		"BREAK":                  {"~b~B", false, []string{"break", "break"}, []string{"BREAK sent"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			p.bmc.set(test.off, false)
			machine := <-p.bmc.opened
			c := p.console("ada", p.enrolled("ada", true), false)
			c.types(t, test.typed+"ls\r~.")
			expect(t, machine, "ls\r") // and nothing before it
			if code := exitCode(t, c.Wait()); code != 0 {
				t.Errorf("exit %d", code)
			}
			if asked := p.bmc.orders(); !slices.Equal(asked, test.asked) {
				t.Errorf("the BMC was asked %q", asked)
			}
			for _, want := range test.notes {
				if notes := c.notes.String(); !strings.Contains(notes, want) {
					t.Errorf("%q is not in the notes %q", want, notes)
				}
			}
		})
	}
}

func TestConsoleOfAnotherProgramIsTakenWhenAPersonSaysSo(t *testing.T) {
	p := start(t)
	key := p.enrolled("ada", true)
	machine := <-p.bmc.opened
	another := func() { // program comes, by which the server loses the console
		p.bmc.set(false, true)
		if err := machine.Close(); err != nil {
			t.Fatal(err)
		}
	}
	another()
	c := p.console("ada", key, false)
	untilNoted(t, c, "console of web-01 is in use by conman; ~t takes it")
	c.types(t, "lost\r~t")
	machine = <-p.bmc.opened
	c.types(t, "ls\r")
	expect(t, machine, "ls\r")
	another()
	taking := p.start("ada", key, "console web-01 --take", false)
	machine = <-p.bmc.opened
	taking.types(t, "ls\r")
	expect(t, machine, "ls\r")
}

func TestBreakForScripts(t *testing.T) {
	p := start(t)
	key := p.enrolled("ada", true)
	machine := <-p.bmc.opened
	if r := p.run("ada", key, "console web-01 --break", ""); r.code != 0 || !strings.Contains(r.notes, "BREAK sent") {
		t.Errorf("%+v", r)
	}
	if asked := p.bmc.orders(); !slices.Equal(asked, []string{"break"}) {
		t.Errorf("the BMC was asked %q", asked)
	}
	sysRq := p.start("ada", key, "console web-01 --break", false)
	sysRq.types(t, "h")
	expect(t, machine, "h")
	if asked := p.bmc.orders(); !slices.Equal(asked, []string{"break"}) {
		t.Errorf("with h, the BMC was asked %q", asked)
	}
	grace := p.enrolled("grace", true)
	if r := p.run("grace", grace, "console web-01 --break", ""); r.code != 6 || !strings.Contains(r.notes, "ada types here") {
		t.Errorf("while ada types: %+v", r)
	}
	if r := p.run("grace", grace, "console web-01 --break --take", ""); r.code != 0 {
		t.Errorf("taken from ada: %+v", r)
	}
	for command, code := range map[string]int{"console web-02 --break": 6, "console web-01 --break --watch": 2, "console web-01 --take --watch": 2} {
		if r := p.run("ada", key, command, ""); r.code != code {
			t.Errorf("%s: %+v", command, r)
		}
	}
}

func TestBreakOfAnSSHClient(t *testing.T) {
	p := start(t)
	key := p.enrolled("ada", true)
	<-p.bmc.opened
	half := []byte{0, 0, 1, 244} // a second long (RFC 4335 §3), which no BMC can choose
	c := p.console("ada", key, true)
	untilNoted(t, c, "console of web-01")
	for range 3 {
		if taken, err := c.SendRequest("break", true, half); err != nil || !taken {
			t.Fatalf("break: %t, %v", taken, err)
		}
	}
	untilNoted(t, c, "BREAK sent]\r\n[BREAK sent]\r\n[BREAK sent]")
	watching := p.start("ada", key, "console web-01 --watch", true)
	untilNoted(t, watching, "~h lists more")
	if taken, err := watching.SendRequest("break", true, half); err != nil || !taken {
		t.Fatalf("break: %t, %v", taken, err)
	}
	untilNoted(t, watching, "BREAK is not sent: you only watch")
	if asked := p.bmc.orders(); len(asked) != 3 {
		t.Errorf("the BMC was asked %q", asked)
	}
}

func TestTwoPeopleShareAKeyboard(t *testing.T) {
	p := start(t)
	adaKey, graceKey := p.enrolled("ada", true), p.enrolled("grace", true)
	machine := <-p.bmc.opened
	ada := p.console("ada", adaKey, true)
	ada.types(t, "ls\r")
	expect(t, machine, "ls\r")

	grace := p.console("grace", graceKey, true)
	untilNoted(t, ada, "[grace is here]\r\n[grace asks to type; ~g gives them the keyboard]\r\n")
	untilNoted(t, grace, "ada types here and was told that you would like to; ~t takes the keyboard")
	grace.types(t, "a")
	untilNoted(t, grace, "what you type is lost: ada types here; ~a asks for the keyboard, ~t takes it")
	grace.types(t, "bc\r~w")
	untilNoted(t, grace, "grace asks to type, here since ")

	grace.types(t, "~t")
	untilNoted(t, ada, "grace has taken the keyboard; you watch; ~a asks for it, ~t takes it back")
	untilNoted(t, grace, "you type now")
	grace.types(t, "pwd\r~t")
	expect(t, machine, "pwd\r")
	untilNoted(t, grace, "you type already")

	ada.types(t, "~a")
	untilNoted(t, grace, "ada asks to type; ~g")
	grace.types(t, "~gx")
	untilNoted(t, grace, "you watch; ~a asks for the keyboard again")
	untilNoted(t, grace, "what you type is lost: you only watch")
	untilNoted(t, grace, "ada types now")
	untilNoted(t, ada, "you type now")
	ada.types(t, "id\r")
	expect(t, machine, "id\r")

	if n := strings.Count(grace.notes.String(), "is lost"); n != 2 {
		t.Errorf("grace was told %d times that keys are lost: %q", n, grace.notes.String())
	}
	if notes := ada.notes.String(); strings.Count(notes, "you type now") != 1 || strings.Contains(notes, "lost") {
		t.Errorf("ada was told %q", notes)
	}
	events, err := p.lab.MachineEvents(t.Context(), lab.Local, "web-01", 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == lab.EventConsoleTaken && e.User == "grace" && e.Detail == "from ada" {
			return
		}
	}
	t.Errorf("that grace took it is not in the history: %+v", events)
}

func TestNotesBeginALineOfTheirOwnOnATerminal(t *testing.T) {
	for terminal, want := range map[bool]string{true: "more]\r\n\r\n[ada ", false: "more]\n[ada "} {
		p := start(t)
		machine := <-p.bmc.opened
		c := p.console("ada", p.enrolled("ada", true), terminal)
		untilNoted(t, c, "lists more")
		if _, err := io.WriteString(machine, "login: "); err != nil {
			t.Fatal(err)
		}
		expect(t, c.out, "login: ")
		c.types(t, "~w")
		untilNoted(t, c, want)
	}
}

func TestWhoIsAtAConsole(t *testing.T) {
	p := start(t)
	key := p.enrolled("ada", true)
	<-p.bmc.opened
	if r := p.run("ada", key, "who web-01", ""); r.code != 0 || r.out != "nobody is at the console of web-01\n" {
		t.Errorf("%+v", r)
	}
	if r := p.run("ada", key, "who web-01 --json", ""); r.out != "[]\n" {
		t.Errorf("%+v", r)
	}
	if r := p.run("ada", key, "who no-such", ""); r.code != 3 {
		t.Errorf("%+v", r)
	}
	c := p.console("ada", key, false)
	untilNoted(t, c, "console of web-01")
	watching := p.start("ada", key, "console web-01 --watch", false)
	untilNoted(t, watching, "ada types, here since ")
	var guests []struct {
		Name, Mode, Since string
		Quiet             *float64 `json:"quiet_seconds"`
	}
	stranger := p.enrolled("grace", false)
	if err := json.Unmarshal([]byte(p.run("grace", stranger, "who web-01 --json", "").out), &guests); err != nil {
		t.Fatal(err)
	}
	if len(guests) != 2 || guests[0].Name != "ada" || guests[0].Mode != "writing" || guests[0].Quiet == nil ||
		guests[1].Mode != "watching" || guests[1].Quiet != nil || !strings.HasSuffix(guests[1].Since, "Z") {
		t.Errorf("%+v", guests)
	}
	if r := p.run("ada", key, "who web-01", ""); !strings.HasPrefix(r.out, "NAME  DOES     SINCE ") || !strings.Contains(r.out, "ada   watches  ") {
		t.Errorf("%+v", r)
	}
}
