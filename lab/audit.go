package lab

import (
	"context"

	"provisioner/store"
)

// Audit returns who did what, from where and with which key, the newest first:
// 100 entries where the filter has no limit, and 1000 at most. The id of the
// last one is the filter's Before to go on. Only an admin may. It is kept for
// ever, whatever becomes of accounts and machines.
func (l *Lab) Audit(ctx context.Context, actor Actor, f store.AuditFilter) (entries []store.AuditEntry, err error) {
	if !actor.IsAdmin() {
		return nil, fail(Denied, "read the audit: only an admin may")
	}
	f.Limit = pageLimit(f.Limit)
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		entries, err = tx.Audit(ctx, f)
		return err
	})
	return entries, wrap(err, "read the audit")
}
