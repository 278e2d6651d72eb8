package ipmi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bougou/go-ipmi/pkg/types"
)

// What can go wrong with a BMC, for errors.Is.
var (
	// ErrNoAnswer: the BMC is silent, or cannot be reached.
	ErrNoAnswer = errors.New("no answer")
	// ErrBadCredentials: the BMC does not know the user, or the password or
	// K_g differs from its own.
	ErrBadCredentials = errors.New("credentials refused")
	// ErrProtocol: the BMC answered with something that IPMI does not allow.
	ErrProtocol = errors.New("answered wrongly")
	// ErrRefused: the BMC understood, and said no.
	ErrRefused = errors.New("refused")
	// ErrSOLActive: somebody else holds the one console, and keeps it.
	ErrSOLActive = errors.New("console in use")
	// ErrBusy: too many commands wait for the BMC already.
	ErrBusy = errors.New("busy")
	// ErrClosed: the Client or the SOL was closed on this side.
	ErrClosed = errors.New("closed")
)

// Error is what every method of Client and SOL returns: what was attempted,
// on which BMC, and what went wrong.
type Error struct {
	Op   string // "chassis status", "power on", ...
	Addr string // host:port
	Err  error
}

// Error reads like "BMC 10.0.3.7:623: chassis status: no answer in 5s".
func (e *Error) Error() string { return fmt.Sprintf("BMC %s: %s: %v", e.Addr, e.Op, e.Err) }

// Unwrap returns what went wrong.
func (e *Error) Unwrap() error { return e.Err }

// refused is the error of a completion code other than 00h.
func refused(cmd types.Command, code uint8) error {
	if code == uint8(types.CodeInsufficientPrivilege) {
		return fmt.Errorf("%w: the session's privilege level is too low (completion code %02Xh); power and console want an operator at least", ErrRefused, code)
	}
	return fmt.Errorf("%w: %s (completion code %02Xh)", ErrRefused, sentence(types.StrCC(cmd, code)), code)
}

// sentence lowers the first letter of a text of the library, unless it begins
// an abbreviation.
func sentence(s string) string {
	switch {
	case s == "":
		return "unknown reason"
	case len(s) > 1 && s[1] >= 'A' && s[1] <= 'Z':
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// contextError says why ctx ended, in the terms of this package.
func contextError(ctx context.Context) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, ErrClosed):
		return cause
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Errorf("%w before the deadline: %w", ErrNoAnswer, cause)
	}
	return fmt.Errorf("given up: %w", cause)
}

// statusError is a refusal during session setup (IPMI v2.0 Table 13-15).
type statusError struct {
	in     types.PayloadType // the BMC's message
	status types.RmcpStatusCode
}

func (e *statusError) Error() string {
	step := "open session"
	switch e.in {
	case types.PayloadTypeRAKPMessage2:
		step = "RAKP 2"
	case types.PayloadTypeRAKPMessage4:
		step = "RAKP 4"
	}
	return fmt.Sprintf("%v: %s (status %02Xh in %s)", e.Unwrap(), sentence(e.status.String()), uint8(e.status), step)
}

// Unwrap returns the sentinel that the status stands for.
func (e *statusError) Unwrap() error {
	switch e.status {
	case types.RmcpStatusCodeUnauthorizedName, types.RmcpStatusCodeInvalidNameLength,
		types.RmcpStatusCodeUnauthorizedGUID, types.RmcpStatusCodeInvalidIntegrityCheckValue:
		return ErrBadCredentials
	}
	return ErrRefused
}

// mixedUp reports whether the BMC may have confused two handshakes of ours.
// RAKP 2 has proven already that it knows the user and the password, so that
// these in RAKP 4 are believed only when they persist.
func (e *statusError) mixedUp() bool {
	if e.in != types.PayloadTypeRAKPMessage4 {
		return false
	}
	switch e.status {
	case types.RmcpStatusCodeInvalidSessionID, types.RmcpStatusCodeInactiveSessionID,
		types.RmcpStatusCodeUnauthorizedName, types.RmcpStatusCodeInvalidIntegrityCheckValue:
		return true
	}
	return false
}

// suite reports whether another cipher suite may be accepted.
func (e *statusError) suite() bool {
	switch e.status {
	case types.RmcpStatusCodeInvalidAuthAlg, types.RmcpStatusCodeInvalidIntegrityAlg,
		types.RmcpStatusCodeInvalidConfidentAlg, types.RmcpStatusCodeNoCipherSuiteMatch,
		types.RmcpStatusCodeNoMatchingAuthPayload, types.RmcpStatusCodeNoMatchingIntegrityPayload,
		types.RmcpStatusCodeIllegalParameter:
		return true
	}
	return false
}

// privilege reports whether a lower privilege level may be accepted.
func (e *statusError) privilege() bool {
	switch e.status {
	case types.RmcpStatusCodeInvalidRole, types.RmcpStatusCodeUnauthorizedRoleOfPriLevel,
		types.RmcpStatusCodeNoResToCreateSessAtRole:
		return true
	}
	return false
}
