package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"provisioner/lab/console/transcript"
)

// shown notes when what was written.
type shown struct {
	began time.Time
	log   []string
}

func (s *shown) Write(p []byte) (int, error) {
	s.log = append(s.log, fmt.Sprintf("%s %s", time.Since(s.began), p))
	return len(p), nil
}

func chunksAt(seconds ...float64) iter.Seq2[transcript.Chunk, error] {
	return func(yield func(transcript.Chunk, error) bool) {
		for i, s := range seconds {
			c := transcript.Chunk{Bytes: []byte{'a' + byte(i)}}
			if s >= 0 {
				c.At = time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second)))
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

func TestReplayTakesTheTimeOfTheMachine(t *testing.T) {
	for name, test := range map[string]struct {
		speed float64
		idle  time.Duration
		at    []float64
		keys  string // typed a second apart
		want  []string
		err   error
	}{
		"as it was":        {1, time.Hour, []float64{0, 1, 1, 60}, "", []string{"0s a", "1s b", "1s c", "1m0s d"}, nil},
		"faster":           {4, time.Hour, []float64{0, 2, 60}, "", []string{"0s a", "500ms b", "15s c"}, nil},
		"without pauses":   {1, 2 * time.Second, []float64{0, 1, 3600}, "", []string{"0s a", "1s b", "3s c"}, nil},
		"a clock set back": {1, time.Hour, []float64{9, 1, 2}, "", []string{"0s a", "0s b", "1s c"}, nil},
		"unknown times":    {1, time.Hour, []float64{-1, 5, -1, 6}, "", []string{"0s a", "0s b", "0s c", "1s d"}, nil},
		"paused":           {1, time.Hour, []float64{0, 10}, " . ", []string{"0s a", "12s b"}, nil},
		"speed changed":    {1, time.Hour, []float64{0, 10}, "++", []string{"0s a", "3.75s b"}, nil}, // 1 s at 1, 1 s at 2, 1.75 s at 4
		"slower":           {1, time.Hour, []float64{0, 3}, "-", []string{"0s a", "5s b"}, nil},
		"left":             {1, time.Hour, []float64{0, 10}, "q", []string{"0s a"}, errLeft},
		"left by Ctrl-C":   {1, time.Hour, []float64{0, 10}, " \x03", []string{"0s a"}, errLeft},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys := make(chan byte)
				out := &shown{began: time.Now()}
				p := player{out: out, keys: keys, speed: test.speed, idle: test.idle}
				ctx, cancel := context.WithCancel(t.Context())
				go func() { // ends when all was typed, or with ctx
					for _, key := range []byte(test.keys) {
						<-time.After(time.Second)
						select {
						case keys <- key:
						case <-ctx.Done():
							return
						}
					}
				}()
				err := p.play(ctx, chunksAt(test.at...))
				cancel()
				if !errors.Is(err, test.err) || !slices.Equal(out.log, test.want) {
					t.Errorf("%q, %v; want %q, %v", out.log, err, test.want, test.err)
				}
			})
		})
	}
}

// pieces is a reader that returns one string at a time.
type pieces []string

func (r *pieces) Read(p []byte) (int, error) {
	if len(*r) == 0 {
		return 0, io.EOF
	}
	n := copy(p, (*r)[0])
	*r = (*r)[1:]
	return n, nil
}

func TestAnswersOfATerminalAreNoKeys(t *testing.T) {
	keys := make(chan byte, 100)
	readKeys(t.Context(), &pieces{"+", "\x1b[24;80R", "\x1b[?62;1q", "-- ", "\x1b[A", "q"}, keys)
	close(keys)
	var got []byte
	for key := range keys {
		got = append(got, key)
	}
	if string(got) != "+-- q" {
		t.Errorf("%q", got)
	}
}

func TestTimesArePeoplesTimes(t *testing.T) {
	zone := time.FixedZone("CET", 3600)
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, zone)
	at := func(day, hour, minute, second int) time.Time {
		return time.Date(2026, 11, day, hour, minute, second, 0, zone)
	}
	for text, want := range map[string]time.Time{
		"": {}, "90s": at(20, 11, 58, 30), "15m": at(20, 11, 45, 0), "2h": at(20, 10, 0, 0), "1h30m": at(20, 10, 30, 0), "3d": at(17, 12, 0, 0), "0s": now,
		"10:30": at(20, 10, 30, 0), "10:30:15": at(20, 10, 30, 15), "13:00": at(19, 13, 0, 0), "12:00": now,
		"2026-11-18": at(18, 0, 0, 0), "2026-11-18 15:04": at(18, 15, 4, 0), "2026-11-18T15:04": at(18, 15, 4, 0), "2026-11-18T15:04:05": at(18, 15, 4, 5),
		"2026-11-18T14:04:05Z": at(18, 15, 4, 5), " 10:30 ": at(20, 10, 30, 0),
	} {
		if got, err := parseTime("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"-1h", "-3d", "yesterday", "25:00", "2026-13-01", "1.5d", "99999999d", "\x1b[2J", "10:30pm"} {
		if got, err := parseTime("--since", text, now); err == nil || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func FuzzRuneStream(f *testing.F) {
	f.Add([]byte("übung €"), 1)
	f.Add([]byte("\xf0\x9f\x98\x80\xff\xc3"), 3)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		if size <= 0 {
			return
		}
		var stream runeStream
		var all string
		for chunk := range slices.Chunk(text, size) {
			s := stream.next(chunk)
			if !utf8.ValidString(s) || len(stream.held) >= utf8.UTFMax {
				t.Fatalf("%q, and held %q", s, stream.held)
			}
			all += s
		}
		all += stream.rest()
		if !utf8.ValidString(all) || utf8.Valid(text) && all != string(text) {
			t.Errorf("%q of %q", all, text)
		}
	})
}
