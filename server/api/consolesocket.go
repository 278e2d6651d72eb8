package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/lab/console"
)

const (
	// maxTyped is how long a message of somebody at a console may be, in bytes.
	maxTyped = 64 << 10

	// maxConsoles is how many WebSockets at consoles there may be at once.
	maxConsoles = 1000

	farewell = time.Second // for those who are sent away to hear why
)

// consoleOrder is a text message of somebody at a console.
type consoleOrder struct {
	Do string `json:"do"`
}

// consoleNews is a text message to them. The operation documents it.
type consoleNews struct {
	Type   string  `json:"type"`
	Do     string  `json:"do,omitempty"`
	State  string  `json:"state,omitempty"`
	InUse  bool    `json:"in_use,omitempty"`
	Mode   string  `json:"mode,omitempty"`
	Kind   string  `json:"kind,omitempty"`
	Who    string  `json:"who,omitempty"`
	Bytes  int     `json:"bytes,omitempty"`
	Guests []Guest `json:"guests,omitempty"`
	Text   string  `json:"text,omitempty"`
}

var (
	stateNames = map[console.State]string{
		console.Closed: "closed", console.Connecting: "connecting", console.Connected: "connected", console.Lost: "lost",
	}
	noticeNames = map[console.NoticeKind]string{
		console.Joined: "joined", console.Left: "left", console.Asked: "asked", console.Took: "took", console.Writes: "writes",
		console.Yours: "yours", console.Refused: "refused", console.Told: "told",
	}
)

// serveConsole is somebody's visit to a console, until they leave or are sent
// away. An error is one for which nothing was sent yet.
func (a *api) serveConsole(w http.ResponseWriter, r *http.Request, machine, mode, replay string, visit *consoleVisit) error {
	if a.live.consoles.Add(1) > maxConsoles {
		a.live.consoles.Add(-1)
		return &lab.Error{Code: lab.Unavailable, Message: "open a console: there are " + strconv.Itoa(maxConsoles) + " already; leave some of them"}
	}
	defer a.live.consoles.Add(-1)
	a.live.visits.Add(1)
	defer a.live.visits.Done()
	ctx, leave := a.session(context.WithoutCancel(r.Context()), actorOf(r.Context()))
	defer leave()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	seat, err := a.openSeat(ctx, actorOf(r.Context()), machine, mode, replay)
	if err != nil {
		return err
	}
	defer seat.Close()
	var options *websocket.AcceptOptions
	if visit.plain { // a ticket says who comes, whatever page has it
		options = &websocket.AcceptOptions{OriginPatterns: []string{"*"}}
	}
	conn, err := websocket.Accept(w, r, options)
	if err != nil {
		return nil // it was answered
	}
	conn.SetReadLimit(maxTyped)
	visit.conn, visit.seat, visit.watching = conn, seat, mode == "watch" || mode == ""
	err = visit.run(ctx, mode)
	if why := context.Cause(ctx); why != nil {
		err = why
	} else if errors.Is(err, io.EOF) {
		err = &lab.Error{Code: lab.Denied, Message: "the console was closed: you hold the machine no more"}
	}
	if websocket.CloseStatus(err) == -1 && !errors.Is(err, errGone) {
		visit.sendAway(ctx, a.refusal(huma.Operation{Method: r.Method, Path: r.URL.Path}, err))
	}
	_ = conn.CloseNow()
	visit.parts.Wait()
	return nil
}

// errGone says that nobody reads what is sent any more.
var errGone = errors.New("the client has gone")

// consoleVisit is somebody at a console.
type consoleVisit struct {
	live  *live
	plain bool // they have a ticket: text messages are errors, and nothing else
	conn  *websocket.Conn
	seat  *lab.Seat

	parts sync.WaitGroup // what goes on beside run; ends when conn is closed

	telling sync.Mutex // guards told, and its order
	told    string     // which mode they were told last

	// Of the goroutine that reads.
	watching bool   // what they type is not for the machine
	lost     string // why it was lost, as was said last; empty: it was not
}

// run serves them until ctx ends, they leave, which is errGone or the library's
// CloseError, or the seat is taken from them, which is [io.EOF].
func (v *consoleVisit) run(ctx context.Context, mode string) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	switch mode {
	case "ask":
		v.seat.Ask()
	case "take":
		if err := v.seat.Take(ctx); err != nil {
			return err
		}
	}
	v.parts.Go(func() { end(v.heed(ctx)) })
	v.parts.Go(func() { v.keepAlive(ctx, end) })
	for {
		out, err := v.seat.Next(ctx)
		if err == nil {
			err = v.show(ctx, out)
		}
		switch {
		case err != nil && context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
	}
}

// sendAway tells them why they are, and closes the connection.
func (v *consoleVisit) sendAway(ctx context.Context, why *Error) {
	ctx, cancel := context.WithCancel(ctx)
	cancel() // what is sent now has a moment, see send
	if v.tell(ctx, consoleNews{Type: "end", Text: why.Error()}) != nil {
		return
	}
	code := websocket.StatusPolicyViolation
	switch why.status {
	case http.StatusServiceUnavailable:
		code = websocket.StatusGoingAway
	case http.StatusInternalServerError:
		code = websocket.StatusInternalError
	}
	_ = v.conn.Close(code, "")
}

// keepAlive ends the visit of a client that does not answer.
func (v *consoleVisit) keepAlive(ctx context.Context, end context.CancelCauseFunc) {
	ticker := time.NewTicker(v.live.heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		answer, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.live.slowest) // see send
		err := v.conn.Ping(answer)
		cancel()
		if err != nil {
			end(errGone)
			return
		}
	}
}

// show sends what there is to see.
func (v *consoleVisit) show(ctx context.Context, out console.Output) error {
	if out.Skipped > 0 {
		if err := v.tell(ctx, consoleNews{Type: "skipped", Bytes: out.Skipped}); err != nil {
			return err
		}
	}
	if len(out.Data) > 0 {
		if err := v.send(ctx, websocket.MessageBinary, out.Data); err != nil {
			return err
		}
	}
	if s := out.Status; s != nil {
		news := consoleNews{Type: "status", State: stateNames[s.State], InUse: s.InUse}
		if s.Err != nil {
			news.Text = s.Err.Error()
		}
		if err := v.tell(ctx, news); err != nil {
			return err
		}
	}
	for _, n := range out.Notices {
		if err := v.tell(ctx, consoleNews{Type: "notice", Kind: noticeNames[n.Kind], Who: n.Who, Text: n.String()}); err != nil {
			return err
		}
	}
	return v.tellMode(ctx)
}

// tellMode says what they do, where that has changed.
func (v *consoleVisit) tellMode(ctx context.Context) error {
	v.telling.Lock()
	defer v.telling.Unlock()
	mode := modeNames[v.seat.Mode()]
	if mode == v.told {
		return nil
	}
	v.told = mode
	return v.tell(ctx, consoleNews{Type: "mode", Mode: mode})
}

func (v *consoleVisit) tell(ctx context.Context, news consoleNews) error {
	if v.plain {
		if news.Text == "" || news.Type == "notice" {
			return nil
		}
		return v.send(ctx, websocket.MessageText, []byte(news.Text))
	}
	text, err := json.Marshal(news)
	if err != nil {
		return err
	}
	return v.send(ctx, websocket.MessageText, text)
}

// send waits for a slow reader so long; the console keeps what comes meanwhile,
// or counts it. When ctx ends they still have a moment to read: with the context
// of a write the library ends the connection, and nothing could be said any more.
func (v *consoleVisit) send(ctx context.Context, kind websocket.MessageType, message []byte) error {
	write, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.live.slowest)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(farewell, cancel) })()
	if v.conn.Write(write, kind, message) != nil {
		return errGone
	}
	return nil
}

// heed does what they ask for and types what they type, until they leave.
func (v *consoleVisit) heed(ctx context.Context) error {
	for {
		// With ctx, the library would close the connection when that ends.
		kind, message, err := v.conn.Read(context.WithoutCancel(ctx))
		switch {
		case err != nil && websocket.CloseStatus(err) == -1:
			return errGone
		case err != nil:
			return err
		case kind == websocket.MessageBinary || v.plain:
			err = v.typed(ctx, message)
		default:
			err = v.order(ctx, message)
		}
		if err != nil {
			return err
		}
	}
}

// typed types into the machine. Why keys do not arrive is said once, not for
// each of them.
func (v *consoleVisit) typed(ctx context.Context, keys []byte) error {
	if len(keys) == 0 {
		return nil
	}
	var err error
	if v.watching {
		err = errors.New("you watch; ask for the keyboard")
	} else {
		err = v.seat.Send(ctx, keys)
	}
	switch {
	case err == nil:
		v.lost = ""
	case ctx.Err() != nil:
		return ctx.Err()
	case err.Error() != v.lost:
		v.lost = err.Error()
		return v.tell(ctx, consoleNews{Type: "lost", Text: v.lost})
	}
	return nil
}

// order does what a text message asks for, and says whether it is done.
func (v *consoleVisit) order(ctx context.Context, message []byte) error {
	var order consoleOrder
	err := json.Unmarshal(message, &order)
	if err != nil {
		err = errors.New(`a text message is a JSON object such as {"do": "ask"}; send what you type as binary messages`)
	} else {
		err = v.do(ctx, order.Do)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	news := consoleNews{Type: "done", Do: order.Do}
	if err != nil {
		news.Type, news.Text = "failed", err.Error()
	}
	if err := v.tell(ctx, news); err != nil {
		return err
	}
	return v.tellMode(ctx)
}

func (v *consoleVisit) do(ctx context.Context, what string) error {
	switch what {
	case "ask":
		if err := v.seat.MayType(); err != nil {
			return err
		}
		v.watching = false
		v.seat.Ask()
	case "take":
		if err := v.seat.Take(ctx); err != nil {
			return err
		}
		v.watching = false
	case "yield":
		v.watching = true
		v.seat.Yield()
	case "break":
		if v.watching {
			return errors.New("you watch; ask for the keyboard")
		}
		return v.seat.SendBreak(ctx)
	case "who":
		return v.tell(ctx, consoleNews{Type: "guests", Guests: toGuests(v.seat.Guests())})
	default:
		return errors.New("do is one of ask, take, yield, break and who")
	}
	return nil
}
