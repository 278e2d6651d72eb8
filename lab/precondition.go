package lab

import (
	"context"

	"provisioner/store"
)

// condition is what must be so before a call changes anything.
type condition struct {
	check func(context.Context) error
	asked bool
}

type conditionKey struct{}

// OnlyIf returns a context for a single call that changes something: check is
// called when nobody else can change anything any more, and before the call
// does. Its error undoes what the call began in the database, and is what the
// call fails with. check may read from the lab, and change nothing. A call that
// finds nothing to change may not ask.
func OnlyIf(ctx context.Context, check func(context.Context) error) context.Context {
	return context.WithValue(ctx, conditionKey{}, &condition{check: check})
}

// conditionally asks what [OnlyIf] has set, once.
func conditionally(ctx context.Context, fn func(*store.Tx) error) func(*store.Tx) error {
	c, _ := ctx.Value(conditionKey{}).(*condition)
	if c == nil || c.asked {
		return fn
	}
	return func(tx *store.Tx) error {
		c.asked = true
		if err := c.check(context.WithValue(ctx, conditionKey{}, nil)); err != nil {
			return err
		}
		return fn(tx)
	}
}
