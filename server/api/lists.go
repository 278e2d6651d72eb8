package api

import (
	"cmp"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/query"
)

// Showing asks for what is others', too.
type Showing struct {
	ShowAll string `query:"show_all" doc:"true: those of others, too"`
}

func (in Showing) all() bool {
	all, _ := strconv.ParseBool(in.ShowAll)
	return all
}

// Paging asks for a part of a list.
type Paging struct {
	Limit int    `query:"limit" minimum:"1" maximum:"10000" doc:"How many at most; the header Link (RFC 8288) says where the next ones are"`
	After string `query:"after" maxLength:"256" doc:"What the header Link said"`

	url url.URL
}

// Resolve implements [huma.Resolver].
func (p *Paging) Resolve(ctx huma.Context) []error {
	p.url = ctx.URL()
	return nil
}

// link is the header Link of a part of a list that goes on after something.
func (p *Paging) link(after string) string {
	values := p.url.Query()
	values.Set("after", after)
	values.Set("limit", strconv.Itoa(p.Limit))
	return "<" + Prefix + strings.TrimPrefix(p.url.Path, Prefix) + "?" + values.Encode() + `>; rel="next"`
}

// afterID is the cursor of a list whose parts are in order of descending ids;
// 0: from the beginning.
func (p *Paging) afterID() (int64, error) {
	if p.After == "" {
		return 0, nil
	}
	id, err := strconv.ParseInt(p.After, 10, 64)
	if err != nil || id < 1 {
		return 0, invalid("after: give what the header Link said")
	}
	return id, nil
}

// Filtering asks for what a query is true of.
type Filtering struct {
	Query string `query:"q" maxLength:"300" doc:"An expression of the query language about the keys of what is listed, such as (= name \"x\")"`
}

// list is an answer with many of a kind.
type list[T any] struct {
	Link string `header:"Link" doc:"rel=\"next\": where the next ones are"`
	Body []T
}

// listOf answers with the part of all that a query and a page want, in the
// order of their keys.
func listOf[T any, K cmp.Ordered](all []T, q Filtering, p *Paging, key func(T) K) (*list[T], error) {
	asked, err := query.ParseFor(fieldsOf[T](), q.Query)
	if err != nil {
		return nil, invalid("query: %w", err)
	}
	after, err := cursor[K](p.After)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	out := &list[T]{Body: []T{}}
	for _, one := range all {
		if p.After != "" && key(one) <= after || !asked.Match(valuesOf(one)) {
			continue
		}
		if p.Limit > 0 && len(out.Body) == p.Limit {
			out.Link = p.link(cursorText(key(out.Body[len(out.Body)-1])))
			break
		}
		out.Body = append(out.Body, one)
	}
	return out, nil
}

// newestFirst answers with what lab has as a page of descending ids.
func newestFirst[T, R any](rows []R, p *Paging, id func(R) int64, to func(R) T) *list[T] {
	out := &list[T]{Body: make([]T, len(rows))}
	for i, row := range rows {
		out.Body[i] = to(row)
	}
	if p.Limit > 0 && len(rows) == p.Limit {
		out.Link = p.link(strconv.FormatInt(id(rows[len(rows)-1]), 10))
	}
	return out
}

// maxHistory bounds a page of what grows for ever, and usualHistory is the page
// of who does not say.
const (
	maxHistory   = 1000
	usualHistory = 100
)

// bounded is the page of a list that grows for ever.
func (p *Paging) bounded() { p.Limit = min(cmp.Or(p.Limit, usualHistory), maxHistory) }

func cursor[K cmp.Ordered](text string) (k K, err error) {
	switch k := any(&k).(type) {
	case *string:
		*k = text
	case *int64:
		if text == "" {
			break
		}
		if *k, err = strconv.ParseInt(text, 10, 64); err != nil {
			err = invalid("after: give what the header Link said")
		}
	}
	return k, err
}

func cursorText[K cmp.Ordered](k K) string {
	if id, is := any(k).(int64); is {
		return strconv.FormatInt(id, 10)
	}
	text, _ := any(k).(string)
	return text
}

// fieldsOf are the keys of an answer by which a query may ask.
func fieldsOf[T any]() (fields []query.Field) {
	for i := range reflect.TypeFor[T]().NumField() {
		f := reflect.TypeFor[T]().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		t := f.Type
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch field := (query.Field{Name: name, Type: query.Text}); {
		case t.Kind() == reflect.String:
			fields = append(fields, field)
		case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
			field.Many = true
			fields = append(fields, field)
		case t.Kind() == reflect.Bool:
			field.Type = query.Bool
			fields = append(fields, field)
		case t.Kind() == reflect.Int64, t.Kind() == reflect.Int:
			field.Type = query.Number
			fields = append(fields, field)
		}
	}
	return fields
}

// valuesOf gives a query what an answer has.
func valuesOf[T any](one T) func(field string) any {
	return func(field string) any {
		v := reflect.ValueOf(one)
		for i := range v.NumField() {
			if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); name == field {
				return plainValue(v.Field(i))
			}
		}
		return nil
	}
}

// plainValue is a value as a query compares it; null is text that is not there.
func plainValue(v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int64:
		return v.Int()
	case reflect.Slice:
		texts, _ := v.Convert(reflect.TypeFor[[]string]()).Interface().([]string)
		return texts
	}
	return v.String()
}

// byName is the key by which lists are in order of names.
func byName(name string) string { return query.Fold(name) }

// unlessThere is refused where there is something of that name already.
func unlessThere(err error, what, name string) error {
	if err == nil {
		return &lab.Error{Code: lab.Conflict, Message: "there is " + what + " " + strconv.Quote(name) + " already"}
	}
	if lab.CodeOf(err) == lab.NotFound {
		return nil
	}
	return err
}
