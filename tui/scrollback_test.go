package tui

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"provisioner/lab"
)

const (
	pageUp   = "\x1b[5~"
	pageDown = "\x1b[6~"
)

// scrolled is a machine that has printed 300 lines in colour, and was told in between
// what to start from. An hour passed before that, and one before the last line.
func scrolled(t testing.TB, width, height int) (s *site, line net.Conn, p *seat) {
	s, grace, _ := westLab(t)
	p = s.sit(grace, width, height)
	p.awaits("amd-rome-01")
	p.press(enterKey)
	line = s.bmc("amd-rome-01").line(t)
	p.awaits("● live")
	count := func(from, to int) {
		var text strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&text, "[%5d.000000] \x1b[32mline\x1b[0m %03d\r\n", i, i)
		}
		prints(t, line, text.String())
		p.awaits(fmt.Sprintf("line %03d", to-1))
	}
	count(0, 100)
	s.advance(time.Hour)
	s.must(s.lab.SetBootDevice(t.Context(), lab.Local, "amd-rome-01", lab.BootDisk, lab.BootOptions{}))
	s.advance(time.Minute)
	prints(t, line, "Oops: the machine has a long line that does not fit, of which nothing may be lost: it goes on\tand\tends HERE\r\n")
	s.await("the pattern to be found", func() bool {
		events, err := s.lab.MachineEvents(t.Context(), lab.Local, "amd-rome-01", 1)
		return err == nil && events[0].Kind == lab.EventConsolePattern
	})
	count(100, 299)
	s.advance(time.Hour)
	count(299, 300)
	return s, line, p
}

func TestScrollingBackThroughTheWholeLog(t *testing.T) {
	for _, size := range []struct {
		name          string
		width, height int
		above         string // the first line that is seen after a page up
	}{{"80x24", 80, 24, "line 275"}, {"120x40", 120, 40, "line 235"}} {
		t.Run(size.name, func(t *testing.T) {
			s, line, p := scrolled(t, size.width, size.height)
			p.press(pageUp)
			p.awaits("Log  Mar 14 10:27:53", size.above, "!299", "esc live")
			if size.width >= wideWidth {
				p.awaits("console opened  log")
			}
			p.golden("log-" + size.name)
			p.press(pageUp, pageUp, "k", "j", pageDown, pageDown) // no key is lost, however fast
			p.awaits(size.above, "!299")
			p.press("g")
			p.awaits("Mar 14 09:26:53", "beginning", "line 000")
			p.press("G")
			p.awaits("line 299", "end")
			p.golden("log-end-" + size.name)

			// What is printed meanwhile is there when one asks for more.
			prints(t, line, "news\r\n")
			s.await("the news to be in the log", func() bool {
				p.press("j")
				return strings.Contains(p.text(), "news")
			})
			p.press(escapeKey)
			p.awaits("● live", "news", "!Log")
			p.press(pageUp)
			p.awaits("Log", "!news")
			p.press("c")
			p.awaits("Typing")
		})
	}
}

func TestLogIsOpenedOnceForAPage(t *testing.T) {
	s, _, p := scrolled(t, 80, 24)
	for range 3 {
		p.press(pageUp)
		p.awaits("Log  Mar 14")
		p.press("q")
		p.awaits("● live")
	}
	events, err := s.lab.MachineEvents(t.Context(), lab.Local, "amd-rome-01", 50)
	s.must(err)
	n := 0
	for _, e := range events {
		if e.Kind == lab.EventConsole && e.Detail == "log" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("it is kept %d times that the log was opened", n)
	}
}

func TestLongLinesAreWrappedNotCut(t *testing.T) {
	_, _, p := scrolled(t, 80, 24)
	p.press("[", "/", "oops", enterKey)
	p.awaits("of which nothing may be los", "t: it goes on   and     ends HERE", "line 100", "line 099")
	p.golden("log-found-80x24")
}

func TestSearchingInTheLog(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		_, _, p := scrolled(t, w.width, w.height)
		p.press(pageUp)
		p.awaits("Log  Mar 14")
		p.press("n")
		p.awaits("✗ nothing is looked for yet")
		p.press("/", "line 050")
		p.awaits("search for: line 050", "tab: as a regular expression")
		p.golden("log-search-" + w.name)
		p.press(enterKey)
		p.awaits(`✓ below there is no "line 050"; this is the last one`, "line 050", "Mar 14 09:26:53")
		p.press("n")
		p.awaits(`✗ there is no more "line 050" below; N looks above`)
		p.press("/", "nothing like it", enterKey)
		p.awaits(`✗ there is no "nothing like it" in what you may read`, "line 050")
		p.press("/", "\t", `line 1[0-9]9$`)
		p.awaits("search for expression: line 1[0-9]9$")
		p.press(enterKey)
		p.awaits("line 109", "!line 150")
		p.press("n", "n", "n", "n")
		p.awaits("line 149", "!line 109")
		p.press("N", "N", "N", "N", "N")
		p.awaits("✗ there is no more", "above; n looks below", "line 109")
		p.press("/", "(", enterKey)
		p.awaits("✗ missing closing )", "search for expression: (")
		p.press(escapeKey)
		p.awaits("!search for")
		// Capitals matter if there are any.
		p.press("/", "\t", "LINE 200", enterKey)
		p.awaits(`✗ there is no "LINE 200"`)
	})
}

func TestJumpingToATime(t *testing.T) {
	_, _, p := scrolled(t, 80, 24)
	p.press(pageUp)
	p.awaits("Log  Mar 14")
	p.press("t")
	p.awaits("jump to:", "15m, 2h, 3d ago")
	p.golden("log-time-80x24")
	p.press("never", enterKey)
	p.awaits("✗ give how long ago", "jump to: never")
	p.press("\x15", "10:00", enterKey) // ctrl+u
	p.awaits("Log  Mar 14 10:27:53", "Oops", "!line 099")
	p.press("t", "3h", enterKey)
	p.awaits("beginning", "line 000")
	p.press("t", "1s", enterKey)
	p.awaits("line 299", "!line 000")
}

func TestJumpingToAnEvent(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		_, _, p := scrolled(t, w.width, w.height)
		p.press(pageUp)
		p.awaits("Log  Mar 14")
		p.press("e")
		p.awaits("jump to an event", "reserved", "10:26:53  boot device  disk  local", "✗ kernel oops")
		p.golden("log-events-" + w.name)
		p.press("disk")
		p.awaits("only: disk", "› 10:26:53  boot device  disk  local")
		p.press(enterKey)
		p.awaits("Oops", "line 099")
		p.press("e", "no such", enterKey)
		p.awaits("nothing matches")
		p.press(escapeKey)
		p.awaits("Oops")
	})
}

func TestLogOfAMachineThatOneHeldOnce(t *testing.T) {
	s, _, p := scrolled(t, 80, 24)
	root, ada := s.user("root", true), s.user("ada", false)
	s.must(s.lab.Release(t.Context(), root, "amd-rome-01"))
	p.awaits("You no longer hold amd-rome-01")
	s.advance(time.Minute)
	s.must(s.lab.Reserve(t.Context(), ada, "amd-rome-01", ""))
	other := s.atMachine(ada, small, "amd-rome-01")
	other.press("[")
	other.awaits("Nothing was printed in the time that you may read")
	other.golden("log-empty-80x24")
	p.press(pageUp)
	p.awaits("Log  Mar 14", "line 280")
	stranger := s.sit(s.user("zoe", false), 80, 24)
	stranger.awaits("amd-rome-01")
	stranger.press(enterKey)
	stranger.awaits("held by ada")
	stranger.press("[")
	stranger.awaits("read the console log of amd-rome-01: it is held by ada; ask them, or an", "Log")
	stranger.golden("log-refused-80x24")
	stranger.press(escapeKey)
	stranger.awaits("Console", "!Log")
}

func TestWhatIsInTheLogNeverReachesThePersonsTerminal(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 140, 40)
	p.awaits("amd-rome-01")
	p.press(enterKey)
	line := s.bmc("amd-rome-01").line(t)
	prints(t, line, "\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b]8;;http://owned/\x07link\x1b]8;;\x07"+
		"\u009b31mC1\x9b5n\x1bP1$r\x1b\\\x1b[?1003h\x1b[c\u202edeni\u202c\r\nthe end")
	p.awaits("● live", "the end")
	p.press("[", "/", "link", enterKey)
	p.awaits("Log  Mar 14", "the end", `looking for "link"`)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, bad := range []string{"owned", "\u009b", "\x9b5n", "\x1bP", "1003", "\u202e", "\x1b[c", "\x1b]"} {
		if bytes.Contains(p.raw.Bytes(), []byte(bad)) {
			t.Errorf("the terminal was sent %q", bad)
		}
	}
}

func TestRowsMakeUpTheLine(t *testing.T) {
	for _, text := range []string{
		"", "a", strings.Repeat("ab ", 40), "  indented", strings.Repeat("日本", 30), "e\u0301" + strings.Repeat("x", 100),
		"👨‍👩‍👧" + strings.Repeat("y", 20), "a\tb\tc", "\x1b[31m\u202e",
	} {
		for _, width := range []int{2, 3, 10, 80} {
			rows := logRows(text, width)
			if got := strings.Join(rows, ""); got != printed(text) {
				t.Errorf("%q in %d: %q", text, width, got)
			}
			for _, row := range rows {
				if w := widths.StringWidth(row); w > width {
					t.Errorf("%q has %d cells, in %d", row, w, width)
				}
			}
		}
	}
}
