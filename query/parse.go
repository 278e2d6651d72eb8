package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error says what is wrong with an expression, and where.
type Error struct {
	Column  int // in characters, from 1
	Problem string
}

func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Problem) }

// Parse reads an expression. The error of one that cannot be read is an
// [*Error]. An expression of white space only is empty, and true of every machine.
func Parse(text string) (Query, error) { return ParseFor(fields, text) }

// ParseFor is Parse for what is no machine, and has other fields. Such a query
// is for [Query.Match] only: store knows machines.
func ParseFor(fields []Field, text string) (Query, error) {
	if n := utf8.RuneCountInString(text); n > MaxLength {
		return Query{}, &Error{MaxLength + 1, fmt.Sprintf("the query has %d characters, and %d are possible", n, MaxLength)}
	}
	p := parser{fields: fields, rest: text, column: 1}
	first, err := p.next()
	if err != nil || first.kind == end {
		return Query{}, err
	}
	root, err := p.expression(first, 1)
	if err != nil {
		return Query{}, err
	}
	after, err := p.next()
	switch {
	case err != nil:
		return Query{}, err
	case after.kind == closing:
		return Query{}, after.fail("unbalanced: this bracket closes nothing")
	case after.kind != end:
		return Query{}, after.fail("the query has ended before this; put (and ...) around several expressions")
	}
	return Query{root}, nil
}

type tokenKind int

const (
	end tokenKind = iota
	opening
	closing
	word   // and, =, arch, 12, nil
	quoted // "text", without its quotes
)

type token struct {
	kind   tokenKind
	text   string
	column int
}

func (t token) fail(format string, args ...any) *Error {
	return &Error{t.column, fmt.Sprintf(format, args...)}
}

// named is the token for a sentence.
func (t token) named() string {
	switch t.kind {
	case end:
		return "the end"
	case opening:
		return "an expression"
	case closing:
		return "a closing bracket"
	}
	return strconv.Quote(shortened(t.text))
}

func shortened(text string) string {
	const most = 40
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "..."
}

type parser struct {
	fields []Field
	rest   string
	column int // of rest
}

// next takes a token off the text.
func (p *parser) next() (token, error) {
	for {
		r, size := utf8.DecodeRuneInString(p.rest)
		t := token{column: p.column}
		switch {
		case size == 0:
			return t, nil
		case r == utf8.RuneError && size == 1:
			return t, t.fail("this is no UTF-8")
		case r == '(' || r == ')':
			p.skip(size, 1)
			if t.kind = closing; r == '(' {
				t.kind = opening
			}
			return t, nil
		case r == '"':
			return p.quoted(t)
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			p.skip(size, 1)
		case unicode.IsControl(r):
			return t, t.fail("a control character (%U)", r)
		default:
			return p.word(t)
		}
	}
}

func (p *parser) skip(size, columns int) { p.rest, p.column = p.rest[size:], p.column+columns }

func (p *parser) word(t token) (token, error) {
	t.kind = word
	n := strings.IndexFunc(p.rest, func(r rune) bool {
		return r == '(' || r == ')' || r == '"' || r == utf8.RuneError || r == ' ' || unicode.IsControl(r)
	})
	if n == 0 { // a replacement character that is written out
		n = utf8.RuneLen(utf8.RuneError)
	}
	if n < 0 {
		n = len(p.rest)
	}
	t.text = p.rest[:n]
	p.skip(n, utf8.RuneCountInString(t.text))
	return t, nil
}

func (p *parser) quoted(t token) (token, error) {
	t.kind = quoted
	p.skip(1, 1)
	var b strings.Builder
	for {
		r, size := utf8.DecodeRuneInString(p.rest)
		here := token{column: p.column}
		switch {
		case size == 0:
			return t, t.fail("this quote is never closed")
		case r == utf8.RuneError && size == 1:
			return t, here.fail("this is no UTF-8")
		case unicode.IsControl(r):
			return t, here.fail("a control character (%U)", r)
		case r == '"':
			p.skip(1, 1)
			t.text = b.String()
			return t, nil
		case r == '\\':
			p.skip(1, 1)
			if r, size = utf8.DecodeRuneInString(p.rest); r != '"' && r != '\\' {
				return t, here.fail(`\ stands before " and \ only`)
			}
		}
		b.WriteRune(r)
		p.skip(size, 1)
	}
}

// expression reads what begins with t, at that depth of brackets.
func (p *parser) expression(t token, depth int) (Node, error) {
	switch {
	case t.kind == closing:
		return nil, t.fail("unbalanced: this bracket closes nothing")
	case t.kind != opening:
		return nil, t.fail("%s is no expression: it begins with a bracket, as in (= arch \"arm64\")", t.named())
	case depth > MaxDepth:
		return nil, t.fail("more than %d brackets within each other", MaxDepth)
	}
	operator, err := p.next()
	if err != nil {
		return nil, err
	}
	switch {
	case operator.kind == end:
		return nil, t.fail("unbalanced: this bracket is never closed")
	case operator.kind != word:
		return nil, operator.fail("%s is no operator: there are and, or, not, =, !=, <, <=, >, >= and =~", operator.named())
	}
	switch operator.text {
	case "and", "or", "not":
		return p.logical(t, operator, depth)
	}
	if _, ok := flipped[Op(operator.text)]; !ok {
		return nil, operator.fail("%s is no operator: there are and, or, not, =, !=, <, <=, >, >= and =~", operator.named())
	}
	return p.comparison(t, operator)
}

func (p *parser) logical(opened, operator token, depth int) (Node, error) {
	var nodes []Node
	for {
		t, err := p.next()
		switch {
		case err != nil:
			return nil, err
		case t.kind == end:
			return nil, opened.fail("unbalanced: this bracket is never closed")
		case t.kind == closing && operator.text == "and":
			return All(nodes), nil
		case t.kind == closing && operator.text == "or":
			return Any(nodes), nil
		case t.kind == closing && len(nodes) == 1:
			return Not{nodes[0]}, nil
		case t.kind == closing:
			return nil, t.fail("not takes one expression, and here are %d", len(nodes))
		}
		n, err := p.expression(t, depth+1)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
}

func (p *parser) comparison(opened, operator token) (Node, error) {
	var operands [2]token
	for i := range operands {
		t, err := p.next()
		switch {
		case err != nil:
			return nil, err
		case t.kind == end:
			return nil, opened.fail("unbalanced: this bracket is never closed")
		case t.kind == opening:
			return nil, t.fail("%s compares a field and a value, not expressions", operator.text)
		case t.kind == closing:
			return nil, t.fail("%s takes a field and a value, and here are %d of the two", operator.text, i)
		}
		operands[i] = t
	}
	after, err := p.next()
	switch {
	case err != nil:
		return nil, err
	case after.kind == end:
		return nil, opened.fail("unbalanced: this bracket is never closed")
	case after.kind != closing:
		return nil, after.fail("%s takes a field and a value; %s is too much", operator.text, after.named())
	}
	return p.compare(Op(operator.text), operands[0], operands[1])
}

// compare makes sense of two operands.
func (p *parser) compare(op Op, left, right token) (Node, error) {
	field, isField := p.field(left)
	value := right
	if !isField {
		if field, isField = p.field(right); !isField {
			if left.kind == quoted && right.kind == word {
				left = right
			}
			return nil, left.fail("%s is no field: there are %s", left.named(), fieldNames(p.fields))
		}
		if op == Contains {
			return nil, left.fail("=~ takes the field first: (=~ %s %s)", right.text, left.named())
		}
		op, value = flipped[op], left
	} else if _, both := p.field(right); both {
		return nil, right.fail("%s is a field, too; to compare with the text, put it in quotes", right.text)
	}
	n := Compare{Field: field, Op: op}
	var err error
	n.Value, err = value.as(field, op)
	return n, err
}

func (p *parser) field(t token) (Field, bool) {
	if t.kind != word {
		return Field{}, false
	}
	return fieldNamed(p.fields, t.text)
}

// as reads a value for a field.
func (t token) as(f Field, op Op) (any, error) {
	if t.kind == word && t.text == "nil" {
		switch {
		case f.Type != Text:
			return nil, t.fail("%s is never nil: it is %s", f.Name, f.Type.article())
		case op != Equal && op != NotEqual:
			return nil, t.fail("nil is compared by = and != only")
		}
		return nil, nil
	}
	switch f.Type {
	case Number:
		n, err := strconv.ParseInt(t.text, 10, 64)
		switch {
		case op == Contains:
			return nil, t.fail("%s is a number, which contains nothing; compare it by =, !=, <, <=, > or >=", f.Name)
		case t.kind == quoted || err != nil:
			return nil, t.fail("%s is a number, and %s is none", f.Name, t.named())
		}
		return n, nil
	case Bool:
		switch {
		case op != Equal && op != NotEqual:
			return nil, t.fail("%s is true or false; compare it by = or !=", f.Name)
		case t.kind == quoted || t.text != "true" && t.text != "false":
			return nil, t.fail("%s is true or false, and %s is neither", f.Name, t.named())
		}
		return t.text == "true", nil
	}
	text := t.text
	if f.isMAC {
		text = foldMAC(text)
	}
	if exact := op == Equal || op == NotEqual; exact && f.values != nil && !slices.Contains(f.values, Fold(text)) {
		return nil, t.fail("%s is never %s: it is one of %s", f.Name, t.named(), strings.Join(f.values, ", "))
	}
	return text, nil
}

func (t Type) article() string {
	if t == Bool {
		return string(t)
	}
	return "a " + string(t)
}
