// Package api is what programs use: /api/v1, which speaks JSON.
//
// It keeps what scripts for mr-provisioner depend on (paths, keys, status codes,
// the query language) and adds, in the same style, everything that people can do
// in the dashboard. Each operation is one call of lab; who may do what is
// decided there. The OpenAPI document is made of the handlers, and of examples/,
// which the tests run.
package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"provisioner/lab"
	"provisioner/store"
)

// Prefix is where the API is found on the server.
const Prefix = "/api/v1"

// api answers the operations.
type api struct {
	lab     *lab.Lab
	log     *slog.Logger
	router  chi.Router
	given   *answers // to requests with an Idempotency-Key
	tickets tickets
	now     func() time.Time
	huma    huma.API
	live    live
}

// Handler answers requests for paths without [Prefix].
type Handler struct {
	http.Handler
	api *api
}

// Stats counts what the handler does for those who stay.
func (h Handler) Stats() Stats { return h.api.live.stats() }

// Wait waits until all have left whom ctx of [New] sends away, and for whom an
// [http.Server] does not wait: at most some seconds.
func (h Handler) Wait() { h.api.live.visits.Wait() }

// New returns the API of a lab. Who follows events or watches a console is told
// when ctx ends, and sent away. It fails where its own examples do not fit its
// operations.
func New(ctx context.Context, l *lab.Lab, log *slog.Logger) (Handler, error) {
	a, err := newAPI(ctx, l, log)
	if err != nil {
		return Handler{}, err
	}
	return Handler{a.router, a}, nil
}

func newAPI(ctx context.Context, l *lab.Lab, log *slog.Logger) (*api, error) {
	router := chi.NewRouter()
	a := &api{lab: l, log: log, router: router, now: time.Now, live: live{stopping: ctx, heartbeat: heartbeatEvery, slowest: slowestRead}}
	a.given = newAnswers(func() time.Time { return a.now() })
	a.tickets.now = func() time.Time { return a.now() }
	router.Use(allowOrigins, headAsGet)
	router.NotFound(notFound)
	router.MethodNotAllowed(methodNotAllowed)

	a.huma = huma.NewAPI(configuration(), humachi.NewAdapter(router.With(a.authenticate, a.given.once, asJSON)))
	a.huma.UseMiddleware(refuseWith400)
	a.machineOperations()
	a.machineAdminOperations()
	a.hardwareOperations()
	a.bootOperations()
	a.runOperations()
	a.reservationOperations()
	a.queueOperations()
	a.consoleLogOperations()
	a.powerOperations()
	a.assigneeOperations()
	a.interfaceOperations()
	a.preseedOperations()
	a.imageOperations(router)
	a.userOperations()
	a.keyOperations()
	a.tokenOperations()
	a.poolOperations()
	a.bmcOperations()
	a.architectureOperations()
	a.networkOperations()
	a.siteOperations()
	a.auditOperations()
	a.eventOperations()
	a.consoleOperations()
	a.consoleTicketOperations()

	if err := a.documentation(router); err != nil {
		return nil, fmt.Errorf("API: %w", err)
	}
	return a, nil
}

func configuration() huma.Config {
	config := huma.DefaultConfig("provisioner", "1")
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", "" // ours are in docs.go
	config.CreateHooks = nil                                             // no links to schemas in answers
	config.Formats = map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat}
	return config
}

var withToken = []map[string][]string{{"token": {}}}

// operation adds one. Whoever asks has shown a token.
func operation[I, O any](a *api, op huma.Operation, do func(context.Context, lab.Actor, *I) (*O, error)) {
	op.Security = withToken
	switch op.Method {
	case http.MethodGet:
		op.Middlewares = append(op.Middlewares, tagged)
	case http.MethodPut:
		op.Middlewares = append(op.Middlewares, a.conditional, tagged)
	case http.MethodDelete:
		op.Middlewares = append(op.Middlewares, a.conditional)
	}
	if op.Responses == nil {
		op.Responses = make(map[string]*huma.Response)
	}
	op.Responses["default"] = errorResponse()
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, actorOf(ctx), in)
		if err != nil {
			return nil, a.refusal(op, err)
		}
		return out, nil
	})
}

type (
	actorKey struct{}
	tokenKey struct{}
)

func actorOf(ctx context.Context) lab.Actor {
	actor, _ := ctx.Value(actorKey{}).(lab.Actor)
	return actor
}

// tokenOfRequest is what tells the tokens apart that requests show.
func tokenOfRequest(ctx context.Context) [sha256.Size]byte {
	hash, _ := ctx.Value(tokenKey{}).([sha256.Size]byte)
	return hash
}

// authenticate asks for a token: "Bearer TOKEN" (RFC 6750 §2.1), or the token
// alone, as old clients send it. Without a valid one the answer has no body.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, known := r.Context().Value(actorKey{}).(lab.Actor); known { // the API asks itself, see unchanged
			next.ServeHTTP(w, r)
			return
		}
		token := strings.TrimSpace(r.Header.Get("Authorization"))
		if scheme, rest, ok := strings.Cut(token, " "); ok && strings.EqualFold(scheme, "Bearer") {
			token = strings.TrimSpace(rest)
		}
		needs := store.ScopeOperate
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			needs = store.ScopeRead
		}
		actor, err := a.lab.Authenticate(r.Context(), token, needs, r.RemoteAddr)
		switch {
		case token == "" || errors.Is(err, lab.ErrToken):
			w.Header().Set("WWW-Authenticate", `Bearer realm="provisioner"`)
			w.WriteHeader(http.StatusUnauthorized)
		case err != nil:
			writeError(w, a.refusal(huma.Operation{Method: r.Method, Path: r.URL.Path}, err))
		default:
			ctx := context.WithValue(r.Context(), actorKey{}, actor)
			ctx = context.WithValue(ctx, tokenKey{}, sha256.Sum256([]byte(token)))
			next.ServeHTTP(w, r.WithContext(ctx))
		}
	})
}

// allowOrigins lets pages of any site ask: what they may do is decided by the
// token that they show, never by a cookie.
func allowOrigins(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Access-Control-Expose-Headers", "Link, ETag, Idempotent-Replayed")
		if r.Method == http.MethodOptions {
			header.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
			header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID")
			header.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// headAsGet answers HEAD as GET, whose body the server leaves out (RFC 9110
// §9.3.2).
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			chi.RouteContext(r.Context()).RouteMethod = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// asJSON reads every body as JSON, whatever the client calls it: curl calls it
// a form.
func asJSON(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "multipart/") {
			r.Header.Set("Content-Type", "application/json")
		}
		r.Header.Del("Accept") // there is nothing else
		next.ServeHTTP(w, r)
	})
}
