package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"

	"provisioner/lab"
	consoles "provisioner/lab/console"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

// FuzzScreens types anything and has machines print and be called anything, in
// a window of any size. Nothing may panic, and nothing may be wider or higher
// than the window.
func FuzzScreens(f *testing.F) {
	f.Add([]byte("jjt\x1b[B/arm\r?q"), []byte("login: \x1b[31mroot\x1b[0m"), "ampere-01", uint16(80), uint16(24))
	f.Add([]byte("\rc\x03\x1bOP\x1d\x1bzz"), []byte("\x1b[999999999b\x1b[99;99H\x1b[?1049h"), "日本語日本語日本語", uint16(140), uint16(40))
	f.Add([]byte("\rp\r\r\x1b[200~quiet\nsplash\x1b[201~\t\t\ry"), []byte("\x1b[6n\u009b\u202e"), "\x1b]0;x\a", uint16(41), uint16(11))
	f.Add([]byte("\r[/a\rnNt2h\re\x1b[B\rjkgG/\t(\rzc"), []byte("panic\tat \x1b[31mred\r\n"), "panic", uint16(80), uint16(24))
	f.Add([]byte("\rijGrk\x1b[6~\x1bai"), []byte("a"), "\x1b[31mtemp\u202e", uint16(130), uint16(14))
	f.Add([]byte("\rab\x1bTyBylo\x1bcT\x1d"), []byte("a"), "b", uint16(50), uint16(12))
	f.Add([]byte("waa\x1b[B\rjG\x1bi/\rauKPd\rKG\x1bq"), []byte("a\tb\r\n\x1b[2J"), "ab", uint16(60), uint16(13))
	f.Add([]byte("p\rGvx\r\r\x1b\x1bdn\rx\r\r"), []byte("{{ a }}"), "\x1b[2J", uint16(100), uint16(16))
	f.Add([]byte("rnm\rfyx\x1by"), []byte("e\u0301\u0301👨‍👩‍👧"), "👨‍👩‍👧\u200b\u0301", uint16(20), uint16(5))

	f.Add([]byte("ERLH\rj\x1bQn(= a\r5h\r\x1b\x1bd\x1bPj\r"), []byte("a b\r\n"), "(= name\x1b[2J", uint16(80), uint16(24))
	f.Add([]byte("/(and (= a 1\r\x1b\rEL\x1bH"), []byte("a"), "grace", uint16(44), uint16(11))

	a0 := lab.Actor{User: store.User{ID: 7, Name: "grace"}}
	l := newSite(f).lab
	root, err := os.OpenRoot(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	defer root.Close()
	logs := transcript.New(root, transcript.Limits{}, pi)
	log := logs.Log("1", slog.New(slog.DiscardHandler))
	printed := logs.Log("2", slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, keys, output []byte, name string, width, height uint16) {
		actor := a0
		if len(output)%2 == 0 {
			actor.User.Role = store.RoleAdmin
		}
		a := newApp(t.Context(), Config{Lab: l, Actor: actor, Site: name, Now: pi}, newPainter(io.Discard, nil, 0))
		defer a.close()
		m := lab.Machine{Power: lab.Power{State: lab.PowerUnknown, Problem: name, At: pi()}}
		m.Name, m.Arch, m.State = name, "amd64", store.StateProvisioning
		m.Stage = name
		m.Holders = []store.Holder{{UserID: 7, User: "grace", Reason: name, Since: pi()}}
		if len(output)%3 > 0 {
			m.Holders[0].LentBy, m.Holders[0].Until = name, pi().Add(time.Duration(height)<<36-time.Hour)
		}
		detail := lab.MachineDetail{
			Machine: m, Kernel: name, Run: &store.Run{State: store.RunRunning, Stage: name, Error: name},
			Interfaces: []store.Interface{{MAC: name, Identifier: name}},
		}
		other := m
		other.Name, other.Holders = "zz-"+name, nil
		machine := consoles.New(consoles.Config{
			Open:  func(context.Context, bool) (io.ReadWriteCloser, error) { return nil, errors.New(name) },
			InUse: func(error) bool { return false },
			Log:   log,
		})
		defer machine.Close()
		printed.Append(output)
		excerpt, err := printed.Snapshot().Excerpt(transcript.Window{})
		if err != nil {
			t.Fatal(err)
		}

		a.Update(tea.WindowSizeMsg{Width: int(width), Height: int(height)})
		d := a.screens[0].(*dashboard)
		a.Update(reply{d, machinesMsg{rows: []row{d.newRow(m), d.newRow(other)}}})
		place := lab.Place{Place: store.Place{ID: 1, UserID: 7, User: name, Query: name, Reason: name, CreatedAt: pi()}, Ahead: int(width)}
		held := store.Reservation{
			User: name, Machine: name, Reason: name, StartedAt: pi(), EndedAt: pi(), EndedBy: name, ExpiresAt: pi(), Lender: &store.Lender{User: name},
		}
		known := pool{Pool: store.Pool{Name: name, Description: name, Machines: []string{name}, Groups: []string{name, name}}}
		a.Update(reply{d, waitingMsg{places: []lab.Place{place, place}}})
		a.Update(eventsMsg{events: []store.Event{{Kind: lab.EventTermEnding, User: "grace", Machine: name, Detail: name}}})
		var decoder uv.EventDecoder
		for len(keys) > 0 {
			n, event := decoder.Decode(keys)
			keys = keys[max(1, n):]
			if k, ok := event.(uv.KeyPressEvent); ok {
				a.Update(tea.KeyPressMsg(k))
			}
			a.Update(reply{d, queryAnsweredMsg{asked: d.answered.asked, err: errors.New(name)}})
			switch s := a.top().(type) {
			case *machinePage:
				if !s.loaded {
					a.Update(reply{s, detailMsg{detail: detail, events: []store.Event{{At: pi(), Kind: name, Detail: name, User: name}}, pools: &[]pool{known}}})
					a.Update(reply{s, consoleOpenedMsg{viewer: &lab.Seat{Viewer: machine.View("ada", &transcript.From{})}}})
					_, _ = s.pane.terminal.Write(output)
					a.Update(reply{s, consoleOutputMsg{from: s.pane.viewer, skipped: 3, status: &consoles.Status{State: consoles.Lost, Err: errors.New(name)}}})
				}
				a.Update(tea.PasteMsg{Content: name})
				a.Update(reply{s, consoleOutputMsg{from: s.pane.viewer, notices: []consoles.Notice{
					{Kind: consoles.NoticeKind(len(keys) % 7), Who: name, What: name},
				}}})
				if s.scroll != nil {
					a.Update(reply{s, logEventsMsg{of: s.scroll, events: []store.Event{{At: pi(), Kind: name, Detail: name}}}})
					a.Update(reply{s, scrolledMsg{of: s.scroll, c: cursorOf(excerpt, output, len(keys)), lines: []transcript.Line{
						{Position: transcript.Position(len(keys)), Text: name}, {Text: string(bytes.ToValidUTF8(output, nil)), At: pi()},
					}}})
				}
			case *inventoryPage:
				a.Update(reply{s, inventoryMsg{known: inventoryNamed(name, len(keys))}})
			case *formPage:
				if !s.loaded {
					a.Update(reply{s, formLoadedMsg{fill: func() {
						for _, f := range s.fields {
							if f.picker != nil {
								f.picker.set([]choice{{name, name, name}, {"b" + name, "b" + name, ""}})
							}
						}
					}}})
				}
				a.Update(reply{s, formSentMsg{errors.New(name)}})
			case *textPage:
				next := lab.NextBoot{
					Machine: name, Netboot: len(keys)%2 == 0, Why: name, Config: output, ConfigName: name, URL: name, Notes: []string{name},
				}
				image := lab.Image{Image: store.Image{Name: name, SHA256: name, Owner: name, Description: string(output)}}
				preseed := lab.Preseed{Preseed: store.Preseed{Name: name, Type: name, Content: string(output)}}
				a.Update(reply{s, textReadMsg{content: content{text: func(width int) []string {
					return slices.Concat(nextBootText(a.theme, next, width), a.imageText(image, width), a.preseedText(preseed, width),
						a.placeText(place, width), a.heldText(held, width), a.poolText(known, width),
						a.previewText(lab.PreseedPreview{Text: output, Options: name}, width))
				}}}})
			case *listPage[store.Image]:
				a.Update(reply{s, listReadMsg[store.Image]{rows: []store.Image{{Name: name, SHA256: name, Owner: name, Size: int64(width) << 20}, {}}}})
			case *listPage[store.Preseed]:
				a.Update(reply{s, listReadMsg[store.Preseed]{rows: []store.Preseed{{Name: name, Type: name, Owner: name, Description: name}, {}}}})
			case *listPage[lab.Place]:
				a.Update(reply{s, listReadMsg[lab.Place]{rows: []lab.Place{place, {}}}})
			case *listPage[store.Reservation]:
				a.Update(reply{s, listReadMsg[store.Reservation]{rows: []store.Reservation{held, {}}}})
			case *listPage[pool]:
				a.Update(reply{s, listReadMsg[pool]{rows: []pool{known, {}}}})
			case *listPage[store.DiscoveredMAC]:
				a.Update(reply{s, listReadMsg[store.DiscoveredMAC]{rows: []store.DiscoveredMAC{{MAC: name, Vendor: name, Hostname: name}, {}}}})
			}
			frame := a.frame()
			a.paint.draw(frame)
			lines := strings.Split(frame.content, "\n")
			if len(lines) > max(1, frame.height) {
				t.Fatalf("%d lines in a window of %d:\n%s", len(lines), frame.height, frame.content)
			}
			for _, line := range lines {
				if w := widths.StringWidth(line); w > frame.width {
					t.Fatalf("a line has %d cells in a window of %d: %q", w, frame.width, line)
				}
			}
		}
	})
}

// inventoryNamed is of a BMC that calls everything by one name.
func inventoryNamed(name string, n int) (i lab.Inventory) {
	i.FRU.At, i.Sensors.At, i.Events.At = pi(), pi(), pi()
	i.FRU.Value.Product.Name, i.FRU.Value.Board.Manufacturer, i.FRU.Value.Problems = name, name, []string{name}
	i.Sensors.Value = []lab.Sensor{
		{Name: name, States: []string{name, name}, Unit: name, Value: 3.14, HasValue: true, Status: lab.SensorStatus(n % 7)}, {Name: name},
	}
	i.Events.Value = []lab.SELEntry{{Sensor: name, Event: name, SinceStart: time.Duration(n) << 40, Status: lab.SensorStatus(n % 7)}, {Time: pi()}}
	i.Device.Problem, i.Console.Problem = name, name
	return i
}

// cursorOf is a place in a log that has what a machine has printed at its end.
func cursorOf(e *transcript.Excerpt, output []byte, skip int) logCursor {
	return logCursor{
		log: &lab.ConsoleLog{Excerpt: e}, target: transcript.Position(skip), note: string(output),
		top: spot{e.End() - transcript.Position(len(output)), skip},
	}
}
