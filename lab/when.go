package lab

import (
	"strconv"
	"strings"
	"time"
)

// ParseTime reads a time that a person wrote: so long ago (90s, 2h, 3d), a time
// of the day (the last one that was), or a date with or without one, in the
// zone of now. Of an empty text it is the zero time. An error does not repeat
// the text.
func ParseTime(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	if ago, ok := parseAgo(text); ok && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
		if t, err := time.ParseInLocation(strings.Replace(layout, " ", "T", 1), text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		t = time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location())
		if t.After(now) {
			t = t.AddDate(0, 0, -1)
		}
		return t, nil
	}
	return time.Time{}, fail(Invalid, "give how long ago, such as 15m, 2h or 3d, or a time, such as 15:04 or 2006-01-02T15:04")
}

func parseAgo(text string) (time.Duration, bool) {
	if days, found := strings.CutSuffix(text, "d"); found {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	ago, err := time.ParseDuration(text)
	return ago, err == nil
}
