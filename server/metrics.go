package server

import (
	"errors"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"provisioner/lab"
	"provisioner/store"
)

// probeRoutes say how the process is, to everybody: load balancers and service
// managers have no token.
func (s *Server) probeRoutes(r chi.Router) {
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	r.Get("/readyz", s.readyz)
}

// readyz answers 200 where requests can be served, and 503 where they cannot.
// Why not is in few words, since everybody may ask; the log has more.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	listeners := error(nil)
	if s.stopping.Err() != nil {
		listeners = errStopping
	} else if !s.serving.Load() {
		listeners = errors.New("they do not answer yet")
	}
	status, text := http.StatusOK, ""
	for _, part := range []struct {
		name, problem string
		err           error
	}{
		{"listeners", "not served", listeners},
		{"lab", "the database does not answer, or what happens is not published", s.lab.Ready(r.Context())},
	} {
		if part.err == nil {
			part.problem = "ok"
		} else {
			status = http.StatusServiceUnavailable
			s.log.Warn("not ready", "part", part.name, "error", part.err)
		}
		text += part.name + ": " + part.problem + "\n"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// observerRoutes tell programs with a token what goes on in the process: its
// metrics, and to admins its profiles.
func (s *Server) observerRoutes(r chi.Router) {
	handler := s.metrics.Handler()
	r.Get("/metrics", s.withScope(store.ScopeRead, func(actor lab.Actor, w http.ResponseWriter, r *http.Request) error {
		if err := actor.MayObserve(); err != nil {
			return err
		}
		handler.ServeHTTP(w, r)
		return nil
	}))
	r.Route("/debug/pprof", func(r chi.Router) {
		for name, handle := range map[string]http.HandlerFunc{
			"/": pprof.Index, "/{profile}": pprof.Index, "/cmdline": pprof.Cmdline, "/profile": pprof.Profile, "/symbol": pprof.Symbol, "/trace": pprof.Trace,
		} {
			r.Get(name, s.withScope(store.ScopeAdmin, func(actor lab.Actor, w http.ResponseWriter, r *http.Request) error {
				if !actor.IsAdmin() {
					return &lab.Error{Code: lab.Denied, Message: "profile the server: only an admin may, with a token that has the scope admin"}
				}
				handle(w, r)
				return nil
			}))
		}
	})
}

// newMetricsHTTP serves metrics and probes to whoever reaches the address that
// the site has set apart for them.
func (s *Server) newMetricsHTTP() *http.Server {
	r := chi.NewRouter()
	r.Use(middleware.Recoverer)
	s.probeRoutes(r)
	r.Get("/metrics", s.metrics.Handler().ServeHTTP)
	return &http.Server{
		Handler: r, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}
