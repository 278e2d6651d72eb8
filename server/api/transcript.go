package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/lab/console/transcript"
)

// maxLog is how much of a log an answer has at most, in bytes; more comes over
// ssh.
const maxLog = 16 << 20

func (a *api) consoleLogOperations() {
	tags := []string{"consoles"}
	a.logOperation(tags)
	operation(a, huma.Operation{
		OperationID: "list-patterns", Method: http.MethodGet, Path: "/pattern", Tags: tags,
		Summary: "What is looked for in the output of all consoles",
	}, a.listPatterns)
	operation(a, huma.Operation{
		OperationID: "add-pattern", Method: http.MethodPost, Path: "/pattern", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Look for a regular expression in the output of all consoles", Description: "Admins only. What it finds is an event.",
	}, a.addPattern)
	operation(a, huma.Operation{
		OperationID: "remove-pattern", Method: http.MethodDelete, Path: "/pattern/{name}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Look for a site's own pattern no more", Description: "Admins only.",
	}, a.removePattern)
}

// logOperation is not tagged: it is long, and another one each time.
func (a *api) logOperation(tags []string) {
	op := huma.Operation{
		OperationID: "get-log", Method: http.MethodGet, Path: "/machine/{id}/log", Tags: tags, Security: withToken,
		Summary: "What a machine has printed on its console",
		Description: "Its holders may read what was printed while the machine was theirs; admins, all. At most 16 MiB: the first of what is asked for, " +
			"or the last lines. That it was read is kept as an event.",
		Responses: map[string]*huma.Response{
			"200":     {Description: "OK", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}},
			"default": errorResponse(),
		},
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *logInput) (*huma.StreamResponse, error) {
		log, from, err := a.openLog(ctx, actorOf(ctx), in)
		if err != nil {
			return nil, a.refusal(op, err)
		}
		return &huma.StreamResponse{Body: func(w huma.Context) {
			w.SetHeader("Content-Type", "text/plain; charset=utf-8")
			if in.Format == "raw" {
				w.SetHeader("Content-Type", "application/octet-stream")
				_, _ = io.Copy(w.BodyWriter(), io.LimitReader(log.Reader(from), maxLog)) // the client may have gone
				return
			}
			_, _ = w.BodyWriter().Write(a.logText(ctx, log, from))
		}}, nil
	})
}

type logInput struct {
	MachinePath
	Since  string `query:"since" maxLength:"64" doc:"Only what was printed since: a time (RFC 3339), or how long ago, such as 15m"`
	Until  string `query:"until" maxLength:"64" doc:"Only what was printed until then"`
	Last   int    `query:"last" minimum:"1" maximum:"100000" doc:"Only so many lines at its end"`
	Format string `query:"format" enum:"text,raw" default:"text" doc:"text: lines without control sequences; raw: as it came"`
}

func (a *api) openLog(ctx context.Context, actor lab.Actor, in *logInput) (*lab.ConsoleLog, transcript.Position, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, 0, err
	}
	var window transcript.Window
	for _, bound := range []struct {
		key, text string
		at        *time.Time
	}{{"since", in.Since, &window.Since}, {"until", in.Until, &window.Until}} {
		if *bound.at, err = parseMoment(bound.key, bound.text, a.now()); err != nil {
			return nil, 0, err
		}
	}
	log, err := a.lab.ConsoleLog(ctx, actor, name, window)
	if err != nil {
		return nil, 0, err
	}
	from := log.Start()
	if in.Last > 0 {
		last, err := log.LinesBefore(log.End(), in.Last)
		if err != nil {
			return nil, 0, err
		}
		from = max(from, last)
	}
	return log, from, nil
}

func (a *api) logText(ctx context.Context, log *lab.ConsoleLog, from transcript.Position) []byte {
	var text bytes.Buffer
	for line, err := range log.Lines(ctx, from) {
		if err != nil || text.Len()+len(line.Text) > maxLog {
			break
		}
		text.WriteString(line.Text)
		text.WriteByte('\n')
	}
	return text.Bytes()
}

// Pattern is looked for in the output of all consoles, in answers.
type Pattern struct {
	Name       string  `json:"name"`
	Expression *string `json:"expression" doc:"RE2; null: it is built in"`
	Finds      *string `json:"finds" doc:"What one that is built in finds"`
}

type listPatternsInput struct {
	Filtering
	Paging
}

func (a *api) listPatterns(ctx context.Context, actor lab.Actor, in *listPatternsInput) (*list[Pattern], error) {
	patterns, err := a.patterns(ctx, actor)
	if err != nil {
		return nil, err
	}
	return listOf(patterns, in.Filtering, &in.Paging, func(p Pattern) string { return byName(p.Name) })
}

func (a *api) patterns(ctx context.Context, actor lab.Actor) ([]Pattern, error) {
	rows, err := a.lab.ConsolePatterns(ctx, actor)
	patterns := make([]Pattern, len(rows))
	for i, p := range rows {
		patterns[i] = Pattern{p.Name, optionalText(p.Expression), optionalText(p.Finds)}
	}
	return patterns, err
}

type addPatternInput struct {
	Body struct {
		_          struct{} `additionalProperties:"true"`
		Name       string   `json:"name" maxLength:"64"`
		Expression string   `json:"expression" maxLength:"1024" doc:"RE2"`
	}
}

type patternAnswer struct{ Body Pattern }

func (a *api) addPattern(ctx context.Context, actor lab.Actor, in *addPatternInput) (*patternAnswer, error) {
	if err := a.lab.AddConsolePattern(ctx, actor, in.Body.Name, in.Body.Expression); err != nil {
		return nil, err
	}
	return &patternAnswer{Pattern{Name: in.Body.Name, Expression: &in.Body.Expression}}, nil
}

func (a *api) removePattern(ctx context.Context, actor lab.Actor, in *NamePath) (*nothing, error) {
	return nil, a.lab.RemoveConsolePattern(ctx, actor, in.Name)
}
