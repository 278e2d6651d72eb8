package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"provisioner/lab"
)

// What is read has an ETag (RFC 9110 §8.8.3), and If-Match has a change done
// only where that is still what there is (§13.1.1).

// errStale is wrapped by what If-Match refuses.
var errStale = errors.New("it has changed since you read it: read it again")

// tagOf is the ETag of a body.
func tagOf(body []byte) string {
	hash := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(hash[:12]) + `"`
}

// heldBack is a context whose answer is not sent yet.
type heldBack struct {
	anyContext
	status int
	body   bytes.Buffer
}

// Unwrap is how huma finds the request.
func (h *heldBack) Unwrap() huma.Context  { return h.anyContext }
func (h *heldBack) SetStatus(status int)  { h.status = status }
func (h *heldBack) Status() int           { return h.status }
func (h *heldBack) BodyWriter() io.Writer { return &h.body }

// tagged gives an answer its ETag, and leaves out what the client has already.
func tagged(ctx huma.Context, next func(huma.Context)) {
	held := &heldBack{anyContext: ctx, status: http.StatusOK}
	next(held)
	if held.status != http.StatusOK {
		ctx.SetStatus(held.status)
		_, _ = ctx.BodyWriter().Write(held.body.Bytes()) // the client may have gone, here and below
		return
	}
	tag := tagOf(held.body.Bytes())
	ctx.SetHeader("ETag", tag)
	if none := ctx.Header("If-None-Match"); ctx.Method() != http.MethodPut && matches(strings.ReplaceAll(none, "W/", ""), tag) {
		ctx.SetStatus(http.StatusNotModified)
		return
	}
	ctx.SetStatus(http.StatusOK)
	_, _ = ctx.BodyWriter().Write(held.body.Bytes())
}

// matches reports whether a list of ETags has that one.
func matches(list, tag string) bool {
	return slices.ContainsFunc(strings.Split(list, ","), func(one string) bool {
		one = strings.TrimSpace(one)
		return one == tag || one == "*"
	})
}

// conditional does a change only where If-Match is right: it is asked now, and
// again when nobody else can change anything before the change is done.
func (a *api) conditional(ctx huma.Context, next func(huma.Context)) {
	wanted := ctx.Header("If-Match")
	if wanted == "" {
		next(ctx)
		return
	}
	r, w := humachi.Unwrap(ctx)
	check := func(now context.Context) error { return a.unchanged(now, r, wanted) }
	err := check(ctx.Context())
	if a.huma.OpenAPI().Paths[ctx.Operation().Path].Get == nil {
		err = invalid("If-Match is not possible here: this path cannot be read, and so has no ETag")
	}
	if err != nil {
		writeError(w, a.refusal(*ctx.Operation(), err))
		return
	}
	next(huma.WithContext(ctx, lab.OnlyIf(ctx.Context(), check)))
}

// unchanged reads what the path of a request names, and compares its ETag. What
// cannot be read is not refused: the change itself knows better why.
func (a *api) unchanged(ctx context.Context, r *http.Request, wanted string) error {
	path := chi.NewRouteContext()
	path.RoutePath = strings.TrimPrefix(r.URL.EscapedPath(), Prefix)
	look := r.Clone(context.WithValue(ctx, chi.RouteCtxKey, path))
	look.Method, look.Body, look.ContentLength, look.Header = http.MethodGet, http.NoBody, 0, http.Header{}
	answer := newRecorder()
	a.router.ServeHTTP(answer, look)
	if answer.status == http.StatusOK && !matches(wanted, answer.header.Get("ETag")) {
		return &lab.Error{Code: lab.Conflict, Message: errStale.Error(), Err: errStale}
	}
	return nil
}
