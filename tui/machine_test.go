package tui

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"provisioner/lab"
	"provisioner/store"
)

const (
	enterKey  = "\r"
	escapeKey = "\x1b"
	downArrow = "\x1b[B"
	leaveKey  = "\x1d" // ctrl+]
)

// prints is output of a machine.
func prints(t testing.TB, line net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(line, text); err != nil {
		t.Fatal(err)
	}
}

const bootText = "\x1b[2J\x1b[HDebian GNU/Linux 12 amd-rome-02 ttyS0\r\n\r\nroot@amd-rome-02:~# "

func TestTakingAMachineOpensItsPageWithItsConsole(t *testing.T) {
	for _, size := range []struct {
		name          string
		width, height int
	}{{"machine-80x24", 80, 24}, {"machine-140x40", 140, 40}, {"machine-40x10", 40, 10}} {
		t.Run(size.name, func(t *testing.T) {
			s, grace, _ := westLab(t)
			p := s.sit(grace, size.width, size.height)
			p.awaits("amd-rome-02")
			p.press("j", "t")
			prints(t, s.bmc("amd-rome-02").line(t), bootText)
			p.awaits("amd-rome-02 is yours", "● live", ":~#", "○ off", "p provision")
			if size.height > 10 {
				p.awaits("Held by   you")
			}
			if size.height > 24 {
				p.awaits("console opened")
			}
			p.golden(size.name)
			m, err := s.lab.Machine(t.Context(), grace, "amd-rome-02")
			if err != nil || !m.HeldBy(grace.User.ID) {
				t.Errorf("held by %v, %v", m.Holders, err)
			}
		})
	}
}

func TestTypedKeysReachTheMachineAndOnlyIt(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 140, 40)
	p.awaits("amd-rome-01")
	p.press(enterKey)
	line := s.bmc("amd-rome-01").line(t)
	p.awaits("● live")
	p.press("c")
	p.awaits("Typing", "ctrl+] stops typing")
	go p.press("q", "\x03", "\x1b[A", "\x1bOP", "root", enterKey, "\x1b[200~ls\nps\x1b[201~")
	want := "q\x03\x1b[A\x1bOProot\rls\rps"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(line, got); err != nil || string(got) != want {
		t.Fatalf("the machine got %q, %v", got, err)
	}
	// Its own wishes about the keyboard, and its question, are honoured.
	prints(t, line, "\x1b[?1h\x1b[?2004hready\x1b[2;1H\x1b[6n")
	p.awaits("ready")
	want = "\x1b[2;1R"
	got = make([]byte, len(want))
	if _, err := io.ReadFull(line, got); err != nil || string(got) != want {
		t.Fatalf("the machine got the answer %q, %v", got, err)
	}
	go p.press("\x1b[A", "\x1b[200~x\x1b[201~")
	want = "\x1bOA\x1b[200~x\x1b[201~"
	got = make([]byte, len(want))
	if _, err := io.ReadFull(line, got); err != nil || string(got) != want {
		t.Fatalf("the machine got %q, %v", got, err)
	}
	p.golden("typing-140x40")
	p.press(leaveKey)
	p.awaits("c to type")
	p.press("q")
	<-p.done
	if p.err != nil {
		t.Error(p.err)
	}
}

func TestWhatAMachinePrintsNeverReachesThePersonsTerminal(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 140, 40)
	p.awaits("amd-rome-01")
	p.press(enterKey)
	line := s.bmc("amd-rome-01").line(t)
	prints(t, line, "\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b]8;;http://owned/\x07link\x1b]8;;\x07"+
		"\u009b31mC1\x9b5n\x1bP1$r\x1b\\\x1b[?1003h\x1b[c\u202edeni\u202c\r\nthe end")
	p.awaits("● live", "the end")
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, bad := range []string{"owned", "\u009b", "\x9b5n", "\x1bP", "1003", "\u202e", "\x1b[c", "\x1b]"} {
		if bytes.Contains(p.raw.Bytes(), []byte(bad)) {
			t.Errorf("the terminal was sent %q", bad)
		}
	}
}

func TestConsoleEndsWhenTheMachineIsReleasedBySomebodyElse(t *testing.T) {
	s, grace, ada := westLab(t)
	admin := s.user("root", true)
	p := s.sit(grace, 80, 24)
	p.awaits("amd-rome-01")
	p.press(enterKey)
	prints(t, s.bmc("amd-rome-01").line(t), "secret of grace")
	p.awaits("secret of grace")
	p.press("c")
	p.awaits("Typing")
	s.must(s.lab.Release(t.Context(), admin, "amd-rome-01"))
	p.awaits("You no longer hold amd-rome-01", "!secret", "!Typing", "nobody")
	p.press("t", "q") // of the line that was being typed
	p.awaits("✗ not sent", "Not sent", "nobody")
	p.press(leaveKey)
	p.awaits("!Not sent")
	p.golden("released-80x24")
	s.must(s.lab.Reserve(t.Context(), ada, "amd-rome-01", ""))
	p.awaits("it is held by ada")
	p.press("o")
	p.awaits("✗ amd-rome-01: it is held by ada")
	s.must(s.lab.Release(t.Context(), ada, "amd-rome-01"))
	p.awaits("Nobody does")
	p.press("t")
	p.awaits("amd-rome-01 is yours", "● live", "secret of grace")
}

func TestPageOfAMachineOfSomebodyElseSaysWhatTheLabSays(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("ampere-01")
	p.press("j", "j", enterKey)
	p.awaits("open the console of ampere-01: it is held by ada", "Held by   ada")
	p.golden("refused-80x24")
	p.press("r")
	p.awaits("✗ ampere-01: it is held by ada")
	p.press(escapeKey)
	p.awaits("HELD BY")
}

func TestDeadBMCIsExplained(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("ampere-02")
	p.press("j", "j", "j", "t")
	p.awaits("ampere-02 is yours", "lost: BMC 10.0.3.7: no answer in 5s")
	p.press("o")
	p.awaits("✗ power on ampere-02: BMC 10.0.3.7: no answer in 5s")
	p.golden("dead-80x24")
}

func TestPowerOffAsksFirst(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.atMachine(grace, small, "amd-rome-01")
	p.press("f")
	p.awaits("Sure?")
	p.golden("sure-80x24")
	p.press("n")
	p.awaits("!Sure?")
	p.press("f", "y")
	p.awaits("is told to turn off", "○ off")
}

func TestZoomFillsTheWindow(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("amd-rome-01")
	p.press(enterKey)
	line := s.bmc("amd-rome-01").line(t)
	prints(t, line, strings.Repeat("line\r\n", 40)+"last")
	p.awaits("● live", "last")
	p.press("z")
	p.awaits("!Held by", "last")
	p.golden("zoom-80x24")
	p.press(escapeKey)
	p.awaits("Held by")
}

func TestHelpOfAMachineFits(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.atMachine(grace, small, "amd-rome-01")
	p.press("?")
	p.awaits("any key closes", "release", "quit")
	p.golden("help-machine-80x24")
}

func TestConsoleModeIsShownWhereItIsUnusual(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("amd-rome-01")
	p.press(enterKey)
	p.awaits("Held by", "!Console   ")
	s.must(s.lab.ChangeSite(t.Context(), lab.Local, func(site *lab.Site) { site.ConsolesOnDemand = true }))
	p.awaits("Console   on demand: not logged while nobody watches")
	s.must(s.lab.SetConsoleMode(t.Context(), lab.Local, "amd-rome-01", store.ConsoleAlways))
	p.awaits("Console   always connected")
}

func TestWhatConsolesPrintIsInTheHistory(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, grace, _ := westLab(t)
		p := s.sit(grace, w.width, w.height)
		p.awaits("amd-rome-01")
		p.press(enterKey)
		line := s.bmc("amd-rome-01").line(t)
		p.awaits("● live")
		if w.width >= wideWidth {
			p.awaits("console opened")
		}
		prints(t, line, "[    3.141593] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n")
		p.awaits("✗ kernel panic", "not syncing")
		p.golden("panic-" + w.name)
		if !p.red("✗") {
			t.Error("it is not red")
		}
		// A machine that starts again is in no trouble any more.
		p.press("x", "y")
		p.awaits("is told to reset", "!Printed")
		s.bmc("amd-rome-01").change(func(b *fakeBMC) { b.dead = errors.New("BMC gone") })
		p.press("o")
		p.awaits("BMC gone")
		if w.width >= wideWidth {
			p.awaits("power failed  on")
		}
	})
}
