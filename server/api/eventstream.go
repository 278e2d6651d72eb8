package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"provisioner/lab"
	"provisioner/store"
)

const (
	// maxStreams is how many streams of events there may be at once.
	maxStreams = 1000

	// heartbeatEvery is how often a stream says something when nothing happens:
	// whatever is in between takes a silent connection for a dead one, and we
	// learn that a reader has gone.
	heartbeatEvery = 15 * time.Second

	// slowestRead is how long a reader may leave what it is sent in our buffers.
	// Whoever is slower is cut off, and told what was left out on coming back.
	slowestRead = 30 * time.Second
)

// live is what the API does for those who stay. Its counts are for [Stats].
type live struct {
	stopping  context.Context //nolint:containedctx // ends streams and consoles, not requests
	heartbeat time.Duration
	slowest   time.Duration // see slowestRead

	streams, consoles atomic.Int64   // open now
	visits            sync.WaitGroup // at consoles
	told, skipped     atomic.Int64   // events
	encoded           [4096]atomic.Pointer[encodedEvent]
}

// Stats counts what the API does for those who stay.
type Stats struct {
	Streams  int64 // of events, open now
	Consoles int64 // open now
	Told     int64 // events, to all streams
	Skipped  int64 // events that were left out, because streams were read too slowly
}

func (l *live) stats() Stats {
	return Stats{Streams: l.streams.Load(), Consoles: l.consoles.Load(), Told: l.told.Load(), Skipped: l.skipped.Load()}
}

// session is a context that ends with a request, with the actor's way in, and
// with the server. Its cause then says why, for people.
func (a *api) session(request context.Context, actor lab.Actor) (context.Context, context.CancelFunc) {
	ctx, leave := a.lab.Session(request, actor)
	ctx, end := a.untilStop(ctx)
	return ctx, func() {
		end()
		leave()
	}
}

// untilStop is a context that ends with another one, and with the server.
func (a *api) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(a.live.stopping, func() { end(errStopping) })
	if a.live.stopping.Err() != nil {
		end(errStopping) // now, and not soon
	}
	return ctx, func() {
		stop()
		end(nil)
	}
}

var errStopping = &lab.Error{Code: lab.Unavailable, Message: "the server is stopping; ask again in a moment"}

// streamEvents answers requests for a stream, and leaves those for a list to
// the operation.
func (a *api) streamEvents(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	asked := r.URL.Query()
	if on, err := strconv.ParseBool(asked.Get("stream")); !asked.Has("stream") || asked.Get("stream") != "" && (err != nil || !on) {
		next(ctx)
		return
	}
	if err := a.follow(w, r, asked); err != nil {
		writeError(w, a.refusal(*ctx.Operation(), err))
	}
}

// follow streams events (HTML Living Standard, "Server-sent events"). An error
// is one for which nothing was sent yet.
func (a *api) follow(w http.ResponseWriter, r *http.Request, asked url.Values) error {
	after, err := resumeFrom(r.Header.Get("Last-Event-ID"), asked.Get("after"))
	if err != nil {
		return err
	}
	if a.live.streams.Add(1) > maxStreams {
		a.live.streams.Add(-1)
		return &lab.Error{Code: lab.Unavailable, Message: "follow events: there are " + strconv.Itoa(maxStreams) + " streams already; end some of them"}
	}
	defer a.live.streams.Add(-1)
	actor := actorOf(r.Context())
	filter := lab.EventFilter{Machine: a.nameOfEvents(r.Context(), actor, asked.Get("machine")), User: asked.Get("user"), Kinds: asked["kind"]}
	ctx, cancel := a.untilStop(r.Context())
	defer cancel()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	events, err := a.lab.Follow(ctx, actor, after)
	if err != nil {
		return err
	}
	defer events.Close()

	s := &eventWriter{live: &a.live, control: http.NewResponseController(w), w: w}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would keep it back
	_ = s.control.SetReadDeadline(time.Time{})
	err = s.beat(events.Last())
	for err == nil {
		err = a.followOn(ctx, events, s, filter)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if r.Context().Err() == nil && !s.gone {
		s.end(a.refusal(huma.Operation{Method: r.Method, Path: r.URL.Path}, err))
	}
	return nil
}

// resumeFrom is the id of the event after which a stream begins; -1: now. An
// empty header is what a client sends that has seen none.
func resumeFrom(header, query string) (int64, error) {
	text := cmp.Or(header, query)
	if text == "" {
		return -1, nil
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 0 {
		return 0, invalid("follow events: Last-Event-ID or after: %.40q is no number of an event", text)
	}
	return id, nil
}

// followOn sends what happens next, or a sign of life.
func (a *api) followOn(ctx context.Context, events *lab.EventStream, s *eventWriter, filter lab.EventFilter) error {
	soon, cancel := context.WithTimeout(ctx, a.live.heartbeat)
	defer cancel()
	batch, err := events.Next(soon)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return s.beat(events.Last())
	case err != nil:
		return err
	}
	return s.batch(batch, filter)
}

// eventWriter writes the text of one stream.
type eventWriter struct {
	live    *live
	control *http.ResponseController
	w       http.ResponseWriter
	text    bytes.Buffer
	gone    bool // the reader, or they read too slowly
}

func (s *eventWriter) batch(b lab.EventBatch, filter lab.EventFilter) error {
	if b.Skipped > 0 {
		s.live.skipped.Add(b.Skipped)
		s.text.WriteString("event: skipped\ndata: {\"skipped\": " + strconv.FormatInt(b.Skipped, 10) + "}\n\n")
	}
	told := int64(0)
	for _, e := range b.Events {
		if filter.Wants(e) {
			s.text.Write(s.live.encode(e))
			told++
		}
	}
	s.live.told.Add(told)
	if s.text.Len() == 0 {
		return nil // the next sign of life says how far it is
	}
	return s.send()
}

// beat says that nothing has happened, and how far the stream is: a reader who
// is to see little of what happens resumes from there.
func (s *eventWriter) beat(last int64) error {
	s.text.WriteString(":\nid: " + strconv.FormatInt(last, 10) + "\n\n")
	return s.send()
}

// end says why there is nothing more.
func (s *eventWriter) end(why *Error) {
	s.text.WriteString("event: end\ndata: ")
	_ = jsonFormat.Marshal(&s.text, why)
	s.text.WriteByte('\n')
	_ = s.send() // the reader may have gone
}

func (s *eventWriter) send() error {
	err := s.control.SetWriteDeadline(time.Now().Add(s.live.slowest))
	if err == nil {
		_, err = s.w.Write(s.text.Bytes())
	}
	if err == nil {
		err = s.control.Flush()
	}
	s.text.Reset()
	s.gone = err != nil
	return err
}

// encodedEvent is an event as streams send it.
type encodedEvent struct {
	event store.Event
	text  []byte
}

// encode returns what a stream sends for an event. It is the same for most
// streams, and made once: what one of them sees otherwise is another event.
func (l *live) encode(e store.Event) []byte {
	slot := &l.encoded[uint64(e.ID)%uint64(len(l.encoded))]
	if known := slot.Load(); known != nil && known.event == e {
		return known.text
	}
	var text bytes.Buffer
	if e.ID != 0 {
		text.WriteString("id: " + strconv.FormatInt(e.ID, 10) + "\n")
	}
	text.WriteString("data: ")
	_ = jsonFormat.Marshal(&text, toEvent(e)) // into memory, and of what has a form
	text.WriteByte('\n')
	slot.Store(&encodedEvent{e, text.Bytes()})
	return text.Bytes()
}
