// Package query reads the expressions by which machines are chosen, in lists
// and in reservations:
//
//	(and (= arch "arm64") (or (= assignee_count 0) (=~ name "lab-")))
//
// An expression is an operator and its operands in brackets. `and` and `or`
// take any number of expressions, `not` takes one. A comparison takes a field
// and a value: =, !=, <, <=, >, >= and =~, which is "contains".
// [Fields] lists the fields. A value is "text" (with \" and \\ in it), a number,
// true, false, or nil, which is what a field is that has no value. A word that
// is no field is text, too: (= arch arm64).
//
// Text is compared without regard to the case of the letters A to Z. A field
// that has many values, such as a machine's MAC addresses, answers a comparison
// if one of them does; != is always the opposite of =, and text that a machine
// does not have is nil and "" alike.
//
// The package knows no machines: store compiles a [Query] to SQL, and
// [Query.Match] asks its caller.
package query

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxLength is how long an expression may be, in characters.
	MaxLength = 4096

	// MaxDepth is how deep brackets may be within brackets.
	MaxDepth = 32
)

// Query is an expression that has been read. The zero value is the empty one,
// which every machine answers. It is immutable.
type Query struct{ root Node }

// Root is the outermost node; nil where the expression is empty.
func (q Query) Root() Node { return q.root }

// String is the expression as [Parse] reads it again, in one way of writing:
// fields first, one space between words, text in quotes.
func (q Query) String() string {
	if q.root == nil {
		return ""
	}
	var b strings.Builder
	q.root.write(&b)
	return b.String()
}

// Uses reports whether the expression compares that field.
func (q Query) Uses(field string) bool { return q.root != nil && uses(q.root, field) }

func uses(n Node, field string) bool {
	switch n := n.(type) {
	case All:
		return slices.ContainsFunc(n, func(n Node) bool { return uses(n, field) })
	case Any:
		return slices.ContainsFunc(n, func(n Node) bool { return uses(n, field) })
	case Not:
		return uses(n.Node, field)
	case Compare:
		return n.Field.Name == field
	}
	return false
}

// And is the query that both of them answer.
func (q Query) And(other Query) Query {
	switch {
	case q.root == nil:
		return other
	case other.root == nil:
		return q
	}
	return Query{All{q.root, other.root}}
}

// HeldBy is the query for what a user holds.
func HeldBy(user string) Query {
	field, _ := fieldNamed(fields, "holder")
	return Query{Compare{Field: field, Op: Equal, Value: user}}
}

// Node is a part of an expression: [All], [Any], [Not] or [Compare].
type Node interface{ write(*strings.Builder) }

// All is true where each of its nodes is: (and ...).
type All []Node

// Any is true where one of its nodes is: (or ...).
type Any []Node

// Not is true where its node is false: (not ...).
type Not struct{ Node }

// Compare compares a field of a machine with a value.
type Compare struct {
	Field Field
	Op    Op
	Value any // string, int64 or bool, as the field's type is; nil beside Equal and NotEqual of text
}

// Op is how a comparison compares.
type Op string

const (
	Equal        Op = "="
	NotEqual     Op = "!="
	Less         Op = "<"
	LessEqual    Op = "<="
	Greater      Op = ">"
	GreaterEqual Op = ">="
	Contains     Op = "=~"
)

// flipped is the operator that says the same with the operands exchanged; that
// something is contained has none.
var flipped = map[Op]Op{
	Equal: Equal, NotEqual: NotEqual, Less: Greater, LessEqual: GreaterEqual, Greater: Less, GreaterEqual: LessEqual,
	Contains: "",
}

func (n All) write(b *strings.Builder) { writeList(b, "and", n) }
func (n Any) write(b *strings.Builder) { writeList(b, "or", n) }
func (n Not) write(b *strings.Builder) { writeList(b, "not", []Node{n.Node}) }

func writeList(b *strings.Builder, operator string, nodes []Node) {
	b.WriteString("(" + operator)
	for _, n := range nodes {
		b.WriteByte(' ')
		n.write(b)
	}
	b.WriteByte(')')
}

func (n Compare) write(b *strings.Builder) {
	b.WriteString("(" + string(n.Op) + " " + n.Field.Name + " ")
	switch v := n.Value.(type) {
	case nil:
		b.WriteString("nil")
	case string:
		b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`)
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case bool:
		b.WriteString(strconv.FormatBool(v))
	}
	b.WriteByte(')')
}

// Match reports whether a machine answers the query. It asks value for the
// fields that matter: the answer is a string (empty: none), an int64 or a bool,
// by the field's type, or a []string where it may have many.
func (q Query) Match(value func(field string) any) bool {
	return q.root == nil || match(q.root, value)
}

func match(n Node, value func(string) any) bool {
	switch n := n.(type) {
	case All:
		return !slices.ContainsFunc(n, func(n Node) bool { return !match(n, value) })
	case Any:
		return slices.ContainsFunc(n, func(n Node) bool { return match(n, value) })
	case Not:
		return !match(n.Node, value)
	case Compare:
		return n.Holds(value(n.Field.Name))
	}
	return false
}

// Holds reports whether the comparison is true of what a machine has in that
// field, given as for [Query.Match].
func (n Compare) Holds(has any) bool {
	if n.Op == NotEqual {
		n.Op = Equal
		return !n.Holds(has)
	}
	switch has := has.(type) {
	case []string:
		if n.IsNone() {
			return len(has) == 0
		}
		return slices.ContainsFunc(has, n.text)
	case string:
		return n.text(has)
	case int64:
		want, ok := n.Value.(int64)
		return ok && n.ordered(cmp.Compare(has, want))
	case bool:
		return n.Value == has
	}
	return false
}

// IsNone reports whether the comparison asks for a field without a value.
func (n Compare) IsNone() bool { return n.Op == Equal && (n.Value == nil || n.Value == "") }

func (n Compare) text(has string) bool {
	want, _ := n.Value.(string) // nil is ""
	has, want = Fold(has), Fold(want)
	if n.Op == Contains {
		return strings.Contains(has, want)
	}
	return n.ordered(strings.Compare(has, want))
}

func (n Compare) ordered(order int) bool {
	switch n.Op {
	case Equal:
		return order == 0
	case Less:
		return order < 0
	case LessEqual:
		return order <= 0
	case Greater:
		return order > 0
	case GreaterEqual:
		return order >= 0
	}
	return false
}

// Fold is text as it is compared: the letters A to Z in lower case.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
