package tui

import (
	"strings"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

// warningStays is how long a warning is on the screen whatever is typed: who
// types into a console does not look at the last line. The first key after that
// takes it away.
const warningStays = 10 * time.Second

// warning is something that a person is told on whatever screen they are.
type warning struct {
	text string
	at   time.Time
}

// warn shows a sentence on every screen, and for a while.
func (a *app) warn(text string) { a.warning = warning{clean(text), a.now()} }

// heed is told that a key was pressed.
func (a *app) heed() {
	if a.warning.text != "" && a.now().Sub(a.warning.at) >= warningStays {
		a.warning = warning{}
	}
}

// notice is what an event means for somebody's machines; empty: nothing that
// they have to be told. What they do themselves, they know.
func notice(e store.Event, me string) string {
	name, rest, _ := strings.Cut(e.Detail, ":")
	byMe, mine := strings.EqualFold(e.User, me), strings.EqualFold(strings.TrimSpace(name), me)
	switch e.Kind {
	case lab.EventTermEnding, lab.EventTermOver, lab.EventIdle: // of the holder
		text := "your reservation of " + e.Machine + " " + e.Detail
		switch {
		case !byMe:
			return ""
		case e.Kind != lab.EventIdle:
			text += "; " + holdKeys.Extend.Help().Key + " on its page extends it"
		}
		return text
	case lab.EventReleased:
		if !mine || byMe {
			return ""
		}
		why := strings.TrimSpace(rest)
		if why == "" {
			why = "released by " + e.User
		}
		return e.Machine + " is not yours any more: " + why
	case lab.EventLent:
		to, until := recipient(e.Detail)
		if strings.EqualFold(to, me) && !byMe {
			return strings.TrimSpace(e.User + " has lent you " + e.Machine + " " + until)
		}
	case lab.EventReturned:
		if to, _ := recipient(e.Detail); strings.EqualFold(to, me) && !byMe {
			return e.Machine + " is yours again"
		}
	case lab.EventQueueLeft:
		// "place 5 of ada: why"
		words := strings.Fields(name)
		if len(words) == 4 && strings.EqualFold(words[3], me) && !byMe {
			return "you wait no more at place " + words[1] + " in the queue:" + rest
		}
	}
	return ""
}

// recipient takes "to NAME ..." apart.
func recipient(detail string) (name, rest string) {
	name, rest, _ = strings.Cut(strings.TrimPrefix(detail, "to "), " ")
	return name, rest
}
