package lab_test

import (
	"testing"
	"time"

	"provisioner/lab"
)

func TestTimesThatPeopleWrite(t *testing.T) {
	now := time.Date(2026, 3, 14, 9, 26, 53, 0, time.FixedZone("CET", 3600))
	for text, want := range map[string]time.Time{
		"":                     {},
		" 90s ":                now.Add(-90 * time.Second),
		"2h":                   now.Add(-2 * time.Hour),
		"3d":                   now.Add(-72 * time.Hour),
		"09:00":                time.Date(2026, 3, 14, 9, 0, 0, 0, now.Location()),
		"15:04":                time.Date(2026, 3, 13, 15, 4, 0, 0, now.Location()),
		"2026-03-01":           time.Date(2026, 3, 1, 0, 0, 0, 0, now.Location()),
		"2026-03-01 15:04":     time.Date(2026, 3, 1, 15, 4, 0, 0, now.Location()),
		"2026-03-01T15:04:05":  time.Date(2026, 3, 1, 15, 4, 5, 0, now.Location()),
		"2026-03-01T15:04:05Z": time.Date(2026, 3, 1, 15, 4, 5, 0, time.UTC),
	} {
		if got, err := lab.ParseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"yesterday", "-2h", "25:00", "2026-02-30", "99999999d", "\x1b[2J"} {
		if got, err := lab.ParseTime(text, now); lab.CodeOf(err) != lab.Invalid {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
