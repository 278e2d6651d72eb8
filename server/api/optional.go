package api

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// optional is a key of a body that may be left out, and may be null, which are
// not the same.
type optional[T any] struct {
	sent  bool // it was there, with a value or null
	value *T   // nil: null, or not there
}

// UnmarshalJSON implements [json.Unmarshaler].
func (o *optional[T]) UnmarshalJSON(data []byte) error {
	o.sent = true
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	o.value = new(T)
	return json.Unmarshal(data, o.value)
}

// Schema implements [huma.SchemaProvider].
func (o *optional[T]) Schema(r huma.Registry) *huma.Schema {
	schema := *huma.SchemaFromType(r, reflect.TypeFor[T]())
	schema.Nullable = true
	return &schema
}

// orZero is what is to be set: nil where the key was left out, and the zero
// value for null.
func (o optional[T]) orZero() *T {
	if o.sent && o.value == nil {
		return new(T)
	}
	return o.value
}

// given is a key of a body that may be left out, and may not be null.
type given[T any] struct {
	value *T
	null  bool
}

// UnmarshalJSON implements [json.Unmarshaler].
func (g *given[T]) UnmarshalJSON(data []byte) error {
	if g.null = bytes.Equal(data, []byte("null")); g.null {
		return nil
	}
	g.value = new(T)
	return json.Unmarshal(data, g.value)
}

// Resolve implements [huma.ResolverWithPath]: huma takes null for a key that
// was left out.
func (g *given[T]) Resolve(_ huma.Context, at *huma.PathBuffer) []error {
	if g.null {
		return []error{&huma.ErrorDetail{Message: "null is not possible", Location: at.String()}}
	}
	return nil
}

// Schema implements [huma.SchemaProvider].
func (g *given[T]) Schema(r huma.Registry) *huma.Schema {
	schema := *huma.SchemaFromType(r, reflect.TypeFor[T]())
	return &schema
}
