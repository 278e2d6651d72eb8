package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"provisioner/lab"
)

// visitor is somebody at the console of web-01.
type visitor struct {
	t    *testing.T
	conn *websocket.Conn
	said []string // text messages that nobody has asked for yet
}

// visit opens the console of web-01, which prints on machine.
func (w *world) visit(who, query string) *visitor {
	w.t.Helper()
	conn, status, err := w.dial(who, "/machine/web-01/console"+query)
	if err != nil {
		w.t.Fatal(status, err)
	}
	return &visitor{t: w.t, conn: conn}
}

// dial opens a WebSocket. The status is of an answer that is none.
func (w *world) dial(who, target string) (conn *websocket.Conn, status int, err error) {
	conn, response, err := websocket.Dial(w.t.Context(), w.url+target, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + tokenOf(who)}},
	})
	if err == nil {
		w.t.Cleanup(func() { _ = conn.CloseNow() })
	}
	if response != nil {
		status = response.StatusCode
		if response.Body != nil { // of 101 it is the connection
			_ = response.Body.Close()
		}
	}
	return conn, status, err
}

// hears reads until there is a text message of a type, with a text in it. Those
// that come before it may be asked for later.
func (v *visitor) hears(kind, text string) (news consoleNews) {
	v.t.Helper()
	for i, said := range v.said {
		if v.is(said, kind, text, &news) {
			v.said = slices.Delete(v.said, i, i+1)
			return news
		}
	}
	for {
		messageType, message, err := v.read()
		if err != nil {
			v.t.Fatalf("waiting for %s %q: %v; it has said %q", kind, text, err, v.said)
		}
		if messageType != websocket.MessageText {
			continue
		}
		if v.is(string(message), kind, text, &news) {
			return news
		}
		v.said = append(v.said, string(message))
	}
}

func (v *visitor) is(said, kind, text string, news *consoleNews) bool {
	*news = consoleNews{}
	if err := json.Unmarshal([]byte(said), news); err != nil {
		v.t.Fatalf("%s: %v", said, err)
	}
	return news.Type == kind && strings.Contains(said, text)
}

func (v *visitor) read() (websocket.MessageType, []byte, error) {
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	return v.conn.Read(ctx)
}

// reads reads until the machine has printed a text.
func (v *visitor) reads(want string) {
	v.t.Helper()
	for text := ""; !strings.Contains(text, want); {
		kind, message, err := v.read()
		if err != nil {
			v.t.Fatalf("after %q: %v", text, err)
		}
		if kind == websocket.MessageBinary {
			text += string(message)
		}
	}
}

func (v *visitor) types(keys string) {
	v.t.Helper()
	if err := v.conn.Write(v.t.Context(), websocket.MessageBinary, []byte(keys)); err != nil {
		v.t.Fatal(err)
	}
}

func (v *visitor) says(text string) {
	v.t.Helper()
	if err := v.conn.Write(v.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		v.t.Fatal(err)
	}
}

// ends reads to the end.
func (v *visitor) ends(code websocket.StatusCode, text string) {
	v.t.Helper()
	v.hears("end", text)
	_, _, err := v.read()
	if websocket.CloseStatus(err) != code {
		v.t.Errorf("it ends with %v, want %d", err, code)
	}
}

// typed reads what has been typed into a machine.
func (w *world) typed(machine io.Reader, want string) {
	w.t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(machine, got); err != nil || string(got) != want {
		w.t.Fatalf("the machine has read %q, want %q, %v", got, want, err)
	}
}

// TestAConsoleIsWatchedAndTypedOn: every byte passes, both ways.
func TestAConsoleIsWatchedAndTypedOn(t *testing.T) {
	w := newWorld(t)
	ada := w.visit("ada", "?mode=ask")
	ada.hears("status", "connected")
	machine := <-w.bmc.opened
	var every [256]byte
	for i := range every {
		every[i] = byte(i)
	}
	ada.types("\x00\r\xff\xc3(")
	w.typed(machine, "\x00\r\xff\xc3(")
	if _, err := machine.Write(every[:]); err != nil {
		t.Fatal(err)
	}
	ada.reads(string(every[:]))
	late := w.visit("ada", "?replay=0")
	late.hears("mode", "watching")
	replayed := w.visit("ada", "?replay=1")
	replayed.reads(string(every[11:])) // after its only line feed
	if stats := w.api.live.stats(); stats.Consoles != 3 {
		t.Errorf("%+v", stats)
	}
}

// TestOneAtAConsoleTypes, as everywhere: see console.Viewer.
func TestOneAtAConsoleTypes(t *testing.T) {
	w := newWorld(t)
	w.must(w.lab.Assign(t.Context(), lab.Local, "web-01", "grace", ""))
	ada := w.visit("ada", "?mode=ask")
	ada.hears("mode", "writing")
	ada.hears("status", "connected")
	machine := <-w.bmc.opened
	grace := w.visit("grace", "")
	ada.hears("notice", "joined")
	grace.hears("mode", "watching")
	grace.types("x")
	grace.types("y") // which is told once
	grace.hears("lost", "ask for the keyboard")
	grace.says(`{"do": "ask"}`)
	grace.hears("done", "ask")
	grace.hears("mode", "asking")
	ada.hears("notice", `"kind":"asked","who":"grace"`)
	grace.types("z")
	grace.hears("lost", "ada types here")
	ada.says(`{"do": "yield"}`)
	grace.hears("mode", "writing")
	ada.hears("mode", "watching")
	grace.types("from grace")
	w.typed(machine, "from grace")
	ada.says(`{"do": "take"}`)
	ada.hears("mode", "writing")
	grace.hears("notice", `"kind":"took","who":"ada"`)
	ada.types("from ada")
	w.typed(machine, "from ada")
	ada.says(`{"do": "who"}`)
	guests := ada.hears("guests", "").Guests // in no order: time stands still
	if len(guests) != 2 || !slices.ContainsFunc(guests, func(g Guest) bool { return g.Name == "ada" && g.Mode == "writing" }) {
		t.Errorf("%+v", guests)
	}
	ada.says(`{"do": "break"}`)
	ada.hears("failed", "cannot send BREAK") // a pipe
	if status, answer := w.ask("eve", http.MethodGet, "/machine/1/console", ""); status != 200 || !strings.Contains(answer, `"writing"`) {
		t.Errorf("who is there: %d %s", status, answer)
	}
}

func TestAVisitorWhoSaysNonsense(t *testing.T) {
	w := newWorld(t)
	ada := w.visit("ada", "")
	for text, want := range map[string]string{
		"x": "JSON object", `{"do": 1}`: "JSON object", `[]`: "JSON object", "": "JSON object", `{"do": "dance"}`: "one of ask", `{}`: "one of ask",
		strings.Repeat("[", 10000): "JSON object", "\xff": "JSON object",
	} {
		ada.says(text)
		ada.hears("failed", want)
	}
	ada.types("")
	ada.types(strings.Repeat("x", maxTyped+1))
	for {
		if _, _, err := ada.read(); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
				t.Error(err)
			}
			return
		}
	}
}

func TestWhoMayComeToAConsole(t *testing.T) {
	w := newWorld(t)
	w.must(w.lab.Assign(t.Context(), lab.Local, "web-02.lab", "eve", ""))
	for _, test := range []struct {
		who, target string
		status      int
	}{
		{"nobody", "/machine/web-01/console", 401},
		{"grace", "/machine/web-01/console", 403},
		{"grace", "/machine/no-such/console", 404},
		{"eve", "/machine/web-01/console", 403},
		{"eve", "/machine/2/console?mode=ask", 403},
		{"ada", "/machine/1/console?mode=sing", 400},
		{"ada", "/machine/1/console?replay=-1", 400},
		{"ada", "/machine/1/console?replay=x", 400},
		{"root", "/machine/arm-01/console", 400}, // it has no BMC
	} {
		if _, status, err := w.dial(test.who, test.target); err == nil || status != test.status {
			t.Errorf("%s %s: %d, %v; want %d", test.who, test.target, status, err, test.status)
		}
	}
	conn, _, err := w.dial("eve", "/machine/2/console")
	w.must(err)
	eve := &visitor{t: t, conn: conn}
	eve.says(`{"do": "take"}`)
	eve.hears("failed", "for reading only")
	eve.says(`{"do": "ask"}`)
	eve.hears("failed", "for reading only")
	w.api.live.consoles.Store(maxConsoles)
	if _, status, err := w.dial("ada", "/machine/1/console"); err == nil || status != 503 {
		t.Errorf("one too many: %d, %v", status, err)
	}
}

func TestVisitorsAreSentAway(t *testing.T) {
	w := newWorld(t)
	ada, root := w.visit("ada", ""), w.visit("root", "")
	w.must(w.lab.Release(t.Context(), lab.Local, "web-01"))
	ada.ends(websocket.StatusPolicyViolation, "hold the machine no more")
	again := w.visit("root", "")
	w.must(w.lab.AddUser(t.Context(), lab.Local, "second", true, nil))
	w.must(w.lab.ChangeUser(t.Context(), lab.Local, "root", lab.UserChange{Disabled: new(true)}))
	root.ends(websocket.StatusPolicyViolation, "disabled")
	again.ends(websocket.StatusPolicyViolation, "disabled")
	w.must(w.lab.Assign(t.Context(), lab.Local, "web-01", "grace", ""))
	grace := w.visit("grace", "")
	w.stop()
	grace.ends(websocket.StatusGoingAway, "stopping")
	if _, status, err := w.dial("grace", "/machine/1/console"); err == nil || status != 503 {
		t.Errorf("one who comes late: %d, %v", status, err)
	}
}

// TestAVisitorWhoHasGoneLeaves: nobody says goodbye.
func TestAVisitorWhoHasGoneLeaves(t *testing.T) {
	w := newWorld(t)
	w.api.live.heartbeat = time.Millisecond
	first, second := w.visit("ada", ""), w.visit("ada", "")
	second.hears("mode", "watching")
	first.hears("notice", "joined")
	w.must(second.conn.CloseNow())
	first.hears("notice", "left")
	w.must(first.conn.Close(websocket.StatusNormalClosure, ""))
}
