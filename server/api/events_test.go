package api

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

// message is what a stream has sent.
type message struct {
	id, event, data string
	comment         bool
}

// follow opens a stream, which ends with the test at the latest.
func (w *world) follow(who, query, lastEventID string) *stream {
	w.t.Helper()
	header := http.Header{}
	if lastEventID != "" {
		header.Set("Last-Event-ID", lastEventID)
	}
	response := w.send(who, http.MethodGet, "/events?stream"+query, nil, header)
	w.t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("%d %v", response.StatusCode, response.Header)
	}
	s := &stream{t: w.t, lines: bufio.NewScanner(response.Body), response: response}
	s.lines.Buffer(nil, 1<<20)
	if first := s.next(); !first.comment || first.id == "" {
		w.t.Fatalf("a stream begins with %+v", first)
	}
	return s
}

type stream struct {
	t        *testing.T
	lines    *bufio.Scanner
	response *http.Response
}

// next is the next message; the zero one at the end.
func (s *stream) next() (m message) {
	for s.lines.Scan() {
		line := s.lines.Text()
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "":
			return m
		case name == ":":
			m.comment = true
		case name == "id":
			m.id = value
		case name == "event":
			m.event = value
		case name == "data":
			m.data = value
		default:
			s.t.Fatalf("a stream has %q", line)
		}
	}
	return message{}
}

// kept is the next event that is kept.
func (s *stream) kept() (e Event, id string) {
	s.t.Helper()
	for {
		m := s.next()
		if m == (message{}) {
			s.t.Fatal("the stream has ended")
		}
		if m.comment || m.id == "" {
			continue
		}
		if err := json.Unmarshal([]byte(m.data), &e); err != nil || m.event != "" {
			s.t.Fatalf("%+v: %v", m, err)
		}
		return e, m.id
	}
}

func TestAStreamTellsWhatHappensAndIsResumed(t *testing.T) {
	w := newWorld(t)
	s := w.follow("grace", "", "")
	w.must(w.lab.Assign(t.Context(), lab.Local, "web-02.lab", "grace", ""))
	first, id := s.kept()
	if first.Kind != lab.EventReserved || first.Machine != "web-02.lab" || first.User != "local" || strconv.FormatInt(first.ID, 10) != id {
		t.Errorf("%+v, id %s", first, id)
	}
	_ = s.response.Body.Close()
	for range 3 {
		w.must(w.lab.Release(t.Context(), lab.Local, "web-02.lab"))
		w.must(w.lab.Assign(t.Context(), lab.Local, "web-02.lab", "grace", ""))
	}
	for _, s := range []*stream{w.follow("grace", "", id), w.follow("grace", "&after="+id, ""), w.follow("grace", "&after=1", id)} {
		for i := range 6 {
			e, _ := s.kept()
			if want := []string{lab.EventReleased, lab.EventReserved}[i%2]; e.Kind != want || e.ID != first.ID+int64(i)+1 {
				t.Errorf("event %d after the first: %+v; want %s", i+1, e, want)
			}
		}
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestAStreamIsFiltered(t *testing.T) {
	w := newWorld(t)
	s := w.follow("ada", "&machine=1&kind=identify&kind=released", "")
	for range 2 {
		w.must(w.lab.Identify(t.Context(), lab.Local, "web-02.lab", lab.LightBrief))
		w.must(w.lab.SetBootDevice(t.Context(), lab.Local, "web-01", lab.BootPXE, lab.BootOptions{}))
		w.must(w.lab.Identify(t.Context(), lab.Local, "web-01", lab.LightBrief))
	}
	w.must(w.lab.Release(t.Context(), lab.Local, "web-01"))
	for _, want := range []string{lab.EventIdentify, lab.EventIdentify, lab.EventReleased} {
		if e, _ := s.kept(); e.Machine != "web-01" || e.Kind != want {
			t.Errorf("%+v; want %s of web-01", e, want)
		}
	}
}

// TestAQuietStreamSaysHowFarItIs: who is to see nothing of what happens does
// not read all of it again.
func TestAQuietStreamSaysHowFarItIs(t *testing.T) {
	w := newWorld(t)
	w.api.live.heartbeat = time.Millisecond
	s := w.follow("ada", "&kind=nothing", "")
	w.must(w.lab.Identify(t.Context(), lab.Local, "web-01", lab.LightBrief))
	newest, err := w.lab.Events(t.Context(), lab.Local, lab.EventFilter{Limit: 1})
	w.must(err)
	for {
		m := s.next()
		if !m.comment || m.data != "" {
			t.Fatalf("%+v", m)
		}
		if m.id == strconv.FormatInt(newest[0].ID, 10) {
			return
		}
	}
}

func TestAStreamEndsWithTheTokenAndSaysSo(t *testing.T) {
	w := newWorld(t)
	s := w.follow("grace", "", "")
	w.must(w.lab.ChangeUser(t.Context(), lab.Local, "grace", lab.UserChange{Disabled: new(true)}))
	if end := s.end(); !strings.Contains(end.data, "Forbidden") || !strings.Contains(end.data, "disabled") {
		t.Errorf("%+v", end)
	}
}

// end is what a stream says last.
func (s *stream) end() (last message) {
	s.t.Helper()
	for m := s.next(); m != (message{}); m = s.next() {
		last = m
	}
	if last.event != "end" {
		s.t.Errorf("it ends with %+v", last)
	}
	return last
}

func TestAStreamEndsWithTheServerAndSaysSo(t *testing.T) {
	w := newWorld(t)
	s := w.follow("ada", "", "")
	w.stop()
	if end := s.end(); !strings.Contains(end.data, "stopping") {
		t.Errorf("%+v", end)
	}
	if status, answer := w.ask("ada", http.MethodGet, "/events?stream", ""); status != 503 || !strings.Contains(answer, "stopping") {
		t.Errorf("one that came late: %d %s", status, answer)
	}
	if stats := w.api.live.stats(); stats.Streams != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestAStreamThatIsAskedForWrongly(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		query, last string
		status      int
	}{
		{"stream", "x", 400}, {"stream", "-1", 400}, {"stream", "99999999999999999999", 400}, {"stream=1&after=1.5", "", 400},
		{"stream=0", "", 200}, {"stream=false&kind=power", "", 200}, {"stream=maybe", "", 400}, {"limit=0", "", 400}, {"limit=1001", "", 400},
		{"since=yesterday", "", 400}, {"before=-1", "", 400},
	} {
		header := http.Header{}
		if test.last != "" {
			header.Set("Last-Event-ID", test.last)
		}
		response := w.send("ada", http.MethodGet, "/events?"+test.query, nil, header)
		_ = response.Body.Close()
		if response.StatusCode != test.status {
			t.Errorf("%s, Last-Event-ID %q: %d; want %d", test.query, test.last, response.StatusCode, test.status)
		}
	}
	w.api.live.streams.Store(maxStreams)
	if status, answer := w.ask("ada", http.MethodGet, "/events?stream", ""); status != 503 || !strings.Contains(answer, "1000 streams") {
		t.Errorf("one too many: %d %s", status, answer)
	}
}

// TestAStreamLeavesOut says how much, where a reader comes back from too far
// behind.
func TestAStreamLeavesOut(t *testing.T) {
	w := newWorld(t)
	w.addEvents(10100)
	s := w.follow("root", "&kind=nothing", "1")
	if m := s.next(); m.event != "skipped" || !strings.Contains(m.data, `{"skipped": 1`) {
		t.Errorf("%+v", m)
	}
}

// addEvents keeps n events behind the lab's back.
func (w *world) addEvents(n int) { w.addLongEvents(n, "") }

func (w *world) addLongEvents(n int, detail string) {
	w.t.Helper()
	w.must(w.db.Write(w.t.Context(), func(tx *store.Tx) error {
		for range n {
			if err := tx.AddEvent(w.t.Context(), store.Event{At: noon, Kind: lab.EventDHCP, Machine: "web-01", Detail: detail}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestEventsAreFollowedByTheirLinks(t *testing.T) {
	w := newWorld(t)
	w.addEvents(5)
	target, last := "/events?limit=2&kind=dhcp&kind=identify&machine=web-01&since=2026-01-01T00:00:00Z", int64(0)
	for n := 0; n < 5; {
		response := w.send("ada", http.MethodGet, target, nil, nil)
		var events []Event
		err := json.NewDecoder(response.Body).Decode(&events)
		_ = response.Body.Close()
		if err != nil || len(events) == 0 {
			t.Fatalf("%s: %d, %v", target, response.StatusCode, err)
		}
		for _, e := range events {
			if e.Kind != lab.EventDHCP || last != 0 && e.ID != last-1 {
				t.Errorf("%+v after %d", e, last)
			}
			last, n = e.ID, n+1
		}
		target, _, _ = strings.Cut(strings.TrimPrefix(response.Header.Get("Link"), "<"+Prefix), ">")
	}
	if status, answer := w.ask("ada", http.MethodGet, target, ""); target != "" && (status != 200 || answer != "[]") {
		t.Errorf("after the last page, %s: %d %s", target, status, answer)
	}
}

// TestASlowReaderIsCutOff: one that reads nothing keeps no memory for ever, and
// is told on coming back what it has missed.
func TestASlowReaderIsCutOff(t *testing.T) {
	w := newWorld(t)
	w.api.live.slowest = 50 * time.Millisecond
	s := w.follow("root", "", "")
	for w.api.live.streams.Load() > 0 {
		w.addLongEvents(200, strings.Repeat("x", 10000))
		w.must(w.lab.Identify(t.Context(), lab.Local, "web-01", lab.LightBrief)) // which has them told
	}
	last := ""
	for m := s.next(); m != (message{}) && m.event != "end"; m = s.next() {
		last = m.id
	}
	n, err := strconv.ParseInt(last, 10, 64)
	w.must(err)
	if again := w.follow("root", "", last).next(); again.event != "skipped" && again.id != strconv.FormatInt(n+1, 10) {
		t.Errorf("after %s comes %+v", last, again)
	}
}
