package console_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/lab/console"
	"provisioner/lab/console/transcript"
)

// machine is the far end of a console that a test plays.
type machine struct {
	mu     sync.Mutex
	port   net.Conn // nil: nobody is connected
	opened int
	err    error         // what opening answers
	inUse  bool          // somebody else has it
	taken  int           // times it was taken from them
	slow   chan struct{} // opening waits until it is closed; nil: it does not

	breaks bool   // its streams can send BREAK
	broken int    // how many came
	refuse string // why input does not pass; empty: it does
	deaf   error  // what input answers though the stream lives; nil: it is taken
}

var errInUse = errors.New("in use")

// all is the whole log.
var all = &transcript.From{}

// newConsole is a console with a log of its own.
func newConsole(t *testing.T, m *machine) *console.Console {
	t.Helper()
	return newConsoleIn(t, t.TempDir(), m)
}

func newConsoleIn(t *testing.T, dir string, m *machine) *console.Console {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return console.New(console.Config{
		Open: m.open, InUse: func(err error) bool { return errors.Is(err, errInUse) },
		Log: transcript.New(root, transcript.Limits{}, time.Now).Log("1", slog.New(slog.DiscardHandler)),
	})
}

func (m *machine) open(ctx context.Context, takeOver bool) (io.ReadWriteCloser, error) {
	if m.slow != nil {
		select {
		case <-m.slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened++
	if m.err != nil {
		return nil, m.err
	}
	if m.inUse && !takeOver {
		return nil, errInUse
	}
	if m.inUse {
		m.taken++
		m.inUse = false
	}
	ours, theirs := net.Pipe()
	m.port = theirs
	if m.breaks {
		return &breakingPort{port{Conn: ours, machine: m}}, nil
	}
	return &port{Conn: ours, machine: m}, nil
}

// breakingPort is a port that can send BREAK, and lets some input not pass.
type breakingPort struct{ port }

func (p *breakingPort) SendBreak(context.Context) error {
	p.machine.mu.Lock()
	defer p.machine.mu.Unlock()
	p.machine.broken++
	return nil
}

func (p *breakingPort) Write(b []byte) (int, error) {
	p.machine.mu.Lock()
	reason, deaf := p.machine.refuse, p.machine.deaf
	p.machine.mu.Unlock()
	if deaf != nil {
		return 0, deaf
	}
	if reason != "" {
		return 0, &console.RefusedError{Reason: reason}
	}
	return p.port.Write(b)
}

func (m *machine) broke() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.broken
}

// port is our end of a console.
type port struct {
	net.Conn
	machine *machine
}

func (p *port) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	p.machine.mu.Lock()
	defer p.machine.mu.Unlock()
	if err != nil && p.machine.inUse {
		err = errInUse
	}
	return n, err
}

// lose ends the connection; another client has it then, or nobody.
func (m *machine) lose(toAnother bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inUse = toAnother
	_ = m.port.Close()
}

func (m *machine) takenOver() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken
}

func (m *machine) print(t *testing.T, text string) {
	t.Helper()
	synctest.Wait()
	m.mu.Lock()
	port := m.port
	m.mu.Unlock()
	if _, err := io.WriteString(port, text); err != nil {
		t.Fatalf("print: %v", err)
	}
}

func (m *machine) times() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.opened
}

// read collects what a viewer sees until it has seen want.
func read(t *testing.T, v *console.Viewer, want string) (text string, statuses []console.Status) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // of the bubble's time
	defer cancel()
	for !strings.Contains(text, want) {
		out, err := v.Next(ctx)
		if err != nil {
			t.Fatalf("after %q: %v", text, err)
		}
		text += string(out.Data)
		if out.Status != nil {
			statuses = append(statuses, *out.Status)
		}
	}
	return text, statuses
}

func TestEveryViewerSeesTheOutputAndALateOneWhatCameBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		first := c.View("ada", all)
		defer first.Close()
		m.print(t, "login: ")
		read(t, first, "login: ")

		second := c.View("ada", all)
		defer second.Close()
		m.print(t, "root\r\n")
		if text, _ := read(t, second, "root"); text != "login: root\r\n" {
			t.Errorf("the late viewer saw %q", text)
		}
		if text, _ := read(t, first, "root"); text != "root\r\n" {
			t.Errorf("the first viewer saw %q", text)
		}
		if m.times() != 1 {
			t.Errorf("the machine was connected %d times", m.times())
		}
	})
}

func TestInputReachesTheMachineInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		v := c.View("ada", all)
		defer v.Close()
		synctest.Wait()
		var want strings.Builder
		for i := range 50 {
			key := string(rune('a' + i%26))
			want.WriteString(key)
			if err := v.TrySend([]byte(key)); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, want.Len())
		if _, err := io.ReadFull(m.port, got); err != nil || string(got) != want.String() {
			t.Errorf("the machine got %q, %v", got, err)
		}
	})
}

func TestInputThatTheMachineDoesNotTakeIsRefusedNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		v := c.View("ada", all)
		defer v.Close()
		synctest.Wait()
		var err error
		for range 1000 {
			if err = v.TrySend([]byte("x")); err != nil {
				break
			}
		}
		if !errors.Is(err, console.ErrBusy) {
			t.Errorf("the thousandth key: %v", err)
		}
	})
}

func TestLastViewerClosesTheConnectionUnlessItIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		v := c.View("ada", all)
		synctest.Wait()
		release := c.Hold()
		v.Close()
		m.print(t, "unseen ")
		release()
		synctest.Wait()
		if _, err := m.port.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the connection without users: %v", err)
		}
		again := c.View("ada", all)
		defer again.Close()
		m.print(t, "watched")
		if text, _ := read(t, again, "watched"); text != "unseen watched" {
			t.Errorf("the next viewer saw %q", text)
		}
	})
}

func TestLostConnectionIsToldAndOpenedAgainWithPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{err: errors.New("no answer in 5s")}
		c := newConsole(t, m)
		defer c.Close()
		v := c.View("ada", all)
		defer v.Close()
		out, err := v.Next(t.Context())
		for err == nil && (out.Status == nil || out.Status.State != console.Lost) {
			out, err = v.Next(t.Context())
		}
		if err != nil || out.Status.Err == nil || out.Status.Err.Error() != "no answer in 5s" {
			t.Fatalf("status %+v, %v", out.Status, err)
		}
		if err := v.TrySend([]byte("x")); !errors.Is(err, console.ErrNotConnected) {
			t.Errorf("input without a connection: %v", err)
		}
		<-time.After(10 * time.Minute) // of the bubble's time
		if n := m.times(); n < 15 || n > 45 {
			t.Errorf("%d tries in 10 minutes", n)
		}
		m.mu.Lock()
		m.err = nil
		m.mu.Unlock()
		<-time.After(time.Minute)
		m.print(t, "back")
		read(t, v, "back")
	})
}

func TestSlowViewerSkipsAheadAndDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		slow, quick := c.View("ada", all), c.View("ada", all)
		defer slow.Close()
		defer quick.Close()
		line := strings.Repeat("x", 1023) + "\n"
		for range 2000 { // 2 MB: more than a viewer's queue and the history
			m.print(t, line)
			read(t, quick, "\n")
		}
		m.print(t, "the end")
		synctest.Wait() // until it was delivered
		out, err := slow.Next(t.Context())
		for err == nil && len(out.Data) == 0 {
			out, err = slow.Next(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(out.Data, []byte("the end")) || out.Skipped == 0 || len(out.Data)+out.Skipped != 2000*1024+7 {
			t.Errorf("the slow viewer got %d bytes, %d skipped, ending in %q", len(out.Data), out.Skipped, out.Data[len(out.Data)-10:])
		}
	})
}

func TestClosedConsoleEndsItsViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		v := c.View("ada", all)
		synctest.Wait()
		c.Close()
		var err error
		for range 5 {
			if _, err = v.Next(t.Context()); err != nil {
				break
			}
		}
		if !errors.Is(err, io.EOF) || !v.Ended() {
			t.Errorf("viewer of a closed console: %v", err)
		}
		v.Close()
		if _, err := c.View("ada", all).Next(t.Context()); err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("view of a closed console: %v", err)
		}
	})
}

func TestLateViewerSeesWhatWasPrintedBeforeTheServerStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		m := &machine{}
		before := newConsoleIn(t, dir, m)
		release := before.Keep()
		m.print(t, "before\r\n")
		synctest.Wait()
		before.Close()
		release()

		after := newConsoleIn(t, dir, m)
		defer after.Close()
		defer after.Keep()()
		m.print(t, "one\r\ntwo\r\n")
		synctest.Wait()
		for _, test := range []struct {
			from *transcript.From
			want string
		}{
			{all, "before\r\none\r\ntwo\r\nlive"},
			{&transcript.From{Lines: 1}, "two\r\nlive"},
			{nil, "live"},
		} {
			v := after.View("ada", test.from)
			m.print(t, "live")
			if text, _ := read(t, v, "live"); text != test.want {
				t.Errorf("from %+v: %q", test.from, text)
			}
			v.Close()
			m.print(t, "\r\none\r\ntwo\r\n")
			synctest.Wait()
		}
	})
}

func TestLongReplayIsReadInPiecesBeforeWhatIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		defer c.Keep()()
		var want strings.Builder
		for range 500 {
			line := strings.Repeat("x", 1022) + "\r\n"
			want.WriteString(line)
			m.print(t, line)
		}
		synctest.Wait()
		v := c.View("ada", all)
		defer v.Close()
		m.print(t, "live")
		want.WriteString("live")
		if text, _ := read(t, v, "live"); text != want.String() {
			t.Errorf("%d bytes, want %d", len(text), want.Len())
		}
	})
}

func TestKeptConsoleTakesNothingFromOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{inUse: true}
		c := newConsole(t, m)
		defer c.Close()
		defer c.Keep()()
		<-time.After(time.Hour) // of the bubble's time
		if n := m.times(); n < 5 || n > 15 || m.takenOver() != 0 {
			t.Errorf("%d tries in an hour, taken over %d times", n, m.takenOver())
		}
		m.mu.Lock()
		m.inUse = false
		m.mu.Unlock()
		<-time.After(20 * time.Minute)
		m.print(t, "mine")
	})
}

func TestConsoleIsTakenThoughItWasAskedForOneMomentBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{inUse: true, slow: make(chan struct{})}
		c := newConsole(t, m)
		defer c.Close()
		v := c.View("ada", nil)
		defer v.Close()
		synctest.Wait() // it is being asked for, politely
		v.TakeOver()
		began := time.Now()
		close(m.slow)
		synctest.Wait()
		if m.takenOver() != 1 || time.Since(began) != 0 {
			t.Errorf("taken over %d times in %s", m.takenOver(), time.Since(began))
		}
	})
}

func TestPersonAndRunTakeTheConsoleOnceAndAtOnce(t *testing.T) {
	for name, come := range map[string]func(*console.Console) (leave func()){
		"person": func(c *console.Console) func() {
			v := c.View("ada", nil)
			v.TakeOver()
			return v.Close
		},
		"run": func(c *console.Console) func() { return c.Hold() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &machine{inUse: true}
				c := newConsole(t, m)
				defer c.Close()
				defer c.Keep()()
				<-time.After(time.Hour)
				began := time.Now()
				leave := come(c)
				synctest.Wait()
				if m.takenOver() != 1 || time.Since(began) != 0 {
					t.Fatalf("taken over %d times in %s", m.takenOver(), time.Since(began))
				}

				m.lose(true) // they take it back, and keep it
				<-time.After(time.Hour)
				if m.takenOver() != 1 {
					t.Errorf("taken over %d times", m.takenOver())
				}
				v := c.View("ada", nil)
				synctest.Wait()
				if m.takenOver() != 1 {
					t.Error("who only comes took it over")
				}
				v.TakeOver()
				synctest.Wait()
				if m.takenOver() != 2 {
					t.Errorf("the next one took it over %d times", m.takenOver()-1)
				}
				v.Close()
				leave()
				m.lose(true)
				<-time.After(time.Hour)
				if m.takenOver() != 2 {
					t.Error("it was taken over for nobody")
				}
			})
		})
	}
}

// TestConsoleThatTheBMCEndedIsAskedForSoon has a BMC that says before it
// restarts what it also says when somebody else takes the console.
func TestConsoleThatTheBMCEndedIsAskedForSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		defer c.Keep()()
		synctest.Wait()
		m.lose(true)
		m.mu.Lock()
		m.inUse = false // by nobody: it has restarted
		m.mu.Unlock()
		began := time.Now()
		for m.times() < 2 {
			<-time.After(100 * time.Millisecond)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("asked for again after %s", took)
		}
	})
}

func TestConsoleThatInsistsTakesItWithPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{inUse: true}
		c := newConsole(t, m)
		c.Insist = func() bool { return true }
		defer c.Close()
		defer c.Keep()()
		synctest.Wait()
		if m.takenOver() != 1 {
			t.Fatalf("taken over %d times", m.takenOver())
		}
		began := time.Now()
		for range 5 { // another one that insists
			m.lose(true)
			before := m.takenOver()
			for m.takenOver() == before {
				<-time.After(time.Second)
			}
		}
		if took := time.Since(began); took < 2*time.Minute {
			t.Errorf("taken five times in %s", took)
		}
	})
}

func TestViewerIsToldThatSomebodyElseHasTheConsole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		v := c.View("ada", nil)
		defer v.Close()
		m.print(t, "x")
		read(t, v, "x")
		m.lose(true)
		out, err := v.Next(t.Context())
		if err != nil || out.Status == nil || !out.Status.InUse || !errors.Is(out.Status.Err, errInUse) {
			t.Errorf("%+v, %v", out, err)
		}
	})
}
