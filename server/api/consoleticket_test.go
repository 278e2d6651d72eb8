package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"provisioner/lab"
)

// ticket asks for one to web-01.
func (w *world) ticket(who string) string {
	w.t.Helper()
	var answer struct {
		Host  string
		Port  int
		Token string
	}
	status, text := w.ask(who, http.MethodPost, "/machine/web-01/console", "")
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK {
		w.t.Fatal(status, text, err)
	}
	if !strings.HasPrefix(w.url, "http://"+answer.Host+":") || answer.Port == 0 {
		w.t.Errorf("%s; it was asked at %s", text, w.url)
	}
	return answer.Token
}

func TestATicketOpensAConsole(t *testing.T) {
	w := newWorld(t)
	old := httptest.NewServer(http.HandlerFunc(Handler{w.api.router, w.api}.ServeTicket))
	t.Cleanup(old.Close)
	come := func(token string) (*websocket.Conn, int) {
		t.Helper()
		// A page of another site, as mr-provisioner's own was.
		conn, response, err := websocket.Dial(t.Context(), old.URL+TicketPath+"?token="+token,
			&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://elsewhere.example"}}})
		if err == nil {
			t.Cleanup(func() { _ = conn.CloseNow() })
		} else if response.Body != nil {
			_ = response.Body.Close()
		}
		return conn, response.StatusCode
	}

	w.must(w.lab.Assign(t.Context(), lab.Local, "web-01", "grace", ""))
	grace := w.visit("grace", "?mode=ask")
	grace.hears("mode", "writing")
	token := w.ticket("ada")
	conn, _ := come(token)
	ada := &visitor{t: t, conn: conn}
	grace.hears("notice", `"kind":"took","who":"ada"`)
	machine := <-w.bmc.opened
	ada.types("from ada")
	w.typed(machine, "from ada")
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("as text")); err != nil {
		t.Fatal(err)
	}
	w.typed(machine, "as text")
	if _, err := machine.Write([]byte("login: ")); err != nil {
		t.Fatal(err)
	}
	ada.reads("login: ")
	if _, status := come(token); status != http.StatusForbidden {
		t.Errorf("a ticket is good twice: %d", status)
	}

	// It ends as every visit does, and says why in words.
	w.must(w.lab.Release(t.Context(), lab.Local, "web-01"))
	for {
		kind, message, err := ada.read()
		if err != nil {
			t.Fatal("it ends, and does not say why:", err)
		}
		if kind == websocket.MessageText && strings.Contains(string(message), "hold the machine no more") {
			break
		}
	}
}

func TestTicketsEnd(t *testing.T) {
	now := time.Unix(0, 0)
	all := tickets{now: func() time.Time { return now }}
	late := all.issue(lab.Actor{}, "web-01")
	now = now.Add(ticketTime)
	if _, ok := all.redeem(late); ok {
		t.Error("a ticket is good for longer than it should be")
	}
	first := all.issue(lab.Actor{}, "web-01")
	for range maxTickets {
		all.issue(lab.Actor{}, "web-02")
	}
	if _, ok := all.redeem(first); ok || len(all.all) != maxTickets {
		t.Errorf("there are %d tickets; the first one is good: %t", len(all.all), ok)
	}
	now = now.Add(ticketTime)
	if all.issue(lab.Actor{}, "web-03"); len(all.all) != 1 {
		t.Errorf("%d tickets are kept that nobody can use any more", len(all.all)-1)
	}
	if _, ok := all.redeem(""); ok {
		t.Error("none is good as well")
	}
}

func TestTicketsAreForWhoMayTypeThere(t *testing.T) {
	w := newWorld(t)
	for who, want := range map[string]int{"grace": 403, "nobody": 401} {
		if status, answer := w.ask(who, http.MethodPost, "/machine/web-01/console", ""); status != want || answer != "" {
			t.Errorf("%s: %d %q, want %d and nothing", who, status, answer, want)
		}
	}
	for machine, want := range map[string]int{"no-such": 404, "arm-01": 400} { // which has no BMC
		if status, answer := w.ask("root", http.MethodPost, "/machine/"+machine+"/console", ""); status != want || answer == "" {
			t.Errorf("%s: %d %q, want %d", machine, status, answer, want)
		}
	}
}
