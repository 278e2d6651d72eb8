package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
)

//go:embed docs.html
var docsPage []byte

const about = `What people can do in the dashboard, for programs. Old scripts for mr-provisioner keep working.

Show a token with every request: ` + "`Authorization: Bearer TOKEN`" + `. Make one with ` + "`ssh HOST token create`" + ` or
` + "`provisioner token create --user NAME`" + `. Bodies are JSON, whatever the request calls them.

Wherever a path has the number of something, its name does as well.`

// documentation serves the OpenAPI document, and a page that shows it, to
// everybody.
func (a *api) documentation(router chi.Router) error {
	doc := a.huma.OpenAPI()
	doc.Info.Description = about
	doc.Servers = []*huma.Server{{URL: Prefix}}
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	doc.Components.Schemas.Schema(errorType, true, "Error")
	if err := addExamples(doc); err != nil {
		return err
	}
	asJSON, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("OpenAPI document: %w", err)
	}
	asYAML, err := doc.YAML()
	if err != nil {
		return fmt.Errorf("OpenAPI document: %w", err)
	}
	for path, page := range map[string]struct {
		contentType string
		content     []byte
	}{
		"/docs": {"text/html; charset=utf-8", docsPage}, "/openapi.json": {"application/openapi+json", asJSON},
		"/openapi.yaml": {"application/openapi+yaml", asYAML},
	} {
		router.Get(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", page.contentType)
			_, _ = w.Write(page.content)
		})
	}
	return nil
}
