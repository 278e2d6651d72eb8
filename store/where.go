package store

import (
	"encoding/json"
	"strings"
)

// where is a WHERE clause that grows by the conditions that are wanted, so
// that SQLite has an index for each of them.
type where struct {
	conditions []string
	args       []any
}

func (w *where) add(wanted bool, condition string, args ...any) {
	if wanted {
		w.conditions = append(w.conditions, condition)
		w.args = append(w.args, args...)
	}
}

// in wants a column to be one of the values; nil: any.
func (w *where) in(column string, values *[]string) error {
	if values == nil {
		return nil
	}
	list, err := json.Marshal(*values)
	w.add(true, column+` IN (SELECT value FROM json_each(?))`, string(list))
	return err
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(w.conditions, " AND ") + " "
}

// with returns the arguments of the clause, and those that come after it.
func (w *where) with(args ...any) []any { return append(w.args, args...) }
