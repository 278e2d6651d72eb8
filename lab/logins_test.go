package lab_test

import (
	"testing"
	"time"

	"provisioner/lab"
)

func TestAScriptThatLogsInAgainAndAgainIsKeptOnce(t *testing.T) {
	f := newFixture(t)
	logins := func() (kept int) {
		events, err := f.Events(t.Context(), f.admin, lab.EventFilter{Kinds: []string{lab.EventLogin}, Limit: 100})
		f.must(err)
		for _, e := range events {
			if e.User == "ada" {
				kept++
			}
		}
		return kept
	}
	before := logins()
	for _, step := range []struct {
		after  time.Duration
		remote string
		kept   int // of all so far
	}{
		{0, "192.0.2.7:1001", 1},
		{9 * time.Minute, "192.0.2.7:1002", 1},
		{59 * time.Second, "192.0.2.7:1003", 1},
		{time.Second, "192.0.2.7:1004", 2},
		{time.Second, "[2001:db8::7]:1004", 3}, // another host
		{time.Second, "192.0.2.7:1005", 4},
		{-time.Hour, "192.0.2.7:1006", 5}, // the clock was set back
	} {
		f.advance(step.after)
		_, err := f.Login(t.Context(), "ada", "SHA256:ada", step.remote)
		f.must(err)
		if kept := logins() - before; kept != step.kept {
			t.Errorf("%s after %s: %d logins are kept, want %d", step.remote, step.after, kept, step.kept)
		}
		keys, err := f.Keys(t.Context(), f.admin, "ada")
		f.must(err)
		if !keys[0].UsedAt.Equal(f.clock()) {
			t.Errorf("the key was last used at %s", keys[0].UsedAt)
		}
	}
	f.must(f.ChangeUser(t.Context(), f.admin, "ada", lab.UserChange{Disabled: new(true)}))
	_, err := f.Login(t.Context(), "ada", "SHA256:ada", "192.0.2.7:1007")
	f.refused(err, lab.Denied, "is disabled")
}
