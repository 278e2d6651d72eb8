package boot

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/nikolalohinski/gonja/v2/builtins"
	controlStructures "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// Undefined is a variable that a template used and that nobody has defined. It
// rendered empty.
type Undefined struct {
	Name string // such as hostnam or kernel.filenam; at most 100 bytes
	Line int    // of the template where the name stands first, from 1
}

const (
	// maxUndefined bounds how many undefined variables of one rendering are told.
	maxUndefined = 20

	maxUndefinedName = 100 // bytes
)

// lookups notes which undefined variables a template uses. The template engine
// has no place to ask it: what it does not find is nil, and nil has no name. So
// each name that stands in the template is defined beforehand, as a value that
// knows its name and behaves like nil.
//
// To ask whether something is defined (is defined, default, if) is no use of
// it: that is how a template copes with what may be missing.
type lookups struct {
	lines  map[string]int // where a name stands first; that of an attribute begins with a dot
	missed []Undefined
}

// readNames finds the names in a template. They are a few too many: those of
// filters and keywords are never looked up.
func (l *lookups) readNames(stream *tokens.Stream) {
	l.lines = make(map[string]int)
	var before tokens.Type
	for !stream.End() {
		token := stream.Current()
		name := ""
		switch {
		case token.Type == tokens.Name && before == tokens.Dot, token.Type == tokens.String && before == tokens.LeftBracket:
			name = "." + token.Val
		case token.Type == tokens.Name:
			name = token.Val
		}
		if _, known := l.lines[name]; name != "" && !known {
			l.lines[name] = token.Line
		}
		before = token.Type
		stream.Next()
	}
}

// define adds what is undefined to the variables that are not.
func (l *lookups) define(variables map[string]any) {
	for name := range l.lines {
		_, known := variables[name]
		if !known && name[0] != '.' && !builtins.GlobalFunctions.Has(name) {
			variables[name] = l.undefined(name, name)
		}
	}
}

// undefined is a function, since the template engine takes one for false, for
// no number and for no list, and since it can hold the name. Called without
// arguments, which no template can do, it notes its use.
type undefined func(args *exec.VarArgs) any

func (l *lookups) undefined(name, where string) undefined {
	return func(args *exec.VarArgs) any {
		l.miss(Undefined{Name: name, Line: l.lines[where]})
		if args != nil {
			return fmt.Errorf("%s is undefined, and no function", name)
		}
		return name
	}
}

func (l *lookups) miss(u Undefined) {
	if u.Name = oneLine(u.Name); len(u.Name) > maxUndefinedName {
		u.Name = u.Name[:maxUndefinedName-3] + "..."
	}
	if len(l.missed) < maxUndefined && !slices.Contains(l.missed, u) {
		l.missed = append(l.missed, u)
	}
}

// use notes that the value was used, and gives its name.
func (u undefined) use() string { return fmt.Sprint(u(nil)) }

// String renders it empty.
func (u undefined) String() string {
	u.use()
	return ""
}

// GetAttribute fails, as it does in Jinja2.
func (u undefined) GetAttribute(name string) (*exec.Value, bool) {
	return exec.AsValue(fmt.Errorf("%s is undefined, and so has no %s", u.use(), oneLine(name))), false
}

// GetItem fails likewise.
func (u undefined) GetItem(key any) (*exec.Value, bool) {
	return u.GetAttribute(fmt.Sprint(key))
}

// MarshalJSON makes it null for the filter tojson.
func (u undefined) MarshalJSON() ([]byte, error) {
	u.use()
	return []byte("null"), nil
}

// absent is a variable that is defined and has no value, such as initrd where
// there is none. It is nil, but its attributes render empty, as they do for a
// Python program. It is a function for the reasons that undefined is one.
type absent func(args *exec.VarArgs) any

func noValue(*exec.VarArgs) any { return nil }

func (absent) String() string { return "" }

// GetAttribute gives nil.
func (absent) GetAttribute(string) (*exec.Value, bool) { return exec.AsValue(nil), true }

// GetItem gives nil.
func (absent) GetItem(any) (*exec.Value, bool) { return exec.AsValue(nil), true }

// MarshalJSON makes it null for the filter tojson.
func (absent) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// orNil turns what is undefined or absent into nil, and notes the use of what
// is undefined where it is one.
func orNil(value *exec.Value, isUse bool) *exec.Value {
	switch v := value.Interface().(type) {
	case undefined:
		if isUse {
			v.use()
		}
		return exec.AsValue(nil)
	case absent:
		return exec.AsValue(nil)
	}
	return value
}

// filters are Jinja2's, which take what is undefined for nil.
func filters() *exec.FilterSet {
	byName := map[string]exec.FilterFunction{}
	exec.NewFilterSet(byName).Update(builtins.Filters)
	for name, filter := range byName {
		isUse := name != "default" && name != "d"
		byName[name] = func(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
			return filter(e, orNil(in, isUse), params)
		}
	}
	return exec.NewFilterSet(byName)
}

// tests are Jinja2's likewise.
func tests() *exec.TestSet {
	byName := map[string]exec.TestFunction{}
	exec.NewTestSet(byName).Update(builtins.Tests)
	for name := range byName {
		isUse := name != "defined" && name != "undefined" && name != "none"
		byName[name] = func(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) (bool, error) {
			environment := *e.Environment
			environment.Tests = builtins.Tests
			result := (&exec.Evaluator{Config: e.Config, Environment: &environment, Loader: e.Loader}).
				ExecuteTestByName(name, orNil(in, isUse), params)
			if result.IsError() {
				return false, result
			}
			return result.Bool(), nil
		}
	}
	return exec.NewTestSet(byName)
}

// watchLoop notes a loop over what is undefined, which the template engine
// takes for an empty list without asking it.
func watchLoop(tag nodes.ControlStructure) nodes.ControlStructure {
	loop, ok := tag.(*controlStructures.ForControlStructure)
	if !ok {
		return tag
	}
	switch loop.ObjectEvaluator.(type) {
	case *nodes.Name, *nodes.GetAttribute: // others are evaluated once
		return &watchedLoop{loop}
	}
	return tag
}

type watchedLoop struct {
	*controlStructures.ForControlStructure
}

func (w *watchedLoop) Execute(r *exec.Renderer, tag *nodes.ControlStructureBlock) error {
	_ = orNil(r.Eval(w.ObjectEvaluator), true)
	return w.ForControlStructure.Execute(r, tag)
}

// object is a value with attributes. One that it lacks is undefined.
type object struct {
	name    string
	lookups *lookups
	fields  map[string]any
}

// GetAttribute gives an attribute, or one of the methods that a dict has.
func (o *object) GetAttribute(name string) (*exec.Value, bool) {
	if value, ok := o.fields[name]; ok {
		return exec.ToValue(value), true
	}
	if method, ok := builtins.Methods.Dict.Get(name); ok {
		return exec.AsValue(func(args *exec.VarArgs) (any, error) {
			return method(o.fields, exec.AsValue(o.fields), args)
		}), true
	}
	return exec.AsValue(o.lookups.undefined(o.name+"."+name, "."+name)), true
}

// GetItem is GetAttribute by another notation.
func (o *object) GetItem(key any) (*exec.Value, bool) {
	return o.GetAttribute(fmt.Sprint(key))
}

func (o *object) String() string { return exec.AsValue(o.fields).String() }

// MarshalJSON is for the filter tojson.
func (o *object) MarshalJSON() ([]byte, error) { return json.Marshal(o.fields) }
