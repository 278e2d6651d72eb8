package lab

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"provisioner/store"
)

const (
	webhookTerm    = 10 * time.Second // for one request
	webhookAge     = 24 * time.Hour   // events older than that are not sent any more
	webhookRefused = 3                // tries of what is refused as it is (4xx)
	webhookFirst   = time.Second      // until the second try; it doubles
	webhookMost    = 5 * time.Minute
	webhookBatch   = 100
	maxWebhooks    = 10
	minSecret      = 16 // bytes
	maxAnswer      = 4 << 10
)

// webhookKinds is what webhooks are told of.
var webhookKinds = map[string]bool{
	EventReserved: true, EventReleased: true, EventExtended: true, EventTermEnding: true, EventTermOver: true,
	EventIdle: true, EventLent: true, EventReturned: true, EventQueued: true, EventQueueLeft: true,
	EventProvision: true, EventProvisionEnded: true, EventPowerFailed: true,
}

// webhookMessage is the body of what a webhook is sent. Its keys stay as they are.
type webhookMessage struct {
	ID      int64           `json:"id"` // of the event: grows, and comes once, or more often where an answer was lost
	At      time.Time       `json:"at"`
	Kind    string          `json:"kind"`
	Machine string          `json:"machine"`
	User    string          `json:"user"`
	Detail  string          `json:"detail"`
	Holders []webhookHolder `json:"holders"` // of the machine, as it is sent
}

type webhookHolder struct {
	User   string     `json:"user"`
	Reason string     `json:"reason"`
	Since  time.Time  `json:"since"`
	Until  *time.Time `json:"until"` // null: no term
	LentBy string     `json:"lent_by,omitempty"`
}

// Webhook is an address that is told of reservations.
type Webhook struct {
	URL    string
	Behind int64 // of the events until now, how many it has not been offered yet, at most
}

// Webhooks returns the addresses that are told of reservations. Only an admin
// may see them. Their secrets are never shown.
func (l *Lab) Webhooks(ctx context.Context, actor Actor) ([]Webhook, error) {
	if !actor.IsAdmin() {
		return nil, fail(Denied, "list webhooks: only an admin may")
	}
	var hooks []Webhook
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Webhooks(ctx)
		if err != nil {
			return err
		}
		last, err := tx.LastEventID(ctx)
		for _, row := range rows {
			hooks = append(hooks, Webhook{URL: row.URL, Behind: max(last-row.Position, 0)})
		}
		return err
	})
	return hooks, wrap(err, "list webhooks")
}

// SetWebhook has an http or https address told of what happens from now on to
// reservations and runs: a POST with a JSON object, whose HMAC-SHA256 under the
// secret is in the header X-Provisioner-Signature (sha256=HEX). Where the
// address is told already, the secret is changed. Only an admin may.
//
// What is not answered with 2xx within 10 s is sent again, ever more rarely,
// for a day; then, and after three refusals (4xx), it is missed. Redirects are
// not followed.
func (l *Lab) SetWebhook(ctx context.Context, actor Actor, address, secret string) error {
	parsed, err := url.Parse(address)
	switch {
	case !actor.IsAdmin():
		return fail(Denied, "set a webhook: only an admin may")
	case err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.Fragment != "" || len(address) > 1000:
		return fail(Invalid, "set a webhook: give an address such as https://chat.example.org/hooks/lab")
	case parsed.User != nil:
		return fail(Invalid, "set a webhook: an address with a password would be shown; the secret is what proves who calls")
	case len(secret) < minSecret:
		return fail(Invalid, "set a webhook: a secret has %d bytes at least", minSecret)
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		rows, err := tx.Webhooks(ctx)
		if err != nil {
			return err
		}
		known := false
		for _, row := range rows {
			known = known || row.URL == address
		}
		if !known && len(rows) >= maxWebhooks {
			return fail(Conflict, "there are %d already", len(rows))
		}
		last, err := tx.LastEventID(ctx)
		if err != nil {
			return err
		}
		if err := tx.SetWebhook(ctx, store.Webhook{URL: address, Secret: secret, Position: last, CreatedAt: l.now()}); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventWebhookChanged, Detail: "set for " + parsed.Host})
	})
	return wrap(err, "set a webhook")
}

// RemoveWebhook has an address not told any more. Only an admin may.
func (l *Lab) RemoveWebhook(ctx context.Context, actor Actor, address string) error {
	if !actor.IsAdmin() {
		return fail(Denied, "remove a webhook: only an admin may")
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		if err := tx.DeleteWebhook(ctx, address); err != nil {
			return notFound(err, "webhook", address)
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventWebhookChanged, Detail: "removed"})
	})
	return wrap(err, "remove a webhook")
}

// deliverWebhooks tells all webhooks what they have not been told yet, until
// ctx ends. What waits for them is the events table: nothing waits for a
// webhook, and nothing is lost by a restart. Each has a goroutine that ends
// with ctx, or when the webhook is removed or has another secret.
func (l *Lab) deliverWebhooks(ctx context.Context) error {
	client := &http.Client{
		Timeout:       webhookTerm,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	running := make(map[int64]*courier)
	defer func() {
		for _, c := range running {
			c.end()
		}
	}()
	ticker := time.NewTicker(housekeepEvery) // in case that the database could not be read
	defer ticker.Stop()
	for {
		var hooks []store.Webhook
		err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
			hooks, err = tx.Webhooks(ctx)
			return err
		})
		if err != nil && ctx.Err() == nil {
			l.log.Error("webhooks cannot be read, which will be tried again", "error", err)
		}
		if err == nil {
			l.runCouriers(ctx, client, hooks, running)
		}
		for _, c := range running {
			wake(c.news)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.wakeWebhooks:
		case <-ticker.C:
		}
	}
}

// runCouriers makes those who run agree with the webhooks.
func (l *Lab) runCouriers(ctx context.Context, client *http.Client, hooks []store.Webhook, running map[int64]*courier) {
	wanted := make(map[int64]store.Webhook, len(hooks))
	for _, h := range hooks {
		wanted[h.ID] = h
	}
	for id, c := range running {
		if h, still := wanted[id]; !still || h.Secret != c.hook.Secret || h.URL != c.hook.URL {
			c.end()
			delete(running, id)
		}
	}
	for id, h := range wanted {
		if running[id] != nil {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		c := &courier{lab: l, client: client, hook: h, news: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
		running[id] = c
		go func() {
			defer close(c.ended)
			c.run(ctx)
		}()
	}
}

// courier brings events to one webhook, one after the other.
type courier struct {
	lab    *Lab
	client *http.Client
	hook   store.Webhook
	news   chan struct{} // holds one token where there may be events
	stop   context.CancelFunc
	ended  chan struct{}
}

// end ends run, and waits for it.
func (c *courier) end() {
	c.stop()
	<-c.ended
}

func (c *courier) run(ctx context.Context) {
	for {
		if err := c.bring(ctx); err != nil && ctx.Err() == nil {
			c.lab.log.Error("a webhook is not told, which will be tried again", "webhook", c.name(), "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-c.news:
		}
	}
}

// name is the webhook's host: its path may be a secret of its own.
func (c *courier) name() string {
	if u, err := url.Parse(c.hook.URL); err == nil {
		return u.Host
	}
	return "webhook " + strconv.FormatInt(c.hook.ID, 10)
}

// bring brings all events that have come, and notes how far it got.
func (c *courier) bring(ctx context.Context) error {
	for {
		var events []store.Event
		err := c.lab.store.Read(ctx, func(tx *store.Tx) (err error) {
			events, err = tx.EventsAfter(ctx, c.hook.Position, webhookBatch)
			return err
		})
		if err != nil || len(events) == 0 {
			return err
		}
		told := false
		for _, e := range events {
			if webhookKinds[e.Kind] {
				if err := c.deliver(ctx, e); err != nil {
					return errors.Join(err, c.note(context.WithoutCancel(ctx), told))
				}
				told = true
			}
			c.hook.Position = e.ID
		}
		// What concerned nobody need not be kept: it is looked at again after a restart.
		if err := c.note(ctx, told || len(events) == webhookBatch); err != nil {
			return err
		}
	}
}

func (c *courier) note(ctx context.Context, worth bool) error {
	if !worth {
		return nil
	}
	return c.lab.store.Write(ctx, func(tx *store.Tx) error {
		err := tx.WebhookTold(ctx, c.hook.ID, c.hook.Position)
		if errors.Is(err, store.ErrNotFound) {
			return nil // it was removed
		}
		return err
	})
}

// deliver sends an event until it was taken, or is given up. Its error is
// that of ctx.
func (c *courier) deliver(ctx context.Context, e store.Event) error {
	wait, refused := webhookFirst, 0
	for tries := 1; ; tries++ {
		if c.lab.now().Sub(e.At) > webhookAge {
			c.lab.log.Warn("a webhook has missed an event: it is too old", "webhook", c.name(), "event", e.ID)
			return nil
		}
		status, err := c.send(ctx, e)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && status/100 == 2:
			return nil
		case err == nil && status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
			if refused++; refused == webhookRefused {
				c.lab.log.Warn("a webhook has missed an event: it refuses it", "webhook", c.name(), "event", e.ID, "status", status)
				return nil
			}
		}
		if tries == 1 {
			c.lab.log.Warn("a webhook does not answer as it should; it is told again", "webhook", c.name(), "event", e.ID, "status", status, "error", plainURLError(err))
		}
		timer := time.NewTimer(jittered(wait))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		wait = min(2*wait, webhookMost)
	}
}

// plainURLError is what went wrong, without the address: its path may be a secret.
func plainURLError(err error) error {
	var urlError *url.Error
	if errors.As(err, &urlError) {
		return urlError.Err
	}
	return err
}

// send sends an event once, and returns the status of the answer.
func (c *courier) send(ctx context.Context, e store.Event) (status int, err error) {
	body, err := c.body(ctx, e)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.hook.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, []byte(c.hook.Secret))
	mac.Write(body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "provisioner")
	request.Header.Set("X-Provisioner-Event", e.Kind)
	request.Header.Set("X-Provisioner-Delivery", strconv.FormatInt(e.ID, 10))
	request.Header.Set("X-Provisioner-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	response, err := c.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer) // so that the connection can be used again
	return response.StatusCode, nil
}

// body is what a webhook is sent of an event.
func (c *courier) body(ctx context.Context, e store.Event) ([]byte, error) {
	message := webhookMessage{
		ID: e.ID, At: e.At, Kind: e.Kind, Machine: e.Machine, User: e.User, Detail: e.Detail, Holders: []webhookHolder{},
	}
	if e.Machine != "" {
		err := c.lab.store.Read(ctx, func(tx *store.Tx) error {
			m, err := tx.Machine(ctx, e.Machine)
			if errors.Is(err, store.ErrNotFound) {
				return nil // it was removed since
			}
			for _, h := range m.Holders {
				holder := webhookHolder{User: h.User, Reason: h.Reason, Since: h.Since, LentBy: h.LentBy}
				if !h.Until.IsZero() {
					holder.Until = &h.Until
				}
				message.Holders = append(message.Holders, holder)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read who holds %s: %w", e.Machine, err)
		}
	}
	return json.Marshal(message)
}
