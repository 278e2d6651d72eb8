package tui

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"provisioner/ipmi"
	"provisioner/lab"
	"provisioner/lab/console"
	"provisioner/store"
)

// got reads what a machine is sent.
func got(t testing.TB, line net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(line, b); err != nil || string(b) != want {
		t.Errorf("the machine got %q, %v, not %q", b, err, want)
	}
}

// shared is a machine whose console two people have open: grace, who holds it,
// and root, an admin.
func shared(t testing.TB, width, height int) (s *site, line net.Conn, graces, roots *seat) {
	s, grace, _ := westLab(t)
	graces = s.sit(grace, width, height)
	graces.awaits("amd-rome-01")
	graces.press(enterKey)
	line = s.bmc("amd-rome-01").line(t)
	prints(t, line, bootText)
	graces.awaits("● live", ":~#")
	roots = s.sit(s.user("root", true), width, height)
	roots.awaits("amd-rome-01")
	roots.press(enterKey)
	roots.awaits("● live", ":~#", "grace watches")
	graces.awaits("✓ root is here", "root watches")
	if width >= wideWidth { // where they are shown, beside the console
		graces.awaits("console opened  root", "console opened  grace")
		roots.awaits("console opened  root", "console opened  grace")
	}
	return s, line, graces, roots
}

func TestOnePersonTypesAndTheOtherAsks(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		_, line, grace, root := shared(t, w.width, w.height)
		grace.press("c")
		grace.awaits("Typing")
		root.awaits("grace types", "c to ask for the keyboard")
		root.golden("others-type-" + w.name)
		root.press("c")
		root.awaits("grace types, you ask to type", "T takes the keyboard")
		root.golden("asking-" + w.name)
		grace.awaits("root asks to type; ctrl+] lets them")
		grace.golden("asked-" + w.name)
		go grace.press("ls")
		got(t, line, "ls")

		// What the one who asks presses still are commands, until they say
		// that they type.
		grace.press(leaveKey)
		root.awaits("the keyboard is yours", "!Typing")
		root.press("c")
		root.awaits("Typing")
		grace.awaits("root types")
		go root.press("ps")
		got(t, line, "ps")
		root.press(leaveKey)
		root.awaits("!Typing")
		grace.awaits("nobody types now", "root watches")
	})
}

func TestAskingIsTakenBack(t *testing.T) {
	_, _, grace, root := shared(t, 80, 24)
	grace.press("c")
	grace.awaits("Typing")
	root.press("c")
	root.awaits("you ask to type")
	root.press(leaveKey)
	root.awaits("!you ask")
	grace.press(leaveKey)
	root.awaits("nobody types now", "!yours")
}

func TestKeyboardIsTakenAfterAQuestion(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		_, line, grace, root := shared(t, w.width, w.height)
		grace.press("c")
		grace.awaits("Typing")
		root.awaits("grace types")
		root.press("T")
		root.awaits("Take the keyboard of amd-rome-01 from grace, who types right")
		root.golden("taking-" + w.name)
		root.press("y")
		root.awaits("Typing")
		grace.awaits("root has taken the keyboard", "Not sent")
		// grace was in the middle of a line: none of it is a command.
		grace.press("f", "y", "x", "y", "q")
		grace.awaits("✗ not sent: root types here", "Not sent", "● on")
		if w.width >= wideWidth {
			grace.awaits("console taken")
		}
		grace.golden("taken-" + w.name)
		grace.press(leaveKey)
		grace.awaits("Console", "!Not sent")
		grace.press("T", "y")
		grace.awaits("Typing")
		go grace.press("id")
		got(t, line, "id")
	})
}

func TestTwoWindowsOfOnePersonShareTheKeyboard(t *testing.T) {
	s, grace, _ := westLab(t)
	first := s.sit(grace, 80, 24)
	first.awaits("amd-rome-01")
	first.press(enterKey)
	line := s.bmc("amd-rome-01").line(t)
	first.awaits("● live")
	first.press("c")
	first.awaits("Typing")
	second := s.sit(grace, 80, 24)
	second.awaits("amd-rome-01")
	second.press(enterKey)
	second.awaits("● live", "grace types")
	first.awaits("your other window is here")
	second.press("c")
	second.awaits("Typing")
	first.awaits("your other window has taken the keyboard")
	go second.press("x")
	got(t, line, "x")
}

// busyConsole is a BMC whose console another program has, until it is taken.
func busyConsole(b *fakeBMC) {
	b.inUse = &ipmi.Error{Op: "open console", Addr: "10.0.3.7:623", Err: &ipmi.SOLActiveError{
		Holder: ipmi.Holder{User: "conserver", Addr: netip.MustParseAddrPort("10.0.0.9:40000")},
	}}
}

func TestConsoleThatAnotherProgramHasIsTakenAfterAQuestion(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, grace, _ := westLab(t)
		s.machine("busy-01", "amd64", poweredOn, busyConsole)
		s.must(s.lab.Reserve(t.Context(), grace, "busy-01", ""))
		p := s.sit(grace, w.width, w.height)
		p.awaits("busy-01")
		p.press("G", "k", enterKey)
		p.awaits("in use by conserver from 10.0.0.9:40000; T takes it", "!lost")
		if w.width >= wideWidth {
			p.awaits("console opened")
		}
		p.golden("in-use-" + w.name)
		p.press("c")
		p.awaits("✗ the console of busy-01 is in use by conserver")
		p.press("T")
		p.awaits("The console of busy-01 is in use by conserver")
		p.press("y")
		line := s.bmc("busy-01").line(t)
		p.awaits("Typing", "● live")
		go p.press("x")
		got(t, line, "x")
	})
}

func TestBreakIsSentAfterAQuestion(t *testing.T) {
	s, line, grace, root := shared(t, 80, 24)
	grace.press("B")
	grace.awaits("Send BREAK to amd-rome-01?", "SysRq")
	grace.golden("break-80x24")
	grace.press("y")
	got(t, line, breakText)
	grace.awaits("✓ BREAK is sent to amd-rome-01", "c to type", "!yours")
	root.press("c")
	root.awaits("Typing") // the keyboard was not kept for it
	grace.awaits("root types")
	grace.press("B", "y")
	grace.awaits("✗ send BREAK to amd-rome-01: root types here")
	events, err := s.lab.MachineEvents(t.Context(), lab.Local, "amd-rome-01", 50)
	s.must(err)
	n := 0
	for _, e := range events {
		if e.Kind == lab.EventBreak {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d BREAKs are kept", n)
	}
}

func TestNamesOfOthersAreCutToTheRoom(t *testing.T) {
	for _, c := range []struct {
		width int
		want  string
	}{
		{100, "ada types, bob watches, eve watches"},
		{30, "ada types, bob watches +1"},
		{20, "ada types +2"},
		{6, "4 here"},
		{3, ""},
	} {
		p := &pane{page: &machinePage{app: &app{actor: lab.Actor{User: store.User{Name: "me"}}}}}
		p.guests = []console.Guest{{Name: "bob"}, {Name: "me"}, {Name: "ada", Mode: console.Writing}, {Name: "eve"}}
		if got := p.here(c.width); got != c.want {
			t.Errorf("%d: %q, not %q", c.width, got, c.want)
		}
	}
}
