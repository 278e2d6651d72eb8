package api

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// exampleFiles hold what the document shows of each operation: a file for each,
// by its id, whose last exchange is the example. The tests run all of them.
//
//go:embed examples/*.txt
var exampleFiles embed.FS

// exchange is a request, and the answer that it must get.
//
//	ada PUT /machine/web-01
//	{"netboot_enabled": true}
//	-> 200
//	{"id": 1, ...}
//
// A line that begins with # is for the reader. "-" is nobody, without a token.
type exchange struct {
	line         int
	who          string
	method, path string
	body         string
	status       int
	answer       string // empty: whatever it is; "nothing": no body
}

// readExchanges reads them; an empty line is between two of them.
func readExchanges(name, text string) (all []exchange, err error) {
	var current *exchange
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			current = nil
		case current == nil:
			e, err := firstLine(line)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
			}
			e.line = i + 1
			all = append(all, e)
			current = &all[len(all)-1]
		case strings.HasPrefix(line, "-> "):
			if current.status, err = strconv.Atoi(strings.TrimPrefix(line, "-> ")); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
			}
		case current.status == 0:
			current.body += line + "\n"
		default:
			current.answer += line + "\n"
		}
	}
	return all, nil
}

func firstLine(line string) (e exchange, err error) {
	who, rest, _ := strings.Cut(line, " ")
	method, target, ok := strings.Cut(rest, " ")
	if !ok {
		return e, fmt.Errorf("%q is no request: WHO METHOD PATH", line)
	}
	file, query, _ := strings.Cut(target, "?")
	if query != "" { // it is written for people
		values := url.Values{}
		for _, pair := range strings.Split(query, "&") {
			name, value, _ := strings.Cut(pair, "=")
			values.Set(name, value)
		}
		query = "?" + values.Encode()
	}
	return exchange{who: who, method: method, path: strings.ReplaceAll(file, " ", "%20") + query}, nil
}

// addExamples puts the examples into the document.
func addExamples(doc *huma.OpenAPI) error {
	examples, err := fs.Glob(exampleFiles, "examples/*.txt")
	if err != nil {
		return err
	}
	operations := operationsOf(doc)
	for _, name := range examples {
		text, err := fs.ReadFile(exampleFiles, name)
		if err != nil {
			return err
		}
		exchanges, err := readExchanges(name, string(text))
		if err != nil {
			return err
		}
		op := operations[strings.TrimSuffix(path.Base(name), ".txt")]
		if op == nil || len(exchanges) == 0 {
			return fmt.Errorf("%s is an example of no operation", name)
		}
		if err := addExample(op, exchanges[len(exchanges)-1]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func addExample(op *huma.Operation, e exchange) error {
	if op.Method != e.method {
		return fmt.Errorf("it ends with %s, and not with %s", e.method, op.Method)
	}
	if body := op.RequestBody; body != nil && body.Content["application/json"] != nil && e.body != "" {
		if err := json.Unmarshal([]byte(e.body), &body.Content["application/json"].Example); err != nil {
			return fmt.Errorf("request: %w", err)
		}
	}
	answer := op.Responses[strconv.Itoa(e.status)]
	if answer == nil || e.status >= http.StatusMultipleChoices {
		return fmt.Errorf("it ends with the status %d, which is not documented", e.status)
	}
	if content := answer.Content["application/json"]; content != nil {
		if err := json.Unmarshal([]byte(e.answer), &content.Example); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return nil
}

// operationsOf returns the operations of a document by their ids.
func operationsOf(doc *huma.OpenAPI) map[string]*huma.Operation {
	byID := make(map[string]*huma.Operation)
	for _, p := range doc.Paths {
		for _, op := range []*huma.Operation{p.Get, p.Post, p.Put, p.Patch, p.Delete} {
			if op != nil {
				byID[op.OperationID] = op
			}
		}
	}
	return byID
}
