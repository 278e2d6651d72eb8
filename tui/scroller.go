package tui

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// scroller is which lines of a text a window shows.
type scroller struct {
	first int // the first one
	page  int // how many are shown
	lines int // how many there are
}

// press takes the keys that scroll; false: it was none.
func (s *scroller) press(msg tea.KeyPressMsg) bool {
	k := scrollKeys
	by := 0
	switch {
	case key.Matches(msg, k.Up):
		by = -1
	case key.Matches(msg, k.Down):
		by = 1
	case key.Matches(msg, k.PageUp):
		by = -max(1, s.page-1)
	case key.Matches(msg, k.PageDown):
		by = max(1, s.page-1)
	case key.Matches(msg, k.Top):
		by = -s.lines
	case key.Matches(msg, k.Bottom):
		by = s.lines
	default:
		return false
	}
	s.scroll(by)
	return true
}

func (s *scroller) scroll(by int) {
	s.first = max(0, min(s.first+by, s.lines-s.page))
}

// window is what of a text a page of that many lines shows; more says that it
// is not all.
func (s *scroller) window(text []string, page int) (shown []string, more bool) {
	s.page, s.lines = page, len(text)
	s.scroll(0)
	return text[min(s.first, len(text)):], s.lines > s.page
}
