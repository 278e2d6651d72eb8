package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/server/api"
	"provisioner/server/remote"
)

// httpStatus is how a refusal is said in HTTP (RFC 9110 §15).
var httpStatus = map[lab.Code]int{
	lab.NotFound:    http.StatusNotFound,
	lab.Denied:      http.StatusForbidden,
	lab.Conflict:    http.StatusConflict,
	lab.Invalid:     http.StatusBadRequest,
	lab.Unavailable: http.StatusServiceUnavailable,
	lab.Internal:    http.StatusInternalServerError,
}

func (s *Server) newHTTP() (*http.Server, error) {
	r := chi.NewRouter()
	r.Use(s.metrics.Requests, middleware.Recoverer)
	r.Get("/", s.welcome)
	s.probeRoutes(r)
	s.observerRoutes(r)
	r.Mount("/dhcp", s.hookGuard.Guard(http.StripPrefix("/dhcp", boot.DHCPHandler(s.lab.DHCP(), s.log)), s.log))
	s.imageRoutes(r)
	s.preseedRoutes(r)
	s.bootFileRoutes(r)
	programs, err := api.New(s.stopping, s.lab, s.log)
	if err != nil {
		return nil, err
	}
	s.programs = programs
	r.Get(remote.Path, s.serveCommand)
	r.Mount(api.Prefix, programs)
	r.Get(api.TicketPath, programs.ServeTicket)
	return &http.Server{
		Handler:           r,
		ConnContext:       withConnection,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}, nil
}

// welcome tells somebody with a browser where they are.
func (s *Server) welcome(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("provisioner\n\nEngineers: ssh to this server for the dashboard (ssh -p PORT USER@HOST; `help` lists the commands).\n" +
		"Machines: DHCP hook under /dhcp/ipv4, files under /boot/.\n"))
}

// refuse says a lab's error to a machine. What nobody foresaw is logged, and
// not shown.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code := lab.CodeOf(err)
	if code == lab.Internal {
		s.log.Error("request failed", "path", lab.LogName(r.URL.Path), "error", err)
		err = errors.New("internal error; the server's log has more")
	}
	http.Error(w, err.Error(), httpStatus[code])
}
