package api

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/openapi.yaml anew")

const documentFile = "../../docs/openapi.yaml"

func TestTheDocumentIsFresh(t *testing.T) {
	w := newWorld(t)
	status, served := w.ask("-", http.MethodGet, "/openapi.yaml", "")
	if status != 200 {
		t.Fatal(status)
	}
	served += "\n"
	if *update {
		if err := os.WriteFile(documentFile, []byte(served), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(documentFile)
	if err != nil || string(kept) != served {
		t.Errorf("docs/openapi.yaml is stale: make api (%v)", err)
	}
}

func TestTheDocumentIsWhole(t *testing.T) {
	w := newWorld(t)
	_, served := w.ask("-", http.MethodGet, "/openapi.json", "")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID, Summary string
			Security             []map[string][]string
			Parameters           []struct {
				Ref string `json:"$ref"`
			}
			Responses map[string]any
		}
		Components struct{ Schemas, Parameters map[string]any }
	}
	if err := json.Unmarshal([]byte(served), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || len(doc.Paths) == 0 {
		t.Errorf("OpenAPI %q with %d paths", doc.OpenAPI, len(doc.Paths))
	}
	for file, methods := range doc.Paths {
		for method, op := range methods {
			for _, p := range op.Parameters {
				if p.Ref != "" && doc.Components.Parameters[path.Base(p.Ref)] == nil {
					t.Errorf("there is no parameter %s", p.Ref)
				}
			}
			if op.OperationID == "" || op.Summary == "" || len(op.Security) != 1 || op.Responses["default"] == nil {
				t.Errorf("%s %s: %+v", method, file, op)
			}
		}
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(served, -1) {
		if doc.Components.Schemas[ref[1]] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
}

// TestThePageNeedsNothingFromElsewhere: labs have no internet.
func TestThePageNeedsNothingFromElsewhere(t *testing.T) {
	w := newWorld(t)
	response := w.send("-", http.MethodGet, "/docs", nil, nil)
	page, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || response.StatusCode != 200 || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %v, %v", response.StatusCode, response.Header, err)
	}
	for _, address := range regexp.MustCompile(`(?:https?:)?//[a-z]|(?:src|href)="([^"]*)"`).FindAllString(string(page), -1) {
		if address != `href="openapi.yaml"` && address != `href="openapi.json"` {
			t.Errorf("it names %s", address)
		}
	}
}
