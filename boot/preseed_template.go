package boot

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

const (
	templateName = "/preseed" // to the template engine, which wants one

	maxPreseedMessage = 500 // bytes
)

// renderPreseed renders in this process, with no other limit than that of the
// output: a worker's part. It tells what is undefined, also where it fails.
func renderPreseed(text *bytes.Buffer, request workerRequest) (missed []Undefined, failure *PreseedError) {
	var used lookups
	template, failure := parsePreseed(string(request.Template), &used)
	if failure != nil {
		return nil, failure
	}
	variables := request.Vars.context(&used)
	used.define(variables)
	defer func() {
		if p := recover(); p != nil {
			failure = renderError(fmt.Errorf("%v", p))
		}
		missed = used.missed
	}()
	out := &limitedWriter{to: text, limit: request.Limits.Output}
	if err := template.Execute(out, exec.NewContext(variables)); err != nil {
		return nil, renderError(err)
	}
	return nil, nil
}

// parsePreseed reads a template. Unlike Jinja2 it keeps the new line that ends
// a template: programs that read a preseed line by line want it. It notes the
// names that stand in the template.
func parsePreseed(source string, names *lookups) (template *exec.Template, failure *PreseedError) {
	settings := config.New()
	settings.KeepTrailingNewline = true
	line := 1 // of the last tag, for errors that do not tell theirs
	defer func() {
		if p := recover(); p != nil {
			template, failure = nil, &PreseedError{Syntax: true, Line: line, Message: oneLine(fmt.Sprintf("the template engine fails: %v", p))}
		}
	}()
	if failure := readTokens(source, settings, names); failure != nil {
		return nil, failure
	}
	loader, err := loaders.NewMemoryLoader(map[string]string{templateName: source})
	if err != nil {
		return nil, &PreseedError{Syntax: true, Line: line, Message: oneLine(err.Error())}
	}
	template, err = exec.NewTemplate(templateName, settings, loader, &exec.Environment{
		Filters:           filters(),
		Tests:             tests(),
		Methods:           builtins.Methods,
		Context:           exec.EmptyContext().Update(builtins.GlobalFunctions),
		ControlStructures: tags(&line),
	})
	if err != nil {
		return nil, syntaxError(err, line, lineAt(source, len(source)))
	}
	return template, nil
}

// readTokens finds names, and what the template engine would take for the
// template's end: it stops reading, without a word, where it meets no token.
func readTokens(source string, settings *config.Config, names *lookups) *PreseedError {
	stream := tokens.LexAll(source, settings)
	names.readNames(stream)
	if !stream.IsError() {
		return nil
	}
	bad := stream.Current()
	return &PreseedError{Syntax: true, Message: oneLine(bad.Val), Line: lineAt(source, bad.Pos)}
}

func lineAt(source string, offset int) int {
	return 1 + strings.Count(strings.TrimSuffix(source[:min(offset, len(source))], "\n"), "\n")
}

// tags are Jinja2's statements. Those that read other templates are refused.
// Each one notes the line that it stands in.
func tags(line *int) *exec.ControlStructureSet {
	parsers := map[string]parser.ControlStructureParser{}
	for _, name := range []string{
		"autoescape", "block", "break", "call", "continue", "do", "filter", "for", "if", "macro", "raw", "set", "trans", "with",
	} {
		parse, _ := builtins.ControlStructures.Get(name)
		parsers[name] = func(p, args *parser.Parser) (nodes.ControlStructure, error) {
			for _, token := range []*tokens.Token{p.Current(), args.Current()} {
				if token != nil && token.Line > 0 {
					*line = token.Line
				}
			}
			tag, err := parse(p, args)
			return watchLoop(tag), err
		}
	}
	for _, name := range []string{"extends", "from", "import", "include"} {
		parsers[name] = func(_, args *parser.Parser) (nodes.ControlStructure, error) {
			return nil, args.Error(fmt.Sprintf("'%s' is not possible: a preseed template cannot read other files", name), args.Current())
		}
	}
	return exec.NewControlStructureSet(parsers)
}

// syntaxError picks what its author needs to know out of the template engine's
// error, which holds the whole template.
func syntaxError(err error, tagLine, lastLine int) *PreseedError {
	failure := &PreseedError{Syntax: true, Line: tagLine, Message: oneLine(cause(err).Error())}
	var at *parser.SyntaxError
	if errors.As(err, &at) {
		failure.Message, failure.Line = oneLine(at.Message), at.Line
		if at.Line == 0 { // the token that ends a template has no line
			failure.Line = lastLine
		}
	}
	return failure
}

var errorLine = regexp.MustCompile(`at line (\d+):`)

// renderError is likewise for an error while rendering, which is wrapped once
// for each expression and tag around it.
func renderError(err error) *PreseedError {
	failure := &PreseedError{Message: oneLine(cause(err).Error())}
	if matches := errorLine.FindAllStringSubmatch(err.Error(), -1); matches != nil {
		failure.Line, _ = strconv.Atoi(matches[len(matches)-1][1])
		failure.Message += fmt.Sprintf(" (line %d)", failure.Line)
	}
	return failure
}

// cause unwraps to the innermost error. The template engine's values can be
// errors that hold an error.
func cause(err error) error {
	for {
		next := errors.Unwrap(err)
		if value, ok := err.(*exec.Value); ok { //nolint:errorlint // this is the unwrapping
			next, _ = value.Interface().(error)
		}
		if next == nil {
			return err
		}
		err = next
	}
}

// oneLine makes a text that may hold anything of a template fit for a message.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxPreseedMessage {
		text = strings.ToValidUTF8(text[:maxPreseedMessage], "") + "..."
	}
	return text
}
