package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
)

// Error is the body of an answer that is not the one hoped for.
type Error struct {
	Type   string   `json:"error_type" enum:"NotFound,Forbidden,Conflict,PreconditionFailed,InvalidUsage,SchemaError,MethodNotAllowed,Unavailable,InternalError" doc:"What kind of error it is"`
	Errors []string `json:"errors" doc:"What is wrong, in sentences"`

	status int
	empty  bool // nothing is said but the status
}

func (e *Error) Error() string { return e.Errors[0] }

// GetStatus implements [huma.StatusError].
func (e *Error) GetStatus() int { return e.status }

// codes are what lab's codes are in HTTP (RFC 9110 §15).
var codes = map[lab.Code]struct {
	status int
	name   string
}{
	lab.NotFound:    {http.StatusNotFound, "NotFound"},
	lab.Denied:      {http.StatusForbidden, "Forbidden"},
	lab.Conflict:    {http.StatusConflict, "Conflict"},
	lab.Invalid:     {http.StatusBadRequest, "InvalidUsage"},
	lab.Unavailable: {http.StatusServiceUnavailable, "Unavailable"},
	lab.Internal:    {http.StatusInternalServerError, "InternalError"},
}

// silent marks the operations that say nothing to those who may not use them.
const silent = "x-silent-403"

// refusal is a lab's error as an answer. What nobody foresaw is logged, and not
// shown.
func (a *api) refusal(op huma.Operation, err error) *Error {
	var ready *Error
	if errors.As(err, &ready) {
		return ready
	}
	code := lab.CodeOf(err)
	if code == lab.Internal {
		a.log.Error("request failed", "method", op.Method, "path", op.Path, "error", err)
		err = errors.New("internal error; the server's log has more")
	}
	c := codes[code]
	if errors.Is(err, errStale) {
		c.status, c.name = http.StatusPreconditionFailed, "PreconditionFailed"
	}
	e := &Error{Type: c.name, Errors: []string{err.Error()}, status: c.status}
	e.empty = e.status == http.StatusForbidden && op.Metadata[silent] != nil
	return e
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	writeError(w, &Error{Type: "NotFound", Errors: []string{"404: Not Found"}, status: http.StatusNotFound})
}

func methodNotAllowed(w http.ResponseWriter, _ *http.Request) {
	writeError(w, &Error{Type: "MethodNotAllowed", Errors: []string{"405: Method Not Allowed"}, status: http.StatusMethodNotAllowed})
}

func writeError(w http.ResponseWriter, e *Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	_ = jsonFormat.Marshal(w, e) // the client may have gone
}

func invalid(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &lab.Error{Code: lab.Invalid, Message: err.Error(), Err: err}
}

func missing(what, name string) error {
	return &lab.Error{Code: lab.NotFound, Message: fmt.Sprintf("there is no %s %q", what, name)}
}

// orInvalid says of an error by which something is missing that a body names
// that the body is wrong: 404 is for what the path names.
func orInvalid(err error) error {
	if lab.CodeOf(err) == lab.NotFound {
		return invalid("%w", err)
	}
	return err
}

// jsonFormat is how bodies are read and written.
var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		if e, ok := v.(*huma.ErrorModel); ok {
			v = schemaError(e)
		}
		if e, ok := v.(*Error); ok && e.empty {
			return nil
		}
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(v)
	},
	Unmarshal: func(data []byte, v any) error {
		if !utf8.Valid(data) { // which encoding/json would mend silently
			return errors.New("the body is not UTF-8")
		}
		if tooDeep(data) {
			return fmt.Errorf("the body is deeper than %d levels", maxLevels)
		}
		return json.Unmarshal(data, v)
	},
}

// maxLevels is how deep objects and arrays of a body may be within others.
const maxLevels = 32

// tooDeep finds bodies that are deeper. What is no JSON is for the decoder.
func tooDeep(data []byte) bool {
	level, inText, escaped := 0, false, false
	for _, c := range data {
		switch {
		case escaped:
			escaped = false
		case inText:
			escaped, inText = c == '\\', c != '"'
		case c == '"':
			inText = true
		case c == '{' || c == '[':
			if level++; level > maxLevels {
				return true
			}
		case c == '}' || c == ']':
			level--
		}
	}
	return false
}

// schemaError is what huma says of a request that does not fit its schema.
func schemaError(e *huma.ErrorModel) *Error {
	said := &Error{Type: "SchemaError", status: e.Status}
	for _, detail := range e.Errors {
		text := detail.Message
		if detail.Location != "" {
			text = detail.Location + ": " + text
		}
		said.Errors = append(said.Errors, text)
	}
	if said.Errors == nil {
		said.Errors = []string{e.Detail}
	}
	return said
}

// refuseWith400 says 400 where huma says 422, which old clients do not know.
func refuseWith400(ctx huma.Context, next func(huma.Context)) { next(compatibleContext{ctx}) }

type anyContext huma.Context // which has a method Context, so that it cannot be embedded by that name

type compatibleContext struct{ anyContext }

// Unwrap is how huma finds the request.
func (c compatibleContext) Unwrap() huma.Context { return c.anyContext }

func (c compatibleContext) SetStatus(status int) {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	c.anyContext.SetStatus(status)
}

// errorResponse documents [Error].
func errorResponse() *huma.Response {
	return &huma.Response{
		Description: "What is wrong. 401 and, for power, state and console, 403 have no body.",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Error"}}},
	}
}

var errorType = reflect.TypeFor[Error]()
