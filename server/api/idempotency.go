package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	idempotencyHeader = "Idempotency-Key"

	maxIdempotencyKey = 255 // bytes

	// maxRepeatable is how long the body of a request with a key may be, in bytes.
	maxRepeatable = 16 << 20

	// answersFor is for how long an answer is kept, maxAnswers how many of a
	// token, maxAnswerBytes how many bytes of all: the oldest go first.
	answersFor     = 24 * time.Hour
	maxAnswers     = 1000
	maxAnswerBytes = 32 << 20

	// keyedTime bounds what a request with a key does, which goes on when its
	// client has gone: it will ask what has become of it.
	keyedTime = 2 * time.Minute
)

// answers are those that POSTs with an Idempotency-Key have had
// (draft-ietf-httpapi-idempotency-key-header), so that whoever did not hear
// one asks again without doing anything again. They are in memory: some have
// secrets that are kept nowhere.
type answers struct {
	now func() time.Time

	mu    sync.Mutex
	of    map[[sha256.Size]byte][]*kept // by token, the oldest first
	bytes int
}

// kept is a request that is being answered, or was.
type kept struct {
	key     string
	request [sha256.Size]byte
	at      time.Time
	answer  *recorder // nil: not yet
}

func newAnswers(now func() time.Time) *answers {
	return &answers{now: now, of: make(map[[sha256.Size]byte][]*kept)}
}

// begin finds the request of a key, or keeps that it is being answered.
func (a *answers) begin(token [sha256.Size]byte, key string, request [sha256.Size]byte) (one *kept, isNew bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget(token)
	for _, one := range a.of[token] {
		if one.key == key {
			return one, false
		}
	}
	one = &kept{key: key, request: request, at: a.now()}
	a.of[token] = append(a.of[token], one)
	return one, true
}

// end keeps an answer. One that refuses is not kept: nothing was done, and it
// may be possible by now.
func (a *answers) end(token [sha256.Size]byte, one *kept, answer *recorder) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer == nil || answer.status >= http.StatusMultipleChoices {
		a.drop(token, one)
		return
	}
	one.answer = answer
	a.bytes += answer.body.Len()
	for a.bytes > maxAnswerBytes {
		a.dropOldest()
	}
}

// forget drops what is too old, and what a token has too much of.
func (a *answers) forget(token [sha256.Size]byte) {
	before := a.now().Add(-answersFor)
	for each, list := range a.of {
		for len(list) > 0 && list[0].at.Before(before) {
			a.drop(each, list[0])
			list = a.of[each]
		}
	}
	if list := a.of[token]; len(list) >= maxAnswers {
		a.drop(token, list[0])
	}
}

func (a *answers) dropOldest() {
	var oldest [sha256.Size]byte
	for token, list := range a.of {
		if first := a.of[oldest]; first == nil || list[0].at.Before(first[0].at) {
			oldest = token
		}
	}
	a.drop(oldest, a.of[oldest][0])
}

func (a *answers) drop(token [sha256.Size]byte, one *kept) {
	var left []*kept
	for _, each := range a.of[token] {
		switch {
		case each != one:
			left = append(left, each)
		case each.answer != nil:
			a.bytes -= each.answer.body.Len()
		}
	}
	if a.of[token] = left; len(left) == 0 {
		delete(a.of, token)
	}
}

// once answers a POST whose key was seen before as it was answered then.
func (a *answers) once(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get(idempotencyHeader)
		if key == "" || r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		refuse := func(status int, kind, text string) {
			writeError(w, &Error{Type: kind, Errors: []string{text}, status: status})
		}
		if len(key) > maxIdempotencyKey || strings.ContainsFunc(key, invisible) {
			refuse(http.StatusBadRequest, "InvalidUsage", "Idempotency-Key has up to 255 visible ASCII characters")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRepeatable))
		if err != nil {
			refuse(http.StatusRequestEntityTooLarge, "SchemaError", "the body breaks off, or has more than 16 MiB")
			return
		}
		token := tokenOfRequest(r.Context())
		request := sha256.Sum256(append([]byte(r.Method+" "+r.URL.RequestURI()+"\n"), body...))
		one, isNew := a.begin(token, key, request)
		switch {
		case isNew:
			r.Body = io.NopCloser(bytes.NewReader(body))
			a.answer(w, r, next, token, one)
		case one.request != request:
			refuse(http.StatusUnprocessableEntity, "Conflict", "this Idempotency-Key was used for another request")
		default:
			a.repeat(w, one)
		}
	})
}

// answer does what a request asks for, and keeps what it is answered.
func (a *answers) answer(w http.ResponseWriter, r *http.Request, next http.Handler, token [sha256.Size]byte, one *kept) {
	var answer *recorder
	defer func() { a.end(token, one, answer) }() // after a panic, too
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), keyedTime)
	defer cancel()
	recorded := newRecorder()
	next.ServeHTTP(recorded, r.WithContext(ctx))
	answer = recorded
	answer.sendTo(w)
}

func (a *answers) repeat(w http.ResponseWriter, one *kept) {
	a.mu.Lock()
	answer := one.answer
	a.mu.Unlock()
	if answer == nil {
		w.Header().Set("Retry-After", "1")
		writeError(w, &Error{
			Type: "Conflict", Errors: []string{"the request with this Idempotency-Key is still being answered"}, status: http.StatusConflict,
		})
		return
	}
	w.Header().Set("Idempotent-Replayed", "true")
	answer.sendTo(w)
}

// invisible reports whether a key may not have it (RFC 9110 §5.5, VCHAR).
func invisible(r rune) bool { return r < '!' || r > '~' }

// recorder is an answer that is not sent, or not yet.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: make(http.Header), status: http.StatusOK} }

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func (r *recorder) sendTo(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.header)
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body.Bytes()) // the client may have gone
}
