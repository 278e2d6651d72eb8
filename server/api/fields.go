package api

import (
	"time"

	"provisioner/lab"
)

// moment is a time in answers that mr-provisioner does not have (RFC 3339); null
// for none.
func moment(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return optionalText(t.UTC().Format(time.RFC3339))
}

// term is how long something lasts in answers; null for no end.
func term(d time.Duration) *string {
	if d == 0 {
		return nil
	}
	return optionalText(lab.TermText(d))
}

// parseTerm reads a key that says how long something lasts; 0 for null, and for
// one that was left out.
func parseTerm(key string, text optional[string]) (time.Duration, error) {
	if text.value == nil {
		return 0, nil
	}
	d, err := lab.ParseTerm(*text.value)
	if err != nil {
		return 0, invalid("%s: %w", key, err)
	}
	return d, nil
}

// parseMoment reads a time that was given as RFC 3339, or as how long ago.
func parseMoment(key, text string, now time.Time) (time.Time, error) {
	t, err := lab.ParseTime(text, now)
	if err != nil {
		return t, invalid("%s: %w", key, err)
	}
	return t, nil
}

// setGiven sets what a body has said.
func setGiven[T any](field *T, said given[T]) {
	if said.value != nil {
		*field = *said.value
	}
}

// setOptional sets what a body has said, null being the zero value.
func setOptional[T any](field *T, said optional[T]) {
	if said.sent {
		*field = *said.orZero()
	}
}

// notNil is a list as it is in answers, where none is empty and not null.
func notNil[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// NamePath names something in a path.
type NamePath struct {
	Name string `path:"name" maxLength:"256" doc:"Its name"`
}

type nothing struct{}
