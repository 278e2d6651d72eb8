package console

import (
	"fmt"
	"slices"
	"time"
)

// Mode is what a viewer does at a console.
type Mode int

const (
	Watching Mode = iota
	Asking        // watches, and would like to type
	Writing       // types; one viewer at most
)

// String returns watches, asks to type or types.
func (m Mode) String() string { return [...]string{"watches", "asks to type", "types"}[m] }

// quietAfter is how long the one who types must have typed nothing to be
// taken to have gone away from the keyboard.
const quietAfter = 5 * time.Minute

// Guest is somebody who is at a console.
type Guest struct {
	Name  string
	Mode  Mode
	Since time.Time
	Quiet time.Duration // of one who types: since their last key
}

// NoticeKind is what a viewer is told of others.
type NoticeKind int

const (
	Joined  NoticeKind = iota // Who has come
	Left                      // Who has gone
	Asked                     // Who would like to type, and asks the one who does
	Took                      // Who types now, instead of the viewer who is told
	Writes                    // Who types now; an empty Who: nobody
	Yours                     // the viewer who is told types now
	Refused                   // some input did not pass; What says why
	Told                      // What concerns them at this console
)

// Notice is something that a viewer is told.
type Notice struct {
	Kind NoticeKind
	Who  string
	What string
}

// String is a sentence for people.
func (n Notice) String() string {
	switch n.Kind {
	case Joined:
		return n.Who + " is here"
	case Left:
		return n.Who + " has left"
	case Asked:
		return n.Who + " asks to type"
	case Took:
		return n.Who + " has taken the keyboard; you watch"
	case Writes:
		if n.Who == "" {
			return "nobody types now"
		}
		return n.Who + " types now"
	case Yours:
		return "you type now"
	case Refused:
		return "not sent: " + n.What
	case Told:
		return n.What
	}
	return fmt.Sprintf("notice %d", n.Kind)
}

// maxNotices bounds what waits for a viewer; the oldest are dropped.
const maxNotices = 32

// Ask makes the viewer the one who types, where nobody else does, or the one
// who does is the same person or has typed nothing for five minutes. Otherwise
// they are told that somebody asks, and the viewer gets the keyboard when they
// yield it or leave. It returns the viewer's mode.
func (v *Viewer) Ask() Mode {
	c := v.console
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.writer
	switch {
	case v.ended:
	case w == v:
		return Writing
	case w == nil || w.name == v.name || c.Now().Sub(c.wrote) >= quietAfter:
		c.giveLocked(v)
		return Writing
	case slices.Contains(c.asking, v):
		return Asking
	default:
		c.asking = append(c.asking, v)
		w.noticeLocked(Notice{Kind: Asked, Who: v.name})
		return Asking
	}
	return Watching
}

// Take makes the viewer the one who types, whoever does. They are told.
func (v *Viewer) Take() {
	c := v.console
	c.mu.Lock()
	defer c.mu.Unlock()
	if !v.ended && c.writer != v {
		c.giveLocked(v)
	}
}

// TakeOver takes the machine's console from another program that has it, once.
func (v *Viewer) TakeOver() {
	c := v.console
	c.mu.Lock()
	defer c.mu.Unlock()
	if !v.ended {
		c.takeOver = true
		c.retryLocked()
	}
}

// Yield gives the keyboard to who has asked for it first, if anybody has. Of a
// viewer who only asks for it, it ends the asking.
func (v *Viewer) Yield() {
	c := v.console
	c.mu.Lock()
	defer c.mu.Unlock()
	c.yieldLocked(v)
}

// Tell has the viewer read a notice.
func (v *Viewer) Tell(what string) {
	v.console.mu.Lock()
	defer v.console.mu.Unlock()
	v.noticeLocked(Notice{Kind: Told, What: what})
}

// Mode returns what the viewer does.
func (v *Viewer) Mode() Mode {
	v.console.mu.Lock()
	defer v.console.mu.Unlock()
	return v.modeLocked()
}

// Guests returns who is at the console, the longest first.
func (c *Console) Guests() []Guest {
	c.mu.Lock()
	defer c.mu.Unlock()
	guests := make([]Guest, 0, len(c.viewers))
	for v := range c.viewers {
		if v.name == "" {
			continue
		}
		g := Guest{Name: v.name, Mode: v.modeLocked(), Since: v.joined}
		if g.Mode == Writing {
			g.Quiet = c.Now().Sub(c.wrote)
		}
		guests = append(guests, g)
	}
	slices.SortFunc(guests, func(a, b Guest) int { return a.Since.Compare(b.Since) })
	return guests
}

// Guests is that of the console which the viewer is at.
func (v *Viewer) Guests() []Guest { return v.console.Guests() }

func (v *Viewer) modeLocked() Mode {
	switch {
	case v.console.writer == v:
		return Writing
	case slices.Contains(v.console.asking, v):
		return Asking
	}
	return Watching
}

// mayType makes the viewer the one who types, where nobody does, and says why
// they may not.
func (v *Viewer) mayType() error {
	c := v.console
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writer == nil && !v.ended {
		c.giveLocked(v)
	}
	if c.writer != v {
		return &OccupiedError{c.nameLocked()}
	}
	c.wrote = c.Now()
	return nil
}

func (c *Console) nameLocked() string {
	if c.writer == nil {
		return "nobody"
	}
	return c.writer.name
}

// giveLocked gives the keyboard to a viewer, and tells everybody.
func (c *Console) giveLocked(v *Viewer) {
	before := c.writer
	c.writer, c.wrote = v, c.Now()
	c.asking = slices.DeleteFunc(c.asking, func(other *Viewer) bool { return other == v })
	for other := range c.viewers {
		switch other {
		case v:
			other.noticeLocked(Notice{Kind: Yours})
		case before:
			other.noticeLocked(Notice{Kind: Took, Who: v.name})
		default:
			other.noticeLocked(Notice{Kind: Writes, Who: v.name})
		}
	}
}

func (c *Console) yieldLocked(v *Viewer) {
	c.asking = slices.DeleteFunc(c.asking, func(other *Viewer) bool { return other == v })
	if c.writer != v {
		return
	}
	c.writer = nil
	if len(c.asking) > 0 {
		c.giveLocked(c.asking[0])
		return
	}
	for other := range c.viewers {
		if other != v {
			other.noticeLocked(Notice{Kind: Writes})
		}
	}
}

// tellLocked tells all but one viewer something about that one.
func (c *Console) tellLocked(about *Viewer, kind NoticeKind) {
	if about.name == "" {
		return
	}
	for other := range c.viewers {
		if other != about {
			other.noticeLocked(Notice{Kind: kind, Who: about.name})
		}
	}
}

func (v *Viewer) noticeLocked(n Notice) {
	if v.ended {
		return
	}
	if len(v.notices) == maxNotices {
		v.notices = slices.Delete(v.notices, 0, 1)
	}
	v.notices = append(v.notices, n)
	v.wakeUp()
}
