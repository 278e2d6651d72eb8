package store

import (
	"context"
	"time"
)

// Webhook is an address that is told over HTTP of what happens.
type Webhook struct {
	ID        int64
	URL       string
	Secret    string // signs what is sent
	Position  int64  // the id of the last event that they have, or have missed
	CreatedAt time.Time
}

// Webhooks returns all webhooks, the oldest first.
func (tx *Tx) Webhooks(ctx context.Context) ([]Webhook, error) {
	return all(ctx, tx, func(r row) (w Webhook, err error) {
		return w, r.Scan(&w.ID, &w.URL, &w.Secret, &w.Position, moment{&w.CreatedAt})
	}, `SELECT id, url, secret, position, created_at FROM webhooks ORDER BY id`)
}

// SetWebhook keeps a webhook. Where there is one of that URL, its secret is changed.
func (tx *Tx) SetWebhook(ctx context.Context, w Webhook) error {
	_, err := tx.tx.ExecContext(ctx, `INSERT INTO webhooks (url, secret, position, created_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (url) DO UPDATE SET secret = excluded.secret`, w.URL, w.Secret, w.Position, millis(w.CreatedAt))
	return plain(err)
}

// DeleteWebhook forgets a webhook. [ErrNotFound] where there is none of that URL.
func (tx *Tx) DeleteWebhook(ctx context.Context, url string) error {
	return tx.change(ctx, `DELETE FROM webhooks WHERE url = ?`, url)
}

// WebhookTold notes the last event that a webhook has, or has missed.
func (tx *Tx) WebhookTold(ctx context.Context, id, event int64) error {
	return tx.change(ctx, `UPDATE webhooks SET position = ? WHERE id = ?`, event, id)
}
