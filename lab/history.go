package lab

import (
	"context"

	"provisioner/store"
)

const (
	historyPage = 100
	historyMost = 1000
)

// History returns who held what and why, the newest first: at most 100 of
// them, or as many as the filter says, up to 1000. The next page is before the
// last one's id. What was held is remembered when the machine or the user is
// gone. Whoever may log in may see it.
func (l *Lab) History(ctx context.Context, _ Actor, filter store.HistoryFilter) (history []store.Reservation, err error) {
	switch {
	case filter.Limit < 0 || filter.Before < 0:
		return nil, fail(Invalid, "list the history: a limit and an id are above 0")
	case filter.Limit == 0:
		filter.Limit = historyPage
	}
	filter.Limit = min(filter.Limit, historyMost)
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		history, err = tx.History(ctx, filter)
		return err
	})
	return history, wrap(err, "list the history")
}
