package server

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"provisioner/lab"
	"provisioner/server/upload"
)

// The resumable upload protocol tus 1.0.0 (https://tus.io/protocols/resumable-upload),
// with its extensions creation, termination and expiration. The metadata of an
// upload are the fields of the form of POST /images.
const (
	tusVersion    = "1.0.0"
	tusExtensions = "creation,termination,expiration"
	tusContent    = "application/offset+octet-stream"

	// maxMetadata bounds what an upload says of its image, in bytes.
	maxMetadata = 8 << 10
)

func (s *Server) tusRoutes(r chi.Router) {
	r.Use(tusHeaders)
	r.Options("/", tusOptions)
	r.Post("/", s.withToken(s.createUpload))
	r.Head("/{id}", s.withToken(s.headUpload))
	r.Patch("/{id}", s.withToken(s.patchUpload))
	r.Delete("/{id}", s.withToken(s.deleteUpload))
	r.Post("/{id}", s.withToken(s.overriddenUpload))
}

// tusHeaders keeps off clients of other versions (core protocol, Tus-Resumable).
func tusHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Tus-Resumable", tusVersion)
		if r.Method != http.MethodOptions && r.Header.Get("Tus-Resumable") != tusVersion {
			w.Header().Set("Tus-Version", tusVersion)
			http.Error(w, "uploads are continued by tus "+tusVersion+": say so (Tus-Resumable: "+tusVersion+")", http.StatusPreconditionFailed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func tusOptions(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Tus-Version", tusVersion)
	w.Header().Set("Tus-Extension", tusExtensions)
	w.Header().Set("Tus-Max-Size", strconv.FormatInt(lab.MaxImage, 10))
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) createUpload(actor lab.Actor, w http.ResponseWriter, r *http.Request) error {
	size, err := sizeHeader(r, "Upload-Length")
	if err != nil {
		return err
	}
	if size > lab.MaxImage {
		http.Error(w, fmt.Sprintf("an image has at most %d bytes", int64(lab.MaxImage)), http.StatusRequestEntityTooLarge)
		return nil
	}
	fields, err := parseMetadata(r.Header.Get("Upload-Metadata"))
	if err != nil {
		return invalid("Upload-Metadata: %w", err)
	}
	image, err := imageOf(fields, fields["name"])
	if err != nil {
		return err
	}
	state, err := s.lab.CreateUpload(r.Context(), actor, image, size)
	if err != nil {
		return err
	}
	tusState(w, state)
	w.Header().Set("Location", strings.TrimSuffix(r.URL.Path, "/")+"/"+state.ID)
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (s *Server) headUpload(actor lab.Actor, w http.ResponseWriter, r *http.Request) error {
	state, err := s.lab.Upload(r.Context(), actor, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	tusState(w, state)
	w.Header().Set("Upload-Length", strconv.FormatInt(state.Size, 10))
	w.Header().Set("Cache-Control", "no-store")
	return nil
}

func (s *Server) patchUpload(actor lab.Actor, w http.ResponseWriter, r *http.Request) error {
	if kind := r.Header.Get("Content-Type"); kind != tusContent {
		http.Error(w, "a piece of an upload has the Content-Type "+tusContent, http.StatusUnsupportedMediaType)
		return nil
	}
	offset, err := sizeHeader(r, "Upload-Offset")
	if err != nil {
		return err
	}
	upload.Patient(w, r)
	state, err := s.lab.ContinueUpload(r.Context(), actor, chi.URLParam(r, "id"), offset, upload.Torn{Reader: r.Body})
	if err != nil {
		return err
	}
	tusState(w, state)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) deleteUpload(actor lab.Actor, w http.ResponseWriter, r *http.Request) error {
	if err := s.lab.CancelUpload(r.Context(), actor, chi.URLParam(r, "id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// overriddenUpload is for those whose proxy knows no PATCH.
func (s *Server) overriddenUpload(actor lab.Actor, w http.ResponseWriter, r *http.Request) error {
	switch r.Header.Get("X-HTTP-Method-Override") {
	case http.MethodHead:
		return s.headUpload(actor, w, r)
	case http.MethodPatch:
		return s.patchUpload(actor, w, r)
	case http.MethodDelete:
		return s.deleteUpload(actor, w, r)
	}
	w.Header().Set("Allow", "HEAD, PATCH, DELETE")
	http.Error(w, "an upload is continued by PATCH", http.StatusMethodNotAllowed)
	return nil
}

func tusState(w http.ResponseWriter, state lab.UploadState) {
	w.Header().Set("Upload-Offset", strconv.FormatInt(state.Offset, 10))
	w.Header().Set("Upload-Expires", state.Expires.UTC().Format(time.RFC1123))
}

func sizeHeader(r *http.Request, name string) (int64, error) {
	n, err := strconv.ParseInt(r.Header.Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0, invalid("%s: a number of bytes is needed", name)
	}
	return n, nil
}

// parseMetadata reads Upload-Metadata: pairs of a key and a base64 value
// (RFC 4648 §4) separated by commas; a key without a value has an empty one.
func parseMetadata(header string) (map[string]string, error) {
	fields := make(map[string]string)
	if len(header) > maxMetadata {
		return nil, fmt.Errorf("it has %d bytes, and at most %d are possible", len(header), maxMetadata)
	}
	if strings.TrimSpace(header) == "" {
		return fields, nil
	}
	for pair := range strings.SplitSeq(header, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), " ")
		text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
		if _, twice := fields[key]; key == "" || twice || err != nil {
			return nil, fmt.Errorf("%q is no key that comes once, a space and a value in base64", pair)
		}
		fields[key] = string(text)
	}
	return fields, nil
}
