package lab

import (
	"context"
	"errors"
	"fmt"

	"provisioner/ipmi"
	"provisioner/store"
)

// Code says what kind of refusal an [Error] is. Each face maps it once: to an
// HTTP status, an exit code, a colour.
type Code string

const (
	NotFound    Code = "not found"
	Denied      Code = "denied"
	Conflict    Code = "conflict"    // with what is there, or with what somebody else did meanwhile
	Invalid     Code = "invalid"     // the request can never succeed as it is
	Unavailable Code = "unavailable" // something that was needed does not work now
	Internal    Code = "internal"    // nobody foresaw it
)

// Error is an answer that is not the one hoped for. Message is a sentence for
// people: what was wanted, what is in the way, what to do.
type Error struct {
	Code    Code
	Message string
	Err     error // the cause, where there is one; its text is in Message already
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of an error that a call of [Lab] has returned.
func CodeOf(err error) Code { return classify(err) }

func fail(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// wrap says what was being done when err came up. It keeps the code of an
// error that has one and finds one for the others.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Code: classify(err), Message: fmt.Sprintf(format, args...) + ": " + err.Error(), Err: err}
}

func classify(err error) Code {
	var labError *Error
	var bmcError *ipmi.Error
	switch {
	case errors.As(err, &labError):
		return labError.Code
	case errors.Is(err, store.ErrNotFound):
		return NotFound
	case errors.Is(err, store.ErrExists), errors.Is(err, store.ErrInUse):
		return Conflict
	case errors.As(err, &bmcError), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Unavailable
	}
	return Internal
}
