package ipmi

import (
	"context"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/types"
)

// What a BMC refuses while its stores are read, and the reader does something
// about. All are ErrRefused too.
var (
	errTooMuch         = fmt.Errorf("%w: more than the BMC can send at once", ErrRefused)
	errReservationLost = fmt.Errorf("%w: others keep changing it", ErrRefused)
	errNotPresent      = fmt.Errorf("%w: there is no such thing", ErrRefused)
)

// asker runs one command that may be run twice, and returns its response,
// refusals included: the readers of stores and sensors need no more of a BMC.
type asker func(context.Context, rawRequest) (reply, error)

// exchange is do for the readers of stores.
func (c *Client) exchange(ctx context.Context, req rawRequest) (reply, error) {
	return c.do(ctx, req, true)
}

// read runs a command that reads a part of a store: sensor data records, event
// log or inventory.
func (do asker) read(ctx context.Context, req rawRequest) (reply, error) {
	r, err := do(ctx, req)
	if err != nil {
		return r, err
	}
	switch types.CompletionCode(r.code) {
	case types.CodeOK:
		return r, nil
	case types.CodeCannotReturnRequestedDataBytes, types.CodeRequestDataLengthInvalid,
		types.CodeRequestDataLengthLimitExceeded, types.CodeParameterOutOfRange, types.CodeUnspecifiedError: // as BMCs say it
		return r, fmt.Errorf("%w (completion code %02Xh)", errTooMuch, r.code)
	case types.CodeReservationCanceled:
		return r, errReservationLost
	case types.CodeRequestedDataNotPresent:
		return r, errNotPresent
	}
	return r, refused(req.cmd, r.code)
}
