package lab_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/lab/console"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

// print has the one machine that prints in a test print a text. It returns when
// the text is on disk, so that what is printed next has a time of its own.
func (f *fixture) print(machine net.Conn, text string) {
	f.t.Helper()
	if _, err := io.WriteString(machine, text); err != nil {
		f.t.Fatal(err)
	}
	for !f.onDisk(text) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-f.t.Context().Done():
			return
		}
	}
	f.advance(time.Minute)
}

func (f *fixture) onDisk(text string) bool {
	files, err := filepath.Glob(filepath.Join(f.dir, "consoles", "*", "*.log"))
	f.must(err)
	for _, name := range files {
		content, err := os.ReadFile(name)
		f.must(err)
		if bytes.HasSuffix(content, []byte(text)) {
			return true
		}
	}
	return false
}

func (f *fixture) log(actor lab.Actor, name string, since time.Time) string {
	f.t.Helper()
	log, err := f.ConsoleLog(f.t.Context(), actor, name, transcript.Window{Since: since})
	f.must(err)
	text, err := io.ReadAll(log.Reader(log.Start()))
	f.must(err)
	return string(text)
}

// seen reads a console until it has shown what is wanted.
func (f *fixture) seen(v *lab.Seat, want string) (text string) {
	f.t.Helper()
	for !strings.Contains(text, want) {
		out, err := v.Next(f.t.Context())
		if err != nil {
			f.t.Fatalf("after %q: %v", text, err)
		}
		text += string(out.Data)
	}
	return text
}

func TestConsoleIsLoggedThoughNobodyWatches(t *testing.T) {
	f := newFixture(t)
	machine := <-f.bmcs["bmc-web-01"].opened
	f.print(machine, "panic: nobody was there\r\n")
	v, err := f.OpenConsole(t.Context(), f.admin, "web-01")
	f.must(err)
	defer v.Close()
	f.seen(v, "nobody was there")
}

func TestHolderReadsTheConsoleSinceTheReservation(t *testing.T) {
	f := newFixture(t)
	machine := <-f.bmcs["bmc-web-01"].opened
	f.print(machine, "free\r\n")
	f.must(f.Reserve(t.Context(), f.grace, "web-01", ""))
	f.print(machine, "of grace\r\n")
	f.must(f.Release(t.Context(), f.grace, "web-01"))
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	reserved := f.clock()
	f.print(machine, "of ada\r\n")
	f.print(machine, "later\r\n")

	const all, adas = "free\r\nof grace\r\nof ada\r\nlater\r\n", "of ada\r\nlater\r\n"
	if got := f.log(f.admin, "web-01", time.Time{}); got != all {
		t.Errorf("the admin reads %q", got)
	}
	if got := f.log(f.ada, "web-01", time.Time{}); got != adas {
		t.Errorf("the holder reads %q", got)
	}
	if got := f.log(f.ada, "web-01", reserved.Add(time.Second)); got != "later\r\n" {
		t.Errorf("the holder reads since a second later %q", got)
	}
	for name, join := range map[string]func(lab.Actor) (*lab.Seat, error){
		"open":   func(a lab.Actor) (*lab.Seat, error) { return f.OpenConsole(t.Context(), a, "web-01") },
		"replay": func(a lab.Actor) (*lab.Seat, error) { return f.ReplayConsole(t.Context(), a, "web-01", 100) },
	} {
		for who, want := range map[*lab.Actor]string{&f.admin: all, &f.ada: adas} {
			v, err := join(*who)
			f.must(err)
			if got := f.seen(v, "later\r\n"); got != want {
				t.Errorf("%s: %s sees %q", name, who.User.Name, got)
			}
			v.Close()
		}
	}
	_, err := f.ReplayConsole(t.Context(), f.ada, "web-01", -1)
	f.refused(err, lab.Invalid, "0 or more")
}

// happened checks that a machine's history has something.
func (f *fixture) happened(machine, kind, detail string) {
	f.t.Helper()
	events, err := f.MachineEvents(f.t.Context(), f.admin, machine, 100)
	f.must(err)
	for _, e := range events {
		if e.Kind == kind && strings.HasPrefix(e.Detail, detail) {
			return
		}
	}
	f.t.Errorf("no %q %q in the history of %s: %+v", kind, detail, machine, events)
}

func TestConsoleInUseElsewhereIsTakenWhenSomebodySaysSo(t *testing.T) {
	f := newFixtureOf(t, func(bmc *fakeBMC) { bmc.inUse = true })
	bmc := f.bmcs["bmc-web-01"]
	seat, err := f.OpenConsole(t.Context(), f.admin, "web-01")
	f.must(err)
	defer seat.Close()
	for {
		out, err := seat.Next(t.Context())
		f.must(err)
		if out.Status != nil && out.Status.InUse {
			break
		}
	}
	select {
	case <-bmc.opened:
		t.Fatal("the console was taken from another program though nobody said so")
	default:
	}
	f.must(seat.Take(t.Context()))
	f.print(<-bmc.opened, "taken")
	f.seen(seat, "taken")
	f.happened("web-01", lab.EventConsoleTaken, "from another program: root from 10.0.0.9:40000")
}

func TestConsoleTakenFromSomebodyIsToldAndKept(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	hers, err := f.OpenConsole(t.Context(), f.ada, "web-01")
	f.must(err)
	defer hers.Close()
	f.print(<-f.bmcs["bmc-web-01"].opened, "login: ")
	f.seen(hers, "login: ")
	if mode := hers.Ask(); mode != console.Writing {
		t.Fatalf("ada %s", mode)
	}
	theirs, err := f.OpenConsole(t.Context(), f.admin, "web-01")
	f.must(err)
	defer theirs.Close()
	if mode := theirs.Ask(); mode != console.Asking {
		t.Errorf("root %s", mode)
	}
	guests, err := f.ConsoleGuests(t.Context(), f.grace, "web-01")
	f.must(err)
	if len(guests) != 2 || guests[0].Name != "ada" || guests[0].Mode != console.Writing || guests[1].Mode != console.Asking {
		t.Errorf("guests: %+v", guests)
	}
	f.must(theirs.Take(t.Context()))
	if theirs.Mode() != console.Writing || hers.Mode() != console.Watching {
		t.Errorf("root %s, ada %s", theirs.Mode(), hers.Mode())
	}
	f.happened("web-01", lab.EventConsoleTaken, "from ada")
	f.refused(theirs.SendBreak(t.Context()), lab.Unavailable, "BREAK")
}

func TestConsolesAreConnectedAsMachineAndSiteHaveIt(t *testing.T) {
	f := newFixture(t)
	bmc := f.bmcs["bmc-web-01"]
	first := <-bmc.opened
	closed := func(conn net.Conn) {
		t.Helper()
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the machine was typed to")
		}
	}
	onDemand := func(s *lab.Site) { s.ConsolesOnDemand = true }
	f.refused(f.ChangeSite(t.Context(), f.ada, onDemand), lab.Denied, "admin")
	f.must(f.ChangeSite(t.Context(), f.admin, onDemand))
	closed(first)

	f.refused(f.SetConsoleMode(t.Context(), f.ada, "web-01", store.ConsoleAlways), lab.Denied, "admin")
	f.refused(f.SetConsoleMode(t.Context(), f.admin, "web-01", "sometimes"), lab.Invalid, "always and on-demand")
	f.refused(f.SetConsoleMode(t.Context(), f.admin, "web-99", store.ConsoleAlways), lab.NotFound, "web-99")
	f.must(f.SetConsoleMode(t.Context(), f.admin, "web-01", store.ConsoleAlways))
	second := <-bmc.opened
	f.must(f.SetConsoleMode(t.Context(), f.admin, "web-01", store.ConsoleDefault))
	closed(second)

	seat, err := f.OpenConsole(t.Context(), f.admin, "web-01") // which demands it
	f.must(err)
	third := <-bmc.opened
	seat.Close()
	closed(third)
	site, err := f.Site(t.Context(), f.ada)
	f.must(err)
	if !site.ConsolesOnDemand || site.ConsolesInsist {
		t.Errorf("site: %+v", site)
	}
}
