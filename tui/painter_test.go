package tui

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/colorprofile"
)

// tally counts writes.
type tally struct{ writes, bytes atomic.Int64 }

func (c *tally) Write(p []byte) (int, error) {
	c.writes.Add(1)
	c.bytes.Add(int64(len(p)))
	return len(p), nil
}

func TestPainterDrawsNoMoreThanAnEyeSees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &tally{}
		p := newPainter(out, nil, colorprofile.NoTTY)
		var asked atomic.Int64
		go func() { _ = p.run(func() { asked.Add(1) }) }()
		for i := range 1000 {
			if p.wants() {
				p.show(frame{width: 80, height: 24, content: fmt.Sprint(i)})
			}
			<-time.After(time.Millisecond)
		}
		if n := out.writes.Load(); n < 50 || n > 1000/16+2 {
			t.Errorf("%d writes in a second", n)
		}
		if asked.Load() == 0 {
			t.Error("a frame that was skipped was never asked for")
		}
		p.finish(time.Second)
	})
}

func TestPainterDrawsAtOnceAndThenRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &tally{}
		p := newPainter(out, nil, colorprofile.NoTTY)
		go func() { _ = p.run(func() {}) }()
		synctest.Wait()
		began, before := time.Now(), out.writes.Load()
		f := frame{width: 80, height: 24, content: "hello", cursorX: 3, cursorVisible: true}
		p.wants()
		p.show(f)
		synctest.Wait()
		if out.writes.Load() != before+1 || time.Since(began) > 0 {
			t.Errorf("drawn %d times, after %v", out.writes.Load()-before, time.Since(began))
		}
		<-time.After(time.Hour)
		if p.wants() {
			p.show(f)
		}
		synctest.Wait()
		if n := out.writes.Load(); n != before+1 {
			t.Errorf("%d writes for one picture", n-before)
		}
		p.finish(time.Second)
	})
}
