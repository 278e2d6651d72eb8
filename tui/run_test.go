package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
)

func TestRunEndsWithItsContextAndRestoresTheTerminal(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("thunderx-01")
	stopping := errors.New("the server is stopping")
	p.leave(stopping)
	<-p.done
	if !errors.Is(p.err, stopping) {
		t.Errorf("Run returned %v", p.err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	raw := p.raw.String()
	for _, wanted := range []string{"\x1b[?1049h", "\x1b[?1049l", "\x1b[?25l", "\x1b[?25h", "\x1b[?2004h", "\x1b[?2004l"} {
		if !strings.Contains(raw, wanted) {
			t.Errorf("the terminal was not sent %q", wanted)
		}
	}
	if on, off := strings.LastIndex(raw, "\x1b[?25l"), strings.LastIndex(raw, "\x1b[?25h"); off < on {
		t.Error("the cursor is left hidden")
	}
}

func TestRunEndsWithTheInput(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("thunderx-01")
	_ = p.keys.Close()
	<-p.done
	if p.err != nil {
		t.Error(p.err)
	}
}

// stuck is a terminal that takes no bytes until it is closed.
type stuck chan struct{}

func (s stuck) Write([]byte) (int, error) {
	<-s
	return 0, io.ErrClosedPipe
}

func TestTerminalThatTakesNoBytesHoldsUpNothing(t *testing.T) {
	s, grace, _ := westLab(t)
	in, keys := io.Pipe()
	out := make(stuck)
	defer close(out)
	done := make(chan error, 1)
	go func() {
		done <- Run(t.Context(), Config{Lab: s.lab, Actor: grace}, Terminal{In: in, Out: out, Width: 80, Height: 24})
	}()
	if _, err := io.WriteString(keys, "jjjkkkq"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("Run waits for the terminal")
	}
	_ = keys.Close()
}

func TestTerminalThatIsGoneEndsRun(t *testing.T) {
	s, grace, _ := westLab(t)
	in, keys := io.Pipe()
	defer func() { _ = keys.Close() }()
	out := make(stuck)
	close(out)
	err := Run(t.Context(), Config{Lab: s.lab, Actor: grace}, Terminal{In: in, Out: out})
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func TestPanicLeavesTheTerminalAsItWas(t *testing.T) {
	s, grace, _ := westLab(t)
	in, keys := io.Pipe()
	defer func() { _ = keys.Close() }()
	var out strings.Builder // no other goroutine has it once Run has returned
	go func() {             // ends when keys is closed
		for {
			if _, err := io.WriteString(keys, enterKey); err != nil {
				return
			}
		}
	}()
	err := Run(t.Context(), Config{Lab: s.lab, Actor: grace, Now: func() time.Time { panic("no clock") }},
		Terminal{In: in, Out: &out, Env: []string{"TERM=xterm"}})
	if !errors.Is(err, tea.ErrProgramPanic) {
		t.Errorf("Run returned %v", err)
	}
	if !strings.Contains(out.String(), "\x1b[?1049l") || !strings.HasSuffix(out.String(), "\x1b[?25h") {
		t.Errorf("the terminal was left after %q", out.String()[max(0, out.Len()-80):])
	}
}

func TestChangeBySomebodyElseIsSeenWithoutAKey(t *testing.T) {
	s, grace, ada := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("1 yours", "thunderx-01")
	began := time.Now()
	s.must(s.lab.Reserve(t.Context(), ada, "thunderx-01", ""))
	p.awaits("2 free")
	t.Logf("seen after %v", time.Since(began))
	s.machine("apollo-01", "arm64")
	p.awaits("apollo-01", "6 in all")
	p.awaits("› amd-rome-01") // the selection stays on its machine, not on its line
}

func TestFilterNarrowsTheListAsItIsTyped(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("thunderx-01")
	p.press("/", "arm off")
	p.awaits("1 of 5", "thunderx-01", "!ampere-01")
	p.golden("filter-80x24")
	p.press(enterKey, "t")
	p.awaits("thunderx-01 is yours")
	p.press(escapeKey)
	p.awaits("1 of 5")
	p.press(escapeKey)
	p.awaits("amd-rome-01", "2 yours", "!of 5")
	p.press("m")
	p.awaits("mine only · 2 of 5", "!ampere")
	p.press("m")
	p.awaits("free only · 2 of 5", "!thunderx")
}

func TestKeysThatDoNothingSayWhy(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("ampere-01")
	p.press("t")
	p.awaits("✗ amd-rome-01: you hold it already")
	p.press("j", "r")
	p.awaits("✗ amd-rome-02: nobody holds it")
	p.press("j", "t")
	p.awaits("✗ ampere-01: it is held by ada")
}

func TestReleaseAsksFirst(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("1 yours")
	p.press("r")
	p.awaits("Release amd-rome-01?")
	p.press("y")
	p.awaits("✓ amd-rome-01 is released", "0 yours")
}

func TestHelpListsTheKeys(t *testing.T) {
	for _, size := range []struct {
		name          string
		width, height int
	}{{"help-80x24", 80, 24}, {"help-140x40", 140, 40}} {
		s, grace, _ := westLab(t)
		p := s.sit(grace, size.width, size.height)
		p.awaits("thunderx-01")
		p.press("?")
		p.awaits("any key closes")
		p.golden(size.name)
		p.press("q")
		p.awaits("!any key closes")
	}
}

func TestAnySizeOfWindowIsFilled(t *testing.T) {
	s, grace := provisionable(t)
	p := s.sit(grace, 80, 24)
	p.awaits("thunderx-01")
	for _, keys := range []string{"", "/amd" + enterKey, enterKey, "c", leaveKey + "p", "\t\t", escapeKey + "f", "nz"} {
		for _, c := range keys {
			p.press(string(c))
		}
		for _, size := range []Size{{20, 5}, {39, 9}, {40, 10}, {47, 11}, {60, 15}, {119, 14}, {120, 40}, {300, 100}, {83, 30}, {1, 1}} {
			p.resizeTo(size.Width, size.Height)
			if size.Width < minWidth || size.Height < minHeight {
				if size.Width >= 20 {
					p.awaits("This window")
				}
				continue
			}
			p.awaits("!This window")
		}
	}
	p.press("q")
}

func TestIdleScreenSendsNothing(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 140, 40)
	p.awaits("thunderx-01", "? help")
	p.press(enterKey)
	prints(t, s.bmc("amd-rome-01").line(t), bootText)
	p.awaits("● live", ":~#", "console opened")
	p.quiet(100 * time.Millisecond)
	before := p.sent()
	// What nobody here has to see changes nothing either.
	s.must(s.lab.Reserve(t.Context(), s.user("zoe", false), "thunderx-01", ""))
	p.quiet(300 * time.Millisecond)
	if sent := p.sent() - before; sent > 0 {
		t.Errorf("%d bytes were sent with nothing to show", sent)
	}
}

func (p *seat) sent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

// BenchmarkIdleSession reports what a session costs on whose screen nothing
// changes.
func BenchmarkIdleSession(b *testing.B) {
	s, grace, _ := westLab(b)
	const sessions = 50
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, sessions)
	for range sessions {
		in, _ := io.Pipe()
		go func() {
			done <- Run(ctx, Config{Lab: s.lab, Actor: grace}, Terminal{In: in, Out: io.Discard, Width: 140, Height: 40})
		}()
	}
	<-time.After(time.Second) // until they have drawn everything
	for b.Loop() {
		before := cpuTime(b)
		<-time.After(5 * time.Second)
		used := cpuTime(b) - before
		b.ReportMetric(float64(used.Microseconds())/5/sessions, "µs-cpu/s/session")
	}
	cancel()
	for range sessions {
		<-done
	}
}

func cpuTime(b testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkChangeToScreen reports the time from somebody's change to the bytes
// on somebody else's terminal.
func BenchmarkChangeToScreen(b *testing.B) {
	s, grace, ada := westLab(b)
	p := s.sit(grace, 140, 40)
	p.awaits("thunderx-01")
	for b.Loop() {
		s.must(s.lab.Reserve(b.Context(), ada, "thunderx-01", ""))
		p.awaits("2 free")
		s.must(s.lab.Release(b.Context(), ada, "thunderx-01"))
		p.awaits("3 free")
	}
}

// BenchmarkScrollThousandMachines is a step down in a list of 1,000 machines.
func BenchmarkScrollThousandMachines(b *testing.B) {
	a := newApp(b.Context(), Config{Lab: newSite(b).lab, Now: pi}, newPainter(io.Discard, nil, 0))
	d := a.screens[0].(*dashboard)
	a.width, a.height = 140, 40
	msg := machinesMsg{}
	for i := range 1000 {
		m := lab.Machine{Power: lab.Power{State: lab.PowerOn}}
		m.Name, m.Arch, m.State = fmt.Sprintf("machine-%04d", i), "amd64", "ready"
		msg.rows = append(msg.rows, d.newRow(m))
	}
	d.update(msg)
	b.ReportAllocs()
	for b.Loop() {
		d.selectAt((d.place() + 1) % 1000)
		a.paint.draw(a.frame())
		if err := a.paint.flush(); err != nil {
			b.Fatal(err)
		}
	}
}
