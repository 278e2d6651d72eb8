package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"provisioner/lab"
	"provisioner/server/upload"
	"provisioner/store"
)

const (
	// maxFields and maxField bound what a form says beside its file.
	maxFields = 16
	maxField  = 4 << 10 // bytes
)

// imageRoutes are uploads by token. POST /images is a form, for a browser or
// curl; /images/uploads is for uploads that are continued, see tus.go.
func (s *Server) imageRoutes(r chi.Router) {
	r.Post("/images", s.withToken(s.postImage))
	r.Route("/images/uploads", s.tusRoutes)
}

// tokenHandler answers a request of whoever has shown a token.
type tokenHandler func(lab.Actor, http.ResponseWriter, *http.Request) error

// withToken asks for a token that may change things.
func (s *Server) withToken(handle tokenHandler) http.HandlerFunc {
	return s.withScope(store.ScopeOperate, handle)
}

// withScope asks for a token (RFC 6750 §2.1) with at least that scope, and tells
// errors.
func (s *Server) withScope(scope store.TokenScope, handle tokenHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="provisioner"`)
			http.Error(w, "show a token: Authorization: Bearer TOKEN", http.StatusUnauthorized)
			return
		}
		actor, err := s.lab.Authenticate(r.Context(), strings.TrimSpace(token), scope, r.RemoteAddr)
		if errors.Is(err, lab.ErrToken) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="provisioner", error="invalid_token"`)
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if err == nil {
			err = handle(actor, w, r)
		}
		if err != nil {
			s.refuse(w, r, err)
		}
	}
}

// postImage adds an image by a form (RFC 7578). Its fields name, type, arch,
// firmware, description, sha256, public and known_good come before its file.
func (s *Server) postImage(actor lab.Actor, w http.ResponseWriter, r *http.Request) error {
	upload.Patient(w, r)
	form, err := r.MultipartReader()
	if err != nil {
		return invalid("send a form: curl -F name=NAME -F type=kernel -F arch=amd64 -F file=@FILE (%w)", err)
	}
	fields := make(map[string]string)
	for range maxFields {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return invalid("the form has no file: add -F file=@FILE")
		}
		if err != nil {
			return invalid("the form breaks off: %w", err)
		}
		if part.FormName() == "file" {
			return s.addImagePart(actor, w, r, fields, part)
		}
		value, err := io.ReadAll(io.LimitReader(part, maxField+1))
		if err != nil {
			return invalid("the form breaks off: %w", err)
		}
		if len(value) > maxField {
			return invalid("the field %q has more than %d bytes", part.FormName(), maxField)
		}
		fields[part.FormName()] = string(value)
	}
	return invalid("the form has more than %d fields before its file", maxFields)
}

func (s *Server) addImagePart(actor lab.Actor, w http.ResponseWriter, r *http.Request, fields map[string]string, part *multipart.Part) error {
	image, err := imageOf(fields, part.FileName())
	if err != nil {
		return err
	}
	if err := s.lab.AddImage(r.Context(), actor, image, upload.Torn{Reader: part}); err != nil {
		return err
	}
	added, err := s.lab.Image(r.Context(), actor, image.Name)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(toJSONImage(added.Image)) // the client may have gone
	return nil
}

// imageOf reads what a form, or the metadata of an upload, says of an image.
// Where it does not say a file name, the file's own is taken.
func imageOf(fields map[string]string, filename string) (lab.NewImage, error) {
	image := lab.NewImage{Arch: "amd64", Subarch: "uefi"}
	for name, value := range fields {
		var err error
		switch name {
		case "name":
			image.Name = value
		case "type":
			image.Type = store.ImageType(value)
		case "arch":
			image.Arch = value
		case "firmware":
			image.Subarch = value
		case "filename":
			filename = value
		case "description":
			image.Description = value
		case "sha256":
			image.SHA256 = value
		case "public":
			image.Public, err = yesOrNo(value)
		case "known_good":
			image.KnownGood, err = yesOrNo(value)
		case "filetype": // tus clients say the media type without being asked
		default:
			err = errors.New("nobody knows it: name, type, arch, firmware, filename, description, sha256, public and known_good are possible")
		}
		if err != nil {
			return lab.NewImage{}, invalid("field %q: %w", printable(name), err)
		}
	}
	image.Filename = path.Base(strings.ReplaceAll(filename, `\`, "/"))
	if image.Name == "" {
		image.Name = image.Filename
	}
	return image, nil
}

func yesOrNo(value string) (bool, error) {
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", value)
	}
	return b, nil
}

func invalid(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &lab.Error{Code: lab.Invalid, Message: err.Error(), Err: err}
}
