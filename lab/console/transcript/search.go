package transcript

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// MaxExpression bounds a regular expression, in bytes.
const MaxExpression = 1 << 10

// Query is what is looked for in lines.
type Query struct {
	text       []byte // where expression is nil
	expression *regexp.Regexp
}

// Text returns a Query for a text as it is, or with ignoreCase however it is
// capitalized.
func Text(text string, ignoreCase bool) (Query, error) {
	return Expression(regexp.QuoteMeta(text), ignoreCase)
}

// Expression returns a Query for a regular expression (RE2 syntax, of at most
// [MaxExpression] bytes). An error says what is wrong with it, and where.
func Expression(expression string, ignoreCase bool) (Query, error) {
	if len(expression) > MaxExpression {
		return Query{}, fmt.Errorf("the expression has %d bytes; %d are the most", len(expression), MaxExpression)
	}
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return Query{}, misplaced(expression, err)
	}
	if parsed.Op == syntax.OpLiteral && parsed.Flags&syntax.FoldCase == 0 && !ignoreCase {
		return Query{text: []byte(string(parsed.Rune))}, nil
	}
	if ignoreCase {
		expression = "(?i)" + expression
	}
	compiled, err := regexp.Compile(expression)
	return Query{expression: compiled}, err
}

// misplaced says where in an expression an error is.
func misplaced(expression string, err error) error {
	var bad *syntax.Error
	if !errors.As(err, &bad) {
		return err
	}
	at := strings.Index(expression, bad.Expr)
	if at < 0 || bad.Expr == expression {
		return fmt.Errorf("%s in %q", bad.Code, expression)
	}
	return fmt.Errorf("%s at character %d: %q", bad.Code, utf8.RuneCountInString(expression[:at])+1, bad.Expr)
}

// find returns where in a line the first match begins and ends.
func (q Query) find(line []byte) (from, to int, found bool) {
	if q.expression != nil {
		at := q.expression.FindIndex(line)
		if at == nil {
			return 0, 0, false
		}
		return at[0], at[1], true
	}
	from = bytes.Index(line, q.text)
	return from, from + len(q.text), from >= 0
}

// Find returns where in the Text of a line the first match begins and ends.
func (q Query) Find(line Line) (from, to int, found bool) { return q.find([]byte(line.Text)) }

// Match is a line that was looked for.
type Match struct {
	Line
	From, To int // what matches of its Text; the first such place
}

// Search returns the lines that match and begin at a position or behind it, the
// first one first, until ctx ends. To go on behind a match, search from its
// Position + 1.
func (e *Excerpt) Search(ctx context.Context, q Query, from Position) iter.Seq2[Match, error] {
	return e.search(q, func(next rowFunc) error { return e.rows(ctx, from, false, next) })
}

// SearchBefore returns the lines that match and begin before a position, the
// last one first.
func (e *Excerpt) SearchBefore(ctx context.Context, q Query, before Position) iter.Seq2[Match, error] {
	return e.search(q, func(next rowFunc) error { return e.rowsBefore(ctx, before, next) })
}

func (e *Excerpt) search(q Query, rows func(rowFunc) error) iter.Seq2[Match, error] {
	return func(yield func(Match, error) bool) {
		times := clock{excerpt: e}
		err := rows(func(p Position, text []byte) (bool, error) {
			if !utf8.Valid(text) {
				text = bytes.ToValidUTF8(text, replacement)
			}
			from, to, found := q.find(text)
			if !found {
				return true, nil
			}
			at, err := times.at(p)
			return err == nil && yield(Match{Line{p, at, string(text)}, from, to}, nil), err
		})
		if err != nil {
			yield(Match{}, err)
		}
	}
}
