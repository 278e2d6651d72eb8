package transcript

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"
)

// bigLog is 64 MiB of what a machine prints while it boots.
func bigLog(b *testing.B) *Excerpt {
	b.Helper()
	root, err := os.OpenRoot(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { root.Close() })
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	l := New(root, Limits{Total: 128 << 20}, func() time.Time { return now }).Log("1", slog.New(slog.DiscardHandler))
	for n, lines := 0, 0; n < 64<<20; now = now.Add(600 * time.Millisecond) {
		for range 60 {
			line := fmt.Appendf(nil, "[%12.6f] \x1b[32mOK\x1b[0m usb 1-%d: new high-speed device number %d\r\n", float64(lines)/100, lines%8, lines)
			if lines%2 == 0 {
				line = fmt.Appendf(nil, "[%12.6f] pci 0000:00:%02x.0: reg 0x10: [mem 0xfebf0000-0xfebf0fff]\r\n", float64(lines)/100, lines%256)
			}
			l.Append(line)
			n, lines = n+len(line), lines+1
		}
		l.Flush()
	}
	e, err := l.Snapshot().Excerpt(Window{})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

func BenchmarkSearch64MiB(b *testing.B) {
	e := bigLog(b)
	for name, expression := range map[string]string{"text": "no such device", "text-in-any-case": "(?i)no such device", "expression": `number \d+ .*gone$`} {
		query, err := Expression(expression, false)
		if err != nil {
			b.Fatal(err)
		}
		for direction, search := range map[string]func() error{
			"forwards":  func() error { return failure(e.Search(b.Context(), query, 0)) },
			"backwards": func() error { return failure(e.SearchBefore(b.Context(), query, e.End())) },
		} {
			b.Run(name+"/"+direction, func(b *testing.B) {
				b.SetBytes(int64(e.End() - e.Start()))
				b.ReportAllocs()
				for b.Loop() {
					if err := search(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkPageAtTheEndOf64MiB is a person who begins to scroll back: the
// excerpt since the machine is theirs, and its last page.
func BenchmarkPageAtTheEndOf64MiB(b *testing.B) {
	whole := bigLog(b)
	for name, window := range map[string]Window{"admin": {}, "holder": {Since: time.Unix(1, 0)}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e, err := whole.log.Snapshot().Excerpt(window)
				if err != nil {
					b.Fatal(err)
				}
				if page, err := e.PageBefore(e.End(), 24); err != nil || bytes.Count(page.Text, []byte("\n")) != 24 {
					b.Fatalf("%d lines, %v", bytes.Count(page.Text, []byte("\n")), err)
				}
			}
		})
	}
}
