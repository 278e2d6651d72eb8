package server

import (
	"net/http"
	"net/netip"
	"strconv"

	"github.com/go-chi/chi/v5"

	"provisioner/boot"
	"provisioner/lab"
)

// preseedRoutes are for installers. What they are given may hold passwords, so
// it is kept by no cache.
func (s *Server) preseedRoutes(r chi.Router) {
	r.Group(func(r chi.Router) {
		r.Use(noStore)
		r.Get("/boot/{token}/preseed", s.preseed)
		r.Get("/boot/{token}/cloud-init/user-data", s.preseed)
		r.Get("/boot/{token}/cloud-init/meta-data", s.cloudMetaData)
		r.Get("/boot/{token}/cloud-init/vendor-data", s.cloudVendorData)
		r.Get("/preseed/{id:[0-9]+}", s.addressPreseed)
		r.Get("/boot/{token}/phone-home", s.phoneHome)
		r.Post("/boot/{token}/phone-home", s.phoneHome) // whatever it says: cloud-init sends a form with host keys
	})
}

func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (s *Server) preseed(w http.ResponseWriter, r *http.Request) {
	answers, err := s.lab.RunPreseed(r.Context(), chi.URLParam(r, "token"), r.RemoteAddr)
	s.writeAnswers(w, r, answers, err)
}

// addressPreseed serves the addresses that mr-provisioner's installers have.
// They are for the machine at this very address: whatever stands in
// X-Forwarded-For could be anybody's word.
func (s *Server) addressPreseed(w http.ResponseWriter, r *http.Request) {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	id, err := strconv.ParseInt(chi.URLParam(r, "id"), 10, 64)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	answers, err := s.lab.AddressPreseed(r.Context(), id, client)
	s.writeAnswers(w, r, answers, err)
}

func (s *Server) writeAnswers(w http.ResponseWriter, r *http.Request, answers lab.Answers, err error) {
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	writeText(w, answers.Type.ContentType(), answers.Text)
}

func (s *Server) cloudMetaData(w http.ResponseWriter, r *http.Request) {
	text, err := s.lab.CloudMetaData(r.Context(), chi.URLParam(r, "token"))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	writeText(w, boot.CloudInit.ContentType(), text)
}

// cloudVendorData has nothing to say. It is there so that cloud-init finds its
// seed whole, and asks once.
func (s *Server) cloudVendorData(w http.ResponseWriter, r *http.Request) {
	_, err := s.lab.CloudMetaData(r.Context(), chi.URLParam(r, "token"))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	writeText(w, boot.CloudInit.ContentType(), nil)
}

func writeText(w http.ResponseWriter, contentType string, text []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(text) // a machine that has gone asks again
}

func (s *Server) phoneHome(w http.ResponseWriter, r *http.Request) {
	if err := s.lab.PhoneHome(r.Context(), chi.URLParam(r, "token"), r.RemoteAddr); err != nil {
		s.refuse(w, r, err)
		return
	}
	writeText(w, "text/plain; charset=utf-8", []byte("ok\n"))
}
