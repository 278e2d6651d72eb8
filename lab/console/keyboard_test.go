package console_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/lab/console"
)

// told collects what a viewer has been told of others until now.
func told(t *testing.T, v *console.Viewer) (sentences []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	for {
		out, err := v.Next(ctx)
		if err != nil {
			return sentences
		}
		for _, n := range out.Notices {
			sentences = append(sentences, n.String())
		}
	}
}

func expectTold(t *testing.T, who string, v *console.Viewer, want ...string) {
	t.Helper()
	if got := told(t, v); !slices.Equal(got, want) {
		t.Errorf("%s was told %q, want %q", who, got, want)
	}
}

// types has a viewer type a key, and reports what came of it.
func types(m *machine, v *console.Viewer) error {
	synctest.Wait()
	if err := v.TrySend([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(m.port, make([]byte, 1))
	return err
}

func TestOneViewerTypesAndTheOthersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		ada, grace, linus := c.View("ada", nil), c.View("grace", nil), c.View("linus", nil)
		defer linus.Close()
		expectTold(t, "ada", ada, "grace is here", "linus is here")

		if err := types(m, ada); err != nil { // nobody did: it is hers
			t.Fatal(err)
		}
		expectTold(t, "ada", ada, "you type now")
		expectTold(t, "grace", grace, "linus is here", "ada types now")

		var occupied *console.OccupiedError
		if err := types(m, grace); !errors.As(err, &occupied) || occupied.Who != "ada" {
			t.Errorf("grace types, too: %v", err)
		}
		if mode := grace.Ask(); mode != console.Asking {
			t.Errorf("grace %s", mode)
		}
		if linus.Ask(); linus.Ask() != console.Asking { // asking twice is asking once
			t.Errorf("linus %s", linus.Mode())
		}
		expectTold(t, "ada", ada, "grace asks to type", "linus asks to type")
		ada.Yield()
		expectTold(t, "grace", grace, "you type now")
		expectTold(t, "ada", ada, "grace types now")
		if err := types(m, grace); err != nil {
			t.Error(err)
		}

		ada.Take()
		expectTold(t, "grace", grace, "ada has taken the keyboard; you watch")
		grace.Close()
		ada.Close() // who asked is next
		expectTold(t, "linus", linus, "ada types now", "grace types now", "ada types now",
			"grace has left", "you type now", "ada has left")
		if linus.Mode() != console.Writing {
			t.Errorf("linus %s", linus.Mode())
		}
	})
}

func TestKeyboardOfOneWhoIsAwayOrTheSamePersonIsGivenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		ada, elsewhere, grace := c.View("ada", nil), c.View("ada", nil), c.View("grace", nil)
		defer ada.Close()
		defer elsewhere.Close()
		defer grace.Close()
		if ada.Ask() != console.Writing || elsewhere.Ask() != console.Writing || ada.Mode() != console.Watching {
			t.Errorf("ada %s, and elsewhere %s", ada.Mode(), elsewhere.Mode())
		}
		<-time.After(4 * time.Minute)
		if err := types(m, elsewhere); err != nil {
			t.Fatal(err)
		}
		<-time.After(4 * time.Minute)
		if mode := grace.Ask(); mode != console.Asking {
			t.Errorf("grace %s after 4 minutes", mode)
		}
		<-time.After(time.Minute)
		if mode := grace.Ask(); mode != console.Writing {
			t.Errorf("grace %s after 5 minutes", mode)
		}
	})
}

func TestGuestsAreListedInTheOrderOfTheirComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		for _, name := range []string{"grace", "ada", "linus", ""} {
			v := c.View(name, nil)
			defer v.Close()
			if name == "ada" {
				if err := types(m, v); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(time.Second)
		}
		guests := c.Guests()
		if len(guests) != 3 || guests[0].Name != "grace" || guests[1].Name != "ada" || guests[2].Name != "linus" {
			t.Fatalf("%+v", guests)
		}
		if g := guests[1]; g.Mode != console.Writing || g.Quiet != 3*time.Second {
			t.Errorf("%+v", g)
		}
	})
}

// TestNoticesOfASlowViewerAreBounded has a console where people come and go
// while one viewer does not look.
func TestNoticesOfASlowViewerAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsole(t, &machine{})
		defer c.Close()
		slow := c.View("ada", nil)
		defer slow.Close()
		for range 1000 {
			c.View("grace", nil).Close()
		}
		if got := told(t, slow); len(got) != 32 || got[31] != "grace has left" {
			t.Errorf("told %d things, lastly %q", len(got), got[len(got)-1])
		}
	})
}

func TestBreakAndRefusedInputAreToldToWhoTyped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		c := newConsole(t, m)
		defer c.Close()
		v := c.View("ada", nil)
		defer v.Close()
		if err := v.SendBreak(t.Context()); !errors.Is(err, console.ErrNoBreak) {
			t.Errorf("break on a stream that has none: %v", err)
		}
		m.mu.Lock()
		m.breaks, m.refuse = true, "Ctrl+\\ would leave to the BMC"
		m.mu.Unlock()
		m.lose(false)
		<-time.After(time.Minute)
		if err := v.SendBreak(t.Context()); err != nil {
			t.Errorf("break: %v", err)
		}
		if err := v.Send(t.Context(), []byte("\x1c")); err != nil {
			t.Errorf("input that does not pass: %v", err)
		}
		if got := told(t, v); !slices.Contains(got, "not sent: Ctrl+\\ would leave to the BMC") {
			t.Errorf("told %q", got)
		}
		if n := m.broke(); n != 1 {
			t.Errorf("the machine saw %d breaks", n)
		}
	})
}

func TestInputThatFailsOnceIsTakenTheNextTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{breaks: true, deaf: errors.New("no acknowledgement")}
		c := newConsole(t, m)
		defer c.Close()
		v := c.View("ada", nil)
		defer v.Close()
		synctest.Wait()
		if err := v.Send(t.Context(), []byte("x")); err == nil || err.Error() != "no acknowledgement" {
			t.Errorf("input that fails: %v", err)
		}
		m.mu.Lock()
		m.deaf = nil
		m.mu.Unlock()
		if err := types(m, v); err != nil {
			t.Errorf("the next input: %v", err)
		}
	})
}
