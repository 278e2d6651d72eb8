package api

import (
	_ "embed"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
)

//go:embed docs.html
var docsPage []byte

const about = `What people can do in the dashboard, for programs. Old scripts for mr-provisioner keep working.

Show a token with every request: ` + "`Authorization: Bearer TOKEN`" + `. Make one with ` + "`ssh HOST token create`" + ` or
` + "`provisioner token create --user NAME`" + `. Bodies are JSON, whatever the request calls them; keys that nobody knows are ignored, but for power and state.

Wherever a path has the number of a machine, an image or a preseed, its name does as well.

Lists come whole where there is no ` + "`limit`" + `, but for those that grow for ever; with one, the header Link (RFC 8288) says where the next part is.
` + "`q`" + ` filters them by the query language: machines by its own fields, other things by the keys that they have here, such as
` + "`(and (= arch \"arm64\") (> size 1000000))`" + `.

What is read has an ETag: ` + "`If-None-Match`" + ` asks only for what has changed (304), and ` + "`If-Match`" + ` changes and removes only what has not (412). An
` + "`Idempotency-Key`" + ` has a POST done once, however often it is sent: for 24 h, as long as the server runs, the answer is repeated with the header
Idempotent-Replayed; the same key with another request is 422. Refusals are not repeated: nothing was done.

What is refused says why: ` + "`{\"error_type\": \"Conflict\", \"errors\": [\"...\"]}`" + `. Dates of what mr-provisioner has are RFC 1123, all others RFC 3339.`

// documentation serves the OpenAPI document, and a page that shows it, to
// everybody.
func (a *api) documentation(router chi.Router) error {
	doc := a.huma.OpenAPI()
	doc.Info.Description = about
	doc.Servers = []*huma.Server{{URL: Prefix}}
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	doc.Components.Schemas.Schema(errorType, true, "Error")
	documentHeaders(doc)
	if err := addExamples(doc); err != nil {
		return err
	}
	for path, page := range map[string]struct {
		contentType string
		content     func() ([]byte, error)
	}{
		"/docs":         {"text/html; charset=utf-8", func() ([]byte, error) { return docsPage, nil }},
		"/openapi.json": {"application/openapi+json", sync.OnceValues(doc.MarshalJSON)},
		"/openapi.yaml": {"application/openapi+yaml", sync.OnceValues(doc.YAML)}, // takes longer than all else that New does
	} {
		router.Get(path, func(w http.ResponseWriter, _ *http.Request) {
			content, err := page.content()
			if err != nil {
				writeError(w, a.refusal(huma.Operation{Method: http.MethodGet, Path: Prefix + path}, err))
				return
			}
			w.Header().Set("Content-Type", page.contentType)
			_, _ = w.Write(content)
		})
	}
	return nil
}

// documentHeaders tells of the headers that many operations know.
func documentHeaders(doc *huma.OpenAPI) {
	text := &huma.Schema{Type: huma.TypeString}
	doc.Components.Parameters = map[string]*huma.Param{
		"If-Match":        {Name: "If-Match", In: "header", Schema: text, Description: "An ETag: only if this is what there is; else 412"},
		"If-None-Match":   {Name: "If-None-Match", In: "header", Schema: text, Description: "An ETag: only if this is not what there is; else 304"},
		idempotencyHeader: {Name: idempotencyHeader, In: "header", Schema: text, Description: "The same for the same request that is sent again: it is done once"},
	}
	add := func(op *huma.Operation, header string) {
		if op != nil {
			op.Parameters = append(op.Parameters, &huma.Param{Ref: "#/components/parameters/" + header})
		}
	}
	for _, path := range doc.Paths {
		add(path.Get, "If-None-Match")
		if path.Get != nil {
			add(path.Put, "If-Match")
			add(path.Delete, "If-Match")
		}
		if path.Post != nil && path.Post.RequestBody != nil && path.Post.RequestBody.Content["multipart/form-data"] == nil {
			add(path.Post, idempotencyHeader)
		}
	}
}
