package console_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/lab/console"
)

// machine is the far end of a console that a test plays.
type machine struct {
	mu     sync.Mutex
	port   net.Conn // nil: nobody is connected
	opened int
	err    error // what opening answers
}

func (m *machine) open(context.Context) (io.ReadWriteCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened++
	if m.err != nil {
		return nil, m.err
	}
	ours, theirs := net.Pipe()
	m.port = theirs
	return ours, nil
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
		c := console.New(m.open)
		defer c.Close()
		first := c.View()
		defer first.Close()
		m.print(t, "login: ")
		read(t, first, "login: ")

		second := c.View()
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
		c := console.New(m.open)
		defer c.Close()
		v := c.View()
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
		c := console.New(m.open)
		defer c.Close()
		v := c.View()
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
		c := console.New(m.open)
		defer c.Close()
		v := c.View()
		synctest.Wait()
		release := c.Hold()
		v.Close()
		m.print(t, "unseen ")
		release()
		synctest.Wait()
		if _, err := m.port.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the connection without users: %v", err)
		}
		again := c.View()
		defer again.Close()
		m.print(t, "seen")
		if text, _ := read(t, again, "seen"); text != "unseen seen" {
			t.Errorf("the next viewer saw %q", text)
		}
	})
}

func TestLostConnectionIsToldAndOpenedAgainWithPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{err: errors.New("no answer in 5s")}
		c := console.New(m.open)
		defer c.Close()
		v := c.View()
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
		c := console.New(m.open)
		defer c.Close()
		slow, quick := c.View(), c.View()
		defer slow.Close()
		defer quick.Close()
		line := strings.Repeat("x", 1023) + "\n"
		for range 2000 { // 2 MB: more than a viewer's queue and the history
			m.print(t, line)
			read(t, quick, "\n")
		}
		m.print(t, "the end")
		out, err := slow.Next(t.Context())
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
		c := console.New(m.open)
		v := c.View()
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
		if _, err := c.View().Next(t.Context()); err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("view of a closed console: %v", err)
		}
	})
}
